//! The rules: what is wrong with one reading and what it costs. No allocation: this runs for every process every second.

use wasmvisor_policy_sdk::health::{Reading, Verdict};
use wasmvisor_policy_sdk::{Direction, HealthStatus, Issues, Severity};

use crate::settings::Settings;

/// A threshold that a reading crossed.
#[derive(Clone, Copy, Debug)]
pub struct Breach {
    /// What is wrong, one flag.
    pub kind: Issues,
    /// How serious.
    pub severity: Severity,
    /// Points it takes from the score.
    pub cost: u32,
    /// What was measured, in the unit of the reading's field.
    pub value: f64,
    /// The threshold, same unit.
    pub threshold: f64,
    /// The limit, same unit; what responsiveness and stability can be at best.
    pub limit: f64,
    /// Direction of the measure.
    pub trend: Direction,
}

/// Judge one reading.
#[must_use]
pub fn judge(settings: &Settings, reading: &Reading) -> Verdict {
    let mut cost = 0;
    let mut issues = Issues::empty();
    inspect(settings, reading, &mut |breach| {
        cost += breach.cost;
        issues |= breach.kind;
    });
    let score = 100_u32.saturating_sub(cost);
    Verdict { score, status: status(settings, score), issues, memo: 0 }
}

/// The word for a score.
#[must_use]
pub const fn status(settings: &Settings, score: u32) -> HealthStatus {
    if score >= settings.healthy_score {
        HealthStatus::Healthy
    } else if score >= settings.warning_score {
        HealthStatus::Warning
    } else if score >= settings.critical_score {
        HealthStatus::Critical
    } else {
        HealthStatus::Failing
    }
}

/// Report every breach of a reading.
#[inline]
pub fn inspect(settings: &Settings, reading: &Reading, report: &mut impl FnMut(Breach)) {
    shares(settings, reading, report);
    overruns(settings, reading, report);
    answers(settings, reading, report);
    leak(settings, reading, report);
}

/// Memory and CPU: two levels, in percent of the limit.
#[inline]
fn shares(settings: &Settings, reading: &Reading, report: &mut impl FnMut(Breach)) {
    let memory = Breach {
        kind: Issues::MEMORY,
        severity: Severity::Warning,
        cost: settings.memory_warning_cost,
        value: reading.memory_bytes as f64,
        threshold: settings.memory_warning_percent,
        limit: reading.memory_limit_bytes as f64,
        trend: reading.memory_direction,
    };
    share(memory, settings.memory_critical_percent, settings.memory_critical_cost, report);
    let cpu = Breach {
        kind: Issues::CPU,
        severity: Severity::Warning,
        cost: settings.cpu_warning_cost,
        value: f64::from(reading.cpu_percent),
        threshold: settings.cpu_warning_percent,
        limit: f64::from(reading.cpu_limit_percent),
        trend: reading.cpu_direction,
    };
    share(cpu, settings.cpu_critical_percent, settings.cpu_critical_cost, report);
}

/// One of the two; `warning.threshold` comes in percent and leaves in the unit of the value.
#[inline]
fn share(warning: Breach, critical_percent: f64, critical_cost: u32, report: &mut impl FnMut(Breach)) {
    if warning.limit <= 0.0 {
        return;
    }
    let critical = warning.limit * critical_percent / 100.0;
    let close = warning.limit * warning.threshold / 100.0;
    if warning.value >= critical {
        report(Breach { severity: Severity::Critical, cost: critical_cost, threshold: critical, ..warning });
    } else if warning.value >= close {
        report(Breach { threshold: close, ..warning });
    }
}

/// Execution time, file handles and threads: over the limit or not.
#[inline]
fn overruns(settings: &Settings, reading: &Reading, report: &mut impl FnMut(Breach)) {
    let measures = [
        (
            Issues::EXECUTION_TIME,
            Severity::Critical,
            settings.execution_time_cost,
            reading.execution_ms,
            reading.execution_limit_ms,
        ),
        (
            Issues::FILE_HANDLES,
            Severity::Critical,
            settings.file_handles_cost,
            reading.file_handles.into(),
            reading.file_handle_limit.into(),
        ),
        (
            Issues::THREADS,
            Severity::Warning,
            settings.threads_cost,
            reading.threads.into(),
            reading.thread_limit.into(),
        ),
    ];
    for (kind, severity, cost, value, limit) in measures {
        if limit > 0 && value > limit {
            let (value, limit) = (value as f64, limit as f64);
            report(Breach { kind, severity, cost, value, threshold: limit, limit, trend: Direction::Unknown });
        }
    }
}

/// Responsiveness and stability: under a threshold or not.
#[inline]
fn answers(settings: &Settings, reading: &Reading, report: &mut impl FnMut(Breach)) {
    let trend = Direction::Unknown;
    let under = |kind, severity, cost, value: u32, threshold| {
        let value = f64::from(value);
        (value < threshold).then_some(Breach { kind, severity, cost, value, threshold, limit: 100.0, trend })
    };
    let (slow, fails) = (Issues::RESPONSIVENESS, Issues::STABILITY);
    let hardly = (settings.responsiveness_critical_cost, settings.responsiveness_critical);
    let slowly = (settings.responsiveness_warning_cost, settings.responsiveness_warning);
    let often = (settings.stability_cost, settings.stability_warning);
    if let Some(breach) = under(slow, Severity::Critical, hardly.0, reading.responsiveness, hardly.1)
        .or_else(|| under(slow, Severity::Warning, slowly.0, reading.responsiveness, slowly.1))
    {
        report(breach);
    }
    if let Some(breach) = under(fails, Severity::Warning, often.0, reading.stability, often.1) {
        report(breach);
    }
}

/// Memory that rises and will cross its limit soon.
#[inline]
fn leak(settings: &Settings, reading: &Reading, report: &mut impl FnMut(Breach)) {
    let horizon = settings.leak_horizon.as_millis() as f64;
    let left = reading.memory_limit_in_ms as f64;
    if reading.memory_direction == Direction::Deteriorating && left > 0.0 && left < horizon {
        report(Breach {
            kind: Issues::MEMORY_LEAK,
            severity: Severity::Warning,
            cost: settings.leak_cost,
            value: left,
            threshold: horizon,
            limit: horizon,
            trend: reading.memory_direction,
        });
    }
}
