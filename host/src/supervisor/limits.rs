//! Limits as the registry shows them: value, threshold, and who enforces each.

use std::time::Duration;

use crate::decision::LimitKind;
use crate::record::LimitInForce;
use crate::spec::Limits;
use crate::units::human_duration;

/// The limits in force of one process. Times are kept by the supervisor, which counts as the monitor here: neither is
/// the kernel.
pub(super) fn in_force(limits: &Limits) -> Vec<LimitInForce> {
    let time = |limit: Option<Duration>| limit.map(|time| (human_duration(time), time.as_millis() as f64));
    let count = |limit: Option<u32>| limit.map(|count| (count.to_string(), f64::from(count)));
    let rows = [
        (LimitKind::Memory, limits.memory.map(|bytes| (bytes.to_string(), bytes.get() as f64)), "monitor"),
        (LimitKind::Cpu, limits.cpu.map(|percent| (percent.to_string(), percent.get())), "monitor"),
        (LimitKind::ExecutionTime, time(limits.execution_time), "monitor"),
        (LimitKind::FileHandles, count(limits.file_handles), "kernel+monitor"),
        (LimitKind::Pids, count(limits.pids), "monitor"),
        (LimitKind::Timeout, time(limits.timeout), "monitor"),
    ];
    let row = |(kind, limit, enforced_by): (LimitKind, Option<(String, f64)>, &str)| {
        let (value, threshold) = limit.map_or(("off".to_owned(), None), |(value, number)| (value, Some(number)));
        let enforced_by = if threshold.is_some() { enforced_by } else { "none" }.to_owned();
        LimitInForce { kind, value, threshold, enforced_by }
    };
    rows.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_says_its_value_and_who_enforces_it() {
        let limits = in_force(&Limits { pids: None, ..Limits::default() });
        let shown: Vec<_> = limits.iter().map(|l| (l.kind, l.value.as_str(), l.enforced_by.as_str())).collect();
        assert_eq!(
            shown,
            [
                (LimitKind::Memory, "2GiB", "monitor"),
                (LimitKind::Cpu, "80%", "monitor"),
                (LimitKind::ExecutionTime, "10m", "monitor"),
                (LimitKind::FileHandles, "100", "kernel+monitor"),
                (LimitKind::Pids, "off", "none"),
                (LimitKind::Timeout, "5m", "monitor"),
            ]
        );
    }
}
