//! Bad input gets one clear message, the right exit code, and changes nothing.

use super::with;
use crate::support::{Fleet, eventually};

/// Run a configuration that must be refused; gives what was said.
#[track_caller]
fn refused(code: i32, configuration: &str) -> String {
    let fleet = Fleet::prepare(configuration);
    refused_in(&fleet, code)
}

#[track_caller]
fn refused_in(fleet: &Fleet, code: i32) -> String {
    let output = fleet.run_command().output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(fleet.survivors().is_empty(), "nothing may be started");
    said
}

#[test]
fn a_broken_file_is_refused_with_its_line() {
    let said = refused(3, "[supervisor]\nmax_processes = \n");
    assert!(said.contains("fleet.toml:2"), "{said}");
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_right_one() {
    let said = refused(3, "[supervisor]\nmax_proceses = 3\n");
    assert!(said.contains("fleet.toml:2") && said.contains("max_processes"), "{said}");
}

#[test]
fn an_impossible_value_is_refused_with_its_line() {
    let said = refused(3, "[supervisor]\nmax_processes = 0\n");
    assert!(said.contains("fleet.toml:2") && said.contains("max_processes"), "{said}");
}

#[test]
fn a_size_without_a_unit_is_refused_with_an_example() {
    let said = refused(3, "[limits]\nmemory = \"512\"\n");
    assert!(said.contains("fleet.toml:2") && said.contains("512MiB"), "{said}");
}

#[test]
fn a_missing_plugin_is_refused_by_name() {
    let said = refused(3, "[[policies.health]]\nplugin = \"nowhere.wasm\"\n");
    assert!(said.contains("nowhere.wasm"), "{said}");
}

#[test]
fn a_plugin_of_the_wrong_kind_is_refused_with_both_kinds() {
    let said = refused(3, "[[policies.health]]\nplugin = \"builtin:restart-backoff\"\n");
    assert!(said.contains("health") && said.contains("restart"), "{said}");
}

#[test]
fn a_configured_command_that_does_not_exist_is_refused_before_anything_starts() {
    let said =
        refused(3, &with("[process.good]\ncommand = [\"sleep\", \"9\"]\n[process.bad]\ncommand = [\"no-such-thing\"]"));
    assert!(said.contains("no-such-thing") && said.contains("bad"), "{said}");
}

#[test]
fn a_configured_directory_that_does_not_exist_is_refused_before_anything_starts() {
    let said = refused(3, &with("[process.lost]\ncommand = [\"true\"]\ndirectory = \"{dir}/nowhere\""));
    assert!(said.contains("nowhere"), "{said}");
}

#[test]
fn a_corrupt_database_is_refused_by_name_of_the_file_and_kept() {
    let fleet = Fleet::prepare(&with(""));
    std::fs::create_dir(fleet.state_dir()).unwrap();
    let database = fleet.state_dir().join("registry.db");
    std::fs::write(&database, "this is not a database, but it is long enough to look like a file of one".repeat(40))
        .unwrap();
    let before = std::fs::read(&database).unwrap();
    let said = refused_in(&fleet, 8);
    assert!(said.contains("registry.db"), "{said}");
    assert_eq!(std::fs::read(&database).unwrap(), before, "the file is left for a person to look at");
}

#[test]
fn a_name_nobody_has_is_told_with_the_nearest() {
    let fleet = Fleet::start(&with("[process.sleeper]\ncommand = [\"sleep\", \"1000\"]"));
    let said = fleet.refusal(7, &["describe", "sleper"]);
    assert!(said.contains("sleeper"), "{said}");
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let fleet = Fleet::start(&with("[process.sleeper]\ncommand = [\"sleep\", \"1000\"]"));
    fleet.await_status("sleeper", "running");
    let said = fleet.refusal(3, &["start", "--name", "sleeper", "--", "true"]);
    assert!(said.contains("sleeper"), "{said}");
}

#[test]
fn a_verb_without_a_supervisor_says_how_to_start_one() {
    let fleet = Fleet::prepare(&with(""));
    let said = fleet.refusal(8, &["ps"]);
    assert!(said.contains("wasmvisor run"), "{said}");
}

#[test]
fn a_stop_of_what_is_stopped_is_no_error() {
    let fleet = Fleet::start(&with("[process.brief]\ncommand = [\"true\"]"));
    eventually("it is done", || (fleet.process("brief")["status"] == "stopped").then_some(()));
    fleet.text(&["stop", "brief"]);
}
