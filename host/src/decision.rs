//! Decisions: one answer of a policy, with its provenance; and the questions the host asks.
//!
//! Owns the vocabulary on the host's side of the policy boundary. `policy` converts it to and from WIT; every other
//! room sees only this. It does no I/O.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::health::words;
use crate::sample::{Direction, ExitStatus};
use crate::spec::Identity;
use crate::units::Timestamp;

/// Which of the four questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PolicyKind {
    /// May this command run?
    Admission,
    /// How healthy is this process?
    Health,
    /// Does it come back, and when?
    Restart,
    /// Does anything deserve attention?
    Alert,
}

words!(PolicyKind { Admission => "admission", Health => "health", Restart => "restart", Alert => "alert" });

/// Where a decision came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Provenance {
    /// The reference of the binding, for example `builtin:health-score`.
    pub plugin: Arc<str>,
    /// The plugin's own name and version, for example `health-score 0.1.0`.
    pub version: Arc<str>,
    /// SHA-256 of the component, hexadecimal.
    pub digest: Arc<str>,
    /// Which installation of a policy set answered; a swap raises it.
    pub generation: u64,
    /// How long the call took, microseconds.
    pub took_us: u64,
    /// Who really answered, when it was not the bound plugin, and why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fallback: Option<Fallback>,
}

/// The bound plugin did not answer; somebody else did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fallback {
    /// What went wrong.
    pub fault: FaultKind,
    /// The same in words.
    pub message: String,
    /// Who answered: `default` (the embedded plugin), `allow`, `deny`, `hold` or `constant`.
    pub answered_by: AnsweredBy,
}

/// Who answered in place of a plugin that did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnsweredBy {
    /// The embedded default plugin of the kind, with its default settings.
    Default,
    /// The rule `allow`.
    Allow,
    /// The rule `deny`.
    Deny,
    /// The rule `hold`: nothing changes.
    Hold,
    /// The constant of the kind: deny, unknown, longest delay, no alert.
    Constant,
}

words!(AnsweredBy { Default => "default", Allow => "allow", Deny => "deny", Hold => "hold", Constant => "constant" });

/// What can go wrong with a call. `Refused` is the plugin's own word; all others are failures of the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// It answered that it cannot judge this.
    Refused,
    /// It trapped: unreachable, out of bounds, stack overflow, invalid text.
    Trap,
    /// It did not answer before its deadline.
    Deadline,
    /// It wanted more memory or table space than its budget.
    Memory,
    /// It answered something that is not an answer: wrong length, out of range, not a number.
    BadAnswer,
    /// It could not be instantiated or configured.
    Unusable,
}

words!(FaultKind {
    Refused => "refused", Trap => "trap", Deadline => "deadline", Memory => "memory", BadAnswer => "bad-answer",
    Unusable => "unusable",
});

/// An answer and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided<T> {
    /// The answer.
    pub answer: T,
    /// Where it came from.
    pub provenance: Arc<Provenance>,
}

/// What an admission policy is asked. Fields as in the WIT record `admission.request`, which has the full account.
#[derive(Debug, Clone, PartialEq)]
pub struct AdmissionRequest {
    /// Who asks.
    pub identity: Arc<Identity>,
    /// The command as written.
    pub command: String,
    /// The file as found, links not resolved.
    pub found: Option<String>,
    /// The file that will be executed.
    pub resolved: Option<String>,
    /// Arguments without the command.
    pub args: Vec<String>,
    /// Working directory, resolved.
    pub directory: String,
    /// Names of the child's variables, sorted.
    pub environment_keys: Vec<String>,
    /// PATH of the child, for the policy's lookups of bare names.
    pub search_path: String,
    /// Limits in force.
    pub limits: crate::spec::Limits,
    /// When it is asked.
    pub now: Timestamp,
}

/// The judgement of the admission policies together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Admission {
    /// It may run.
    Allow,
    /// It may not.
    Deny {
        /// Stable name of the rule, for programs.
        rule: String,
        /// For a person.
        reason: String,
    },
}

/// How a run ended, as the restart policy sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// By itself or by a signal nobody here sent.
    Ended(ExitStatus),
    /// The host ended it because its health failed, at this score.
    Unhealthy(u8),
    /// The host ended it because it broke this limit.
    Limit(LimitKind),
    /// It could not be started; why.
    NotStarted(String),
}

impl Ending {
    /// Whether this is a failure, as `restart = "on-failure"` means it.
    pub const fn is_failure(&self) -> bool {
        !matches!(self, Self::Ended(status) if status.is_success())
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(status) => status.fmt(f),
            Self::Unhealthy(score) => write!(f, "unhealthy, score {score}"),
            Self::Limit(kind) => write!(f, "{kind} limit broken"),
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
        }
    }
}

/// The limits that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LimitKind {
    /// Resident memory.
    Memory,
    /// CPU.
    Cpu,
    /// Time of one run.
    ExecutionTime,
    /// File descriptors.
    FileHandles,
    /// Threads and processes.
    Pids,
    /// Time of the task; afterwards it is stopped for good.
    Timeout,
}

words!(LimitKind {
    Memory => "memory", Cpu => "cpu", ExecutionTime => "execution-time", FileHandles => "file-handles",
    Pids => "pids", Timeout => "timeout",
});

/// An earlier run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PastRun {
    /// When it started.
    pub started_at_ms: Timestamp,
    /// How long it lasted, milliseconds.
    pub lasted_ms: u64,
    /// How it ended.
    pub ending: Ending,
}

/// What a restart policy is asked. Fields as in the WIT record `restart.failure`; jitter seed and time are added by
/// the policy host.
#[derive(Debug, Clone, PartialEq)]
pub struct RestartQuestion {
    /// Which process.
    pub identity: Arc<Identity>,
    /// How the run ended.
    pub ending: Ending,
    /// How long it lasted.
    pub lasted: Duration,
    /// What the policy answered as `attempt` last time; 0 after a start by a person or the configuration.
    pub attempts: u32,
    /// Limit set on the process itself.
    pub max_attempts: Option<u32>,
    /// Restarts since it was registered.
    pub restarts_total: u32,
    /// Up to 16 runs before this one, newest first.
    pub history: Vec<PastRun>,
}

/// The judgement of a restart policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartDecision {
    /// Come back.
    RestartAfter {
        /// After this long, milliseconds.
        delay_ms: u64,
        /// Which attempt this is, 1 or more.
        attempt: u32,
    },
    /// Leave it down.
    GiveUp {
        /// For a person.
        reason: String,
    },
}

/// One process as a health policy sees it. Units and ranges as in the WIT record `health.reading`; 0 = no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "documented once, in wit/0.1/health.wit")]
pub struct HealthReading {
    pub memory_bytes: u64,
    pub memory_limit_bytes: u64,
    pub cpu_percent: f32,
    pub cpu_limit_percent: f32,
    pub execution_ms: u64,
    pub execution_limit_ms: u64,
    pub file_handles: u32,
    pub file_handle_limit: u32,
    pub threads: u32,
    pub thread_limit: u32,
    pub responsiveness: u8,
    pub stability: u8,
    pub memory_slope: f32,
    pub memory_limit_in_ms: u64,
    pub cpu_slope: f32,
    pub memory_direction: Direction,
    pub cpu_direction: Direction,
    pub previous_score: u8,
    pub memo: u64,
}

/// One process as an alert policy sees it. Units and ranges as in the WIT record `alert.subject`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "documented once, in wit/0.1/alert.wit")]
pub struct AlertReading {
    pub memory_percent: f32,
    pub cpu_percent: f32,
    pub execution_percent: f32,
    pub file_handle_percent: f32,
    pub thread_percent: f32,
    pub responsiveness: u8,
    pub score: u8,
    pub status: crate::health::HealthStatus,
    pub memory_limit_in_ms: u64,
    pub recent_restarts: u32,
    pub memo: u64,
}
