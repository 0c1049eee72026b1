//! Configurations as a user meets them: through the program, with real files.

use crate::program::{Answer, wasmvisor};

fn check(text: &str) -> (tempfile::TempDir, Answer) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("w.toml");
    std::fs::write(&file, text).expect("the configuration is written");
    let answer = wasmvisor(&["config", "check", file.to_str().expect("temporary paths are UTF-8")]);
    (directory, answer)
}

#[test]
fn a_good_configuration_can_be_used() {
    let (_directory, answer) = check("[process.a]\ncommand = [\"sleep\", \"1\"]\n");
    assert_eq!((answer.code, answer.errors.as_str()), (0, ""), "{answer:?}");
    assert!(answer.output.contains("1 process (a)"), "{answer:?}");
}

#[test]
fn a_misspelt_key_is_told_with_its_place_and_the_right_key() {
    let (directory, answer) = check("[supervisor]\nmax_proceses = 3\n");
    let place = format!("{}/w.toml:2:1", directory.path().display());
    assert_eq!(answer.code, 3);
    assert_eq!(
        answer.errors,
        format!("error: {place}: supervisor.max_proceses: unknown key; did you mean `max_processes`?\n")
    );
}

#[test]
fn every_mistake_is_told_at_once() {
    let (_directory, answer) = check(
        "[supervisor]\nmax_processes = 0\n[monitor]\ninterval = \"1ms\"\n[process.a]\ncommand = []\n\
         [policies]\nset = \"https://example.org/a.toml\"\n",
    );
    assert_eq!((answer.code, answer.errors.lines().count()), (3, 4), "{answer:?}");
}

#[test]
fn a_missing_policy_set_is_told_by_name() {
    let (_directory, answer) = check("[policies]\nset = \"none.toml\"\n");
    assert_eq!(answer.code, 3, "{answer:?}");
    assert!(answer.errors.contains("none.toml"), "{answer:?}");
}

#[test]
fn a_missing_plugin_and_a_wrong_setting_are_told_before_anything_runs() {
    for (binding, part) in [
        ("plugin = \"none.wasm\"", "none.wasm"),
        (
            "plugin = \"builtin:health-score\"\nsettings = { memory_warning_percent = \"much\" }",
            "memory_warning_percent",
        ),
        ("plugin = \"builtin:restart-backoff\"", "restart"),
    ] {
        let (_directory, answer) = check(&format!("[[policies.health]]\n{binding}\n"));
        assert_eq!(answer.code, 3, "{binding}\n{answer:?}");
        assert!(answer.errors.contains(part), "{binding}\n{answer:?}");
    }
}

#[test]
fn a_process_that_a_timeout_would_end_gets_a_note() {
    let (_directory, answer) = check("[process.a]\ncommand = [\"sleep\", \"1\"]\nrestart = \"always\"\n");
    assert_eq!(answer.code, 0, "{answer:?}");
    let told = answer.output.clone() + &answer.errors;
    assert!(told.contains("note: process.a") && told.contains("timeout = \"off\""), "{answer:?}");
}

#[test]
fn a_mistake_for_programs_is_a_problem_document() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("w.toml");
    std::fs::write(&file, "[nonsense]\n").unwrap();
    let answer = wasmvisor(&["--json", "config", "check", file.to_str().unwrap()]);
    let problem: serde_json::Value = serde_json::from_str(&answer.errors).unwrap();
    assert_eq!(problem["type"], "urn:wasmvisor:problem:configuration");
    assert!(problem["detail"].as_str().unwrap().contains("nonsense"));
}

#[test]
fn the_default_configuration_can_be_used_as_it_is_printed() {
    let printed = wasmvisor(&["config", "default"]);
    let (_directory, answer) = check(&printed.output);
    assert_eq!(answer.code, 0, "{answer:?}");
}

#[test]
fn the_schema_is_json_and_refuses_unknown_keys() {
    let schema: serde_json::Value = serde_json::from_str(&wasmvisor(&["config", "schema"]).output).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&serde_json::json!({ "limits": { "memory": "2GiB" } })));
    assert!(!validator.is_valid(&serde_json::json!({ "limits": { "memori": "2GiB" } })));
    assert!(!validator.is_valid(&serde_json::json!({ "limits": { "memory": "lots" } })));
}

#[test]
fn what_the_program_takes_from_its_place_can_be_named_by_a_variable() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mine.toml");
    std::fs::write(&file, "[bogus]\n").unwrap();
    let answer = crate::program::command(&["config", "check"]).env("WASMVISOR_CONFIG", &file).output().unwrap();
    assert!(String::from_utf8_lossy(&answer.stderr).contains("mine.toml:1:2: bogus"), "{answer:?}");
}
