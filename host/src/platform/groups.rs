//! A run's own control group (cgroup v2) in plain values: where groups are kept, what they can do here, what they limit,
//! what they have counted.
//!
//! Owns the vocabulary only; `linux/cgroup` does the work. The supervisor, the configuration and doctor enter.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the groups of runs are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum GroupsAt {
    /// In our own group, when it is clearly ours: see `Cgroups::set_up`.
    #[default]
    Auto,
    /// Nowhere: no run gets a group.
    Off,
    /// In this directory of a mounted cgroup v2 hierarchy; made when it does not exist.
    Directory(PathBuf),
}

impl std::str::FromStr for GroupsAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            path if path.starts_with('/') => Ok(Self::Directory(path.into())),
            other => Err(format!("`{other}` is none of auto, off, or the absolute path of a cgroup v2 directory")),
        }
    }
}

impl fmt::Display for GroupsAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Directory(path) => path.display().fmt(f),
        }
    }
}

impl Serialize for GroupsAt {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GroupsAt {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for GroupsAt {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cgroup".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(auto|off|/.*)$" })
    }
}

/// What the kernel can do for a run in a group of its own. Looked at once; every field is false without groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Abilities {
    /// The directory that holds the groups of runs; `None` when runs get none.
    pub base: Option<PathBuf>,
    /// Why there are no groups, or what was not enabled, for a person; empty when all is there.
    pub reason: String,
    /// Memory can be limited (`memory.max`).
    pub memory: bool,
    /// Swap can be limited as well (`memory.swap.max`); not on a kernel without swap accounting.
    pub swap: bool,
    /// Processor time can be limited and weighed (`cpu.max`, `cpu.weight`).
    pub cpu: bool,
    /// Threads and processes can be limited (`pids.max`).
    pub pids: bool,
    /// Storage can be weighed (`io.weight`).
    pub io: bool,
    /// All of a group can be killed at once (`cgroup.kill`, Linux 5.14); otherwise it is frozen and killed one by one.
    pub kill: bool,
    /// All of a group can be stopped unnoticed (`cgroup.freeze`, Linux 5.2).
    pub freeze: bool,
    /// The kernel measures how long a group waits (`*.pressure`, Linux 4.20 with `psi=1`).
    pub pressure: bool,
    /// The end of a process that is not our child can be asked for (`PIDFD_GET_INFO` with exit codes, Linux 6.15).
    pub exit_info: bool,
}

/// What a run may use, and how it is weighed against others. `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GroupLimits {
    /// Memory of the tree with its page cache, bytes: beyond it, all of the tree is killed together.
    pub memory_max: Option<u64>,
    /// Memory above which the tree is slowed down until it gives some back, bytes.
    pub memory_high: Option<u64>,
    /// Processor time, percent of one core.
    pub cpu_percent: Option<f64>,
    /// Share of processor time when it is short, 1 to 10000; the kernel's default is 100.
    pub cpu_weight: Option<u32>,
    /// Share of storage time when it is short, 1 to 10000; the kernel's default is 100.
    pub io_weight: Option<u32>,
    /// Threads and processes.
    pub pids: Option<u32>,
}

/// What a group has counted since it was made. What its kernel does not count is `None` or 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupUsage {
    /// Memory with page cache, bytes.
    pub memory_bytes: Option<u64>,
    /// Most memory so far, bytes (`memory.peak`, Linux 5.19).
    pub memory_peak_bytes: Option<u64>,
    /// Processor time, microseconds.
    pub cpu_us: Option<u64>,
    /// Periods in which it wanted more processor time than it may have.
    pub cpu_throttled: u64,
    /// Threads and processes now.
    pub pids: Option<u64>,
    /// How often a fork was refused for `pids.max`.
    pub pids_refused: u64,
    /// Bytes read from storage.
    pub disk_read_bytes: Option<u64>,
    /// Bytes written to storage.
    pub disk_written_bytes: Option<u64>,
    /// How often memory ran out for its own limit.
    pub out_of_memory: u64,
    /// Processes that the kernel has killed for want of memory: its own limit's, or the machine's.
    pub oom_kills: u64,
}

/// Why the kernel killed something of a run for want of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfMemory {
    /// The run's own limit was reached.
    Limit,
    /// The machine had none left, or a group around ours.
    Machine,
}

impl GroupUsage {
    /// Whether the kernel has killed for want of memory, and whose.
    pub const fn killed_for_memory(&self) -> Option<OutOfMemory> {
        match (self.oom_kills, self.out_of_memory) {
            (0, _) => None,
            (_, 0) => Some(OutOfMemory::Machine),
            _ => Some(OutOfMemory::Limit),
        }
    }
}

/// A group could not be made, set, read or ended.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {path}: {source}", path = path.display())]
pub struct GroupError {
    /// What was being done, for example `limit memory in`.
    pub operation: &'static str,
    /// To which file or directory.
    pub path: PathBuf,
    /// What the system said.
    pub source: std::io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_auto_off_or_a_path() {
        assert_eq!("auto".parse(), Ok(GroupsAt::Auto));
        assert_eq!("off".parse(), Ok(GroupsAt::Off));
        assert_eq!("/sys/fs/cgroup/jobs".parse(), Ok(GroupsAt::Directory("/sys/fs/cgroup/jobs".into())));
        assert!("jobs".parse::<GroupsAt>().unwrap_err().contains("absolute path"));
    }

    #[test]
    fn a_kill_for_the_machines_memory_is_not_taken_for_one_by_the_limit() {
        let usage = |oom_kills, out_of_memory| GroupUsage { oom_kills, out_of_memory, ..GroupUsage::default() };
        assert_eq!(usage(0, 3).killed_for_memory(), None);
        assert_eq!(usage(1, 0).killed_for_memory(), Some(OutOfMemory::Machine));
        assert_eq!(usage(2, 1).killed_for_memory(), Some(OutOfMemory::Limit));
    }
}
