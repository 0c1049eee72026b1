//! Limits of a process: as written, and in force once every default is filled in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::IoPriority;
use crate::units::{Bytes, CountOrOff, OrOff, Percent, Span};

/// Limits of one process; what is absent is taken from the defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Resident memory of the whole tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<OrOff<Bytes>>,
    /// CPU of the whole tree, percent of one core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<OrOff<Percent>>,
    /// How long one run may last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_time: Option<OrOff<Span>>,
    /// Open file descriptors of one process (`RLIMIT_NOFILE`) and, by the monitor, of the main process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_handles: Option<CountOrOff>,
    /// Threads and processes of the whole tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<CountOrOff>,
    /// How long a task may take; afterwards it is stopped for good and not restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<OrOff<Span>>,
    /// Size of a core dump (`RLIMIT_CORE`); inherited when absent or off, `"0B"` for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<OrOff<Bytes>>,
    /// Size of a file that it writes (`RLIMIT_FSIZE`); inherited when absent or off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<OrOff<Bytes>>,
    /// Order at the disk: `"idle"`, or `"best-effort:0"` (first) to `"best-effort:7"`; inherited when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_priority: Option<IoPriority>,
    /// What happens where the kernel cannot keep a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<LimitEnforcement>,
}

/// Who must keep the limits on memory, CPU and threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LimitEnforcement {
    /// The kernel where it can, the monitor otherwise.
    #[default]
    BestEffort,
    /// The kernel: where it cannot, the process is not started.
    Require,
}

/// Limits in force for a process, every default filled in; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Resident memory of the whole tree.
    pub memory: Option<Bytes>,
    /// CPU of the whole tree, percent of one core.
    pub cpu: Option<Percent>,
    /// How long one run may last.
    pub execution_time: Option<std::time::Duration>,
    /// Open file descriptors.
    pub file_handles: Option<u32>,
    /// Threads and processes of the whole tree.
    pub pids: Option<u32>,
    /// How long a task may take in one run before it is stopped for good.
    pub timeout: Option<std::time::Duration>,
    /// Size of a core dump.
    pub core: Option<Bytes>,
    /// Size of a file that it writes.
    pub file_size: Option<Bytes>,
    /// Order at the disk; inherited when absent.
    pub io_priority: Option<IoPriority>,
    /// What happens where the kernel cannot keep one.
    pub enforcement: LimitEnforcement,
}

impl Default for Limits {
    /// The seed's defaults: 2 GiB, 80 % of one core, 10 min, 100 handles, 512 threads, 5 min.
    fn default() -> Self {
        Self {
            memory: Some(Bytes(2 << 30)),
            cpu: Some(Percent(80.0)),
            execution_time: Some(std::time::Duration::from_secs(600)),
            file_handles: Some(100),
            pids: Some(512),
            timeout: Some(std::time::Duration::from_secs(300)),
            core: None,
            file_size: None,
            io_priority: None,
            enforcement: LimitEnforcement::BestEffort,
        }
    }
}

impl Limits {
    /// These limits with what `settings` says put over them.
    #[must_use]
    pub fn overridden_by(self, settings: &LimitSettings) -> Self {
        fn pick<T, U>(own: Option<U>, inherited: Option<T>, limit: impl Fn(U) -> Option<T>) -> Option<T> {
            own.map_or(inherited, limit)
        }
        Self {
            memory: pick(settings.memory, self.memory, OrOff::limit),
            cpu: pick(settings.cpu, self.cpu, OrOff::limit),
            execution_time: pick(settings.execution_time, self.execution_time, |s| s.limit().map(Span::get)),
            file_handles: pick(settings.file_handles, self.file_handles, |c| c.0),
            pids: pick(settings.pids, self.pids, |c| c.0),
            timeout: pick(settings.timeout, self.timeout, |s| s.limit().map(Span::get)),
            core: pick(settings.core, self.core, OrOff::limit),
            file_size: pick(settings.file_size, self.file_size, OrOff::limit),
            io_priority: settings.io_priority.or(self.io_priority),
            enforcement: settings.enforcement.unwrap_or(self.enforcement),
        }
    }
}
