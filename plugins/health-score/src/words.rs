//! A verdict in words: what is wrong, how far, and what a person can do about it.

use std::cmp::Reverse;
use std::time::Duration;

use wasmvisor_policy_sdk::health::{Explanation, Issue, Reading};
use wasmvisor_policy_sdk::settings::show_duration;
use wasmvisor_policy_sdk::{Issues, Severity};

use crate::rules::{Breach, inspect, judge};
use crate::settings::Settings;

/// Judge one reading and say why.
#[must_use]
pub fn explain(settings: &Settings, reading: &Reading) -> Explanation {
    let mut breaches = Vec::new();
    inspect(settings, reading, &mut |breach| breaches.push(breach));
    // Worst first: the serious ones, and of those what costs most.
    breaches.sort_by_key(|breach| Reverse((breach.severity, breach.cost)));
    Explanation {
        verdict: judge(settings, reading),
        recommendations: breaches.iter().map(|breach| advice(breach).to_owned()).collect(),
        issues: breaches.iter().map(|breach| issue(breach, reading)).collect(),
    }
}

fn issue(breach: &Breach, reading: &Reading) -> Issue {
    Issue {
        kind: breach.kind,
        severity: breach.severity,
        description: describe(breach, reading),
        value: breach.value,
        threshold: breach.threshold,
        trend: breach.trend,
    }
}

fn describe(breach: &Breach, reading: &Reading) -> String {
    let Breach { value, threshold, limit, .. } = *breach;
    let percent = |part: f64| 100.0 * part / limit;
    let level = if breach.severity >= Severity::Critical { "critical" } else { "a warning" };
    match breach.kind {
        Issues::MEMORY => format!(
            "memory {} is {} % of its limit of {} ({level} from {} %)",
            size(value),
            whole(percent(value)),
            size(limit),
            whole(percent(threshold))
        ),
        Issues::CPU => format!(
            "cpu {} % is {} % of its limit of {} % ({level} from {} %)",
            whole(value),
            whole(percent(value)),
            whole(limit),
            whole(percent(threshold))
        ),
        Issues::EXECUTION_TIME => {
            format!("the run has lasted {}, longer than its limit of {}", time(value), time(limit))
        }
        Issues::FILE_HANDLES => format!("{value} file handles are open, more than the limit of {limit}"),
        Issues::THREADS => format!("{value} threads run, more than the limit of {limit}"),
        Issues::RESPONSIVENESS => format!("responsiveness is {value} of 100 ({level} under {threshold})"),
        Issues::STABILITY => format!("stability is {value} of 100 ({level} under {threshold})"),
        _ => format!(
            "memory rises by {} a second and is forecast to cross its limit in {}",
            size(f64::from(reading.memory_slope)),
            time(value)
        ),
    }
}

fn advice(breach: &Breach) -> &'static str {
    match breach.kind {
        Issues::MEMORY => "find out what holds the memory, or raise the memory limit",
        Issues::CPU => "give the process less to do at once, or raise the cpu limit",
        Issues::EXECUTION_TIME => "see whether the run is stuck, or raise the limit on execution time",
        Issues::FILE_HANDLES => "look for files and sockets that are never closed, or raise the limit on file handles",
        Issues::THREADS => "look for threads that are never joined, or raise the limit on threads",
        Issues::RESPONSIVENESS => "see what the process waits for; its health check says since when",
        Issues::STABILITY => "read the ends of its last runs before it is restarted again",
        _ => "restart the process before its memory runs out, and look for the leak",
    }
}

/// Bytes in the largest binary unit that keeps the number at 1 or more.
fn size(bytes: f64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit == 3 || value.fract() != 0.0 && value < 10.0);
    if digits == 0 { format!("{} {}", whole(value), UNITS[unit]) } else { format!("{value:.digits$} {}", UNITS[unit]) }
}

/// Milliseconds as people write them, whole seconds from one second on.
fn time(ms: f64) -> String {
    let ms = ms as u64;
    show_duration(Duration::from_millis(if ms >= 1000 { ms - ms % 1000 } else { ms }))
}

/// As `{:.0}` writes it. Numbers that a whole one can hold skip the exact arithmetic of fractions, which costs more than
/// the rest of a line.
fn whole(value: f64) -> impl std::fmt::Display {
    std::fmt::from_fn(move |f| match value.round_ties_even() {
        rounded if (0.0..=9e15).contains(&rounded) && value.is_sign_positive() => write!(f, "{}", rounded as u64),
        _ => write!(f, "{value:.0}"),
    })
}
