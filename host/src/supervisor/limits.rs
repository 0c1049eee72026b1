//! Limits of a process: who enforces each, what the kernel is told, and what is shown.
//!
//! Pure. Only the supervisor enters.

use std::time::Duration;

use crate::decision::LimitKind;
use crate::error::{ErrorClass, Problem};
use crate::link::KernelHolds;
use crate::platform::{Abilities, GroupLimits};
use crate::record::LimitInForce;
use crate::spec::{LimitEnforcement, Limits, Priority};
use crate::units::human_duration;

/// Which limits the kernel keeps for a run that has a cgroup.
pub(super) fn kernel_holds(limits: &Limits, able: &Abilities) -> KernelHolds {
    let grouped = able.base.is_some();
    KernelHolds {
        memory: grouped && able.memory && limits.memory.is_some(),
        cpu: grouped && able.cpu && limits.cpu.is_some(),
        pids: grouped && able.pids && limits.pids.is_some(),
    }
}

/// What a run's cgroup is told.
pub(super) fn of_group(limits: &Limits, priority: Priority) -> GroupLimits {
    GroupLimits {
        memory_max: limits.memory.map(|bytes| bytes.get()),
        memory_high: None,
        cpu_percent: limits.cpu.map(|percent| percent.get()),
        cpu_weight: Some(weight(priority)),
        io_weight: Some(weight(priority)),
        pids: limits.pids,
    }
}

/// Share of processor and storage when they are short: a step of priority is a factor of 2 or 4 around the kernel's 100.
const fn weight(priority: Priority) -> u32 {
    match priority {
        Priority::Low => 25,
        Priority::Normal => 100,
        Priority::High => 200,
        Priority::Critical => 400,
    }
}

/// Refuse a process whose limits the kernel must keep and cannot.
///
/// # Errors
/// Names the first such limit, the reason, and what to do.
pub(super) fn check_enforceable(limits: &Limits, able: &Abilities) -> Result<(), Problem> {
    if limits.enforcement != LimitEnforcement::Require {
        return Ok(());
    }
    let held = kernel_holds(limits, able);
    let unheld = [
        (LimitKind::Memory, limits.memory.is_some() && !held.memory),
        (LimitKind::Cpu, limits.cpu.is_some() && !held.cpu),
        (LimitKind::Pids, limits.pids.is_some() && !held.pids),
    ];
    let Some((kind, _)) = unheld.into_iter().find(|(_, unheld)| *unheld) else { return Ok(()) };
    let reason = if able.reason.is_empty() { "its cgroup has no such controller" } else { &able.reason };
    let message = format!(
        "limits.enforcement = \"require\", but the kernel cannot keep the {kind} limit here: {reason}; \
         start the supervisor in a delegated cgroup, turn the limit off, or write \"best-effort\""
    );
    Err(Problem::new(ErrorClass::Configuration, message).by_rule("limit-not-enforceable"))
}

/// The limits in force of one process. Times are kept by the supervisor, which counts as the monitor here: neither is
/// the kernel.
pub(super) fn in_force(limits: &Limits, kernel: KernelHolds) -> Vec<LimitInForce> {
    let time = |limit: Option<Duration>| limit.map(|time| (human_duration(time), time.as_millis() as f64));
    let count = |limit: Option<u32>| limit.map(|count| (count.to_string(), f64::from(count)));
    let by = |held: bool| if held { "kernel" } else { "monitor" };
    let (memory, cpu, pids) = (by(kernel.memory), by(kernel.cpu), by(kernel.pids));
    let rows = [
        (LimitKind::Memory, limits.memory.map(|bytes| (bytes.to_string(), bytes.get() as f64)), memory),
        (LimitKind::Cpu, limits.cpu.map(|percent| (percent.to_string(), percent.get())), cpu),
        (LimitKind::ExecutionTime, time(limits.execution_time), "monitor"),
        (LimitKind::FileHandles, count(limits.file_handles), "kernel+monitor"),
        (LimitKind::Pids, count(limits.pids), pids),
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

    fn able() -> Abilities {
        Abilities { base: Some("/x".into()), memory: true, cpu: true, pids: true, ..Abilities::default() }
    }

    fn shown(limits: &Limits, able: &Abilities) -> Vec<(LimitKind, String, String)> {
        let rows = in_force(limits, kernel_holds(limits, able)).into_iter();
        rows.map(|row| (row.kind, row.value, row.enforced_by)).collect()
    }

    #[test]
    fn each_limit_says_its_value_and_who_enforces_it() {
        let limits = shown(&Limits { pids: None, ..Limits::default() }, &Abilities::default());
        let expected = [
            (LimitKind::Memory, "2GiB", "monitor"),
            (LimitKind::Cpu, "80%", "monitor"),
            (LimitKind::ExecutionTime, "10m", "monitor"),
            (LimitKind::FileHandles, "100", "kernel+monitor"),
            (LimitKind::Pids, "off", "none"),
            (LimitKind::Timeout, "5m", "monitor"),
        ];
        assert_eq!(limits, expected.map(|(kind, value, by)| (kind, value.to_owned(), by.to_owned())));
    }

    #[test]
    fn the_kernel_keeps_what_its_controllers_can() {
        let by = |able: &Abilities| shown(&Limits::default(), able).into_iter().map(|(.., by)| by).collect::<Vec<_>>();
        assert_eq!(by(&able()), ["kernel", "kernel", "monitor", "kernel+monitor", "kernel", "monitor"]);
        let without_cpu = Abilities { cpu: false, ..able() };
        assert_eq!(by(&without_cpu)[..2], ["kernel", "monitor"]);
    }

    #[test]
    fn a_required_limit_that_the_kernel_cannot_keep_refuses_the_start() {
        let required = Limits { enforcement: LimitEnforcement::Require, ..Limits::default() };
        check_enforceable(&required, &able()).unwrap();
        check_enforceable(&Limits::default(), &Abilities::default()).unwrap();
        let able = Abilities { pids: false, reason: "not to be had: pids".to_owned(), ..able() };
        let refused = check_enforceable(&required, &able).unwrap_err();
        assert_eq!(refused.rule.as_deref(), Some("limit-not-enforceable"));
        assert!(refused.message.contains("pids limit here: not to be had: pids"), "{}", refused.message);
        check_enforceable(&Limits { pids: None, ..required }, &able).unwrap();
    }

    #[test]
    fn the_group_of_a_more_important_run_weighs_more() {
        let weights = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical].map(weight);
        assert!(weights.is_sorted());
        let told = of_group(&Limits::default(), Priority::Normal);
        assert_eq!((told.memory_max, told.cpu_percent, told.pids), (Some(2 << 30), Some(80.0), Some(512)));
    }
}
