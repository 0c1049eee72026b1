//! What was measured of a run.
//!
//! Owns the vocabulary of readings. Filled by `platform`, read by every room above; it does no I/O.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// One incarnation of a process: identity that survives the reuse of process ids.
///
/// Source: `/proc/PID/stat` field 22 (clock ticks since boot) and `/proc/sys/kernel/random/boot_id`, proc(5).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct RunIdentity {
    /// Process id of the main process, above 0.
    pub pid: u32,
    /// When it started, clock ticks since boot.
    pub start_ticks: u64,
    /// The boot in which `start_ticks` counts.
    pub boot_id: String,
}

/// One reading of a run: its main process and all descendants together, unless a field says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sample {
    /// When it was taken.
    pub at_ms: Timestamp,
    /// Resident memory. Pages that processes of the tree share are counted once where that can matter (Linux: the
    /// proportional size, when all members but the largest hold 8 MiB or more).
    pub memory_bytes: u64,
    /// CPU over the interval since the sample before, percent of one core; 0 in the first sample.
    pub cpu_percent: f32,
    /// Processor time used so far by processes that were seen, milliseconds.
    pub cpu_time_ms: u64,
    /// Threads.
    pub threads: u32,
    /// Processes, the main one included.
    pub processes: u32,
    /// Open file descriptors.
    pub file_handles: u32,
    /// Bytes read from storage so far.
    pub disk_read_bytes: u64,
    /// Bytes written to storage so far.
    pub disk_written_bytes: u64,
    /// Scheduler state of the main process, `R S D Z T`, proc(5).
    pub state: ProcessState,
}

/// Scheduler state of a main process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessState {
    /// On a processor or ready for one.
    Running,
    /// Waiting, interruptible.
    #[default]
    Sleeping,
    /// Waiting and not interruptible: usually for storage.
    Uninterruptible,
    /// Stopped by a signal or a debugger.
    Stopped,
    /// Ended, not yet reaped.
    Zombie,
}

/// The machine as a whole, from the system's own figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SystemLoad {
    /// Memory that is not available, percent of all.
    pub memory_in_use_percent: f32,
    /// One-minute load average per core, percent.
    pub load_per_core_percent: f32,
    /// Cores.
    pub cores: u32,
    /// Physical memory.
    pub memory_total_bytes: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// With this code, 0 to 255.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It ended and nobody can tell how.
    Unknown,
}

impl ExitStatus {
    /// Whether it ended by itself with code 0.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl std::fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => f.write_str(&crate::spec::signal_name(*number)),
            Self::Unknown => f.write_str("unknown end"),
        }
    }
}

/// The end of a run with what the kernel counted over its life.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunExit {
    /// How it ended.
    pub status: ExitStatus,
    /// When the end was seen.
    pub at_ms: Timestamp,
    /// Processor time in user mode, of the main process and its waited-for children, milliseconds (getrusage(2)).
    pub user_time_ms: u64,
    /// Processor time in kernel mode, the same way.
    pub system_time_ms: u64,
    /// Largest resident size of the main process or one of its waited-for children, bytes; 0 when the platform cannot
    /// tell it (the samples of the monitor then give the peak that was seen).
    pub peak_memory_bytes: u64,
}

/// Direction of a metric over the trend window, where less is better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Too few samples to tell.
    #[default]
    Unknown,
    /// Falling.
    Improving,
    /// No significant slope.
    Stable,
    /// Rising.
    Deteriorating,
}

/// Slope of a metric, its direction and where it leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trend {
    /// Units of the metric per second.
    pub slope_per_second: f32,
    /// What the slope means.
    pub direction: Direction,
    /// Milliseconds until the metric is forecast to cross its limit; absent when it is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit_in_ms: Option<u64>,
    /// How much of the variation the line explains, 0 to 1 (coefficient of determination).
    pub confidence: f32,
}
