//! The ends of runs: children are waited for, runs of a dead holder are watched by their pidfds, orphans are reaped.

use std::os::fd::AsFd;

use super::super::super::sys::{self as calls, Child};
use super::super::super::{exit, stat};
use super::super::journal::Entry;
use super::super::runs::{Run, RunState};
use super::super::say;
use super::super::sys::Interest;
use super::{Server, token};
use crate::sample::RunExit;

/// Children waited for in a turn at most.
const REAPED: usize = 256;

impl Server {
    /// Wait for children that have ended.
    pub(super) fn reap(&mut self) {
        for _ in 0..REAPED {
            let Ok(Some(ended)) = calls::reap(Child::Any, false) else {
                self.more_ends = false;
                return;
            };
            // Any other child is an orphan of a run, which nobody asks about.
            if let Some(place) = self.runs.child(ended.pid) {
                self.end(place, exit::end_of(Some(ended)));
            }
        }
        self.more_ends = true;
    }

    /// The run at this place has ended. Its output is taken before anybody is told.
    fn end(&mut self, place: usize, end: RunExit) {
        let Some(run) = self.runs.at(place) else { return };
        let key = run.key.clone();
        self.streams.drain(run.streams);
        self.record(&Entry::Ended { key: key.clone(), end });
        self.runs.end(place, end);
        if self.runs.was_settled_early(&key) {
            self.settle(&key);
        }
    }

    /// Something has changed about a run that a dead holder made.
    pub(super) fn look_at_foreign(&mut self, place: u64) {
        let Ok(place) = usize::try_from(place) else { return };
        let Some(Run { state: RunState::Foreign(pidfd), .. }) = self.runs.at(place) else { return };
        if let Some(end) = exit::end_of_stranger(pidfd.as_fd()) {
            self.epoll.remove(pidfd.as_fd());
            self.end(place, end);
        }
    }

    /// Take over what an earlier holder's journal says.
    pub(in super::super) fn inherit(&mut self, entries: Vec<Entry>) {
        let mut of_this_boot = false;
        for entry in entries {
            match entry {
                Entry::Boot { id } => of_this_boot = id == self.ground.boot_id,
                Entry::Born { key, pid, start_ticks, outputs } => {
                    let run = Run { key, pid, start_ticks, state: RunState::Lost, streams: [None; 2], outputs };
                    self.inherit_run(run, of_this_boot);
                }
                Entry::Ended { key, end } => {
                    if let Some(place) = self.runs.place(&key) {
                        self.runs.end(place, end);
                    }
                }
                Entry::Settled { key } => {
                    if let Some(place) = self.runs.place(&key) {
                        // Only an end can be settled; a damaged journal may lack it.
                        self.runs.end(place, exit::end_of(None));
                        self.runs.settle(&key);
                    }
                }
            }
        }
        self.watch_inherited();
        self.take_up_output();
        self.compact();
    }

    /// Go on with the output of inherited runs. What they have written since their holder's death is in their pipes.
    fn take_up_output(&mut self) {
        for place in 0..self.runs.extent() {
            let Some(run) = self.runs.at_mut(place) else { continue };
            if !matches!(run.state, RunState::Foreign(_)) {
                continue;
            }
            for output in &run.outputs {
                match self.streams.take_up(run.pid, output, &run.key.process_id) {
                    // The first place is that of standard output.
                    Ok(stream) => run.streams[usize::from(output.number != 1)] = stream,
                    Err(error) => {
                        let (number, id) = (output.number, &run.key.process_id);
                        say(format_args!("cannot go on with stream {number} of {id}: {error}"));
                    }
                }
            }
        }
    }

    /// At first every one of them counts as living: its end may come later in the journal.
    fn inherit_run(&mut self, mut run: Run, of_this_boot: bool) {
        // Opened first: what is looked at then is what the descriptor is bound to.
        let pidfd = calls::pidfd_open(run.pid).ok().filter(|_| of_this_boot && is_still(run.pid, run.start_ticks));
        run.state = pidfd.map_or(RunState::Lost, RunState::Foreign);
        if self.runs.add(run).is_none() {
            say(format_args!("a run in the journal has no place"));
        }
    }

    /// Have the kernel tell of the runs that are not our children.
    pub(super) fn watch_inherited(&mut self) {
        for place in 0..self.runs.extent() {
            let watched = match self.runs.at(place).map(|run| &run.state) {
                Some(RunState::Foreign(pidfd)) => {
                    let token = token::FIRST_RUN.saturating_add(place as u64);
                    self.epoll.add(pidfd.as_fd(), Interest::Changes, token).is_ok()
                }
                Some(RunState::Lost) => false,
                _ => true,
            };
            if !watched {
                self.runs.end(place, exit::end_of(None));
            }
        }
    }
}

/// Whether the process with this pid began then and has not ended. A zombie that nobody has waited for counts: its end
/// can still be learnt.
fn is_still(pid: u32, start_ticks: u64) -> bool {
    stat::read_stat(pid).is_ok_and(|stat| stat.start_ticks == start_ticks)
}
