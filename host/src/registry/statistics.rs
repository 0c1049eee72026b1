//! The whole in figures. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Counter;
use super::view::has_run;
use crate::record::{HolderState, ProcessRecord, Statistics, Status};
use crate::units::Timestamp;

/// What is counted since the supervisor started.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    started: u64,
    completed: u64,
    failed: u64,
    restarted: u64,
    refused: u64,
    orphans: u64,
    stale_pids: u64,
    adopted: u64,
    output_lost_bytes: u64,
    holder: Option<HolderState>,
    last_cleanup: Option<Timestamp>,
}

impl Tally {
    pub(super) const fn count(&mut self, counter: Counter, now: Timestamp) {
        match counter {
            Counter::Started => self.started += 1,
            Counter::Completed => self.completed += 1,
            Counter::Failed => self.failed += 1,
            Counter::Restarted => self.restarted += 1,
            Counter::Refused => self.refused += 1,
            Counter::Orphans(count) => self.orphans += count,
            Counter::StalePids(count) => self.stale_pids += count,
            Counter::Adopted => self.adopted += 1,
            Counter::OutputLost(bytes) => self.output_lost_bytes = self.output_lost_bytes.saturating_add(bytes),
            Counter::Holder(state) => self.holder = Some(state),
            Counter::CleanedUp => self.last_cleanup = Some(now),
        }
    }
}

/// The figures of these records and counts; what the task knows besides is left at its default.
pub(super) fn summarize<'a>(records: impl Iterator<Item = &'a Arc<ProcessRecord>>, tally: &Tally) -> Statistics {
    let mut figures = Statistics {
        started: tally.started,
        completed: tally.completed,
        failed: tally.failed,
        restarted: tally.restarted,
        refused: tally.refused,
        orphans: tally.orphans,
        stale_pids: tally.stale_pids,
        adopted: tally.adopted,
        output_lost_bytes: tally.output_lost_bytes,
        holder: tally.holder,
        last_cleanup_at_ms: tally.last_cleanup,
        ..Statistics::default()
    };
    let (mut lifetimes, mut live) = (Mean::default(), Live::default());
    for record in records {
        tell_apart(&mut figures, record);
        record.runs.iter().for_each(|run| lifetimes.add(run.lasted_ms as f64));
        if has_run(record.status) {
            live.add(record);
        }
    }
    figures.queued = figures.by_status.get(Status::Queued.as_str()).copied().unwrap_or(0);
    figures.mean_lifetime_ms = lifetimes.value() as u64;
    live.fill(&mut figures);
    figures
}

fn tell_apart(figures: &mut Statistics, record: &ProcessRecord) {
    let one_more = |counts: &mut BTreeMap<String, usize>, word: &str| match counts.get_mut(word) {
        Some(count) => *count += 1,
        None => drop(counts.insert(word.to_owned(), 1)),
    };
    figures.total += 1;
    one_more(&mut figures.by_status, record.status.as_str());
    one_more(&mut figures.by_health, record.health.as_str());
    one_more(&mut figures.by_agent_type, if record.agent_type.is_empty() { "-" } else { &record.agent_type });
    one_more(&mut figures.by_priority, record.priority.as_str());
}

/// Figures of the processes with a live run.
#[derive(Default)]
struct Live {
    count: usize,
    memory: Mean,
    cpu: Mean,
    memory_bytes: u64,
    file_handles: u64,
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
}

impl Live {
    fn add(&mut self, record: &ProcessRecord) {
        self.count += 1;
        if let Some(usage) = &record.usage {
            self.memory.add(usage.memory_bytes as f64);
            self.cpu.add(f64::from(usage.cpu_percent));
            self.memory_bytes += usage.memory_bytes;
            self.file_handles += u64::from(usage.file_handles);
        }
        if let Some(start) = record.started_at_ms {
            self.oldest = Some(self.oldest.map_or(start, |oldest| oldest.min(start)));
            self.newest = self.newest.max(Some(start));
        }
    }

    fn fill(self, figures: &mut Statistics) {
        figures.active = self.count;
        figures.mean_memory_bytes = self.memory.value() as u64;
        figures.mean_cpu_percent = self.cpu.value() as f32;
        figures.total_memory_bytes = self.memory_bytes;
        figures.total_file_handles = self.file_handles;
        figures.oldest_started_at_ms = self.oldest;
        figures.newest_started_at_ms = self.newest;
    }
}

/// A mean that grows; 0 of nothing.
#[derive(Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn value(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / f64::from(self.count) }
    }
}

#[cfg(test)]
mod tests;
