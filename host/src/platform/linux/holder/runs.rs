//! The runs in the holder's hands: a table with a fixed number of places.
//!
//! Owns what is known of each run, from its birth until its end has been settled. Only `server` enters.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;

use super::streams::RunOutput;
use super::wire::Key;
use crate::sample::RunExit;

/// Places. The table takes memory as far as there are runs.
pub(super) const PLACES: usize = 16_384;

/// One run.
pub(super) struct Run {
    pub(super) key: Key,
    pub(super) pid: u32,
    /// Clock ticks since boot.
    pub(super) start_ticks: u64,
    pub(super) state: RunState,
    /// Its streams, as far as they are captured.
    pub(super) streams: [Option<usize>; 2],
    /// The same for the next holder.
    pub(super) outputs: Vec<RunOutput>,
}

/// Where a run is in its life.
pub(super) enum RunState {
    /// It lives and is this process's child.
    Child,
    /// It lives and is the child of a holder that is gone; known by its pidfd.
    Foreign(OwnedFd),
    /// It lives no more, and nothing is known of its end yet: the journal may say more.
    Lost,
    /// It has ended; `told` once the attached daemon has been told.
    Ended { end: RunExit, told: bool },
}

/// The table. Bounded: every index in it belongs to one of `PLACES` places, and stands in `news` once at most.
pub(super) struct Runs {
    places: Vec<Option<Run>>,
    free: Vec<usize>,
    by_pid: BTreeMap<u32, usize>,
    by_key: BTreeMap<Key, usize>,
    /// Ended and not told yet, oldest first.
    news: VecDeque<usize>,
    /// Living ones whose end is on record already: the daemon was faster. A part of `by_key`.
    settled_early: BTreeSet<Key>,
}

impl Runs {
    pub(super) fn new() -> Self {
        let (by_pid, by_key) = (BTreeMap::new(), BTreeMap::new());
        let settled_early = BTreeSet::new();
        Self { places: Vec::new(), free: Vec::new(), by_pid, by_key, news: VecDeque::new(), settled_early }
    }

    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty() && self.places.len() >= PLACES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    /// Give a run its place; `None` when there is none or its key is taken.
    pub(super) fn add(&mut self, run: Run) -> Option<usize> {
        if self.is_full() || self.contains(&run.key) {
            return None;
        }
        let (key, pid) = (run.key.clone(), run.pid);
        let (is_child, has_ended) = (matches!(run.state, RunState::Child), matches!(run.state, RunState::Ended { .. }));
        let index = match self.free.pop() {
            Some(index) => {
                *self.places.get_mut(index)? = Some(run);
                index
            }
            None => {
                self.places.push(Some(run));
                self.places.len() - 1
            }
        };
        if is_child {
            self.by_pid.insert(pid, index);
        }
        if has_ended {
            self.news.push_back(index);
        }
        self.by_key.insert(key, index);
        Some(index)
    }

    pub(super) fn at(&self, index: usize) -> Option<&Run> {
        self.places.get(index)?.as_ref()
    }

    pub(super) fn at_mut(&mut self, index: usize) -> Option<&mut Run> {
        self.places.get_mut(index)?.as_mut()
    }

    /// Places that are or were in use; to go through all runs, a few at a time.
    pub(super) fn extent(&self) -> usize {
        self.places.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Run> {
        self.by_key.values().filter_map(|index| self.at(*index))
    }

    /// The place of the child with this pid.
    pub(super) fn child(&self, pid: u32) -> Option<usize> {
        self.by_pid.get(&pid).copied()
    }

    /// The place of the run with this name.
    pub(super) fn place(&self, key: &Key) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// This run has ended: news.
    pub(super) fn end(&mut self, index: usize, end: RunExit) {
        let Some(Some(run)) = self.places.get_mut(index) else { return };
        if matches!(run.state, RunState::Ended { .. }) {
            return;
        }
        if matches!(run.state, RunState::Child) {
            self.by_pid.remove(&run.pid);
        }
        run.state = RunState::Ended { end, told: false };
        self.news.push_back(index);
    }

    /// The oldest end that has not been told; told now.
    pub(super) fn next_news(&mut self) -> Option<(Key, RunExit)> {
        while let Some(index) = self.news.pop_front() {
            if let Some(Some(Run { key, state: RunState::Ended { end, told }, .. })) = self.places.get_mut(index)
                && !std::mem::replace(told, true)
            {
                return Some((key.clone(), *end));
            }
        }
        None
    }

    /// The daemon is told of this one in the list of all runs.
    pub(super) fn mark_told(&mut self, index: usize) {
        if let Some(Some(Run { state: RunState::Ended { told, .. }, .. })) = self.places.get_mut(index) {
            *told = true;
        }
    }

    /// Whether the end of this run, which has come now, was settled before; asked once.
    pub(super) fn was_settled_early(&mut self, key: &Key) -> bool {
        self.settled_early.remove(key)
    }

    /// Forget a run that has ended; whether there was one. One that has not is forgotten at its end: a daemon that watches
    /// the runs of a dead holder itself may see an end first.
    pub(super) fn settle(&mut self, key: &Key) -> bool {
        let Some(index) = self.by_key.get(key).copied() else { return false };
        if !self.at(index).is_some_and(|run| matches!(run.state, RunState::Ended { .. })) {
            self.settled_early.insert(key.clone());
            return false;
        }
        self.by_key.remove(key);
        if let Some(place) = self.places.get_mut(index) {
            *place = None;
            // A stale entry in `news` would make the next run of this place known twice; there are few.
            self.news.retain(|other| *other != index);
            self.free.push(index);
        }
        true
    }
}

#[cfg(test)]
mod tests;
