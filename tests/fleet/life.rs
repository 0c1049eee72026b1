//! Start, stop, restart, crash, signal, queue.

use super::with;
use crate::support::{Fleet, eventually, lives};

const SLEEPER: &str = r#"
[process.sleeper]
command = ["sleep", "1000"]
tags = ["calm"]
"#;

#[test]
fn a_configured_process_runs_and_is_shown() {
    let fleet = Fleet::start(&with(SLEEPER));
    let record = fleet.await_status("sleeper", "running");
    assert!(lives(record["run"]["pid"].as_u64().unwrap()));
    let table = fleet.text(&["ps"]);
    assert!(table.contains("sleeper") && table.contains("running"), "{table}");
}

#[test]
fn a_restart_makes_a_new_run_under_the_same_id() {
    let fleet = Fleet::start(&with(SLEEPER));
    let before = fleet.await_status("sleeper", "running");
    fleet.text(&["restart", "sleeper"]);
    let after = fleet.await_status("sleeper", "running");
    assert_eq!(before["process_id"], after["process_id"]);
    assert_ne!(before["run"]["pid"], after["run"]["pid"]);
    assert_eq!(after["run_number"], 2);
}

#[test]
fn a_stopped_process_is_gone_and_can_be_started_again() {
    let fleet = Fleet::start(&with(SLEEPER));
    let pid = fleet.await_status("sleeper", "running")["run"]["pid"].as_u64().unwrap();
    fleet.text(&["stop", "sleeper"]);
    assert!(!lives(pid), "stop answers when nothing is left");
    assert_eq!(fleet.process("sleeper")["status"], "stopped");
    fleet.text(&["start", "sleeper"]);
    fleet.await_status("sleeper", "running");
}

#[test]
fn a_process_that_ignores_the_stop_signal_is_killed_after_its_grace() {
    let fleet = Fleet::start(&with(
        r#"
[process.stubborn]
command = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"]
graceful_shutdown_timeout = "300ms"
"#,
    ));
    eventually("the trap is set", || fleet.text(&["logs", "stubborn"]).contains("deaf").then_some(()));
    fleet.text(&["stop", "stubborn"]);
    let event = fleet.await_event("it was killed", |event| event["type"] == "process.killed");
    assert!(event["after_grace_ms"].as_u64().unwrap() >= 300, "{event}");
    assert_eq!(fleet.process("stubborn")["exit"]["signal"], 9);
}

#[test]
fn a_grandchild_in_a_session_of_its_own_does_not_survive_a_stop() {
    let fleet = Fleet::start(&with(
        r#"
[process.parent]
command = ["sh", "-c", "setsid sleep 1001 & setsid sh -c 'sleep 1002 & exec sleep 1003' & echo made; wait"]
"#,
    ));
    eventually("all are there", || (fleet.survivors().len() >= 5).then_some(()));
    fleet.text(&["stop", "parent"]);
    assert_eq!(fleet.survivors(), [fleet.pid()]);
}

#[test]
fn what_a_crashed_run_leaves_behind_is_cleaned_up() {
    let fleet = Fleet::start(&with(
        r#"
[process.messy]
command = ["sh", "-c", "setsid sleep 1004 & sleep 0.2; exit 7"]
restart = "no"
"#,
    ));
    let record = fleet.await_status("messy", "crashed");
    assert_eq!(record["exit"]["code"], 7);
    eventually("nothing is left", || (fleet.survivors() == [fleet.pid()]).then_some(()));
}

#[test]
fn a_crashing_process_comes_back_with_growing_delays_until_the_policy_gives_up() {
    let fleet = Fleet::start(&with(
        r#"
[process.crasher]
command = ["sh", "-c", "exit 3"]
"#,
    ));
    let record = fleet.await_status("crasher", "error");
    assert_eq!(record["restarts"], 3);
    assert_eq!(record["exit"]["code"], 3);
    let delays: Vec<_> = fleet
        .events()
        .iter()
        .filter(|event| event["type"] == "process.backoff")
        .map(|event| event["delay_ms"].as_u64().unwrap())
        .collect();
    assert_eq!(delays, [50, 100, 200]);
    fleet.await_event("it says that it gave up", |event| event["type"] == "process.gave-up");
}

#[test]
fn a_process_that_ends_well_is_stopped_and_stays_down() {
    let fleet = Fleet::start(&with("[process.brief]\ncommand = [\"true\"]"));
    let record = fleet.await_status("brief", "stopped");
    assert_eq!((&record["exit"]["code"], &record["restarts"]), (&0.into(), &0.into()));
}

#[test]
fn a_process_that_is_always_wanted_comes_back_after_success() {
    let fleet = Fleet::start(&with("[process.brief]\ncommand = [\"sleep\", \"0.05\"]\nrestart = \"always\""));
    eventually("it was restarted", || (fleet.process("brief")["restarts"].as_u64() >= Some(1)).then_some(()));
}

#[test]
fn a_task_that_takes_too_long_is_stopped_for_good() {
    let fleet = Fleet::start(&with("[process.slow]\ncommand = [\"sleep\", \"1000\"]\ntimeout = \"300ms\""));
    let record = fleet.await_status("slow", "error");
    assert!(record["reason"].as_str().unwrap().contains("timeout"), "{record}");
    assert_eq!(record["restarts"], 0);
}

#[test]
fn a_run_that_exceeds_its_execution_time_is_restarted() {
    let fleet =
        Fleet::start(&with("[process.slow]\ncommand = [\"sleep\", \"1000\"]\nlimits = { execution_time = \"200ms\" }"));
    eventually("it was restarted", || (fleet.process("slow")["restarts"].as_u64() >= Some(1)).then_some(()));
}

#[test]
fn starts_over_the_capacity_wait_in_order_of_priority() {
    let fleet = Fleet::start(&with(SLEEPER).replace("[supervisor]", "[supervisor]\nmax_processes = 1"));
    fleet.await_status("sleeper", "running");
    for priority in ["low", "normal", "high"] {
        fleet.text(&["start", "--name", priority, "--priority", priority, "--", "sleep", "1000"]);
        assert_eq!(fleet.process(priority)["status"], "queued");
    }
    for (name, position) in [("high", 1), ("normal", 2), ("low", 3)] {
        eventually("its position is shown", || (fleet.process(name)["queue_position"] == position).then_some(()));
    }
    fleet.text(&["stop", "sleeper"]);
    fleet.await_status("high", "running");
    fleet.text(&["stop", "high"]);
    fleet.await_status("normal", "running");
}

#[test]
fn a_start_is_refused_when_the_queue_is_full() {
    let limits = "[supervisor]\nmax_processes = 1\nqueue_length = 1";
    let fleet = Fleet::start(&with(SLEEPER).replace("[supervisor]", limits));
    fleet.await_status("sleeper", "running");
    fleet.text(&["start", "--name", "waits", "--", "sleep", "1000"]);
    let said = fleet.refusal(4, &["start", "--name", "too-many", "--", "sleep", "1000"]);
    assert!(said.contains("queue"), "{said}");
}

#[test]
fn a_signal_reaches_the_process() {
    let fleet = Fleet::start(&with(
        r#"
[process.listener]
command = ["sh", "-c", "trap 'echo heard' USR1; echo listening; while :; do sleep 0.05; done"]
"#,
    ));
    eventually("it listens", || fleet.text(&["logs", "listener"]).contains("listening").then_some(()));
    fleet.text(&["signal", "USR1", "listener"]);
    eventually("it heard", || fleet.text(&["logs", "listener"]).contains("heard").then_some(()));
}

#[test]
fn a_paused_process_stands_still_and_can_still_be_stopped() {
    let fleet = Fleet::start(&with(SLEEPER));
    let pid = fleet.await_status("sleeper", "running")["run"]["pid"].as_u64().unwrap();
    fleet.text(&["pause", "sleeper"]);
    // The signal is sent when `pause` answers; the process stops when it is next looked at by the scheduler.
    let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    eventually("it stands still", || stat().contains(") T ").then_some(()));
    fleet.text(&["stop", "sleeper"]);
    assert!(!lives(pid));
}

#[test]
fn the_child_gets_an_environment_built_from_the_allowlist() {
    let fleet = Fleet::start(&with(
        r#"
[process.env]
command = ["env"]
env = { OWN = "yes" }
task_id = "task-7"
"#,
    ));
    fleet.await_status("env", "stopped");
    let variables = fleet.text(&["logs", "env"]);
    assert!(variables.contains("OWN=yes") && variables.contains("WASMVISOR_TASK_ID=task-7"), "{variables}");
    assert!(!variables.contains("CARGO"), "nothing else is inherited:\n{variables}");
}

#[test]
fn processes_are_found_by_what_is_known_of_them() {
    let fleet = Fleet::start(&with(&format!("{SLEEPER}\n[process.brief]\ncommand = [\"true\"]\npriority = \"high\"")));
    fleet.await_status("brief", "stopped");
    let names = |arguments: &[&str]| -> Vec<String> {
        let page = fleet.json(&[&["query"], arguments].concat());
        page["processes"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["--status", "running"]), ["sleeper"]);
    assert_eq!(names(&["--tag", "calm"]), ["sleeper"]);
    assert_eq!(names(&["--priority", "high"]), ["brief"]);
    assert_eq!(names(&["--name", "br*"]), ["brief"]);
    assert_eq!(names(&["--sort", "priority", "--desc"]), ["brief", "sleeper"]);
    assert_eq!(names(&["--sort", "priority", "--limit", "1", "--offset", "1"]), ["brief"]);
}

#[test]
fn the_figures_add_up() {
    let fleet = Fleet::start(&with(&format!("{SLEEPER}\n[process.brief]\ncommand = [\"true\"]")));
    fleet.await_status("brief", "stopped");
    let figures = eventually("a tick was taken", || {
        let figures = fleet.json(&["stats"]);
        (figures["total_memory_bytes"].as_u64() > Some(0)).then_some(figures)
    });
    assert_eq!((&figures["started"], &figures["completed"], &figures["active"]), (&2.into(), &1.into(), &1.into()));
}
