//! Lives that began under an earlier supervisor.

use super::*;
use crate::decision::{Ending, RestartDecision};

fn past(rules: Rules, was: Was) -> Past {
    Past { rules, run: 3, attempts: 2, restarts: 2, was }
}

/// A run of pid 100 that began so long ago.
fn running(now: Instant, age: Duration, then: Option<Then>) -> Was {
    Was::Running { identity: identity(100), began: now - age, paused: false, lives: true, then }
}

fn adopted(past: Past) -> Driven {
    let now = Instant::now() + Duration::from_secs(86_400);
    adopted_at(past, now)
}

fn adopted_at(past: Past, now: Instant) -> Driven {
    let (life, effects) = Life::adopted(past, now);
    Driven { life, effects, now }
}

fn later_by_a_day() -> Instant {
    Instant::now() + Duration::from_secs(86_400)
}

fn armed(driven: &Driven) -> Option<Duration> {
    driven.effects.iter().find_map(|effect| if let Effect::Arm { after, .. } = effect { Some(*after) } else { None })
}

#[test]
fn a_run_goes_on_under_its_number_and_with_all_that_was_counted() {
    let now = later_by_a_day();
    let driven = adopted_at(past(rules(), running(now, Duration::from_secs(60), None)), now);
    assert!(
        matches!(driven.moments()[..], [Moment::Adopted { live, lives: true }] if live.number == 3 && live.restarted)
    );
    assert!(driven.signals().is_empty() && driven.life.status() == Status::Running);
    assert_eq!((driven.life.run_number(), driven.life.restarts(), driven.life.attempts()), (3, 2, 2));
}

#[test]
fn a_deadline_counts_from_the_true_beginning() {
    let now = later_by_a_day();
    let driven = adopted_at(past(rules(), running(now, Duration::from_secs(450), None)), now);
    assert_eq!(armed(&driven), Some(Duration::from_secs(150)));
    let mut late = adopted_at(past(rules(), running(now, Duration::from_secs(6000), None)), now);
    assert_eq!(armed(&late), Some(Duration::ZERO));
    late.timer();
    assert!(late.moments().iter().any(|moment| matches!(moment, Moment::OutOfTime { .. })));
}

#[test]
fn a_run_that_ended_unwatched_is_judged_by_its_true_end_and_not_by_its_deadline() {
    let now = later_by_a_day();
    let began = now - Duration::from_secs(6000);
    let was = Was::Running { identity: identity(100), began, paused: false, lives: false, then: None };
    let mut driven = adopted_at(past(rules(), was), now);
    assert_eq!(armed(&driven), None);
    let ago = Duration::from_secs(5900);
    driven.give(Input::Exited { run: 3, exit: exit(ExitStatus::Code(7)), ago }).swept(&[]);
    let asked = driven.effects.iter().find_map(|effect| match effect {
        Effect::AskRestart { ending, lasted, attempts, restarts, .. } => Some((ending, *lasted, *attempts, *restarts)),
        _ => None,
    });
    assert_eq!(asked, Some((&Ending::Ended(ExitStatus::Code(7)), Duration::from_secs(100), 2, 2)));
}

#[test]
fn a_stop_that_was_under_way_is_begun_again() {
    let now = later_by_a_day();
    let then = Then::Down { reason: "asked".to_owned() };
    let mut driven = adopted_at(past(rules(), running(now, Duration::from_secs(1), Some(then))), now);
    assert_eq!((driven.signals(), armed(&driven)), (vec![StopSignal::TERM], Some(GRACE)));
    driven.exited(ExitStatus::Signal(15)).swept(&[]);
    assert_eq!(driven.life.state(), &State::Stopped { reason: "asked".to_owned() });
}

#[test]
fn a_restart_that_was_under_way_is_carried_out() {
    let now = later_by_a_day();
    let mut driven = adopted_at(past(rules(), running(now, Duration::from_secs(1), Some(Then::Restart))), now);
    driven.exited(ExitStatus::Signal(15)).swept(&[]);
    assert!(driven.effects.contains(&Effect::Launch { run: 4 }));
}

#[test]
fn a_wait_goes_on_with_what_was_left_of_it() {
    let left = Duration::from_millis(700);
    let mut driven = adopted(past(rules(), Was::Backoff { left }));
    assert_eq!((armed(&driven), driven.life.status()), (Some(left), Status::Backoff));
    driven.timer();
    assert!(driven.effects.contains(&Effect::Launch { run: 4 }));
}

#[test]
fn a_question_that_was_not_answered_is_asked_again() {
    let ending = Ending::Ended(ExitStatus::Code(1));
    let mut driven = adopted(past(rules(), Was::Deciding { ending, lasted: Duration::from_secs(1) }));
    assert!(matches!(driven.effects[..], [Effect::AskRestart { attempts: 2, .. }]));
    driven.decided(RestartDecision::RestartAfter { delay_ms: 0, attempt: 3 });
    assert!(driven.effects.contains(&Effect::Launch { run: 4 }));
}

#[test]
fn one_that_waited_for_its_first_run_seeks_a_place_again() {
    let past = Past { run: 0, restarts: 0, ..past(rules(), Was::Waiting) };
    let mut driven = adopted(past);
    assert_eq!(driven.effects, [Effect::SeekPlace]);
    driven.give(Input::PlaceGranted);
    assert!(driven.effects.contains(&Effect::Launch { run: 1 }));
}

#[test]
fn an_ended_one_stays_ended_until_somebody_starts_it() {
    let state = State::Stopped { reason: "asked".to_owned() };
    let mut driven = adopted(past(rules(), Was::Ended(state.clone())));
    assert!(driven.effects.is_empty() && driven.life.state() == &state);
    driven.give(Input::Start).give(Input::PlaceGranted);
    assert!(driven.effects.contains(&Effect::Launch { run: 4 }));
}
