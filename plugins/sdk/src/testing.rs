//! Golden cases against the native code of a policy: the same `cases.toml` that the host runs against the component.
//! The format is described in `plugins/README.md`.
//!
//! Only tests enter (feature `testing`); every mistake in a file of cases is a panic that names the case.

mod fields;
mod input;
mod output;

use serde_json::{Value, json};

use crate::admission::AdmissionPolicy;
use crate::alert::AlertPolicy;
use crate::health::HealthPolicy;
use crate::restart::RestartPolicy;
use crate::{Policy, glue};

/// One golden case.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows, a sentence.
    pub name: String,
    /// Which function is asked, for kinds that have several.
    pub ask: Option<String>,
    /// Settings of the policy.
    pub settings: Value,
    /// The arguments.
    pub input: Value,
    /// What must be answered; what is not mentioned is not compared.
    pub expect: Value,
}

/// Read the cases of a file.
///
/// # Panics
/// When the text is no file of cases.
#[must_use]
#[track_caller]
pub fn cases(text: &str) -> Vec<Case> {
    let file: Value = toml::from_str(text).expect("cases.toml is TOML");
    let cases = file["case"].as_array().expect("cases.toml has [[case]] tables");
    cases.iter().map(case).collect()
}

fn case(table: &Value) -> Case {
    let known = ["name", "ask", "settings", "input", "expect"];
    let name = table["name"].as_str().expect("every case has a name").to_owned();
    for key in table.as_object().into_iter().flat_map(|table| table.keys()) {
        assert!(known.contains(&key.as_str()), "case `{name}`: `{key}` is none of {known:?}");
    }
    Case {
        ask: table["ask"].as_str().map(Into::into),
        settings: table.get("settings").cloned().unwrap_or_else(|| json!({})),
        input: table.get("input").cloned().unwrap_or_else(|| json!({})),
        expect: table.get("expect").cloned().unwrap_or_else(|| panic!("case `{name}` expects nothing")),
        name,
    }
}

/// Run the cases of an admission policy.
///
/// # Panics
/// At the first case that is answered otherwise.
#[track_caller]
pub fn run_admission<P: AdmissionPolicy>(text: &str) {
    run::<P>(text, |policy, case| output::admission(policy.decide(&input::admission(&case.input, &policy.lookups()))));
}

/// Run the cases of a health policy.
///
/// # Panics
/// At the first case that is answered otherwise.
#[track_caller]
pub fn run_health<P: HealthPolicy>(text: &str) {
    run::<P>(text, |policy, case| {
        let tick = input::health_tick(&case.input);
        let history = input::history(&case.input);
        if case.ask.as_deref() == Some("explain") {
            let reading = input::reading(&case.input["reading"]);
            return output::explanation(policy.explain(&tick, &input::identity(&case.input), &reading, &history));
        }
        let readings = input::list(&case.input, "reading", input::reading);
        output::verdicts(policy.assess(&tick, &readings, &history))
    });
}

/// Run the cases of a restart policy.
///
/// # Panics
/// At the first case that is answered otherwise.
#[track_caller]
pub fn run_restart<P: RestartPolicy>(text: &str) {
    run::<P>(text, |policy, case| output::restart(policy.decide(&input::failure(&case.input))));
}

/// Run the cases of an alert policy.
///
/// # Panics
/// At the first case that is answered otherwise.
#[track_caller]
pub fn run_alert<P: AlertPolicy>(text: &str) {
    run::<P>(text, |policy, case| {
        if case.ask.as_deref() == Some("explain") {
            let subject = input::subject(&case.input["subject"]);
            let finding = input::finding(&case.input["finding"]);
            return output::line(policy.explain(&input::identity(&case.input), &subject, &finding));
        }
        let subjects = input::list(&case.input, "subject", input::subject);
        output::evaluation(policy.evaluate(&input::alert_tick(&case.input), &subjects))
    });
}

/// Cases that expect `problems` stop at the settings; all others ask the policy.
#[track_caller]
fn run<P: Policy>(text: &str, ask: impl Fn(&P, &Case) -> Value) {
    for case in cases(text) {
        let answer = match glue::make::<P>(&case.settings.to_string()) {
            Ok(policy) => ask(&policy, &case),
            Err(problems) => output::problems(&problems),
        };
        assert!(agrees(&case.expect, &answer), "case `{}`\n expected {}\n answered {answer}", case.name, case.expect);
    }
}

/// Whether an answer is as expected: of an object only the keys that are expected are compared, lists must be of the
/// same length, numbers may differ by a millionth of their size, and a string that begins with `~` must be contained.
#[must_use]
pub fn agrees(expected: &Value, answer: &Value) -> bool {
    match (expected, answer) {
        (Value::Object(expected), Value::Object(answer)) => {
            expected.iter().all(|(key, value)| answer.get(key).is_some_and(|answer| agrees(value, answer)))
        }
        (Value::Array(expected), Value::Array(answer)) => {
            expected.len() == answer.len() && expected.iter().zip(answer).all(|(e, a)| agrees(e, a))
        }
        (Value::String(expected), Value::String(answer)) => match expected.strip_prefix('~') {
            Some(part) => answer.contains(part),
            None => expected == answer,
        },
        (Value::Number(expected), Value::Number(answer)) => match (expected.as_f64(), answer.as_f64()) {
            (Some(expected), Some(answer)) => (expected - answer).abs() <= expected.abs() * 1e-6,
            _ => false,
        },
        _ => expected == answer,
    }
}

#[cfg(test)]
mod tests;
