//! Tests of `registry::view`: tables and properties, no processes.

use super::super::fixture::record;
use super::*;
use crate::health::{HealthStatus, IssueKind, Verdict};
use crate::sample::{RunIdentity, Sample};

fn ended(id: &str, at: u64) -> ProcessRecord {
    ProcessRecord { status: Status::Stopped, ended_at_ms: Some(Timestamp(at)), ..record(id) }
}

fn ids(view: &View) -> Vec<String> {
    let mut ids: Vec<_> = view.records().map(|record| record.process_id.to_string()).collect();
    ids.sort();
    ids
}

fn run(pid: u32) -> Option<RunIdentity> {
    Some(RunIdentity { pid, start_ticks: 7, boot_id: "boot".to_owned() })
}

fn seen(id: &str, run_number: u32) -> Observation {
    Observation {
        process_id: ProcessId::new(id),
        run_number,
        sample: Sample { at_ms: Timestamp(5000), memory_bytes: 100, cpu_percent: 12.5, ..Sample::default() },
        verdict: Some(Verdict {
            score: 40,
            status: HealthStatus::Critical,
            issues: IssueSet::default().with(IssueKind::Memory),
            memo: 0,
        }),
        memory_trend: Trend::default(),
        cpu_trend: Trend::default(),
        responsiveness: 90,
        stability: 80,
        active: true,
        child_pids: Some(vec![11, 12]),
    }
}

#[test]
fn ended_records_beyond_the_retention_go_oldest_ended_first() {
    let mut view = View::new(2);
    view.put(record("live"));
    for (id, at) in [("b", 20), ("a", 10)] {
        assert!(view.put(ended(id, at)).surplus.is_empty());
    }
    assert_eq!(view.put(ended("c", 30)).surplus, [ProcessId::new("a")]);
    assert_eq!(ids(&view), ["b", "c", "live"]);
}

#[test]
fn a_record_that_ended_and_runs_again_is_not_counted_as_ended() {
    let mut view = View::new(1);
    view.put(ended("a", 10));
    view.amend(&ProcessId::new("a"), |record| record.status = Status::Running);
    assert!(view.put(ended("b", 20)).surplus.is_empty());
    assert_eq!(ids(&view), ["a", "b"]);
}

#[test]
fn an_ended_record_that_is_amended_is_counted_once() {
    let mut view = View::new(2);
    view.put(ended("a", 10));
    view.put(ended("b", 20));
    let changed = view.amend(&ProcessId::new("a"), |record| record.ended_at_ms = Some(Timestamp(40))).unwrap();
    assert!(changed.surplus.is_empty());
    assert_eq!(view.put(ended("c", 30)).surplus, [ProcessId::new("b")]);
}

#[test]
fn amending_an_unknown_process_changes_nothing() {
    let mut view = View::new(1);
    assert!(view.amend(&ProcessId::new("x"), |_| panic!("there is nothing to change")).is_none());
    assert!(ids(&view).is_empty());
}

#[test]
fn an_amendment_cannot_change_the_id() {
    let mut view = View::new(1);
    view.put(record("a"));
    view.amend(&ProcessId::new("a"), |record| record.process_id = ProcessId::new("b"));
    assert_eq!(view.get(&ProcessId::new("a")).unwrap().process_id, ProcessId::new("a"));
}

#[test]
fn a_run_is_new_once() {
    let mut view = View::new(1);
    let id = ProcessId::new("a");
    assert!(!view.put(record("a")).urgent);
    let named = |view: &mut View, pid| view.amend(&id, move |record| record.run = run(pid)).unwrap().urgent;
    assert!(named(&mut view, 10));
    assert!(!named(&mut view, 10));
    assert!(named(&mut view, 11));
}

#[test]
fn a_snapshot_does_not_change_under_its_reader() {
    let mut view = View::new(1);
    view.put(record("a"));
    let snapshot = Arc::clone(view.get(&ProcessId::new("a")).unwrap());
    view.observe(seen("a", 1));
    assert_eq!((snapshot.usage, snapshot.responsiveness), (None, 100));
}

#[test]
fn what_was_seen_of_a_run_is_in_its_record() {
    let mut view = View::new(1);
    view.put(ProcessRecord { peak_memory_bytes: 70, ..record("a") });
    view.observe(seen("a", 1));
    let found = view.get(&ProcessId::new("a")).unwrap();
    assert_eq!(found.usage.map(|usage| usage.memory_bytes), Some(100));
    assert_eq!((found.peak_memory_bytes, found.last_active_at_ms), (100, Some(Timestamp(5000))));
    assert_eq!((found.health, found.health_score), (Health::Unhealthy, Some(40)));
    assert_eq!((found.health_status, found.issues.iter().count()), (Some(HealthStatus::Critical), 1));
    assert_eq!((found.responsiveness, found.stability), (90, 80));
    assert_eq!(found.child_pids, [11, 12]);
}

#[test]
fn what_is_absent_from_an_observation_stays_except_the_verdict() {
    let mut view = View::new(1);
    view.put(record("a"));
    view.observe(seen("a", 1));
    let mut next = Observation { active: false, child_pids: None, verdict: None, ..seen("a", 1) };
    (next.sample.memory_bytes, next.sample.at_ms) = (30, Timestamp(6000));
    view.observe(next);
    let found = view.get(&ProcessId::new("a")).unwrap();
    assert_eq!((found.peak_memory_bytes, found.last_active_at_ms), (100, Some(Timestamp(5000))));
    assert_eq!(found.child_pids, [11, 12]);
    assert_eq!((found.health, found.health_score), (Health::Unknown, None));
}

#[test]
fn a_late_reading_does_not_paint_over_a_newer_run_or_an_end() {
    let mut view = View::new(9);
    view.put(ProcessRecord { run_number: 2, ..record("newer") });
    view.put(ProcessRecord { health: Health::Crashed, ..ended("over", 10) });
    view.put(ProcessRecord { status: Status::Backoff, health: Health::Crashed, ..record("waits") });
    for id in ["newer", "over", "waits", "unknown"] {
        view.observe(seen(id, 1));
    }
    assert!(view.records().all(|record| record.usage.is_none()));
}

#[test]
fn a_reading_that_is_no_number_does_not_reach_a_record() {
    let mut view = View::new(1);
    view.put(record("a"));
    let mut odd = seen("a", 1);
    (odd.sample.cpu_percent, odd.memory_trend.slope_per_second) = (f32::NAN, f32::INFINITY);
    view.observe(odd);
    let found = view.get(&ProcessId::new("a")).unwrap();
    assert_eq!(found.usage.map(|usage| usage.cpu_percent), Some(0.0));
    let read_back: ProcessRecord = serde_json::from_str(&serde_json::to_string(&**found).unwrap()).unwrap();
    assert_eq!(read_back, **found);
}
