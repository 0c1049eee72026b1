//! A file of cases, read but not yet understood: what `input` means depends on the kind of the plugin.
//!
//! Pure.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::policy::PolicyError;
use crate::policy::toml_error::explain;

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    /// A sentence.
    pub(super) name: String,
    /// The function that is asked.
    pub(super) ask: Option<String>,
    /// Settings of the plugin.
    pub(super) settings: Map<String, Value>,
    /// The arguments. Not JSON, which has no NaN.
    pub(super) input: toml::Table,
    /// What must come of it.
    pub(super) expected: Expected,
}

/// What a case expects.
#[derive(Debug)]
pub(super) enum Expected {
    /// This answer; what it does not mention is not compared.
    Answer(Value),
    /// That the settings are refused because of these fields, JSON Pointers.
    Problems(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    ask: Option<String>,
    #[serde(default)]
    settings: Map<String, Value>,
    #[serde(default)]
    input: toml::Table,
    expect: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Problem {
    field: String,
    /// What the policy itself says. The schema says it in its own words, so it is not compared here.
    #[serde(rename = "message")]
    _message: Option<String>,
}

/// Read the cases of a file.
///
/// # Errors
/// Where the text is no file of cases, or every case that expects nothing.
pub(super) fn read(text: &str) -> Result<Vec<Case>, PolicyError> {
    let file: File = toml::from_str(text)
        .map_err(|error| PolicyError::new(explain(Path::new("cases"), text, error.message(), error.span())))?;
    if file.case.is_empty() {
        return Err(PolicyError::new("there are no cases; write at least one [[case]]"));
    }
    let mut cases = Vec::with_capacity(file.case.len());
    let mut mistakes = Vec::new();
    for Entry { name, ask, settings, input, expect } in file.case {
        match expected(expect) {
            Ok(expected) => cases.push(Case { name, ask, settings, input, expected }),
            Err(mistake) => mistakes.push(format!("case `{name}`: {mistake}")),
        }
    }
    if mistakes.is_empty() { Ok(cases) } else { Err(PolicyError::of(mistakes)) }
}

fn expected(mut expect: Map<String, Value>) -> Result<Expected, String> {
    let Some(problems) = expect.remove("problems") else {
        // Whatever the plugin did would be right.
        let nothing = expect.is_empty();
        return if nothing { Err("expects nothing".to_owned()) } else { Ok(Expected::Answer(Value::Object(expect))) };
    };
    if let Some(other) = expect.keys().next() {
        return Err(format!("expects `{other}` beside `problems`; settings that are refused answer nothing"));
    }
    let problems: Vec<Problem> =
        serde_json::from_value(problems).map_err(|error| format!("expect.problems: {error}"))?;
    if problems.is_empty() {
        return Err("expects no `problems`; leave them out and say what is answered".to_owned());
    }
    Ok(Expected::Problems(problems.into_iter().map(|problem| problem.field).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read(text).unwrap_err().message
    }

    #[test]
    fn a_misspelt_key_is_told_with_its_line_and_the_right_one() {
        let text = "[[case]]\nname = 'a'\nsetings = {}\nexpect = { decision = 'allow' }";
        let said = refused(text);
        assert!(said.starts_with("cases:3:") && said.contains("did you mean `settings`?"), "{said}");
    }

    #[test]
    fn a_file_in_which_nothing_can_fail_is_refused() {
        assert!(refused("case = []").contains("no cases"));
        assert!(refused("[[case]]\nname = 'a'").contains("expect"));
        assert!(refused("[[case]]\nname = 'a'\nexpect = {}").contains("case `a`: expects nothing"));
        assert!(refused("[[case]]\nname = 'a'\nexpect = { problems = [] }").contains("case `a`"));
    }

    #[test]
    fn problems_stand_alone_and_name_a_field() {
        let expecting = |what: &str| format!("[[case]]\nname = 'a'\nexpect = {{ problems = [{{ {what} }}] }}");
        assert!(read(&expecting("field = '/a', message = 'x'")).is_ok());
        assert!(refused(&expecting("feild = '/a'")).contains("feild"));
        let both = "[[case]]\nname = 'a'\nexpect = { problems = [{ field = '/a' }], decision = 'deny' }";
        assert!(refused(both).contains("beside `problems`"));
    }
}
