//! The view: every record that is known, and what a change of one of them entails. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Observation;
use crate::care::Care;
use crate::health::{Health, IssueSet};
use crate::record::{ProcessRecord, Status};
use crate::sample::Trend;
use crate::spec::ProcessId;
use crate::units::Timestamp;

/// Most descendants that a record names (`ProcessRecord::child_pids`).
const MOST_CHILDREN: usize = 64;

/// One record and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) record: Arc<ProcessRecord>,
    /// Whether it had ended in an earlier life of the supervisor and nobody has touched it since.
    pub(super) earlier_life: bool,
}

/// What a change entails.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) record: Arc<ProcessRecord>,
    /// Whether the next life must know of it: it names a run, an end or a wish that it did not name before.
    pub(super) urgent: bool,
    /// Ended records that are one too many now; they are gone from the view.
    pub(super) surplus: Vec<ProcessId>,
}

/// Every record that is known.
#[derive(Debug)]
pub(super) struct View {
    entries: HashMap<ProcessId, Entry>,
    /// The ended ones by the moment of their end.
    ended: BTreeSet<(Timestamp, ProcessId)>,
    retention: usize,
}

impl View {
    pub(super) fn new(retention: usize) -> Self {
        Self { entries: HashMap::new(), ended: BTreeSet::new(), retention }
    }

    /// Take in a record that an earlier life has left. Answers which are too many.
    pub(super) fn remember(&mut self, record: ProcessRecord) -> Vec<ProcessId> {
        // What a life leaves of an ended process besides its record is gone in the next one.
        let earlier_life = record.status.is_ended() && record.care.is_none();
        let id = record.process_id.clone();
        let surplus = self.put(record).surplus;
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.earlier_life = earlier_life;
        }
        surplus
    }

    /// Enter a record, or replace it.
    pub(super) fn put(&mut self, record: ProcessRecord) -> Changed {
        let before = self.entries.get(&record.process_id).map(|entry| Marks::of(&entry.record));
        self.settle(before, Entry { record: Arc::new(record), earlier_life: false })
    }

    /// Change a record. None when there is none.
    pub(super) fn amend(&mut self, id: &ProcessId, change: impl FnOnce(&mut ProcessRecord)) -> Option<Changed> {
        let mut entry = self.entries.remove(id)?;
        let before = Marks::of(&entry.record);
        let record = Arc::make_mut(&mut entry.record);
        change(record);
        record.process_id = id.clone();
        entry.earlier_life = false;
        Some(self.settle(Some(before), entry))
    }

    fn settle(&mut self, before: Option<Marks>, entry: Entry) -> Changed {
        let record = Arc::clone(&entry.record);
        let after = Marks::of(&record);
        if let Some(ended) = before.as_ref().and_then(|marks| marks.ended_at) {
            self.ended.remove(&(ended, record.process_id.clone()));
        }
        if let Some(ended) = after.ended_at {
            self.ended.insert((ended, record.process_id.clone()));
        }
        self.entries.insert(record.process_id.clone(), entry);
        let urgent = after.is_news(before.as_ref());
        Changed { record, urgent, surplus: self.forget_surplus() }
    }

    fn forget_surplus(&mut self) -> Vec<ProcessId> {
        let mut surplus = Vec::new();
        while self.ended.len() > self.retention
            && let Some((_, id)) = self.ended.pop_first()
        {
            self.entries.remove(&id);
            surplus.push(id);
        }
        surplus
    }

    /// Take in what was seen of a run. Dropped when it is an older run than the record's, or when the record has no live
    /// run any more: what the end of a run has left must not be painted over by a late reading.
    pub(super) fn observe(&mut self, seen: Observation) {
        let Some(entry) = self.entries.get_mut(&seen.process_id) else { return };
        let current = seen.run_number >= entry.record.run_number && may_have_run(entry.record.status);
        if current {
            take_in(Arc::make_mut(&mut entry.record), seen);
        }
    }

    pub(super) fn get(&self, id: &ProcessId) -> Option<&Arc<ProcessRecord>> {
        self.entries.get(id).map(|entry| &entry.record)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> + Clone {
        self.entries.values()
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Arc<ProcessRecord>> + Clone {
        self.entries().map(|entry| &entry.record)
    }
}

/// What the view compares before and after a change.
struct Marks {
    /// Start ticks and pid name a run within a boot, and no record outlives a boot with a live run.
    run: Option<(u32, u64)>,
    ended_at: Option<Timestamp>,
    care: Option<Arc<Care>>,
}

impl Marks {
    fn of(record: &ProcessRecord) -> Self {
        Self {
            run: record.run.as_ref().map(|run| (run.pid, run.start_ticks)),
            ended_at: record.status.is_ended().then(|| record.ended_at_ms.unwrap_or(record.registered_at_ms)),
            care: record.care.clone(),
        }
    }

    /// Whether what came before knew less of what the next life must know.
    fn is_news(&self, before: Option<&Self>) -> bool {
        let run = self.run.is_some() && before.is_none_or(|before| before.run != self.run);
        let care = || match (&self.care, before.and_then(|before| before.care.as_ref())) {
            (Some(now), Some(then)) => !Arc::ptr_eq(now, then),
            (now, then) => now.is_some() != then.is_some(),
        };
        run || before.is_some_and(|before| before.ended_at != self.ended_at) || care()
    }
}

/// Whether a process of this status has a live run.
pub(super) const fn has_run(status: Status) -> bool {
    matches!(status, Status::Running | Status::Idle | Status::Stopping)
}

/// The monitor may hear of a run before the registry does.
const fn may_have_run(status: Status) -> bool {
    has_run(status) || matches!(status, Status::Starting)
}

fn take_in(record: &mut ProcessRecord, seen: Observation) {
    let mut sample = seen.sample;
    // JSON has no word for what is not finite, and such a record could not be read back.
    sample.cpu_percent = finite(sample.cpu_percent);
    record.peak_memory_bytes = record.peak_memory_bytes.max(sample.memory_bytes);
    record.usage = Some(sample);
    if seen.active {
        record.last_active_at_ms = Some(sample.at_ms);
    }
    record.health = seen.verdict.map_or(Health::Unknown, |verdict| verdict.health());
    record.health_score = seen.verdict.map(|verdict| verdict.score);
    record.health_status = seen.verdict.map(|verdict| verdict.status);
    record.issues = seen.verdict.map_or_else(IssueSet::default, |verdict| verdict.issues);
    record.memory_trend = finite_trend(seen.memory_trend);
    record.cpu_trend = finite_trend(seen.cpu_trend);
    record.responsiveness = seen.responsiveness;
    record.stability = seen.stability;
    if let Some(mut pids) = seen.child_pids {
        pids.truncate(MOST_CHILDREN);
        record.child_pids = pids;
    }
}

fn finite_trend(trend: Trend) -> Trend {
    Trend { slope_per_second: finite(trend.slope_per_second), confidence: finite(trend.confidence), ..trend }
}

fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
mod tests;
