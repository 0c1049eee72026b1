//! Control groups, version 2: one for each run, below a directory that is ours.
//!
//! ```text
//! base/                 delegated to us; its controllers are enabled, so it has no processes of its own
//!   supervisor/         this process and whoever else was in base
//!   run-<process>-<n>/  all of one run, and nothing else
//! ```
//!
//! Owns nothing but the name of the base directory: the state is the kernel's. The supervisor enters through
//! `platform`, and `tree` and `sampler` from within. Every path is given, so that a directory of plain files serves
//! the tests. Version 1 is not served.

mod end;
mod file;
mod mark;
mod place;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use file::{cannot, get, keyed, number, put, summed};
use place::Ground;

use crate::platform::{Abilities, GroupError, GroupLimits, GroupUsage, GroupsAt};
use crate::spec::ProcessId;

/// Length of the period in which a share of processor time is granted, microseconds: the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;
/// The least the kernel grants in a period, microseconds.
const LEAST_CPU_US: u64 = 1_000;
/// What the names of all groups of runs begin with.
const RUN_PREFIX: &str = "run-";

/// The groups of this supervisor's runs. Cheap to clone; shared by whoever makes, reads and ends runs.
#[derive(Debug, Clone, Default)]
pub struct Cgroups {
    abilities: std::sync::Arc<Abilities>,
}

impl Cgroups {
    /// Find the place for groups and make it ready: our own processes move into a leaf, controllers are enabled, empty
    /// groups of earlier lives are removed. Never fails: when there can be no groups, `abilities` says why.
    ///
    /// `auto` takes our own group if that is not the root, may be written, holds nobody but us, and is marked as
    /// delegated where systemd runs. Call it before anything is started that should be in the leaf.
    pub fn set_up(at: &GroupsAt) -> Self {
        Self::set_up_on(at, Ground::look())
    }

    fn set_up_on(at: &GroupsAt, ground: Result<Ground, String>) -> Self {
        let ready = ground.and_then(|ground| place::choose(at, &ground)).and_then(|base| place::make_ready(&base));
        let groups = Self { abilities: known(ready).into() };
        groups.tidy();
        groups
    }

    /// What `set_up` would find, without changing anything: for doctor.
    pub fn look(at: &GroupsAt) -> Abilities {
        known(Ground::look().and_then(|ground| place::choose(at, &ground)).map(|base| place::could_do(&base)))
    }

    /// What the kernel can do for runs here.
    pub fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    /// Make the group of a run, with its limits. `None` when runs get no groups here.
    ///
    /// # Errors
    /// When the kernel refuses; nothing is left of the group then.
    pub fn create(&self, process: &ProcessId, run: u32, limits: &GroupLimits) -> Result<Option<PathBuf>, GroupError> {
        let Some(directory) = self.place_of(process, run) else { return Ok(None) };
        make(&directory)?;
        if let Err(refused) = self.limit(&directory, limits) {
            let _ = end::remove(&directory);
            return Err(refused);
        }
        Ok(Some(directory))
    }

    /// The group that a run of an earlier life has, if it has one: it is found by its name.
    pub fn existing(&self, process: &ProcessId, run: u32) -> Option<PathBuf> {
        self.place_of(process, run).filter(|directory| directory.is_dir())
    }

    fn place_of(&self, process: &ProcessId, run: u32) -> Option<PathBuf> {
        let base = self.abilities.base.as_deref()?;
        Some(base.join(format!("{RUN_PREFIX}{process}-{run}")))
    }

    /// Put these limits in force, as far as the kernel has them (see `abilities`); what is `None` is lifted.
    ///
    /// # Errors
    /// When the kernel refuses one; those before it are in force then.
    pub fn limit(&self, group: &Path, limits: &GroupLimits) -> Result<(), GroupError> {
        let able = self.abilities();
        let set = |name: &str, operation: &'static str, value: String| {
            let file = group.join(name);
            put(&file, &value).map_err(cannot(operation, &file))
        };
        if able.memory {
            set("memory.high", "slow down for memory in", or_max(limits.memory_high))?;
            set("memory.max", "limit memory in", or_max(limits.memory_max))?;
            set(
                "memory.oom.group",
                "end all of a group together in",
                u8::from(limits.memory_max.is_some()).to_string(),
            )?;
        }
        if able.memory && able.swap {
            // Otherwise a run would evade the limit by being swapped out, and slow everybody down.
            set("memory.swap.max", "limit swap in", or_max(limits.memory_max.map(|_| 0)))?;
        }
        if able.cpu {
            set("cpu.max", "limit processor time in", cpu_max(limits.cpu_percent))?;
            set("cpu.weight", "weigh processor time in", weight(limits.cpu_weight))?;
        }
        if able.pids {
            set("pids.max", "limit threads and processes in", or_max(limits.pids.map(u64::from)))?;
        }
        if able.io {
            set("io.weight", "weigh storage in", weight(limits.io_weight))?;
        }
        Ok(())
    }

    /// Remove the groups of runs in which nobody lives, of whatever life. Those that are in use stay.
    fn tidy(&self) {
        let base = self.abilities.base.iter();
        let is_run = |group: &PathBuf| {
            group.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(RUN_PREFIX))
        };
        for group in base.flat_map(|base| file::groups_in(base)).filter(is_run) {
            if !end::is_populated(&group) {
                // One that cannot be removed is in somebody's use: it is met again in the next life.
                let _ = end::remove(&group);
            }
        }
    }
}

/// Reads and ends the group of one run.
#[derive(Debug, Clone, Copy)]
pub struct Cgroup<'a>(&'a Path);

impl<'a> Cgroup<'a> {
    /// The group in this directory, which need not exist any more.
    pub fn at(directory: &'a Path) -> Self {
        Self(directory)
    }

    /// Pids of all its members, those of groups within it included. Empty when it is gone.
    pub fn members(self) -> Vec<u32> {
        end::members(self.0)
    }

    /// Whether somebody lives in it. Zombies do not.
    pub fn is_populated(self) -> bool {
        end::is_populated(self.0)
    }

    /// What it has counted so far.
    pub fn usage(self) -> GroupUsage {
        let text = |name| get(self.0, name).unwrap_or_default();
        let (cpu, memory, io) = (text("cpu.stat"), text("memory.events"), get(self.0, "io.stat"));
        GroupUsage {
            memory_bytes: number(self.0, "memory.current"),
            memory_peak_bytes: number(self.0, "memory.peak"),
            cpu_us: keyed(&cpu, "usage_usec"),
            cpu_throttled: keyed(&cpu, "nr_throttled").unwrap_or(0),
            pids: number(self.0, "pids.current"),
            pids_refused: keyed(&text("pids.events"), "max").unwrap_or(0),
            disk_read_bytes: io.as_deref().map(|io| summed(io, "rbytes")),
            disk_written_bytes: io.as_deref().map(|io| summed(io, "wbytes")),
            out_of_memory: keyed(&memory, "oom").unwrap_or(0),
            oom_kills: keyed(&memory, "oom_kill").unwrap_or(0),
        }
    }

    /// Kill all its members, without a gap through which one could fork away.
    ///
    /// # Errors
    /// When the system forbids it.
    pub fn kill(self) -> Result<(), GroupError> {
        end::kill(self.0)
    }

    /// The same on a kernel without `cgroup.kill` (before 5.14): freeze, and kill one by one.
    ///
    /// # Errors
    /// When the system forbids it for a member; the others are killed.
    pub fn kill_one_by_one(self) -> Result<(), GroupError> {
        end::kill_one_by_one(self.0)
    }

    /// Stop every member, or let all go on. They cannot notice it.
    ///
    /// # Errors
    /// When the kernel cannot (before 5.2) or the group is gone.
    pub fn freeze(self, frozen: bool) -> Result<(), GroupError> {
        end::freeze(self.0, frozen)
    }

    /// Make it give way to everybody else: the least weight for processor and storage. Whether anything was set.
    pub fn give_way(self) -> bool {
        let set = |name: &str, value| put(&self.0.join(name), value).is_ok();
        let (processor, storage) = (set("cpu.weight", "1"), set("io.weight", "1"));
        processor || storage
    }

    /// Slow it down while it has more than this much memory, bytes; never for `None`.
    ///
    /// # Errors
    /// When the kernel does not limit memory here.
    pub fn slow_above(self, memory_bytes: Option<u64>) -> Result<(), GroupError> {
        let file = self.0.join("memory.high");
        put(&file, &or_max(memory_bytes)).map_err(cannot("slow down for memory in", &file))
    }

    /// Wait until nobody lives in it, at most this long; whether that came true. Stands still on the kernel's
    /// notification.
    ///
    /// # Errors
    /// When the kernel's file of events cannot be read.
    pub fn wait_empty(self, patience: Duration) -> io::Result<bool> {
        end::wait_empty(self.0, patience)
    }

    /// Take it away, with the groups that its processes have made in it. One that is gone is no error.
    ///
    /// # Errors
    /// When somebody still lives in it.
    pub fn remove(self) -> Result<(), GroupError> {
        end::remove(self.0)
    }
}

fn known(found: Result<Abilities, String>) -> Abilities {
    let abilities = found.unwrap_or_else(|reason| Abilities { reason, ..Abilities::default() });
    Abilities { exit_info: kernel_version().is_some_and(|version| version >= (6, 15)), ..abilities }
}

fn kernel_version() -> Option<(u32, u32)> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Make the directory. One that is left of this very run and empty is replaced, so that its counts begin anew.
fn make(directory: &Path) -> Result<(), GroupError> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            end::remove(directory)?;
            fs::create_dir(directory).map_err(cannot("make", directory))
        }
        other => other.map_err(cannot("make", directory)),
    }
}

fn or_max(limit: Option<u64>) -> String {
    limit.map_or_else(|| "max".to_owned(), |limit| limit.to_string())
}

fn weight(weight: Option<u32>) -> String {
    weight.unwrap_or(100).clamp(1, 10_000).to_string()
}

/// Processor time of a period and the period, as `cpu.max` takes them.
fn cpu_max(percent: Option<f64>) -> String {
    let share = |percent: f64| ((percent / 100.0 * CPU_PERIOD_US as f64) as u64).max(LEAST_CPU_US);
    format!("{} {CPU_PERIOD_US}", or_max(percent.map(share)))
}

#[cfg(test)]
mod tests;
