//! A pid that is on record may belong to a stranger by now, who is left alone.
//!
//! The stranger asks the kernel for the very pid (clone3(2), `set_tid`), instead of making processes until the numbers
//! come round.

use std::process::{Child, Command, Stdio};

use super::{Launching, head};
use crate::support::{Fleet, eventually, lives, send, torture_program};

/// A stranger: with the old owner's pid, and as leader of a session of that number with a child in it.
struct Stranger {
    maker: Child,
    pid: u64,
}

impl Stranger {
    fn take(pid: u64, fleet: &Fleet) -> Option<Self> {
        let sign = fleet.path().join("taken");
        let mut maker = Command::new(torture_program::built())
            .args(["take", &pid.to_string()])
            .arg(&sign)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .spawn()
            .expect("the program can be started");
        let refused = eventually("the stranger lives or may not", || {
            let ended = maker.try_wait().expect("a child of this process");
            ended.map(|status| status.code()).or_else(|| sign.exists().then_some(Some(0)))
        });
        match refused {
            Some(0) => Some(Self { maker, pid }),
            Some(77) => skip_where_forbidden(),
            other => panic!("the stranger could not have pid {pid}: {other:?}"),
        }
    }

    #[track_caller]
    fn assert_untouched(&mut self) {
        assert!(lives(self.pid), "the stranger lives");
        assert_eq!(children_of(self.pid).len(), 1, "and so does its child");
        assert!(self.maker.try_wait().is_ok_and(|ended| ended.is_none()));
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        children_of(self.pid).into_iter().chain([self.pid]).for_each(|pid| send("KILL", pid));
        let _ = self.maker.wait();
    }
}

fn skip_where_forbidden<T>() -> Option<T> {
    // CI machines may run as an ordinary user: this is no missing program.
    eprintln!("skipped: this user may not choose pids (CAP_CHECKPOINT_RESTORE)");
    None
}

fn children_of(pid: u64) -> Vec<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|word| word.parse().expect("a pid")).collect()
}

/// A supervisor with one run, whose pid is given.
fn one_run(launching: &Launching) -> (Fleet, u64) {
    let fleet = Fleet::start(&format!("{}\n[process.victim]\ncommand = [\"sleep\", \"1008\"]", head(launching, "")));
    let pid = fleet.await_status("victim", "running")["run"]["pid"].as_u64().expect("it runs");
    (fleet, pid)
}

/// End a run and wait until its pid is free.
fn free(pid: u64) {
    send("KILL", pid);
    let gone = || (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(());
    eventually("somebody has reaped it and the pid is free", gone);
}

/// The next supervisor makes a new run, and neither it nor its end touches the stranger.
fn the_next_life_leaves_it_alone(mut fleet: Fleet, pid: u64) {
    let Some(mut stranger) = Stranger::take(pid, &fleet) else { return };
    fleet.launch();
    let fresh = eventually("a new run is made", || {
        let record = fleet.process("victim");
        (record["status"] == "running" && record["run"]["pid"] != pid).then_some(record)
    });
    stranger.assert_untouched();
    fleet.text(&["stop", "victim"]);
    assert!(!lives(fresh["run"]["pid"].as_u64().expect("it ran")));
    stranger.assert_untouched();
    fleet.signal("TERM");
    assert_eq!(fleet.await_end(), Some(0), "{}", fleet.log());
    stranger.assert_untouched();
}

#[test]
fn a_stranger_with_the_pid_of_a_run_of_an_earlier_life_is_left_alone() {
    let (mut fleet, pid) = one_run(&Launching::InProcess);
    fleet.kill();
    free(pid);
    the_next_life_leaves_it_alone(fleet, pid);
}

#[test]
fn a_stranger_with_the_pid_of_a_run_that_ended_in_the_holders_hands_is_left_alone() {
    let (mut fleet, pid) = one_run(&Launching::ByHolder);
    fleet.kill();
    free(pid);
    the_next_life_leaves_it_alone(fleet, pid);
}

#[test]
fn a_stranger_with_the_pid_of_a_run_whose_supervisor_and_holder_died_is_left_alone() {
    let (mut fleet, pid) = one_run(&Launching::ByHolder);
    let holders = fleet.holders();
    fleet.kill();
    holders.into_iter().for_each(|holder| send("KILL", holder));
    free(pid);
    the_next_life_leaves_it_alone(fleet, pid);
}
