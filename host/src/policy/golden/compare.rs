//! Whether an answer is as expected, and where it is not. The rules are those of `plugins/README.md`.
//!
//! Pure.

use serde_json::Value;

/// By how much of its size a number may differ: `f32` keeps seven digits.
const ROUNDING: f64 = 1e-6;

/// Every place where `answer` is not as `expected`. What `expected` does not mention is not compared.
pub(super) fn differences(expected: &Value, answer: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", expected, answer, &mut found);
    found
}

fn compare(place: &str, expected: &Value, answer: &Value, found: &mut Vec<String>) {
    match (expected, answer) {
        (Value::Object(wanted), Value::Object(given)) if wanted.keys().all(|key| given.contains_key(key)) => {
            for (key, value) in wanted {
                compare(&format!("{place}/{key}"), value, &given[key], found);
            }
        }
        (Value::Array(wanted), Value::Array(given)) if wanted.len() == given.len() => {
            for (index, (wanted, given)) in wanted.iter().zip(given).enumerate() {
                compare(&format!("{place}/{index}"), wanted, given, found);
            }
        }
        _ if same(expected, answer) => {}
        _ if place.is_empty() => found.push(format!("expected {expected}, got {answer}")),
        _ => found.push(format!("{place}: expected {expected}, got {answer}")),
    }
}

fn same(expected: &Value, answer: &Value) -> bool {
    match (expected, answer) {
        (Value::String(expected), Value::String(answer)) => match expected.strip_prefix('~') {
            Some(part) => answer.contains(part),
            None => expected == answer,
        },
        (Value::Number(expected), Value::Number(answer)) => {
            let close = |(expected, answer): (f64, f64)| (expected - answer).abs() <= expected.abs() * ROUNDING;
            expected.as_f64().zip(answer.as_f64()).is_some_and(close)
        }
        _ => expected == answer,
    }
}

/// Fields (JSON Pointers) that the refusal of the settings of `plugin` does not name, each told with the refusal.
///
/// The schema is asked before the plugin, and names an unknown or missing field as a part of the object around it. So a
/// field counts as named when it, or the object around it with its own name behind, begins a line about settings.
pub(super) fn unnamed(fields: &[String], plugin: &str, refusal: &[String]) -> Vec<String> {
    let about = format!("plugin {plugin}: settings");
    let lines: Vec<&str> = refusal.iter().filter_map(|line| line.strip_prefix(&about)).collect();
    let told = |field: &&String| format!("expected a problem at {field}, got: {}", refusal.join("; "));
    fields.iter().filter(|field| !lines.iter().any(|line| names(line, field))).map(|field| told(&field)).collect()
}

/// Whether a line `POINTER: what is wrong` is about `field`.
fn names(line: &str, field: &str) -> bool {
    let Some((pointer, said)) = line.split_once(": ") else { return false };
    let (around, name) = field.rsplit_once('/').unwrap_or(("", field));
    let named = |quote: char| said.contains(&format!("{quote}{name}{quote}"));
    pointer == field || (pointer == around && !name.is_empty() && ['\'', '"', '`'].into_iter().any(named))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_expected_is_not_compared() {
        assert!(differences(&json!({ "a": 1 }), &json!({ "a": 1, "b": 2 })).is_empty());
        assert_eq!(differences(&json!({ "a": 1 }), &json!({ "b": 2 })), [r#"expected {"a":1}, got {"b":2}"#]);
    }

    #[test]
    fn every_difference_is_told_with_its_place() {
        let found = differences(&json!({ "v": [{ "s": 1 }, { "s": 2 }] }), &json!({ "v": [{ "s": 3 }, { "s": 4 }] }));
        assert_eq!(found, ["/v/0/s: expected 1, got 3", "/v/1/s: expected 2, got 4"]);
    }

    #[test]
    fn lists_must_be_of_the_same_length() {
        assert!(differences(&json!([1, 2]), &json!([1, 2])).is_empty());
        assert_eq!(differences(&json!([]), &json!([1])), ["expected [], got [1]"]);
    }

    #[test]
    fn a_tilde_asks_for_a_part_of_a_text() {
        assert!(differences(&json!("~limit"), &json!("over its limit of 5")).is_empty());
        assert!(!differences(&json!("limit"), &json!("over its limit of 5")).is_empty());
    }

    #[test]
    fn numbers_may_differ_by_rounding_and_not_by_kind() {
        assert!(differences(&json!(0.1), &json!(0.1_f32)).is_empty());
        assert!(differences(&json!(90), &json!(90.0)).is_empty());
        assert!(!differences(&json!(100), &json!(101)).is_empty());
        assert!(!differences(&json!(1), &json!("1")).is_empty());
    }

    #[test]
    fn a_refusal_names_a_field_by_itself_or_within_the_object_around_it() {
        let refusal =
            ["plugin p: settings/a/b: 3 is no text".to_owned(), "plugin p: settings: 'c' was unexpected".into()];
        let missing = |field: &str| unnamed(&[field.to_owned()], "p", &refusal);
        assert!(missing("/a/b").is_empty() && missing("/c").is_empty());
        assert!(!missing("/a").is_empty() && !missing("/b").is_empty() && !missing("/was").is_empty());
    }

    #[test]
    fn a_plugin_that_fails_has_not_refused_its_settings() {
        let refusal = ["plugin p failed its check: deadline: it did not answer '/a'".to_owned()];
        assert_eq!(unnamed(&["/a".to_owned()], "p", &refusal).len(), 1);
    }
}
