//! `wasmvisor stats`: the whole in figures.

use std::collections::BTreeMap;

use super::ps::round;
use super::shell::{Outcome, Shell};
use super::table::{facts, ms};
use crate::record::{HolderState, Statistics};
use crate::units::{Bytes, Percent, Timestamp};

pub(super) async fn run(shell: &Shell) -> Outcome {
    let statistics = shell.client()?.statistics().await?;
    shell.answer(&statistics, text)
}

fn text(statistics: &Statistics) -> String {
    let moment = |at: Option<Timestamp>| at.map_or_else(String::new, |at| format!("{} ago", super::table::ago(at)));
    let percent = |value: f32| Percent(round(value)).to_string();
    facts(&[
        ("uptime", ms(statistics.uptime_ms)),
        (
            "processes",
            format!("{} known, {} active, {} waiting", statistics.total, statistics.active, statistics.queued),
        ),
        ("by status", counts(&statistics.by_status)),
        ("by health", counts(&statistics.by_health)),
        ("by agent type", counts(&statistics.by_agent_type)),
        ("by priority", counts(&statistics.by_priority)),
        (
            "runs",
            format!(
                "{} started, {} completed, {} failed, {} restarted, {} refused",
                statistics.started, statistics.completed, statistics.failed, statistics.restarted, statistics.refused
            ),
        ),
        ("mean lifetime", ms(statistics.mean_lifetime_ms)),
        (
            "memory",
            format!("{}, {} on average", Bytes(statistics.total_memory_bytes), Bytes(statistics.mean_memory_bytes)),
        ),
        ("cpu", format!("{} on average", percent(statistics.mean_cpu_percent))),
        ("file handles", statistics.total_file_handles.to_string()),
        ("oldest started", moment(statistics.oldest_started_at_ms)),
        ("newest started", moment(statistics.newest_started_at_ms)),
        ("orphans", format!("{} ended, {} stale pids", statistics.orphans, statistics.stale_pids)),
        ("adopted", format!("{} of an earlier life", statistics.adopted)),
        ("holder", holder(statistics)),
        ("last cleanup", moment(statistics.last_cleanup_at_ms)),
        (
            "machine",
            format!(
                "{} of {} memory in use, load {} of each of {} cores",
                percent(statistics.system.memory_in_use_percent),
                Bytes(statistics.system.memory_total_bytes),
                percent(statistics.system.load_per_core_percent),
                statistics.system.cores
            ),
        ),
        (
            "monitor",
            format!(
                "{} ticks, {} skipped, the last took {} ({:.1}µs a process)",
                statistics.monitor.ticks,
                statistics.monitor.ticks_skipped,
                crate::units::human_duration(std::time::Duration::from_micros(statistics.monitor.last_tick_us)),
                statistics.monitor.last_tick_us_per_process
            ),
        ),
    ])
}

/// How the process that holds the runs is, and what it could not keep.
fn holder(statistics: &Statistics) -> String {
    let Some(HolderState { pid, lost, silent, losses }) = statistics.holder else {
        return "none: runs are made by the supervisor itself".to_owned();
    };
    let state = match (lost, silent) {
        (true, _) => "is gone; the next start brings another",
        (false, true) => "does not answer",
        (false, false) => "answers",
    };
    let output = Bytes(statistics.output_lost_bytes);
    format!("pid {pid} {state}; {losses} lost since the start, {output} of output lost")
}

fn counts(counts: &BTreeMap<String, usize>) -> String {
    counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect::<Vec<_>>()
        .join(", ")
}
