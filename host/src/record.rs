//! What is known of every process: records, queries over them, and the figures that sum them up.
//!
//! Owns the vocabulary of the registry. The library, the API and the CLI use these same types. It does no I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::care::Care;
use crate::decision::{LimitKind, PastRun};
use crate::health::{Health, HealthStatus, IssueSet, words};
use crate::sample::{ExitStatus, RunIdentity, Sample, SystemLoad, Trend};
use crate::spec::{Priority, ProcessId, RestartMode};
use crate::units::{Bytes, Timestamp};

/// Where a process is in its life, for outsiders. A total function of the internal state (`lifecycle`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Waits for a place.
    Queued,
    /// A run is being started.
    Starting,
    /// A run exists.
    Running,
    /// A run exists and has done nothing for a while.
    Idle,
    /// Asked to stop.
    Stopping,
    /// Down because it was asked to be, or because its work is done.
    Stopped,
    /// Waits for a restart.
    Backoff,
    /// Could not be started, or given up on.
    Error,
    /// Ended by failure and not wanted back.
    Crashed,
}

words!(Status {
    Queued => "queued", Starting => "starting", Running => "running", Idle => "idle", Stopping => "stopping",
    Stopped => "stopped", Backoff => "backoff", Error => "error", Crashed => "crashed",
});

impl Status {
    /// Whether nothing more happens to the process until somebody starts it.
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Stopped | Self::Error | Self::Crashed)
    }
}

impl std::str::FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_word(text, Self::ALL, Self::as_str)
    }
}

/// Find the value whose word is `text`, or say which words there are.
pub(crate) fn parse_word<T: Copy>(text: &str, all: &[T], word: impl Fn(T) -> &'static str) -> Result<T, String> {
    all.iter().copied().find(|value| word(*value) == text).ok_or_else(|| {
        let known: Vec<_> = all.iter().map(|value| word(*value)).collect();
        format!("`{text}` is none of {}", known.join(", "))
    })
}

/// A limit in force and who enforces it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LimitInForce {
    /// Which.
    pub kind: LimitKind,
    /// Its value for people, for example `2GiB`, or `off`.
    pub value: String,
    /// Its value as a number in the metric's own unit (bytes, percent, milliseconds, count); absent when off.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub threshold: Option<f64>,
    /// `kernel`, `monitor`, `kernel+monitor` or `none`.
    pub enforced_by: String,
}

/// Everything that is known of one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessRecord {
    /// Stable id.
    pub process_id: ProcessId,
    /// Name.
    pub name: String,
    /// What work it belongs to.
    pub task_id: String,
    /// Kind of worker.
    pub agent_type: String,
    /// Scheduling class.
    pub priority: Priority,
    /// The command as written.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Working directory.
    pub directory: String,
    /// Free labels.
    pub tags: Vec<String>,
    /// Free data.
    pub metadata: BTreeMap<String, String>,
    /// When it is wanted back.
    pub restart: RestartMode,
    /// Where it is in its life.
    pub status: Status,
    /// Why it is there, for a person; empty when there is nothing to say.
    pub reason: String,
    /// Health as the registry counts it.
    pub health: Health,
    /// Score of the health policy, 0 to 100; absent before the first.
    pub health_score: Option<u8>,
    /// Status of the health policy.
    pub health_status: Option<HealthStatus>,
    /// What is wrong.
    pub issues: IssueSet,
    /// The live run, or the last.
    pub run: Option<RunIdentity>,
    /// Number of the live or last run, 1 for the first, 0 before it.
    pub run_number: u32,
    /// Pid of the supervisor.
    pub parent_pid: u32,
    /// Pids of the descendants at the last sample, at most 64.
    pub child_pids: Vec<u32>,
    /// When it was accepted.
    pub registered_at_ms: Timestamp,
    /// When the live or last run started.
    pub started_at_ms: Option<Timestamp>,
    /// When it last used the processor or did I/O worth counting.
    pub last_active_at_ms: Option<Timestamp>,
    /// When it came to its end.
    pub ended_at_ms: Option<Timestamp>,
    /// When it was last restarted.
    pub last_restart_at_ms: Option<Timestamp>,
    /// When the pending restart is due.
    pub next_restart_at_ms: Option<Timestamp>,
    /// Restarts since it was registered.
    pub restarts: u32,
    /// How the last run ended.
    pub exit: Option<ExitStatus>,
    /// The last sample of the live or last run.
    pub usage: Option<Sample>,
    /// Largest memory seen over all runs.
    pub peak_memory_bytes: u64,
    /// Processor time of all ended runs, milliseconds (getrusage(2)).
    pub cpu_time_ms: u64,
    /// Trend of memory.
    pub memory_trend: Trend,
    /// Trend of CPU.
    pub cpu_trend: Trend,
    /// 0 (does not answer) to 100.
    pub responsiveness: u8,
    /// 0 (keeps failing) to 100.
    pub stability: u8,
    /// Limits in force.
    pub limits: Vec<LimitInForce>,
    /// What it may not do or see, by key, for a person. Nothing of its environment.
    #[serde(default)]
    pub sandbox: BTreeMap<String, String>,
    /// How often each limit was broken.
    pub violations: BTreeMap<LimitKind, u32>,
    /// Up to 16 ended runs, newest first.
    pub runs: Vec<PastRun>,
    /// Position in the queue, 1 is next; only while queued.
    pub queue_position: Option<usize>,
    /// Where the output goes.
    pub stdout_path: Option<String>,
    /// Where the errors go.
    pub stderr_path: Option<String>,
    /// What the next life of the supervisor needs to go on with it. Holds secrets: it is kept on disk, and in no answer.
    #[serde(skip)]
    pub care: Option<Arc<Care>>,
}

/// Which processes, in what order, and how many of them. Absent fields do not filter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    /// Any of these.
    pub status: Vec<Status>,
    /// Any of these.
    pub health: Vec<Health>,
    /// Glob (`*`, `?`).
    pub agent_type: Option<String>,
    /// Any of these.
    pub priority: Vec<Priority>,
    /// Exactly this.
    pub task_id: Option<String>,
    /// All of these.
    pub tag: Vec<String>,
    /// Glob (`*`, `?`) on the name.
    pub name: Option<String>,
    /// Started at or after.
    pub started_after_ms: Option<Timestamp>,
    /// Started before.
    pub started_before_ms: Option<Timestamp>,
    /// Active within this many milliseconds before now.
    pub active_within_ms: Option<u64>,
    /// Memory of the last sample at least this.
    pub memory_above: Option<Bytes>,
    /// CPU of the last sample at least this many percent of one core.
    pub cpu_above: Option<f32>,
    /// Those that ended in earlier lives of the supervisor too; without it, all of this life, ended ones included.
    pub history: bool,
    /// Order.
    pub sort: SortKey,
    /// Largest, newest or highest first when true.
    pub descending: bool,
    /// At most this many; all when absent.
    pub limit: Option<usize>,
    /// Leave out this many first.
    pub offset: usize,
}

/// What a query sorts by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SortKey {
    /// Start of the live or last run, or registration before the first.
    #[default]
    Start,
    /// Last activity.
    Activity,
    /// Memory of the last sample.
    Memory,
    /// CPU of the last sample.
    Cpu,
    /// Priority, then start.
    Priority,
}

words!(SortKey { Start => "start", Activity => "activity", Memory => "memory", Cpu => "cpu", Priority => "priority" });

/// One page of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Page {
    /// The records of this page.
    pub processes: Vec<Arc<ProcessRecord>>,
    /// How many match in all.
    pub total: usize,
}

/// The whole in figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Statistics {
    /// All that are known, ended ones included.
    pub total: usize,
    /// Those with a live run.
    pub active: usize,
    /// By status, only those above 0.
    pub by_status: BTreeMap<String, usize>,
    /// By health.
    pub by_health: BTreeMap<String, usize>,
    /// By agent type; `-` stands for none.
    pub by_agent_type: BTreeMap<String, usize>,
    /// By priority.
    pub by_priority: BTreeMap<String, usize>,
    /// Mean lifetime of ended runs in the records, milliseconds.
    pub mean_lifetime_ms: u64,
    /// Mean memory of live runs.
    pub mean_memory_bytes: u64,
    /// Memory of all live runs.
    pub total_memory_bytes: u64,
    /// Mean CPU of live runs, percent of one core.
    pub mean_cpu_percent: f32,
    /// File handles of all live runs.
    pub total_file_handles: u64,
    /// Runs started since the supervisor started.
    pub started: u64,
    /// Runs that ended with success.
    pub completed: u64,
    /// Runs that ended by failure.
    pub failed: u64,
    /// Runs that were restarts.
    pub restarted: u64,
    /// Starts that were refused.
    pub refused: u64,
    /// Processes found and ended that nobody owned any more.
    pub orphans: u64,
    /// Recorded pids that had meanwhile been taken by strangers, or were gone.
    pub stale_pids: u64,
    /// Processes that an earlier life had begun and this one goes on with.
    #[serde(default)]
    pub adopted: u64,
    /// Bytes of output that could not be kept.
    #[serde(default)]
    pub output_lost_bytes: u64,
    /// The process that makes and holds runs; absent when they are made by the supervisor itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<HolderState>,
    /// Start of the live process that has lived longest.
    pub oldest_started_at_ms: Option<Timestamp>,
    /// Start of the youngest.
    pub newest_started_at_ms: Option<Timestamp>,
    /// When orphans were last looked for.
    pub last_cleanup_at_ms: Option<Timestamp>,
    /// How long the supervisor has run.
    pub uptime_ms: u64,
    /// The machine.
    pub system: SystemLoad,
    /// Processes that wait for a place.
    pub queued: usize,
    /// Cost of the monitor.
    pub monitor: MonitorCost,
}

/// How the process that makes and holds runs is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HolderState {
    /// Pid of the newest.
    pub pid: u32,
    /// Whether it is gone; the next launch starts another.
    pub lost: bool,
    /// Whether it does not answer.
    pub silent: bool,
    /// How many were lost since the supervisor started.
    pub losses: u64,
}

/// What the monitor's ticks cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MonitorCost {
    /// Ticks done.
    pub ticks: u64,
    /// Ticks skipped because the one before took too long.
    pub ticks_skipped: u64,
    /// Process-samples taken.
    pub samples: u64,
    /// Time of the last tick from sampling to alerts, microseconds.
    pub last_tick_us: u64,
    /// Time per process in the last tick, microseconds.
    pub last_tick_us_per_process: f32,
}
