//! Events: what happened, typed and numbered.
//!
//! Owns the vocabulary of events and the bus that carries them. Publishing never waits: a subscriber that falls
//! behind is told how many events it missed. Any room may publish and subscribe.

mod bus;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use bus::{EventBus, Received, Subscription};

use crate::alert::Alert;
use crate::decision::{LimitKind, PolicyKind, Provenance, RestartDecision};
use crate::health::{HealthStatus, IssueSet};
use crate::sample::{ExitStatus, Trend};
use crate::spec::{Priority, ProcessId};
use crate::units::Timestamp;

/// Version of the event format. Fields may be added to an event without raising it; nothing is renamed or removed.
pub const EVENT_VERSION: u32 = 1;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Counts up by one from 1 in the life of one supervisor; a gap means missed events.
    pub seq: u64,
    /// When.
    pub at_ms: Timestamp,
    /// Version of the format.
    pub version: u32,
    /// What.
    #[serde(flatten)]
    pub body: EventBody,
}

/// A process as events name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Who {
    /// Stable id.
    pub process_id: ProcessId,
    /// Name.
    pub name: String,
}

/// What happened. The tag `type` is the event's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "field names carry meaning and unit; types are documented where they are defined")]
pub enum EventBody {
    /// The supervisor is ready.
    #[serde(rename = "supervisor.started")]
    SupervisorStarted { pid: u32, state_dir: String, configured: usize },
    /// Processes of an earlier life are in this one's care.
    #[serde(rename = "supervisor.adopted")]
    SupervisorAdopted { adopted: usize, ended: usize, stopped: usize, orphans: usize },
    /// It has left its runs to the holder.
    #[serde(rename = "supervisor.left")]
    SupervisorLeft { reason: String, live: usize },
    /// The process that holds the runs is gone: they are watched on, and the next launch has another holder.
    #[serde(rename = "holder.lost")]
    HolderLost { pid: u32, reason: String },
    /// A holder serves new launches.
    #[serde(rename = "holder.started")]
    HolderStarted { pid: u32 },
    /// The holder does not answer, or answers again.
    #[serde(rename = "holder.silent")]
    HolderSilent { pid: u32, silent: bool },
    /// It has begun to stop everything.
    #[serde(rename = "supervisor.stopping")]
    SupervisorStopping { reason: String, live: usize },
    /// Everything is stopped.
    #[serde(rename = "supervisor.stopped")]
    SupervisorStopped { uptime_ms: u64, leftovers: usize },
    /// The configuration was read again.
    #[serde(rename = "supervisor.reloaded")]
    SupervisorReloaded { added: Vec<String>, removed: Vec<String>, changed: Vec<String> },
    /// Processes of an earlier life or an ended run were found and ended.
    #[serde(rename = "registry.orphans-cleaned")]
    OrphansCleaned { count: usize, pids: Vec<u32>, origin: String },
    /// A start was refused; nothing runs.
    #[serde(rename = "process.refused")]
    Refused { name: String, command: String, rule: String, message: String },
    /// Waits for a place.
    #[serde(rename = "process.queued")]
    Queued {
        #[serde(flatten)]
        who: Who,
        position: usize,
        priority: Priority,
        reason: String,
    },
    /// A run is being started.
    #[serde(rename = "process.starting")]
    Starting {
        #[serde(flatten)]
        who: Who,
        run: u32,
    },
    /// A run exists.
    #[serde(rename = "process.started")]
    Started {
        #[serde(flatten)]
        who: Who,
        run: u32,
        pid: u32,
    },
    /// A run of an earlier life is in this one's care.
    #[serde(rename = "process.adopted")]
    Adopted {
        #[serde(flatten)]
        who: Who,
        run: u32,
        pid: u32,
    },
    /// Output could not be kept.
    #[serde(rename = "process.output-lost")]
    OutputLost {
        #[serde(flatten)]
        who: Who,
        lost_bytes: u64,
        archives_removed: u32,
        reason: String,
    },
    /// A run could not be started.
    #[serde(rename = "process.start-failed")]
    StartFailed {
        #[serde(flatten)]
        who: Who,
        run: u32,
        message: String,
    },
    /// It has shown no activity for a while, or shows it again.
    #[serde(rename = "process.idle")]
    Idle {
        #[serde(flatten)]
        who: Who,
        idle: bool,
    },
    /// Asked to stop.
    #[serde(rename = "process.stopping")]
    Stopping {
        #[serde(flatten)]
        who: Who,
        reason: String,
        grace_ms: u64,
    },
    /// Did not stop in its grace and was killed.
    #[serde(rename = "process.killed")]
    Killed {
        #[serde(flatten)]
        who: Who,
        pid: u32,
        after_grace_ms: u64,
    },
    /// A run ended, whatever the reason.
    #[serde(rename = "process.exited")]
    Exited {
        #[serde(flatten)]
        who: Who,
        run: u32,
        pid: u32,
        exit: ExitStatus,
        lasted_ms: u64,
        peak_memory_bytes: u64,
    },
    /// The kernel killed it for want of memory: by its own limit, or because the machine had none left.
    #[serde(rename = "process.out-of-memory")]
    OutOfMemory {
        #[serde(flatten)]
        who: Who,
        run: u32,
        by: String,
        kills: u64,
        peak_memory_bytes: u64,
    },
    /// Its last run ended by failure and it was not asked to.
    #[serde(rename = "process.crashed")]
    Crashed {
        #[serde(flatten)]
        who: Who,
        run: u32,
        reason: String,
    },
    /// Waits for a restart.
    #[serde(rename = "process.backoff")]
    Backoff {
        #[serde(flatten)]
        who: Who,
        delay_ms: u64,
        attempt: u32,
        reason: String,
    },
    /// Runs again.
    #[serde(rename = "process.restarted")]
    Restarted {
        #[serde(flatten)]
        who: Who,
        run: u32,
        pid: u32,
        restarts: u32,
    },
    /// Will not come back by itself.
    #[serde(rename = "process.gave-up")]
    GaveUp {
        #[serde(flatten)]
        who: Who,
        reason: String,
        attempts: u32,
    },
    /// Is down because it was asked to be, or because its work is done.
    #[serde(rename = "process.stopped")]
    Stopped {
        #[serde(flatten)]
        who: Who,
        reason: String,
        exit: Option<ExitStatus>,
    },
    /// Survived everything that was done to stop it.
    #[serde(rename = "process.stop-failed")]
    StopFailed {
        #[serde(flatten)]
        who: Who,
        survivors: Vec<u32>,
    },
    /// A person's signal was sent.
    #[serde(rename = "process.signalled")]
    Signalled {
        #[serde(flatten)]
        who: Who,
        signal: String,
    },
    /// Paused or resumed.
    #[serde(rename = "process.paused")]
    Paused {
        #[serde(flatten)]
        who: Who,
        paused: bool,
    },
    /// Status or issues of the health policy changed.
    #[serde(rename = "health.changed")]
    HealthChanged {
        #[serde(flatten)]
        who: Who,
        score: u8,
        previous_score: u8,
        status: HealthStatus,
        issues: IssueSet,
        descriptions: Vec<String>,
        recommendations: Vec<String>,
        memory_bytes: u64,
        memory_trend: Trend,
    },
    /// The health check changed its answer.
    #[serde(rename = "health.check")]
    HealthCheck {
        #[serde(flatten)]
        who: Who,
        passed: bool,
        failures: u32,
        detail: String,
    },
    /// A forecast appeared or moved a lot.
    #[serde(rename = "health.forecast")]
    Forecast {
        #[serde(flatten)]
        who: Who,
        metric: String,
        limit_in_ms: u64,
        confidence: f32,
    },
    /// Somebody should look.
    #[serde(rename = "alert.raised")]
    AlertRaised {
        #[serde(flatten)]
        alert: Alert,
    },
    /// It got worse or lasted.
    #[serde(rename = "alert.escalated")]
    AlertEscalated {
        #[serde(flatten)]
        alert: Alert,
    },
    /// It is over.
    #[serde(rename = "alert.resolved")]
    AlertResolved {
        #[serde(flatten)]
        alert: Alert,
        lasted_ms: u64,
    },
    /// A limit was broken.
    #[serde(rename = "limit.violated")]
    LimitViolated {
        #[serde(flatten)]
        who: Who,
        limit: LimitKind,
        value: f64,
        threshold: f64,
        count: u32,
        action: String,
    },
    /// A policy set took over.
    #[serde(rename = "policy.swapped")]
    PolicySwapped { kind: PolicyKind, plugin: String, version: String, digest: String, generation: u64, took_us: u64 },
    /// A policy set was refused; the old one stays.
    #[serde(rename = "policy.refused")]
    PolicyRefused { plugin: String, reason: String },
    /// A plugin failed or declined; somebody else answered.
    #[serde(rename = "policy.fault")]
    PolicyFault { kind: PolicyKind, provenance: Arc<Provenance> },
    /// A restart policy has decided.
    #[serde(rename = "policy.decided-restart")]
    RestartDecided {
        #[serde(flatten)]
        who: Who,
        decision: RestartDecision,
        provenance: Arc<Provenance>,
    },
    /// A shadow policy would have decided otherwise.
    #[serde(rename = "policy.shadow-differs")]
    ShadowDiffers { kind: PolicyKind, plugin: String, detail: String },
    /// A task was accepted.
    #[serde(rename = "agent.started")]
    AgentStarted { agent_id: String, task_id: String, agent_type: String, process_id: ProcessId },
    /// A task has its result.
    #[serde(rename = "agent.finished")]
    AgentFinished {
        agent_id: String,
        task_id: String,
        agent_type: String,
        process_id: ProcessId,
        status: String,
        execution_time_ms: u64,
    },
    /// All logs together were too large: the oldest files put aside were removed.
    #[serde(rename = "logs.trimmed")]
    LogsTrimmed { archives: u32, freed_bytes: u64, total_bytes: u64, cap_bytes: u64 },
    /// Many events of one type and process in a short time were told as one.
    #[serde(rename = "supervisor.coalesced")]
    Coalesced { event_type: String, process_id: Option<ProcessId>, count: u64 },
}

impl EventBody {
    /// The event's name, for example `process.started`.
    pub fn name(&self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(map)) => {
                map.get("type").and_then(|name| name.as_str()).unwrap_or_default().to_owned()
            }
            _ => String::new(),
        }
    }
}
