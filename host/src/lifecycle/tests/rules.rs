//! The rules one by one.

use super::*;
use crate::decision::{Ending, RestartDecision};

fn with_restart(restart: RestartMode) -> Rules {
    Rules { restart, ..rules() }
}

fn after(delay_ms: u64, attempt: u32) -> RestartDecision {
    RestartDecision::RestartAfter { delay_ms, attempt }
}

#[test]
fn success_ends_a_process_unless_it_is_always_wanted() {
    for (restart, status) in [
        (RestartMode::No, Status::Stopped),
        (RestartMode::OnFailure, Status::Stopped),
        (RestartMode::Always, Status::Backoff),
    ] {
        let mut driven = Driven::running(with_restart(restart));
        driven.exited(ExitStatus::Code(0)).swept(&[]);
        assert_eq!(driven.life.status(), status, "{restart}");
    }
}

#[test]
fn failure_is_a_crash_or_a_question_to_the_restart_policy() {
    for (restart, status) in [
        (RestartMode::No, Status::Crashed),
        (RestartMode::OnFailure, Status::Backoff),
        (RestartMode::Always, Status::Backoff),
    ] {
        let mut driven = Driven::running(with_restart(restart));
        driven.exited(ExitStatus::Signal(11)).swept(&[]);
        assert_eq!(driven.life.status(), status, "{restart}");
        assert!(driven.moments().iter().any(|m| matches!(m, Moment::Crashed { reason, .. } if reason == "SIGSEGV")));
    }
}

#[test]
fn a_launch_that_fails_is_a_failure_or_the_end() {
    for (restart, status) in [(RestartMode::No, Status::Error), (RestartMode::OnFailure, Status::Backoff)] {
        let mut driven = Driven::new(with_restart(restart));
        driven.give(Input::Start).give(Input::PlaceGranted).give(Input::Launched(Launch::Failed("gone".to_owned())));
        assert_eq!(driven.life.status(), status, "{restart}");
        assert!(driven.life.state().reason().contains("gone"));
    }
}

#[test]
fn the_policys_count_of_attempts_comes_back_to_it_and_a_person_resets_it() {
    let mut driven = Driven::running(rules());
    driven.exited(ExitStatus::Code(1)).swept(&[]).decided(after(0, 7));
    driven.give(Input::Launched(Launch::Made(identity(101)))).exited(ExitStatus::Code(1)).swept(&[]);
    let asked = |driven: &Driven| {
        driven.effects.iter().find_map(|e| match e {
            Effect::AskRestart { attempts, restarts, .. } => Some((*attempts, *restarts)),
            _ => None,
        })
    };
    assert_eq!(asked(&driven), Some((7, 1)));
    driven.give(Input::Restart).give(Input::Launched(Launch::Made(identity(102))));
    driven.exited(ExitStatus::Code(1)).swept(&[]);
    assert_eq!(asked(&driven), Some((0, 2)));
}

#[test]
fn giving_up_is_an_error_with_the_policys_reason() {
    let mut driven = Driven::running(rules());
    driven.exited(ExitStatus::Code(1)).swept(&[]).decided(RestartDecision::GiveUp { reason: "enough".to_owned() });
    assert_eq!((driven.life.status(), driven.life.state().reason()), (Status::Error, "enough".to_owned()));
    assert!(driven.effects.contains(&Effect::ReleasePlace));
}

#[test]
fn what_a_run_leaves_behind_is_killed_before_the_run_is_over() {
    let mut driven = Driven::running(rules());
    driven.exited(ExitStatus::Code(0));
    assert!(driven.effects.iter().any(|e| matches!(e, Effect::Sweep { sweep: Sweep::Kill, .. })));
    driven.swept(&[101]);
    assert_eq!(driven.life.status(), Status::Stopping);
    assert!(driven.moments().is_empty(), "the run is not over yet: {:?}", driven.effects);
    driven.timer().swept(&[]);
    assert!(driven.moments().iter().any(|m| matches!(m, Moment::Ended { failed: false, .. })));
}

#[test]
fn a_stop_asks_waits_its_grace_and_then_kills() {
    let mut driven = Driven::running(rules());
    driven.stop();
    assert_eq!(driven.signals(), [StopSignal::TERM]);
    assert!(driven.effects.iter().any(|e| matches!(e, Effect::Arm { after, .. } if *after == GRACE)));
    driven.pass(GRACE).timer();
    assert_eq!(driven.signals(), [StopSignal::KILL]);
    assert!(driven.moments().contains(&&Moment::Killed { pid: 100, grace: GRACE }));
    driven.exited(ExitStatus::Signal(9)).swept(&[]);
    assert_eq!(driven.life.state(), &State::Stopped { reason: "asked".to_owned() });
}

#[test]
fn children_keep_the_rest_of_the_grace_when_the_main_process_ends_first() {
    let mut driven = Driven::running(rules());
    driven.stop().pass(Duration::from_secs(1)).exited(ExitStatus::Code(0)).swept(&[101]);
    assert!(driven.signals().is_empty());
    driven.timer();
    assert!(driven.effects.iter().any(|e| matches!(e, Effect::Sweep { sweep: Sweep::Look, .. })));
    driven.pass(GRACE).swept(&[101]);
    assert!(driven.effects.iter().any(|e| matches!(e, Effect::Sweep { sweep: Sweep::Kill, .. })));
    assert!(driven.moments().contains(&&Moment::Killed { pid: 101, grace: GRACE }));
}

#[test]
fn survivors_of_the_kill_are_named() {
    let mut driven = Driven::running(rules());
    driven.stop().timer().timer().swept(&[100, 101]);
    assert_eq!(driven.life.state().reason(), "survived SIGKILL: pid 100, 101");
    assert!(!driven.life.state().is_ended(), "it still holds its place");
    let mut driven = Driven::running(rules());
    driven.exited(ExitStatus::Code(0)).pass(KILL_WAIT).swept(&[101]);
    assert_eq!(driven.life.status(), Status::Error);
    assert!(driven.moments().contains(&&Moment::StopFailed { survivors: vec![101] }));
}

#[test]
fn a_paused_process_is_woken_to_see_its_stop_signal() {
    let mut driven = Driven::running(rules());
    driven.give(Input::Pause(true));
    assert_eq!(driven.signals(), [StopSignal::STOP]);
    driven.stop();
    assert_eq!(driven.signals(), [StopSignal::TERM, StopSignal::CONT]);
}

#[test]
fn without_grace_a_stop_is_a_kill() {
    let mut driven = Driven::running(Rules { grace: Duration::ZERO, ..rules() });
    driven.stop();
    assert_eq!(driven.signals(), [StopSignal::KILL]);
}

#[test]
fn time_of_the_run_over_is_for_the_restart_policy_to_judge() {
    let mut driven = Driven::running(rules());
    driven.timer();
    driven.exited(ExitStatus::Signal(15)).swept(&[]);
    let asked = Ending::Limit(LimitKind::ExecutionTime);
    assert!(driven.effects.iter().any(|e| matches!(e, Effect::AskRestart { ending, .. } if *ending == asked)));
}

#[test]
fn time_of_the_task_over_is_the_end_for_good() {
    let deadline = Some((LimitKind::Timeout, Duration::from_secs(300)));
    let mut driven = Driven::running(Rules { deadline, restart: RestartMode::Always, ..rules() });
    driven.timer().exited(ExitStatus::Code(0)).swept(&[]);
    assert_eq!((driven.life.status(), driven.life.state().reason()), (Status::Error, "timeout after 5m".to_owned()));
    assert!(driven.moments().iter().any(|m| matches!(m, Moment::Ended { failed: true, .. })));
}

#[test]
fn health_ends_only_what_may_come_back() {
    for (restart, status) in [(RestartMode::No, Status::Running), (RestartMode::OnFailure, Status::Stopping)] {
        let mut driven = Driven::running(with_restart(restart));
        driven.give(Input::Unhealthy { run: 1, score: 12 });
        assert_eq!(driven.life.status(), status, "{restart}");
    }
}

#[test]
fn a_limit_ends_even_what_may_not_come_back() {
    let mut driven = Driven::running(with_restart(RestartMode::No));
    driven.give(Input::LimitBroken { run: 1, limit: LimitKind::Memory }).exited(ExitStatus::Signal(15)).swept(&[]);
    assert_eq!(driven.life.state(), &State::Crashed { reason: "memory limit broken".to_owned() });
}

#[test]
fn a_persons_restart_starts_at_once_and_is_no_failure() {
    let mut driven = Driven::running(rules());
    driven.give(Input::Restart).exited(ExitStatus::Signal(15)).swept(&[]);
    assert!(driven.effects.contains(&Effect::Launch { run: 2 }));
    assert!(driven.moments().iter().any(|m| matches!(m, Moment::Ended { failed: false, .. })));
    assert!(!driven.effects.contains(&Effect::ReleasePlace), "a restart keeps its place");
}

#[test]
fn a_stop_wins_over_a_restart_on_its_way() {
    let mut driven = Driven::running(rules());
    driven.give(Input::Restart).stop().exited(ExitStatus::Signal(15)).swept(&[]);
    assert_eq!(driven.life.status(), Status::Stopped);
}

#[test]
fn a_stop_during_the_launch_ends_the_run_as_soon_as_it_exists() {
    let mut driven = Driven::new(rules());
    driven.give(Input::Start).give(Input::PlaceGranted).stop();
    driven.give(Input::Launched(Launch::Made(identity(100))));
    assert_eq!((driven.life.status(), driven.signals()), (Status::Stopping, vec![StopSignal::TERM]));
}

#[test]
fn the_deadline_is_the_shorter_limit() {
    let limits = |execution: Option<u64>, timeout: Option<u64>| Limits {
        execution_time: execution.map(Duration::from_secs),
        timeout: timeout.map(Duration::from_secs),
        ..Limits::default()
    };
    for (execution, timeout, expected) in [
        (Some(1), Some(2), Some((LimitKind::ExecutionTime, 1))),
        (Some(2), Some(1), Some((LimitKind::Timeout, 1))),
        (Some(2), Some(2), Some((LimitKind::Timeout, 2))),
        (Some(3), None, Some((LimitKind::ExecutionTime, 3))),
        (None, Some(4), Some((LimitKind::Timeout, 4))),
        (None, None, None),
    ] {
        let expected = expected.map(|(kind, seconds)| (kind, Duration::from_secs(seconds)));
        assert_eq!(Rules::deadline_of(&limits(execution, timeout)), expected);
    }
}

#[test]
fn no_length_of_time_is_too_long() {
    let deadline = Some((LimitKind::ExecutionTime, Duration::MAX));
    let mut driven = Driven::running(Rules { grace: Duration::MAX, kill_wait: Duration::MAX, deadline, ..rules() });
    driven.stop().timer().exited(ExitStatus::Signal(9)).swept(&[]);
    assert_eq!(driven.life.status(), Status::Stopped);
}
