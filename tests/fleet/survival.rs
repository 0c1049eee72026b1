//! The end of the supervisor, planned and not, and what the next one finds.

use std::os::unix::fs::PermissionsExt;

use super::with;
use crate::support::{Fleet, eventually, lives};

const PAIR: &str = r#"
[process.one]
command = ["sh", "-c", "sleep 1005 & wait"]

[process.two]
command = ["sleep", "1006"]
"#;

#[test]
fn sigterm_stops_everything_in_order_and_ends_with_success() {
    let mut fleet = Fleet::start(&with(PAIR));
    fleet.await_status("one", "running");
    fleet.signal("TERM");
    assert_eq!(fleet.await_end(), Some(0), "{}", fleet.log());
    assert!(fleet.survivors().is_empty());
    assert!(!fleet.state_dir().join("control.sock").exists(), "the socket is taken away");
}

#[test]
fn processes_of_a_killed_supervisor_are_found_and_cleaned_up_by_the_next_when_it_is_told_to() {
    let keys = "[supervisor]\nlauncher = \"in-process\"\norphans = \"stop\"";
    let mut fleet = Fleet::start(&with(PAIR).replace("[supervisor]", keys));
    let orphan = fleet.await_status("two", "running")["run"]["pid"].as_u64().unwrap();
    fleet.signal("KILL");
    fleet.await_end();
    assert!(lives(orphan), "it outlives a kill -9 of the supervisor");
    fleet.launch();
    assert!(!lives(orphan));
    fleet.await_event("it is told", |event| event["type"] == "registry.orphans-cleaned");
    let fresh = fleet.await_status("two", "running")["run"]["pid"].as_u64().unwrap();
    assert_ne!(fresh, orphan);
    assert!(fleet.json(&["stats"])["orphans"].as_u64() >= Some(2));
}

#[test]
fn history_outlives_the_supervisor() {
    let mut fleet = Fleet::start(&with("[process.brief]\ncommand = [\"sh\", \"-c\", \"exit 5\"]\nrestart = \"no\""));
    let id = fleet.await_status("brief", "crashed")["process_id"].clone();
    fleet.signal("TERM");
    fleet.await_end();
    fleet.launch();
    let page = fleet.json(&["query", "--history"]);
    let old = page["processes"].as_array().unwrap().iter().find(|record| record["process_id"] == id).cloned();
    assert_eq!(old.expect("the earlier life is remembered")["exit"]["code"], 5);
}

#[test]
fn the_socket_is_for_its_owner_only() {
    let fleet = Fleet::start(&with(""));
    let mode = |path: &str| std::fs::metadata(fleet.state_dir().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("control.sock"), mode(".")), (0o600, 0o700));
}

#[test]
fn a_stale_socket_is_replaced() {
    let mut fleet = Fleet::start(&with(PAIR));
    fleet.signal("KILL");
    fleet.await_end();
    assert!(fleet.state_dir().join("control.sock").exists());
    fleet.launch();
    fleet.await_status("two", "running");
}

#[test]
fn a_second_supervisor_on_the_same_state_directory_is_refused_and_the_first_goes_on() {
    let fleet = Fleet::start(&with(PAIR));
    let output = fleet.run_command().output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(8), "{said}");
    assert!(said.contains("another supervisor"), "{said}");
    fleet.await_status("two", "running");
}

#[test]
fn a_reload_starts_stops_and_leaves_alone_what_the_file_says() {
    let fleet = Fleet::start(&with(PAIR));
    let kept = fleet.await_status("two", "running")["run"]["pid"].clone();
    let text = with("[process.two]\ncommand = [\"sleep\", \"1006\"]\n[process.three]\ncommand = [\"sleep\", \"1007\"]");
    std::fs::write(fleet.path().join("fleet.toml"), text).unwrap();
    fleet.signal("HUP");
    eventually("the new one runs", || {
        (fleet.cli(&["describe", "three"]).status.success() && fleet.process("three")["status"] == "running")
            .then_some(())
    });
    fleet.await_status("one", "stopped");
    assert_eq!(fleet.process("two")["run"]["pid"], kept);
}

#[test]
fn a_bad_reload_is_refused_whole() {
    let fleet = Fleet::start(&with(PAIR));
    let kept = fleet.await_status("two", "running")["run"]["pid"].clone();
    std::fs::write(fleet.path().join("fleet.toml"), with("[process.two]\ncomand = [\"sleep\"]")).unwrap();
    let said = fleet.refusal(3, &["config", "reload"]);
    assert!(said.contains("comand") && said.contains("command"), "{said}");
    assert_eq!(fleet.process("two")["run"]["pid"], kept);
    assert_eq!(fleet.process("one")["status"], "running");
}
