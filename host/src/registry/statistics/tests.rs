//! Tests of `registry::statistics`: tables and properties, no processes.

use super::super::fixture::record;
use super::*;
use crate::decision::{Ending, PastRun};
use crate::health::Health;
use crate::sample::{ExitStatus, Sample};

fn past(lasted_ms: u64) -> PastRun {
    PastRun { started_at_ms: Timestamp(0), lasted_ms, ending: Ending::Ended(ExitStatus::Code(0)) }
}

fn live(id: &str, start: u64, memory_bytes: u64, cpu_percent: f32) -> Arc<ProcessRecord> {
    let usage = Sample { memory_bytes, cpu_percent, file_handles: 5, ..Sample::default() };
    Arc::new(ProcessRecord {
        started_at_ms: Some(Timestamp(start)),
        usage: Some(usage),
        health: Health::Healthy,
        agent_type: "crawler".into(),
        ..record(id)
    })
}

#[test]
fn figures_sum_up_the_records() {
    let ended = ProcessRecord { status: Status::Stopped, usage: Some(Sample::default()), ..record("e") };
    let records = [
        live("a", 200, 100, 10.0),
        live("b", 300, 300, 40.0),
        Arc::new(ProcessRecord { status: Status::Idle, started_at_ms: Some(Timestamp(250)), ..record("c") }),
        Arc::new(ProcessRecord { status: Status::Queued, started_at_ms: None, ..record("q") }),
        Arc::new(ProcessRecord { started_at_ms: Some(Timestamp(1)), runs: vec![past(100), past(200)], ..ended }),
    ];
    let figures = summarize(records.iter(), &Tally::default());
    assert_eq!((figures.total, figures.active, figures.queued), (5, 3, 1));
    assert_eq!(figures.by_status, counts(&[("running", 2), ("idle", 1), ("queued", 1), ("stopped", 1)]));
    assert_eq!(figures.by_health, counts(&[("healthy", 2), ("unknown", 3)]));
    assert_eq!(figures.by_agent_type, counts(&[("crawler", 2), ("-", 3)]));
    assert_eq!(figures.by_priority, counts(&[("normal", 5)]));
    assert_eq!((figures.mean_memory_bytes, figures.total_memory_bytes), (200, 400));
    assert_eq!((figures.mean_cpu_percent, figures.total_file_handles, figures.mean_lifetime_ms), (25.0, 10, 150));
    assert_eq!(figures.oldest_started_at_ms, Some(Timestamp(200)));
    assert_eq!(figures.newest_started_at_ms, Some(Timestamp(300)));
}

fn counts(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
}

#[test]
fn nothing_known_is_all_zeros() {
    assert_eq!(summarize([].iter(), &Tally::default()), Statistics::default());
}

#[test]
fn each_counter_counts_its_own_figure() {
    let mut tally = Tally::default();
    let counters = [
        (Counter::Started, 1),
        (Counter::Completed, 2),
        (Counter::Failed, 3),
        (Counter::Restarted, 4),
        (Counter::Refused, 5),
        (Counter::Orphans(3), 2),
        (Counter::StalePids(7), 1),
        (Counter::CleanedUp, 1),
    ];
    for (counter, times) in counters {
        (0..times).for_each(|_| tally.count(counter, Timestamp(9)));
    }
    let found = summarize([].iter(), &tally);
    assert_eq!(
        [found.started, found.completed, found.failed, found.restarted, found.refused, found.orphans, found.stale_pids],
        [1, 2, 3, 4, 5, 6, 7]
    );
    assert_eq!(found.last_cleanup_at_ms, Some(Timestamp(9)));
}
