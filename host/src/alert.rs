//! Alerts: what an alert policy finds and what the host tells of it.
//!
//! Any room may enter; it does no I/O.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::health::words;
use crate::spec::ProcessId;
use crate::units::Timestamp;

/// How serious something is, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Look at it today.
    Warning,
    /// Look at it now.
    Critical,
    /// It is failing.
    Emergency,
}

words!(Severity { Info => "info", Warning => "warning", Critical => "critical", Emergency => "emergency" });

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// Memory against its limit, percent.
    Memory,
    /// CPU against its limit, percent.
    Cpu,
    /// Execution time against its limit, percent.
    ExecutionTime,
    /// File handles against their limit, percent.
    FileHandles,
    /// Threads against their limit, percent.
    Threads,
    /// Responsiveness, 0 to 100.
    Responsiveness,
    /// Health score, 0 to 100.
    Health,
    /// Memory forecast to cross its limit, milliseconds until then.
    MemoryForecast,
    /// Restarts in the window.
    Restarts,
}

words!(Topic {
    Memory => "memory", Cpu => "cpu", ExecutionTime => "execution-time", FileHandles => "file-handles",
    Threads => "threads", Responsiveness => "responsiveness", Health => "health",
    MemoryForecast => "memory-forecast", Restarts => "restarts",
});

/// Something an alert policy found about one process in one tick.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Place of the process in the batch.
    pub subject: usize,
    /// What about.
    pub topic: Topic,
    /// How serious.
    pub severity: Severity,
    /// The measured value, in the unit of the topic.
    pub value: f64,
    /// The threshold it crossed.
    pub threshold: f64,
}

/// An alert as it is told: de-duplicated, after cooldown and escalation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// Which process.
    pub process_id: ProcessId,
    /// Its name.
    pub name: String,
    /// What about.
    pub topic: Topic,
    /// How serious now; raised when the alert persists.
    pub severity: Severity,
    /// The measured value, in the unit of the topic.
    pub value: f64,
    /// The threshold it crossed.
    pub threshold: f64,
    /// One line for a person.
    pub message: String,
    /// When it was first found.
    pub since_ms: Timestamp,
}
