//! Settings of a plugin: checked by its schema, and written the one way that is canonical.
//!
//! Pure.

use serde_json::{Map, Value};

/// Largest settings, bytes of canonical JSON; the contract's figure.
const MAX_SETTINGS: usize = 1 << 20;

/// Every way in which `settings` does not satisfy `schema`, each beginning with the JSON Pointer of the field.
///
/// # Errors
/// The schema itself is not one.
pub(super) fn violations(schema: &Value, settings: &Value) -> Result<Vec<String>, String> {
    let validator = jsonschema::options()
        .offline()
        .build(schema)
        .map_err(|error| format!("has a settings schema that is none: {error}"))?;
    if validator.is_valid(settings) {
        return Ok(Vec::new());
    }
    Ok(validator.iter_errors(settings).map(|error| format!("settings{}: {error}", error.instance_path())).collect())
}

/// Canonical JSON: keys sorted by their bytes, no insignificant space.
pub(super) fn canonical(settings: &Map<String, Value>) -> Result<String, String> {
    let text = sorted(&Value::Object(settings.clone())).to_string();
    if text.len() > MAX_SETTINGS {
        return Err(format!("settings: {} bytes; at most {MAX_SETTINGS} are allowed", text.len()));
    }
    Ok(text)
}

/// The same value with the keys of every object in order, whatever order the JSON library keeps.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_violation_names_the_field_as_a_pointer() {
        let schema = json!({ "properties": { "a": { "properties": { "b": { "type": "integer" } } } } });
        let found = violations(&schema, &json!({ "a": { "b": "x" } })).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("settings/a/b: "), "{found:?}");
    }

    #[test]
    fn canonical_settings_have_sorted_keys_and_no_space() {
        let Value::Object(map) = json!({ "b": 1, "a": { "d": [1, 2], "c": null } }) else { panic!() };
        assert_eq!(canonical(&map).unwrap(), r#"{"a":{"c":null,"d":[1,2]},"b":1}"#);
    }

    #[test]
    fn a_schema_that_is_none_is_an_error() {
        assert!(violations(&json!({ "type": 7 }), &json!({})).is_err());
    }
}
