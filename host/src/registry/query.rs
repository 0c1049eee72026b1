//! Which records a query means, in what order. Pure.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use super::view::Entry;
use crate::glob;
use crate::record::{Page, ProcessRecord, Query, SortKey};
use crate::units::Timestamp;

/// The answer to `query` at this moment. Without `history` it is about this life of the supervisor, processes that ended
/// in it included; `history` adds what ended in earlier ones.
pub(super) fn answer<'a>(entries: impl Iterator<Item = &'a Entry>, query: &Query, now: Timestamp) -> Page {
    let mut fitting: Vec<_> = entries
        .filter(|entry| query.history || !entry.earlier_life)
        .map(|entry| &entry.record)
        .filter(|record| fits(record, query, now))
        .collect();
    fitting.sort_unstable_by(|one, other| in_order(one, other, query));
    let total = fitting.len();
    let processes = fitting.into_iter().skip(query.offset).take(query.limit.unwrap_or(usize::MAX));
    Page { processes: processes.map(Arc::clone).collect(), total }
}

fn fits(record: &ProcessRecord, query: &Query, now: Timestamp) -> bool {
    let usage = record.usage.as_ref();
    let recently =
        |window: u64| record.last_active_at_ms.is_some_and(|active| now.since(active) <= Duration::from_millis(window));
    any_of(&query.status, &record.status)
        && any_of(&query.health, &record.health)
        && any_of(&query.priority, &record.priority)
        && query.agent_type.as_ref().is_none_or(|pattern| glob::matches(pattern, &record.agent_type))
        && query.name.as_ref().is_none_or(|pattern| glob::matches(pattern, &record.name))
        && query.task_id.as_ref().is_none_or(|task| *task == record.task_id)
        && query.tag.iter().all(|tag| record.tags.contains(tag))
        && query.started_after_ms.is_none_or(|after| record.started_at_ms.is_some_and(|start| start >= after))
        && query.started_before_ms.is_none_or(|before| record.started_at_ms.is_some_and(|start| start < before))
        && query.active_within_ms.is_none_or(recently)
        && query.memory_above.is_none_or(|least| usage.is_some_and(|usage| usage.memory_bytes >= least.get()))
        && query.cpu_above.is_none_or(|least| usage.is_some_and(|usage| usage.cpu_percent >= least))
}

/// An empty list does not filter.
fn any_of<T: PartialEq>(wanted: &[T], value: &T) -> bool {
    wanted.is_empty() || wanted.contains(value)
}

/// By the key, then by id, so that pages of equal keys neither overlap nor leave one out.
fn in_order(one: &ProcessRecord, other: &ProcessRecord, query: &Query) -> Ordering {
    let start = |record: &ProcessRecord| record.started_at_ms.unwrap_or(record.registered_at_ms);
    let by_key = match query.sort {
        SortKey::Start => start(one).cmp(&start(other)),
        SortKey::Activity => one.last_active_at_ms.cmp(&other.last_active_at_ms),
        SortKey::Memory => memory(one).cmp(&memory(other)),
        SortKey::Cpu => cpu(one).total_cmp(&cpu(other)),
        SortKey::Priority => one.priority.cmp(&other.priority).then_with(|| start(one).cmp(&start(other))),
    };
    let by_key = if query.descending { by_key.reverse() } else { by_key };
    by_key.then_with(|| one.process_id.cmp(&other.process_id))
}

fn memory(record: &ProcessRecord) -> u64 {
    record.usage.map_or(0, |usage| usage.memory_bytes)
}

fn cpu(record: &ProcessRecord) -> f32 {
    record.usage.map_or(0.0, |usage| usage.cpu_percent)
}

#[cfg(test)]
mod tests;
