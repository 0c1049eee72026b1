//! The golden cases of the default plugins, against the components as they are shipped.
//!
//! `WASMVISOR_GOLDEN_PLUGINS=DIR` runs them against the components in `DIR`, for example freshly built ones.

use std::path::PathBuf;

use wasmvisor::policy::golden::{CaseOutcome, run_cases};

use crate::program::wasmvisor;
use crate::support::workspace;

fn cases_of(name: &str) -> PathBuf {
    workspace().join("plugins").join(name).join("cases.toml")
}

/// The component under test.
fn plugin(name: &str) -> String {
    match std::env::var_os("WASMVISOR_GOLDEN_PLUGINS").filter(|directory| !directory.is_empty()) {
        // Tests run in the directory of the host; whoever sets the variable thinks of the workspace.
        Some(directory) => workspace().join(directory).join(format!("{name}.wasm")).display().to_string(),
        None => format!("builtin:{name}"),
    }
}

#[track_caller]
fn all_pass(name: &str) {
    let (plugin, file) = (plugin(name), cases_of(name));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let outcomes = run_cases(&plugin, &text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let failed: Vec<String> = outcomes.iter().filter(|outcome| !outcome.passed).map(told).collect();
    let count = (failed.len(), outcomes.len());
    assert!(failed.is_empty(), "{} of {} cases of {plugin} fail:\n{}", count.0, count.1, failed.join("\n"));
}

fn told(outcome: &CaseOutcome) -> String {
    format!("  {}\n    {}", outcome.name, outcome.detail)
}

#[test]
fn the_command_allowlist_decides_every_golden_case_as_written() {
    all_pass("command-allowlist");
}

#[test]
fn the_health_score_judges_every_golden_case_as_written() {
    all_pass("health-score");
}

#[test]
fn the_restart_backoff_decides_every_golden_case_as_written() {
    all_pass("restart-backoff");
}

#[test]
fn the_alert_threshold_finds_in_every_golden_case_what_is_written() {
    all_pass("alert-threshold");
}

#[test]
fn a_wrong_expectation_fails_and_says_what_came_instead() {
    let text = std::fs::read_to_string(cases_of("restart-backoff")).unwrap();
    let wrong = text.replacen("attempt = 1 }", "attempt = 2 }", 1);
    assert_ne!(text, wrong);
    let failed: Vec<_> =
        run_cases(&plugin("restart-backoff"), &wrong).unwrap().into_iter().filter(|outcome| !outcome.passed).collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(failed[0].detail, "/restart_after/attempt: expected 2, got 1");
}

#[test]
fn policy_test_lists_every_case_and_exits_with_1_when_one_fails() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cases.toml");
    let cases = "[[case]]\nname = 'right'\nexpect.restart_after.attempt = 1\n\
                 [[case]]\nname = 'wrong'\nexpect.restart_after.attempt = 9\n";
    std::fs::write(&file, cases).unwrap();
    let arguments = ["policy", "test", "builtin:restart-backoff", "--cases", file.to_str().unwrap()];
    let answer = wasmvisor(&arguments);
    assert_eq!((answer.code, answer.errors.as_str()), (1, ""));
    assert!(answer.output.contains("passed  right\n"), "{}", answer.output);
    assert!(answer.output.contains("failed  wrong  /restart_after/attempt: expected 9, got 1"), "{}", answer.output);

    std::fs::write(&file, cases.split_inclusive('\n').take(3).collect::<String>()).unwrap();
    let answer = wasmvisor(&[&arguments[..], &["--json"]].concat());
    let outcomes: Vec<CaseOutcome> = serde_json::from_str(&answer.output).unwrap();
    assert_eq!((answer.code, outcomes.len(), outcomes[0].passed), (0, 1, true));
}

#[test]
fn policy_test_tells_a_mistake_in_the_cases_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cases.toml");
    std::fs::write(&file, "[[case]]\nnam = 'x'\n").unwrap();
    let answer = wasmvisor(&["policy", "test", "builtin:restart-backoff", "--cases", file.to_str().unwrap()]);
    assert_eq!((answer.code, answer.output.as_str()), (3, ""));
    assert!(answer.errors.contains("cases:2:1:") && answer.errors.contains("did you mean `name`?"), "{answer:?}");
}
