//! What the system refuses now and then: each refusal is told, costs nothing that was there, and is forgotten when it
//! ends. Faults come from strace(1), from prlimit(1) and from SIGSTOP.

mod holder;

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::strace::{Fault, skip, threads_named};
use crate::support::{Fleet, eventually, lives, send};
use crate::torture::{Launching, head};

/// Two services and a brief process.
fn fleet(launching: &Launching) -> Fleet {
    let tables = r#"
[process.one]
command = ["sleep", "1009"]
restart = "always"
[process.two]
command = ["sleep", "1010"]
restart = "always"
"#;
    let fleet = Fleet::start(&format!("{}{tables}", head(launching, "")));
    fleet.await_status("one", "running");
    fleet.await_status("two", "running");
    fleet
}

fn pid_of(fleet: &Fleet, name: &str) -> u64 {
    fleet.process(name)["run"]["pid"].as_u64().expect("it has run")
}

/// Wait until a service runs in another run than this.
fn await_another_run(fleet: &Fleet, name: &str, old: u64) -> u64 {
    eventually(&format!("{name} runs again"), || {
        let record = fleet.process(name);
        let pid = record["run"]["pid"].as_u64().filter(|pid| record["status"] == "running" && *pid != old);
        pid.filter(|pid| lives(*pid))
    })
}

/// The thread that makes runs.
fn maker_of_runs(fleet: &Fleet, launching: &Launching) -> u64 {
    match launching {
        Launching::InProcess => threads_named(fleet.pid(), "launch")[0],
        _ => eventually("a holder serves", || fleet.holders().first().copied()),
    }
}

/// Set the soft limit of open descriptors of a process, and give the old one.
fn limit_descriptors(pid: u64, limit: &str) -> Option<String> {
    let prlimit = |arguments: &[&str]| {
        let output = Command::new("prlimit").args(["--pid", &pid.to_string()]).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).expect("text").trim().to_owned())
    };
    let old = prlimit(&["--nofile", "--output=SOFT", "--noheadings", "--raw"]);
    let done = prlimit(&[&format!("--nofile={limit}:")]);
    old.filter(|_| done.is_some()).or_else(|| skip("prlimit(1) is not installed or may not be used"))
}

/// As few descriptors as are open.
fn without_free_descriptors(pid: u64) -> Option<String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives");
    let open = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
    // Up to the first gap: a number that is free below it would be given out.
    let mut open: Vec<_> = open.collect();
    open.sort_unstable();
    let first_gap = (0..).zip(&open).take_while(|(place, number)| place == *number).count();
    limit_descriptors(pid, &first_gap.to_string())
}

fn tells(event: &Value, kind: &str, part: &str) -> bool {
    event["type"] == kind && event.to_string().contains(part)
}

fn a_fork_that_is_refused(launching: &Launching) {
    let fleet = fleet(launching);
    let (old, other) = (pid_of(&fleet, "one"), pid_of(&fleet, "two"));
    let Some(fault) = Fault::begin(maker_of_runs(&fleet, launching), "clone,clone3,fork,vfork:error=EAGAIN") else {
        return;
    };
    send("KILL", old);
    let told = |event: &Value| tells(event, "process.start-failed", "Resource temporarily unavailable");
    fleet.await_event("the refusal is told", told);
    fault.end();
    await_another_run(&fleet, "one", old);
    assert_eq!(pid_of(&fleet, "two"), other, "the other one is not affected");
}

#[test]
fn a_fork_that_is_refused_is_told_and_tried_again_in_process() {
    a_fork_that_is_refused(&Launching::InProcess);
}

#[test]
fn a_fork_that_is_refused_is_told_and_tried_again_by_the_holder() {
    a_fork_that_is_refused(&Launching::ByHolder);
}

/// The disk refuses every write of the database; then it takes them again, and the supervisor dies.
fn a_database_that_cannot_be_written(what: &str, words: &str) {
    let mut fleet = fleet(&Launching::InProcess);
    let writer = threads_named(fleet.pid(), "store")[0];
    let Some(fault) = Fault::begin(writer, what) else { return };
    let old = pid_of(&fleet, "one");
    send("KILL", old);
    await_another_run(&fleet, "one", old);
    fleet.text(&["stop", "two"]);
    eventually("the refusal is told", || fleet.log().contains(words).then_some(()));
    fault.end();
    eventually("the end of it is told", || fleet.log().contains("can be written again").then_some(()));
    let id = fleet.process("two")["process_id"].clone();
    fleet.kill();
    fleet.launch();
    let page = fleet.json(&["query", "--history"]);
    let records = page["processes"].as_array().expect("a page has processes");
    let record = records.iter().find(|record| record["process_id"] == id).expect("it is remembered");
    assert!(record["exit"]["signal"] == 15, "what happened meanwhile is on record: {record}");
}

#[test]
fn a_full_disk_under_the_database_loses_no_record() {
    a_database_that_cannot_be_written("pwrite64:error=ENOSPC", "full");
}

#[test]
fn a_broken_disk_under_the_database_loses_no_record() {
    a_database_that_cannot_be_written("pwrite64,fdatasync,fsync:error=EIO", "disk I/O error");
}

#[test]
fn a_supervisor_without_free_descriptors_says_so_and_goes_on_when_there_are_some() {
    let fleet = fleet(&Launching::InProcess);
    let (old, other) = (pid_of(&fleet, "one"), pid_of(&fleet, "two"));
    let Some(limit) = without_free_descriptors(fleet.pid()) else { return };
    send("KILL", old);
    eventually("it is told", || fleet.log().contains("Too many open files").then_some(()));
    limit_descriptors(fleet.pid(), &limit);
    await_another_run(&fleet, "one", old);
    assert_eq!(pid_of(&fleet, "two"), other, "the other one is not affected");
}
