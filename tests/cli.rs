//! The command line where no supervisor is needed, or none is there.

use std::io::Read;
use std::process::Stdio;

use crate::program::{command, wasmvisor};

#[test]
fn without_a_supervisor_every_client_verb_says_how_to_start_one() {
    for verb in [
        &["ps"][..],
        &["describe", "a"],
        &["start", "a"],
        &["start", "--name", "a", "--", "true"],
        &["stop", "a"],
        &["logs", "a"],
        &["events"],
        &["stats"],
        &["top"],
        &["policy", "list"],
        &["agent", "list"],
        &["config", "reload"],
    ] {
        let answer = wasmvisor(&[&["--socket", "/nonexistent/s"], verb].concat());
        assert_eq!(answer.code, 8, "{verb:?} {answer:?}");
        assert_eq!(
            answer.errors, "error: no supervisor answers at /nonexistent/s; start one with 'wasmvisor run'\n",
            "{verb:?}"
        );
    }
}

#[test]
fn a_problem_for_programs_is_one_json_document_on_standard_error() {
    let answer = wasmvisor(&["ps", "--json", "--socket", "/nonexistent/s"]);
    let problem: serde_json::Value = serde_json::from_str(&answer.errors).unwrap();
    assert_eq!((answer.code, answer.output.as_str()), (8, ""));
    assert_eq!((&problem["class"], &problem["status"]), (&"unavailable".into(), &503.into()));
}

#[test]
fn the_socket_is_looked_for_in_the_state_directory() {
    let answer = wasmvisor(&["ps", "--state-dir", "/nonexistent/state"]);
    assert!(answer.errors.contains("/nonexistent/state/control.sock"), "{answer:?}");
}

#[test]
fn a_socket_path_that_is_too_long_is_told_with_what_to_do() {
    let answer = wasmvisor(&["ps", "--state-dir", &format!("/{}", "d".repeat(120))]);
    assert_eq!(answer.code, 3);
    assert!(answer.errors.contains("too long for a socket") && answer.errors.contains("--socket"), "{answer:?}");
}

#[test]
fn wrong_usage_exits_with_2_and_names_what_is_near() {
    let answer = wasmvisor(&["descrybe", "a"]);
    assert_eq!(answer.code, 2);
    assert!(answer.errors.contains("describe"), "{answer:?}");
    assert_eq!(wasmvisor(&["stop"]).code, 2);
    assert_eq!(wasmvisor(&["query", "--status", "runing"]).code, 2);
    assert_eq!(wasmvisor(&[]).code, 2);
}

#[test]
fn help_has_examples_and_exits_with_0() {
    for verb in ["run", "ps", "start", "query", "logs"] {
        let answer = wasmvisor(&[verb, "--help"]);
        assert_eq!(answer.code, 0);
        assert!(answer.output.contains("Examples:\n  wasmvisor"), "{verb}\n{}", answer.output);
    }
}

#[test]
fn completions_know_the_verbs() {
    for shell in ["bash", "zsh", "fish"] {
        let answer = wasmvisor(&["completions", shell]);
        assert!(answer.code == 0 && answer.output.contains("describe"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = command(&["config", "schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((child.wait().unwrap().code(), errors.as_str()), (Some(0), ""));
}

#[test]
fn a_process_that_cannot_be_is_refused_before_anybody_is_asked() {
    let answer = wasmvisor(&["--socket", "/nonexistent/s", "start", "--name", "a b", "--", "true"]);
    assert_eq!(answer.code, 3);
    assert!(answer.errors.contains("name"), "{answer:?}");
}

#[test]
fn run_refuses_a_broken_configuration_and_makes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (file, state) = (directory.path().join("w.toml"), directory.path().join("state"));
    std::fs::write(&file, "[process.a]\ncomand = [\"true\"]\n").unwrap();
    let answer = wasmvisor(&["--state-dir", state.to_str().unwrap(), "run", file.to_str().unwrap()]);
    assert_eq!(answer.code, 3, "{answer:?}");
    assert!(answer.errors.contains("w.toml:2:1: process.a.comand: unknown key; did you mean `command`?"), "{answer:?}");
    assert!(!state.exists());
}

#[test]
fn run_refuses_a_socket_that_a_supervisor_answers() {
    let directory = tempfile::tempdir().unwrap();
    let _alive = std::os::unix::net::UnixListener::bind(directory.path().join("control.sock")).unwrap();
    let answer = wasmvisor(&["--state-dir", directory.path().to_str().unwrap(), "run"]);
    assert_eq!(answer.code, 8, "{answer:?}");
    assert!(answer.errors.contains("another supervisor already listens at"), "{answer:?}");
}
