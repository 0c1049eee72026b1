//! One line about one finding.

use std::time::Duration;

use wasmvisor_policy_sdk::alert::{Finding, Subject, Topic};
use wasmvisor_policy_sdk::settings::show_duration;
use wasmvisor_policy_sdk::{HealthStatus, Identity, Severity};

/// Longest name shown, in bytes: the whole line has at most 200.
const NAME: usize = 80;

/// One line for a person, at most 200 bytes.
#[must_use]
pub fn explain(identity: &Identity, subject: &Subject, finding: &Finding) -> String {
    let name = &identity.name[..identity.name.floor_char_boundary(NAME)];
    let Finding { value, threshold, .. } = *finding;
    let level = level(finding.severity);
    match finding.topic {
        Topic::Memory => share(name, "memory", finding),
        Topic::Cpu => share(name, "cpu", finding),
        Topic::ExecutionTime => share(name, "execution time", finding),
        Topic::FileHandles => share(name, "file handles", finding),
        Topic::Threads => share(name, "threads", finding),
        Topic::Responsiveness => {
            format!("`{name}`: responsiveness is {value:.0} of 100 ({level} under {threshold:.0})")
        }
        Topic::Health => {
            let status = status(subject.status);
            format!("`{name}`: health score is {value:.0}, {status} ({level} under {threshold:.0})")
        }
        Topic::MemoryForecast => {
            let (value, threshold) = (time(value), time(threshold));
            format!("`{name}`: memory is forecast to cross its limit in {value} ({level} under {threshold})")
        }
        Topic::Restarts => {
            format!("`{name}`: restarted {value:.0} times in 10 minutes ({level} from {threshold:.0})")
        }
    }
}

fn share(name: &str, what: &str, finding: &Finding) -> String {
    let Finding { value, threshold, .. } = *finding;
    format!("`{name}`: {what} at {value:.0} % of the limit ({} from {threshold:.0} %)", level(finding.severity))
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
        Severity::Emergency => "emergency",
    }
}

const fn status(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Healthy => "healthy",
        HealthStatus::Warning => "warning",
        HealthStatus::Critical => "critical",
        HealthStatus::Failing => "failing",
    }
}

/// Milliseconds as people write them, whole seconds from one second on.
fn time(ms: f64) -> String {
    let ms = ms as u64;
    show_duration(Duration::from_millis(if ms >= 1000 { ms - ms % 1000 } else { ms }))
}
