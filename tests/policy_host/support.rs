//! Questions and hosts for the tests of the policy host.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wasmvisor::decision::{AdmissionRequest, AlertReading, Ending, HealthReading, RestartDecision, RestartQuestion};
use wasmvisor::event::EventBus;
use wasmvisor::health::HealthStatus;
use wasmvisor::policy::{
    AlertSubject, Binding, Budget, HISTORY_LENGTH, HealthSubject, PolicyHost, PolicyHostConfig, PolicySet, PolicyTick,
};
use wasmvisor::sample::{Direction, ExitStatus};
use wasmvisor::spec::{Identity, Limits, ProcessId, ProcessSpec};
use wasmvisor::units::{Span, Timestamp};

/// A cache that all tests of a run share, so that the embedded plugins are compiled once.
fn cache() -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy-cache")
}

/// A host with this set, and its events.
pub(super) fn host(set: PolicySet) -> (PolicyHost, Arc<EventBus>) {
    let events = Arc::new(EventBus::default());
    let config = PolicyHostConfig { cache_dir: Some(cache()) };
    let host = PolicyHost::start(config, set, Arc::clone(&events)).unwrap_or_else(|error| panic!("{error}"));
    (host, events)
}

/// Why a host does not start with this set.
pub(super) fn refusal(set: PolicySet) -> String {
    let config = PolicyHostConfig { cache_dir: Some(cache()) };
    PolicyHost::start(config, set, Arc::default()).expect_err("the set was accepted").message
}

/// A binding with a deadline that a busy machine cannot miss.
pub(super) fn patient(plugin: impl Into<String>) -> Binding {
    let budget = Budget { deadline: Span::seconds(5), ..Budget::default() };
    Binding { budget, ..Binding::new(plugin) }
}

/// The embedded policies with such a deadline.
pub(super) fn embedded() -> PolicySet {
    PolicySet {
        admission: vec![patient("builtin:command-allowlist")],
        health: vec![patient("builtin:health-score")],
        restart: vec![patient("builtin:restart-backoff")],
        alert: vec![patient("builtin:alert-threshold")],
    }
}

/// The same with these restart bindings.
pub(super) fn with_restart(restart: Vec<Binding>) -> PolicySet {
    PolicySet { restart, ..embedded() }
}

/// The same with these health bindings.
pub(super) fn with_health(health: Vec<Binding>) -> PolicySet {
    PolicySet { health, ..embedded() }
}

pub(super) fn who(name: &str) -> Arc<Identity> {
    Identity::of(ProcessId::new(name), &ProcessSpec::new(name, ["true"]))
}

pub(super) fn crash(attempts: u32) -> RestartQuestion {
    RestartQuestion {
        identity: who("worker"),
        ending: Ending::Ended(ExitStatus::Code(1)),
        lasted: Duration::from_secs(1),
        attempts,
        max_attempts: None,
        restarts_total: attempts,
        history: Vec::new(),
    }
}

/// The delay of a decision; a give-up has none.
pub(super) fn delay(decision: &RestartDecision) -> Option<u64> {
    match decision {
        RestartDecision::RestartAfter { delay_ms, .. } => Some(*delay_ms),
        RestartDecision::GiveUp { .. } => None,
    }
}

pub(super) fn tick() -> PolicyTick {
    PolicyTick { now: Timestamp::now(), interval_ms: 1000 }
}

/// A process that uses this much of its memory limit, in percent.
pub(super) fn using_memory(name: &str, percent: u64) -> HealthSubject {
    let reading = HealthReading {
        memory_bytes: percent << 20,
        memory_limit_bytes: 100 << 20,
        cpu_percent: 1.0,
        cpu_limit_percent: 80.0,
        execution_ms: 1000,
        execution_limit_ms: 600_000,
        file_handles: 3,
        file_handle_limit: 100,
        threads: 1,
        thread_limit: 512,
        responsiveness: 100,
        stability: 100,
        memory_slope: 0.0,
        memory_limit_in_ms: 0,
        cpu_slope: 0.0,
        memory_direction: Direction::Stable,
        cpu_direction: Direction::Stable,
        previous_score: 100,
        memo: 0,
    };
    HealthSubject { identity: who(name), reading }
}

pub(super) fn history(subjects: usize) -> Vec<f32> {
    vec![f32::NAN; subjects * HISTORY_LENGTH]
}

pub(super) fn alerting(name: &str, memory_percent: f32) -> AlertSubject {
    let reading = AlertReading {
        memory_percent,
        cpu_percent: 1.0,
        execution_percent: 1.0,
        file_handle_percent: 1.0,
        thread_percent: 1.0,
        responsiveness: 100,
        score: 100,
        status: HealthStatus::Healthy,
        memory_limit_in_ms: 0,
        recent_restarts: 0,
        memo: 0,
    };
    AlertSubject { identity: who(name), reading }
}

/// A request to run the shell, found where it really is.
pub(super) fn run_shell() -> AdmissionRequest {
    let resolved = std::fs::canonicalize("/bin/sh").expect("there is a shell").display().to_string();
    AdmissionRequest {
        identity: who("worker"),
        command: "sh".to_owned(),
        found: Some("/bin/sh".to_owned()),
        resolved: Some(resolved),
        args: vec!["-c".to_owned(), "true".to_owned()],
        directory: "/tmp".to_owned(),
        environment_keys: vec!["PATH".to_owned()],
        search_path: "/usr/bin:/bin".to_owned(),
        limits: Limits::default(),
        now: Timestamp::now(),
    }
}
