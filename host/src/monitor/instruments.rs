//! What the monitor measures with. Moves to a blocking thread for each tick and back.
//!
//! Owns the sampler and the system probe. Only the monitor's task enters.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::platform::{Reading, Sampler, SystemProbe};
use crate::sample::{RunIdentity, SystemLoad};

/// Something the sampler must learn before it next reads.
pub(super) enum Watch {
    /// Read this run from now on, with whoever is in its cgroup.
    Track(u64, RunIdentity, Option<PathBuf>),
    /// Forget this one.
    Untrack(u64),
}

/// The sampler, and what it read last.
#[derive(Default)]
pub(super) struct Instruments {
    sampler: Sampler,
    system: SystemProbe,
    /// Descendants as last told; only runs that have some are in it.
    children: HashMap<u64, Vec<u32>>,
    /// What was read last; reused between ticks.
    pub(super) readings: Vec<Reading>,
    /// Descendants of runs whose descendants have changed.
    pub(super) changed_children: HashMap<u64, Vec<u32>>,
    /// The machine's own figures.
    pub(super) load: SystemLoad,
}

impl Instruments {
    /// What to read from now on.
    pub(super) fn learn(&mut self, watches: impl IntoIterator<Item = Watch>) {
        for watch in watches {
            match watch {
                Watch::Track(key, run, group) => self.sampler.track_group(key, run, group.as_deref()),
                Watch::Untrack(key) => {
                    self.sampler.untrack(key);
                    self.children.remove(&key);
                }
            }
        }
    }

    /// Read everything. Blocks for some microseconds a run.
    pub(super) fn measure(&mut self) {
        self.sampler.sample(&mut self.readings);
        self.load = self.system.read();
        self.changed_children = HashMap::new();
        for reading in &self.readings {
            let has_some = reading.sample.is_some_and(|sample| sample.processes > 1);
            if !has_some && !self.children.contains_key(&reading.key) {
                continue;
            }
            let now = self.sampler.descendants(reading.key);
            if self.children.get(&reading.key).is_none_or(|before| *before != now) {
                self.changed_children.insert(reading.key, now.clone());
            }
            if now.is_empty() {
                self.children.remove(&reading.key);
            } else {
                self.children.insert(reading.key, now);
            }
        }
    }
}
