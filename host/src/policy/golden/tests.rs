//! The runner against the smallest embedded plugin: what it must be able to find wrong.

use super::*;

const BACKOFF: &str = "builtin:restart-backoff";

/// One instance of the compiler for everything that is said about one plugin.
#[test]
fn a_case_fails_when_answer_settings_or_refusal_are_not_as_expected() {
    let cases = r#"
        case = [
            { name = "right", input = { ending = { exited = 1 } }, expect = { restart_after = { attempt = 1 } } },
            { name = "other", input = { ending = { exited = 1 } }, expect = { restart_after = { attempt = 2 } } },
            { name = "another", expect = { give_up = "~" } },
            { name = "refused", settings = { base_delay = 5 }, expect = { give_up = "~" } },
            { name = "accepted", settings = { base_delay = "5s" }, expect = { problems = [{ field = "/base_delay" }] } },
            { name = "elsewhere", settings = { base_delay = 5 }, expect = { problems = [{ field = "/jitter" }] } },
            { name = "unknown", settings = { dely = 5 }, expect = { problems = [{ field = "/dely" }] } },
        ]"#;
    let outcomes = run_cases(BACKOFF, cases).unwrap();
    let detail = |name: &str| &outcomes.iter().find(|outcome| outcome.name == name).unwrap().detail;
    let passed: Vec<_> = outcomes.iter().filter(|outcome| outcome.passed).map(|outcome| &*outcome.name).collect();
    assert_eq!(passed, ["right", "unknown"], "{outcomes:#?}");
    assert_eq!(detail("other"), "/restart_after/attempt: expected 2, got 1");
    assert!(detail("another").contains(r#"got {"restart_after""#), "{}", detail("another"));
    assert!(detail("refused").contains("got no instance: ") && detail("refused").contains("settings/base_delay"));
    assert!(detail("accepted").contains("the settings were accepted"));
    assert!(detail("elsewhere").contains("expected a problem at /jitter"));
}

#[test]
fn a_mistake_in_a_case_is_told_with_its_name_before_anything_is_asked() {
    let cases = r#"
        case = [
            { name = "first", input = { attempt = 1 }, expect = { give_up = "~" } },
            { name = "second", ask = "explain", expect = { give_up = "~" } },
        ]"#;
    let error = run_cases(BACKOFF, cases).unwrap_err().message;
    assert!(error.contains("case `first`: input: ") && error.contains("did you mean `attempts`?"), "{error}");
    assert!(error.contains("case `second`: ask: `explain`"), "{error}");
}

#[test]
fn a_plugin_that_does_not_exist_is_an_error_and_no_outcome() {
    let cases = "[[case]]\nname = 'a'\nexpect = { give_up = 'x' }";
    assert!(run_cases("/no/such.wasm", cases).unwrap_err().message.contains("/no/such.wasm"));
    assert!(run_cases("builtin:nope", cases).unwrap_err().message.contains("restart-backoff"));
}
