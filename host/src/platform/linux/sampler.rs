//! Reads runs and their descendants, a few microseconds each.
//!
//! Owns the kept descriptors. One task holds a sampler and calls it once a tick.
//!
//! Processor time and storage bytes of a tree are the sum over its members, each with the children it has waited for
//! (the kernel passes an ended child's figures to its parent). What ends without being waited for takes its figures
//! along; so that the totals never fall, they are made of the rises between samples.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Instant;

use super::files::{DESCRIPTORS, Figures, Files, append_pids, size_counts_handles};
use super::stat::{self, Stat};
use super::sums::{Meter, Sums};
use super::{limits, shared, sys};
use crate::platform::Reading;
use crate::sample::{RunIdentity, Sample};
use crate::units::Timestamp;

/// Every how many samples the children of a process's other threads are looked for; few programs have any there, and
/// it costs a directory listing.
const THREAD_WALK_EVERY: u32 = 8;
/// Descendants that are named at most.
const NAMED_DESCENDANTS: usize = 64;

/// Reads runs. Keeps descriptors open between samples, so sampling costs a few microseconds a process.
///
/// Making one lets this process open as many descriptors as its hard limit allows. It keeps at most half of those, four
/// a process; the processes beyond are opened anew for each sample, which costs about four times as much.
#[derive(Debug)]
pub struct Sampler {
    runs: Vec<Tracked>,
    place: HashMap<u64, usize>,
    machine: Machine,
    scratch: Scratch,
}

/// What holds for all runs.
#[derive(Debug)]
struct Machine {
    page_size: u64,
    ticks_per_second: u64,
    handles_by_size: bool,
    /// Processes whose files may still be kept open.
    may_keep: u64,
}

/// Space that is used again for every process.
#[derive(Debug, Default)]
struct Scratch {
    text: Vec<u8>,
    children: Vec<u32>,
}

impl Default for Sampler {
    fn default() -> Self {
        let descriptors = limits::raise_descriptor_limit().or_else(|_| limits::handles().map(|(soft, _)| soft));
        Self {
            runs: Vec::new(),
            place: HashMap::new(),
            machine: Machine {
                page_size: sys::page_size(),
                ticks_per_second: sys::ticks_per_second(),
                handles_by_size: size_counts_handles(),
                may_keep: descriptors.unwrap_or(1024) / 2 / DESCRIPTORS,
            },
            scratch: Scratch::default(),
        }
    }
}

impl Sampler {
    /// Read this run from now on under `key`; a run that was read under it before is forgotten.
    pub fn track(&mut self, key: u64, leader: RunIdentity) {
        self.track_group(key, leader, None);
    }

    /// The same for a run with a cgroup of its own: whoever is in that is read as well, whatever became of its parent.
    pub fn track_group(&mut self, key: u64, leader: RunIdentity, group: Option<&Path>) {
        self.untrack(key);
        self.place.insert(key, self.runs.len());
        // Without the file the run is read as one without a group.
        let group = group.and_then(|group| File::open(group.join("cgroup.procs")).ok());
        self.runs.push(Tracked::new(key, leader, group));
    }

    /// Forget it.
    pub fn untrack(&mut self, key: u64) {
        let Some(place) = self.place.remove(&key) else { return };
        let run = self.runs.swap_remove(place);
        self.machine.may_keep += run.members.iter().filter(|member| member.files.is_some()).count() as u64;
        if let Some(moved) = self.runs.get(place) {
            self.place.insert(moved.key, place);
        }
    }

    /// Read every tracked run and its descendants; `readings` is cleared first. A run that lives but cannot be read
    /// just now (no descriptor is free) has no reading.
    pub fn sample(&mut self, readings: &mut Vec<Reading>) {
        readings.clear();
        for run in &mut self.runs {
            match run.sample(&mut self.machine, &mut self.scratch) {
                Ok(sample) => readings.push(Reading { key: run.key, sample: Some(sample) }),
                Err(error) if is_gone(&error) => readings.push(Reading { key: run.key, sample: None }),
                Err(_) => {}
            }
        }
    }

    /// Pids of the descendants found at the last sample, at most 64.
    pub fn descendants(&self, key: u64) -> Vec<u32> {
        let run = self.place.get(&key).and_then(|place| self.runs.get(*place));
        let members = run.map_or(&[][..], |run| run.members.get(1..).unwrap_or_default());
        members.iter().filter(|member| member.lives).map(|member| member.pid).take(NAMED_DESCENDANTS).collect()
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// A process of a tracked tree.
#[derive(Debug)]
struct Member {
    pid: u32,
    start_ticks: u64,
    /// Whether it had not ended at the last look. A zombie stays, for its figures are not its parent's yet.
    lives: bool,
    /// Kept open; `None` when there are too many already.
    files: Option<Files>,
}

/// A run that is read.
#[derive(Debug)]
struct Tracked {
    key: u64,
    leader: RunIdentity,
    /// The list of its cgroup's members.
    group: Option<File>,
    /// The leader first, once it has been read. A descendant stays until it ends, even if its parent ends before.
    members: Vec<Member>,
    cpu: Meter,
    disk_read: Meter,
    disk_written: Meter,
    /// When the sample before was taken, by the monotonic clock and in the unit of start times.
    before: Option<(Instant, u64)>,
    samples: u32,
}

impl Tracked {
    fn new(key: u64, leader: RunIdentity, group: Option<File>) -> Self {
        let (cpu, disk_read, disk_written) = Default::default();
        Self { key, leader, group, members: Vec::new(), cpu, disk_read, disk_written, before: None, samples: 0 }
    }

    fn sample(&mut self, machine: &mut Machine, scratch: &mut Scratch) -> io::Result<Sample> {
        let mut sums = Sums::default();
        if self.members.is_empty() {
            self.find_leader(machine)?;
        }
        if let Some(group) = &self.group {
            scratch.children.clear();
            append_pids(group, &mut scratch.text, &mut scratch.children);
            self.welcome(machine, scratch, &mut sums);
        }
        let now = Instant::now();
        let walk_threads = self.samples.is_multiple_of(THREAD_WALK_EVERY);
        let mut next = 0;
        while let Some(member) = self.members.get_mut(next) {
            match member.read(machine, walk_threads, scratch) {
                Ok(figures) => {
                    member.lives = figures.stat.lives();
                    sums.add(&figures, next == 0);
                    next += 1;
                    self.welcome(machine, scratch, &mut sums);
                }
                Err(error) if next > 0 && is_gone(&error) => {
                    let gone = self.members.swap_remove(next);
                    machine.may_keep += u64::from(gone.files.is_some());
                }
                // One descendant that cannot be read just now does not hide the others.
                Err(_) if next > 0 => next += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(self.conclude(&sums, now, machine))
    }

    fn find_leader(&mut self, machine: &mut Machine) -> io::Result<()> {
        if !stat::is_of_this_boot(&self.leader) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (leader, figures) = Member::open(self.leader.pid, machine)?;
        if figures.stat.start_ticks != self.leader.start_ticks {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.members.push(leader.keep(machine));
        Ok(())
    }

    /// Take in the children in `scratch` that are not known yet.
    fn welcome(&mut self, machine: &mut Machine, scratch: &mut Scratch, sums: &mut Sums) {
        for pid in scratch.children.drain(..) {
            if self.members.iter().any(|member| member.pid == pid) {
                continue;
            }
            let Ok((member, figures)) = Member::open(pid, machine) else { continue };
            if figures.stat.start_ticks < self.leader.start_ticks {
                continue;
            }
            // One that is older than the sample before was overlooked then: what it used so far is not of this interval.
            if self.before.is_some_and(|(_, ticks)| figures.stat.start_ticks < ticks) {
                sums.overlooked.add(&figures);
            }
            self.members.push(member.keep(machine));
        }
    }

    fn conclude(&mut self, sums: &Sums, now: Instant, machine: &Machine) -> Sample {
        let ticks = self.cpu.advance(sums.used.cpu_ticks, sums.overlooked.cpu_ticks);
        self.disk_read.advance(sums.used.disk_read, sums.overlooked.disk_read);
        self.disk_written.advance(sums.used.disk_written, sums.overlooked.disk_written);
        let per_second = machine.ticks_per_second as f64;
        let cpu_percent = self.before.map_or(0.0, |(before, _)| {
            let seconds = now.duration_since(before).as_secs_f64();
            if seconds > 0.0 { ticks as f64 / per_second / seconds * 100.0 } else { 0.0 }
        });
        self.before = Some((now, stat::now_ticks()));
        self.samples = self.samples.wrapping_add(1);
        Sample {
            at_ms: Timestamp::now(),
            memory_bytes: self.memory_bytes(sums, machine.page_size),
            cpu_percent: cpu_percent as f32,
            cpu_time_ms: self.cpu.total * 1000 / machine.ticks_per_second,
            threads: sums.threads,
            processes: sums.processes,
            file_handles: sums.handles,
            disk_read_bytes: self.disk_read.total,
            disk_written_bytes: self.disk_written.total,
            state: sums.state,
        }
    }
}

impl Tracked {
    fn memory_bytes(&self, sums: &Sums, page_size: u64) -> u64 {
        let resident = sums.resident_pages * page_size;
        if !shared::may_matter(sums, page_size) {
            return resident;
        }
        let living = self.members.iter().filter(|member| member.lives).map(|member| member.pid);
        shared::proportional_bytes(living).map_or(resident, |proportional| proportional.min(resident))
    }
}

impl Member {
    fn open(pid: u32, machine: &Machine) -> io::Result<(Self, Figures)> {
        let files = Files::open(pid)?;
        // That this read succeeds proves that the process lived until all files were open: they are all its own.
        let figures = files.read(pid, machine.handles_by_size)?;
        let Stat { start_ticks, .. } = figures.stat;
        Ok((Self { pid, start_ticks, lives: figures.stat.lives(), files: Some(files) }, figures))
    }

    /// Keep the files open if there may be more of those.
    fn keep(mut self, machine: &mut Machine) -> Self {
        match machine.may_keep.checked_sub(1) {
            Some(rest) => machine.may_keep = rest,
            None => self.files = None,
        }
        self
    }

    /// Read it, and put its children into `scratch`.
    fn read(&self, machine: &Machine, walk_threads: bool, scratch: &mut Scratch) -> io::Result<Figures> {
        let opened;
        let files = match &self.files {
            Some(files) => files,
            None => {
                opened = Files::open(self.pid)?;
                &opened
            }
        };
        let figures = files.read(self.pid, machine.handles_by_size)?;
        if figures.stat.start_ticks != self.start_ticks {
            return Err(io::ErrorKind::NotFound.into());
        }
        scratch.children.clear();
        if figures.stat.threads > 1 && walk_threads {
            stat::children_of(self.pid, figures.stat.threads, &mut scratch.children);
        } else {
            files.children(&mut scratch.text, &mut scratch.children);
        }
        Ok(figures)
    }
}
