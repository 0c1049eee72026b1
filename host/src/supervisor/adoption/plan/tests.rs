//! Tests of `plan`: records and runs in every combination that a death can leave.

use std::sync::Arc;

use super::*;
use crate::decision::PastRun;
use crate::registry::fixture;
use crate::sample::{ExitStatus, RunIdentity};
use crate::units::{OrOff, Span};

const NOW: Timestamp = Timestamp(1_000_000);

fn care(then: Option<Then>) -> Care {
    Care { spec: Arc::new(ProcessSpec::new("web", ["sleep", "1"])), configured: true, attempts: 2, paused: false, then }
}

fn record(status: Status, run_number: u32) -> ProcessRecord {
    let run = (run_number > 0).then(|| RunIdentity { pid: 7, start_ticks: 7, boot_id: "boot".to_owned() });
    ProcessRecord { status, run_number, run, restarts: run_number.saturating_sub(1), ..fixture::record("web") }
}

fn known(run: u32, lives: bool) -> Known {
    Known { run, lives, orphaned: false }
}

fn planned(record: &ProcessRecord, runs: &[Known]) -> Plan {
    plan(record, &care(None), runs, NOW)
}

fn down() -> Then {
    Then::Down { reason: "asked".to_owned() }
}

#[test]
fn a_run_that_lives_goes_on_as_it_was() {
    let plan = planned(&record(Status::Running, 3), &[known(3, true)]);
    let expected =
        Plan { position: Position::Known(0), run: 3, restarts: 2, paused: false, then: None, missed: vec![] };
    assert_eq!(plan, expected);
}

#[test]
fn a_run_that_the_record_had_no_time_to_hear_of_counts() {
    let plan = planned(&record(Status::Running, 3), &[known(3, false), known(4, true)]);
    assert_eq!((plan.position, plan.run, plan.restarts), (Position::Known(1), 4, 3));
    assert_eq!(plan.missed, [0], "the end of the run before is not on record");
    let first = planned(&record(Status::Starting, 0), &[known(1, true)]);
    assert_eq!((first.run, first.restarts), (1, 0), "a first run is no restart");
}

#[test]
fn an_end_that_is_on_record_is_not_told_twice() {
    let mut backoff = record(Status::Backoff, 3);
    backoff.next_restart_at_ms = Some(Timestamp(NOW.0 + 700));
    let plan = planned(&backoff, &[known(3, false)]);
    assert_eq!(plan.position, Position::Backoff(Duration::from_millis(700)));
    assert_eq!((plan.run, plan.missed), (3, vec![]));
}

#[test]
fn a_wait_that_ended_meanwhile_is_over() {
    let mut backoff = record(Status::Backoff, 3);
    backoff.next_restart_at_ms = Some(Timestamp(NOW.0 - 700));
    assert_eq!(planned(&backoff, &[]).position, Position::Backoff(Duration::ZERO));
}

#[test]
fn a_question_without_answer_is_asked_again() {
    let mut deciding = record(Status::Backoff, 3);
    let ending = Ending::Ended(ExitStatus::Code(9));
    deciding.runs = vec![PastRun { started_at_ms: NOW, lasted_ms: 40, ending: ending.clone() }];
    assert_eq!(planned(&deciding, &[]).position, Position::Deciding(ending, Duration::from_millis(40)));
}

#[test]
fn a_run_that_nobody_knows_of_any_more_has_vanished() {
    for status in [Status::Running, Status::Idle, Status::Stopping] {
        assert_eq!(planned(&record(status, 1), &[]).position, Position::Vanished);
    }
}

#[test]
fn what_was_ordered_and_never_born_is_started_now() {
    assert_eq!(planned(&record(Status::Starting, 0), &[]).position, Position::Waiting);
    assert_eq!(planned(&record(Status::Queued, 0), &[]).position, Position::Waiting);
    assert_eq!(planned(&record(Status::Starting, 2), &[]).position, Position::Backoff(Duration::ZERO));
}

#[test]
fn a_wish_to_stop_belongs_to_the_run_it_was_said_of() {
    let stopping = record(Status::Stopping, 3);
    let then = |runs: &[Known]| plan(&stopping, &care(Some(down())), runs, NOW).then;
    assert_eq!(then(&[known(3, true)]), Some(down()));
    assert_eq!(then(&[known(3, false), known(4, true)]), None, "it was carried out: there is a later run");
    let starting = record(Status::Starting, 3);
    assert_eq!(plan(&starting, &care(Some(down())), &[known(4, true)], NOW).then, Some(down()));
}

#[test]
fn an_ended_process_stays_ended() {
    let position = planned(&record(Status::Crashed, 3), &[]).position;
    assert!(matches!(position, Position::Ended(State::Crashed { .. })));
}

#[test]
fn the_configuration_says_who_is_wanted_and_what_was_asked_for_stays() {
    let of = |spec: ProcessSpec| BTreeMap::from([("web".to_owned(), spec)]);
    let same = of(ProcessSpec::new("web", ["sleep", "1"]));
    let other = of(ProcessSpec::new("web", ["sleep", "2"]));
    let asked = Care { configured: false, ..care(None) };
    assert_eq!(wanted("web", &care(None), &same), Wanted::Configured);
    assert_eq!(wanted("web", &asked, &same), Wanted::Configured);
    assert!(matches!(wanted("web", &care(None), &other), Wanted::No(why) if why.contains("changed")));
    assert!(matches!(wanted("web", &care(None), &BTreeMap::new()), Wanted::No(why) if why.contains("no longer")));
    assert_eq!(wanted("web", &asked, &BTreeMap::new()), Wanted::Asked);
}

#[test]
fn a_specification_is_the_same_after_a_journey_to_disk() {
    let mut spec = ProcessSpec::new("web", ["sleep", "1"]);
    spec.timeout = Some(OrOff::Of(Span(Duration::from_micros(1_234_567))));
    spec.env.insert("TOKEN".to_owned(), "secret".to_owned());
    let text = serde_json::to_string(&spec).unwrap();
    let back: ProcessSpec = serde_json::from_str(&text).unwrap();
    assert!(is_same(&spec, &back));
    spec.env.insert("TOKEN".to_owned(), "another".to_owned());
    assert!(!is_same(&spec, &back), "a changed secret is a change");
}
