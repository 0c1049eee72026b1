//! The sandbox as a configuration writes it: what is in force is seen from inside, and what cannot be held is refused.

use std::os::unix::fs::symlink;

use super::with;
use crate::support::{Fleet, eventually};

/// What a process of this configuration prints, once it has said `end`.
fn told(fleet: &Fleet, name: &str) -> String {
    eventually(&format!("{name} has ended its work"), || {
        let logs = fleet.text(&["logs", name]);
        logs.contains("end").then_some(logs)
    })
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn has(ability: &str) -> bool {
    let has = wasmvisor::platform::abilities().iter().any(|found| found.name == ability && found.present);
    if !has {
        eprintln!("skipped: this machine or user has no {ability}");
    }
    has
}

#[test]
fn keys_of_a_process_are_over_those_of_the_sandbox_and_both_are_shown() {
    let fleet = Fleet::start(&with(
        r#"
[limits]
core = "0B"
[process.plain]
command = ["sh", "-c", "umask; grep -h core /proc/self/limits; echo end; exec sleep 1000"]
[process.own]
command = ["sh", "-c", "umask; echo end; exec sleep 1000"]
sandbox = { umask = "0077", no_new_privileges = false }
limits = { io_priority = "idle", file_size = "1GiB" }
"#,
    ));
    let plain = told(&fleet, "plain");
    assert!(plain.contains("Max core file size        0                    0"), "{plain}");
    assert!(told(&fleet, "own").contains("0077"));
    let record = fleet.process("own");
    let expected = serde_json::json!({
        "umask": "0077", "no_new_privileges": "no", "restricted_paths": "/etc, /usr", "core": "0B",
        "file_size": "1GiB", "io_priority": "idle",
    });
    assert_eq!(record["sandbox"], expected);
    let text = fleet.text(&["describe", "own"]);
    assert!(text.contains("umask") && text.contains("0077"), "{text}");
}

#[test]
fn variables_are_taken_away_and_their_values_shown_nowhere() {
    let fleet = Fleet::start(&with(
        r#"
[process.web]
command = ["sh", "-c", "echo $TOKEN-$GONE; echo end; exec sleep 1000"]
env = { LATE = "hunter1" }
sandbox = { env = { set = { TOKEN = "hunter2", GONE = "hunter3" }, unset = ["GONE"] } }
"#,
    ));
    assert!(told(&fleet, "web").contains("hunter2-\n"));
    let record = fleet.process("web").to_string();
    assert!(!record.contains("hunter"), "{record}");
    assert!(!fleet.log().contains("hunter"), "{}", fleet.log());
}

#[test]
fn files_outside_of_read_and_write_are_closed() {
    if !has("landlock") {
        return;
    }
    let fleet = Fleet::prepare(&with(
        r#"
[process.web]
command = ["sh", "-c", "cat open/file; echo more > data/file && cat data/file; cat closed || echo refused; echo end; exec sleep 1000"]
sandbox = { read = ["open"], write = ["data"] }
"#,
    ));
    for name in ["open", "data"] {
        std::fs::create_dir(fleet.path().join(name)).unwrap();
    }
    std::fs::write(fleet.path().join("open/file"), "open\n").unwrap();
    std::fs::write(fleet.path().join("closed"), "closed\n").unwrap();
    let mut fleet = fleet;
    fleet.launch();
    let told = told(&fleet, "web");
    assert!(told.contains("open\nmore\n") && told.contains("refused") && !told.contains("closed\n"), "{told}");
    let record = fleet.process("web");
    assert!(record["sandbox"]["write"].as_str().unwrap().ends_with("/data"), "{record}");
}

#[test]
fn a_run_is_another_user_with_a_home_of_its_own() {
    if !has("user switch") {
        return;
    }
    let fleet = Fleet::start(&with(
        r#"
[process.web]
command = ["sh", "-c", "id -u; id -un; echo $USER; echo end; exec sleep 1000"]
directory = "/"
sandbox = { user = "nobody" }
"#,
    ));
    let told = told(&fleet, "web");
    assert_eq!(told.matches("nobody").count(), 2, "{told}");
    assert!(fleet.process("web")["sandbox"]["user"].as_str().unwrap().starts_with("nobody ("));
}

#[test]
fn an_unknown_user_and_one_that_we_may_not_be_are_refused_before_anything_starts() {
    let refused = |tables: &str, expected: &str| {
        let fleet = Fleet::prepare(&with(tables));
        let output = fleet.run_command().output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    refused("[process.a]\ncommand = [\"true\"]\nsandbox = { user = \"nobody-of-this-name\" }\n", "nobody-of-this-name");
    if is_root() {
        eprintln!("skipped: root may become anybody");
    } else {
        refused("[process.a]\ncommand = [\"true\"]\nsandbox = { user = 0 }\n", "CAP_SETUID");
    }
}

#[test]
fn a_misspelt_key_of_a_sandbox_gets_the_nearest_right_one() {
    let fleet = Fleet::prepare("[process.a]\ncommand = [\"true\"]\n[process.a.sandbox]\npath_argument = [1]\n");
    let output = fleet.cli(&["config", "check", "fleet.toml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("fleet.toml:4") && said.contains("did you mean `path_arguments`?"), "{said}");
}

#[test]
fn a_path_argument_that_leads_into_a_restricted_path_is_refused() {
    let fleet = Fleet::prepare(&with(
        r#"
[process.web]
command = ["sh", "-c", "exec sleep 1000", "--config=here/passwd"]
sandbox = { path_arguments = ["--config="] }
"#,
    ));
    symlink("/etc", fleet.path().join("here")).unwrap();
    let output = fleet.run_command().output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("/etc/passwd") && said.contains("here/passwd"), "{said}");
}

#[test]
fn a_restart_does_not_follow_a_directory_that_was_swapped_for_a_link() {
    let fleet = Fleet::prepare(&with(
        r#"
[process.web]
command = ["sh", "-c", "pwd; echo end; exec sleep 1000"]
directory = "work"
"#,
    ));
    let work = fleet.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let mut fleet = fleet;
    fleet.launch();
    told(&fleet, "web");
    std::fs::rename(&work, fleet.path().join("away")).unwrap();
    symlink("/etc", &work).unwrap();
    fleet.cli(&["restart", "web"]);
    fleet.await_event("the launch is refused", |event| event.to_string().contains("symbolic link"));
    assert!(!fleet.text(&["logs", "web"]).contains("/etc"));
}

#[test]
fn a_restart_does_not_hand_over_an_argument_that_was_swapped_for_a_link() {
    let fleet = Fleet::prepare(&with(
        r#"
[process.web]
command = ["sh", "-c", "echo end; exec sleep 1000", "sh", "input"]
sandbox = { path_arguments = [4] }
"#,
    ));
    let input = fleet.path().join("input");
    std::fs::write(&input, "").unwrap();
    let mut fleet = fleet;
    fleet.launch();
    told(&fleet, "web");
    std::fs::remove_file(&input).unwrap();
    symlink("/etc/shadow", &input).unwrap();
    fleet.cli(&["restart", "web"]);
    fleet.await_event("the launch is refused", |event| event.to_string().contains("leads by now"));
}

#[test]
fn a_health_check_is_in_the_sandbox_of_its_process() {
    let fleet = Fleet::start(&with(
        r#"
[process.web]
command = ["sleep", "1000"]
sandbox = { umask = "0377" }
health_check = { command = ["sh", "-c", "umask > mask"], interval = "100ms" }
"#,
    ));
    let mask = eventually("the check has run", || {
        let mask = std::fs::read_to_string(fleet.path().join("mask")).ok()?;
        mask.ends_with('\n').then_some(mask)
    });
    assert_eq!(mask, "0377\n");
}
