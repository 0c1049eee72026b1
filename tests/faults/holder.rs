//! Faults of the holder and of the disk under it.

use super::*;
use crate::support::torture_program;

/// A supervisor with one service that writes numbered lines for ever and counts them itself.
fn writer() -> Fleet {
    let table =
        "[process.writer-00]\ncommand = [\"{dir}/bin/torture\", \"work\", \"{dir}/books\"]\nrestart = \"always\"\n";
    let mut fleet = Fleet::prepare(&format!("{}{table}", head(&Launching::ByHolder, "")));
    torture_program::install(&fleet, "bin");
    std::fs::create_dir(fleet.path().join("books")).expect("a directory");
    fleet.launch();
    fleet.await_status("writer-00", "running");
    fleet
}

/// Lines that the service has written by its own account, over all runs.
fn written(fleet: &Fleet) -> u64 {
    let files = std::fs::read_dir(fleet.path().join("books")).expect("the books").flatten();
    let lines = files.filter_map(|entry| {
        let text = std::fs::read_to_string(entry.path()).ok()?;
        text.strip_prefix("lines=")?.get(..8)?.parse::<u64>().ok()
    });
    lines.sum()
}

/// Lines that are kept.
fn kept(fleet: &Fleet) -> u64 {
    fleet.text(&["logs", "writer-00"]).lines().filter(|line| line.contains("writer-00 ")).count() as u64
}

fn holder_of(fleet: &Fleet) -> u64 {
    maker_of_runs(fleet, &Launching::ByHolder)
}

fn a_disk_that_takes_no_output(error: &str, words: &str) {
    let fleet = writer();
    let what = format!("splice,write,pwrite64,writev,pwritev,tee:error={error}");
    let Some(fault) = Fault::begin(holder_of(&fleet), &what) else { return };
    let before = written(&fleet);
    fleet.await_event("the loss is told", |event| tells(event, "process.output-lost", words));
    eventually("nobody waits for the disk", || (written(&fleet) > before + 100).then_some(()));
    fault.end();
    let lost = kept(&fleet);
    eventually("output is kept again", || (kept(&fleet) > lost + 20).then_some(()));
}

#[test]
fn a_full_disk_under_the_output_holds_nobody_up_and_what_it_cost_is_told() {
    a_disk_that_takes_no_output("ENOSPC", "No space left on device");
}

#[test]
fn a_broken_disk_under_the_output_holds_nobody_up_and_what_it_cost_is_told() {
    a_disk_that_takes_no_output("EIO", "Input/output error");
}

#[test]
fn a_holder_without_free_descriptors_refuses_and_goes_on_when_there_are_some() {
    let fleet = fleet(&Launching::ByHolder);
    let (holder, old, other) = (holder_of(&fleet), pid_of(&fleet, "one"), pid_of(&fleet, "two"));
    let Some(limit) = without_free_descriptors(holder) else { return };
    // A new run beside the old ones needs more than they leave.
    let said =
        String::from_utf8_lossy(&fleet.cli(&["start", "--name", "new", "--", "sleep", "1011"]).stderr).into_owned();
    let told = |event: &Value| tells(event, "process.start-failed", "Too many open files");
    fleet.await_event(&format!("the refusal is told; the command said: {said}"), told);
    limit_descriptors(holder, &limit);
    fleet.await_status("new", "running");
    assert_eq!((pid_of(&fleet, "one"), pid_of(&fleet, "two")), (old, other), "the others are not affected");
    assert_eq!(fleet.holders(), [holder], "and it is the same holder");
}

#[test]
fn a_holder_that_does_not_answer_is_told_and_nothing_is_lost_when_it_answers_again() {
    let fleet = fleet(&Launching::ByHolder);
    let (holder, old, other) = (holder_of(&fleet), pid_of(&fleet, "one"), pid_of(&fleet, "two"));
    send("STOP", holder);
    send("KILL", old);
    let state_dir = fleet.state_dir();
    let mut person = crate::support::wasmvisor()
        .arg("--state-dir")
        .arg(&state_dir)
        .args(["start", "--name", "new", "--", "sleep", "1012"])
        .current_dir(fleet.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary can be started");
    fleet.await_event("its silence is told", |event| event["type"] == "holder.silent" && event["silent"] == true);
    assert_eq!(fleet.process("two")["status"], "running", "questions are answered meanwhile");
    send("CONT", holder);
    fleet.await_event("its answer is told", |event| event["type"] == "holder.silent" && event["silent"] == false);
    await_another_run(&fleet, "one", old);
    fleet.await_status("new", "running");
    assert!(person.wait().expect("a child of this process").success(), "who had asked meanwhile was answered");
    assert_eq!(fleet.process("one")["runs"][0]["ending"]["ended"]["signal"], 9, "how it ended is known");
    assert_eq!((fleet.holders(), pid_of(&fleet, "two")), (vec![holder], other));
}

#[test]
fn a_stop_reaches_everybody_while_the_holder_does_not_answer() {
    let fleet = fleet(&Launching::ByHolder);
    let (holder, pid) = (holder_of(&fleet), pid_of(&fleet, "two"));
    send("STOP", holder);
    let mut stop = crate::support::wasmvisor()
        .arg("--state-dir")
        .arg(fleet.state_dir())
        .args(["stop", "two"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary can be started");
    eventually("the process has ended", || (!lives(pid)).then_some(()));
    send("CONT", holder);
    assert!(stop.wait().expect("a child of this process").success());
    assert_eq!(fleet.process("two")["status"], "stopped");
    assert_eq!(fleet.process("two")["exit"]["signal"], 15);
}
