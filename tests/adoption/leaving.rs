//! Planned ends of the supervisor: everything stopped, everything kept, another program.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::{PAIR, copies, pid, with_keys};
use crate::fleet::with;
use crate::support::{Fleet, eventually, lives};

#[test]
fn a_supervisor_that_stops_everything_takes_its_holder_with_it() {
    let mut fleet = Fleet::start(&with(PAIR));
    fleet.await_status("two", "running");
    assert_eq!(fleet.holders().len(), 1);
    fleet.signal("TERM");
    assert_eq!(fleet.await_end(), Some(0), "{}", fleet.log());
    eventually("the holder is gone", || fleet.holders().is_empty().then_some(()));
    assert!(fleet.survivors().is_empty());
}

#[test]
fn a_supervisor_told_to_keep_leaves_everything_to_the_next() {
    let mut fleet = Fleet::start(&with_keys("on_shutdown = \"keep\"", PAIR));
    let two = fleet.await_status("two", "running");
    fleet.text(&["stop", "one"]);
    fleet.signal("TERM");
    assert_eq!(fleet.await_end(), Some(0), "{}", fleet.log());
    assert!(lives(pid(&two)));
    fleet.launch();
    assert_eq!(fleet.await_status("two", "running")["run"], two["run"]);
    assert_eq!(fleet.process("one")["status"], "stopped", "the life goes on: what was stopped stays so");
    fleet.text(&["start", "one"]);
    assert_eq!(fleet.await_status("one", "running")["run_number"], 2);
}

#[test]
fn an_upgrade_leaves_pids_alone_and_lines_whole() {
    let counting = "[process.counter]\ncommand = [\"sh\", \"-c\", \"i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done\"]";
    let fleet = Fleet::start(&with(&format!("{PAIR}{counting}")));
    let before = ["one", "two", "counter"].map(|name| fleet.await_status(name, "running"));
    let supervisor = fleet.pid();
    let about = fleet.json(&["upgrade"]);
    assert_eq!(about["pid"].as_u64(), Some(supervisor));
    for record in &before {
        let now = fleet.await_status(record["name"].as_str().unwrap(), "running");
        assert_eq!((&now["run"], &now["process_id"]), (&record["run"], &record["process_id"]));
    }
    let stats = fleet.json(&["stats"]);
    assert_eq!(stats["adopted"], 3, "{stats}");
    let lines = count_lines(&fleet);
    eventually("it writes on", || (count_lines(&fleet) > lines + 20).then_some(()));
    let text = fleet.text(&["logs", "counter"]);
    let wrong = text.lines().enumerate().find(|(place, line)| !line.ends_with(&format!("line {}", place + 1)));
    assert_eq!(wrong, None, "no line is lost, doubled or torn");
}

fn count_lines(fleet: &Fleet) -> usize {
    fleet.text(&["logs", "counter"]).lines().count()
}

#[test]
fn sigusr2_upgrades_as_well_and_a_stopped_process_stays_stopped() {
    let fleet = Fleet::start(&with(PAIR));
    let two = fleet.await_status("two", "running");
    fleet.text(&["stop", "one"]);
    let since = fleet.json(&["stats"])["started"].as_u64();
    assert_eq!(since, Some(2));
    fleet.signal("USR2");
    let answers_anew = || {
        let output = fleet.cli(&["stats", "--json"]);
        let stats: Value = serde_json::from_slice(&output.stdout).ok()?;
        (stats["started"] == 0).then_some(())
    };
    eventually("the new one answers", answers_anew);
    assert_eq!(fleet.process("two")["run"], two["run"]);
    assert_eq!(fleet.process("one")["status"], "stopped");
    assert_eq!((copies(&fleet, "1011"), copies(&fleet, "1012")), (0, 1));
}

#[test]
fn an_upgrade_to_what_is_no_program_is_refused_and_changes_nothing() {
    let fleet = Fleet::start(&with(PAIR));
    let two = fleet.await_status("two", "running");
    let path = fleet.path().join("no-program");
    let file = path.to_str().unwrap();
    std::fs::write(&path, "neither").unwrap();
    for (mode, why) in [(0o600, "no file that can be executed"), (0o700, "format")] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let said = fleet.refusal(3, &["upgrade", "--program", file]);
        assert!(said.contains(file) && said.contains(why), "{said}");
    }
    assert_eq!(fleet.process("two")["run"], two["run"]);
    assert_eq!(fleet.json(&["stats"])["adopted"], 0, "it is the same life");
}

#[test]
fn without_a_holder_an_upgrade_is_refused_with_what_to_do() {
    let fleet = Fleet::start(&with_keys("launcher = \"in-process\"", PAIR));
    fleet.await_status("two", "running");
    assert!(fleet.holders().is_empty());
    let said = fleet.refusal(8, &["upgrade"]);
    assert!(said.contains("holder"), "{said}");
}

#[test]
fn without_a_holder_processes_are_adopted_by_their_identity() {
    let mut fleet = Fleet::start(&with_keys("launcher = \"in-process\"", PAIR));
    let two = fleet.await_status("two", "running");
    fleet.kill();
    fleet.launch();
    assert_eq!(fleet.await_status("two", "running")["run"], two["run"]);
    fleet.text(&["stop", "two"]);
    assert_eq!(copies(&fleet, "1012"), 0);
}
