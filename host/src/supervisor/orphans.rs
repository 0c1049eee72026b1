//! Processes that nobody owns any more: what the supervisor's last life left, and what ended runs left behind.
//!
//! Found by the identity of the run that they belong to (pid, start and boot), or by the mark in their environment.

use std::collections::HashSet;
use std::time::Duration;

use super::message::Message;
use super::task::Task;
use super::timers::Due;
use super::trees::Look;
use crate::event::EventBody;
use crate::lifecycle::later;
use crate::platform::{self, Tree};
use crate::record::{ProcessRecord, Status};
use crate::registry::Counter;
use crate::spec::{ProcessId, StopSignal};
use crate::units::Timestamp;

/// Time between two looks at processes that are being ended: they are nobody's children, so nothing tells their end.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// End runs of the last life that are nobody's any more; gives the pids that were found. Nothing is started before this
/// is done.
pub(super) async fn end_strays(trees: Vec<Tree>, grace: Duration, kill_wait: Duration) -> Vec<u32> {
    if trees.is_empty() {
        return Vec::new();
    }
    let trees = blocking(move || recorded_alive(trees)).await.unwrap_or_default();
    end(trees, grace, kill_wait).await
}

/// What is on record of a process that does not go on.
pub(super) fn close(record: &mut ProcessRecord, at: Timestamp) {
    record.status = Status::Crashed;
    record.reason = "the supervisor died".to_owned();
    record.ended_at_ms = Some(at);
    (record.next_restart_at_ms, record.queue_position) = (None, None);
    record.child_pids.clear();
}

/// Those of which something lives: the main process itself, or somebody who carries its mark.
fn recorded_alive(trees: Vec<Tree>) -> Vec<Tree> {
    let ids = trees.iter().map(|tree| &tree.process_id);
    let marked: HashSet<ProcessId> = platform::scan_for(ids).into_iter().map(|(id, _)| id).collect();
    trees.into_iter().filter(|tree| platform::is_alive(&tree.leader) || marked.contains(&tree.process_id)).collect()
}

/// Ask all these trees to end, wait, kill what is left, wait again. Gives the pids that were found.
async fn end(trees: Vec<Tree>, grace: Duration, kill_wait: Duration) -> Vec<u32> {
    let mut found = Vec::new();
    let mut left = trees;
    for (signal, patience) in [(StopSignal::TERM, grace), (StopSignal::KILL, kill_wait)] {
        if left.is_empty() {
            return found;
        }
        let (trees, pids) = blocking(move || send(left, signal)).await.unwrap_or_default();
        if found.is_empty() {
            found = pids;
        }
        left = wait_for_end(trees, patience).await;
    }
    for tree in left {
        tracing::error!(process = %tree.process_id, pid = tree.leader.pid, "survived SIGKILL");
    }
    found
}

fn send(trees: Vec<Tree>, signal: StopSignal) -> (Vec<Tree>, Vec<u32>) {
    let pids = platform::members_of(&trees).concat();
    let orders: Vec<_> = trees.iter().map(|tree| (tree.clone(), signal)).collect();
    for (tree, done) in trees.iter().zip(platform::signal_all(&orders)) {
        if let Err(error) = done {
            tracing::warn!(process = %tree.process_id, pid = tree.leader.pid, %error, "cannot reach the whole tree");
        }
    }
    (trees, pids)
}

/// Those that are still there after so long.
async fn wait_for_end(trees: Vec<Tree>, patience: Duration) -> Vec<Tree> {
    let deadline: tokio::time::Instant = later(tokio::time::Instant::now().into_std(), patience).into();
    let (mut left, mut pause) = (trees, FIRST_PAUSE);
    loop {
        let looked_at = left;
        left = blocking(move || still_there(looked_at)).await.unwrap_or_default();
        if left.is_empty() || tokio::time::Instant::now() >= deadline {
            return left;
        }
        tokio::time::sleep_until(deadline.min(tokio::time::Instant::now() + pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn still_there(trees: Vec<Tree>) -> Vec<Tree> {
    let found = platform::members_of(&trees);
    trees.into_iter().zip(found).filter(|(_, found)| !found.is_empty()).map(|(tree, _)| tree).collect()
}

/// Do this away from the runtime's threads; nothing when the runtime is being shut down.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

impl Task {
    /// Count and name processes that were nobody's and have been ended.
    pub(super) fn tell_orphans(&mut self, pids: Vec<u32>, origin: &str) {
        if !pids.is_empty() {
            self.outbox.count(Counter::Orphans(pids.len() as u64));
            self.outbox.event(EventBody::OrphansCleaned { count: pids.len(), pids, origin: origin.to_owned() });
        }
    }

    /// A run has ended: look for leftovers in a while. A supervisor whose runs all live has nothing to look for.
    pub(super) fn want_clean_up(&mut self) {
        if !self.due.clean_up && self.closing.is_none() {
            self.due.clean_up = true;
            let due = later(self.now, self.config.orphan_cleanup_interval.get());
            self.timers.arm(due, Due::Orphans);
        }
    }

    pub(super) fn look_for_leftovers(&mut self) {
        self.due.clean_up = false;
        let messages = self.messages.clone();
        let ended = self.processes.iter().filter(|(_, process)| process.life.state().is_ended());
        let ended: Vec<ProcessId> = ended.map(|(id, _)| id.clone()).collect();
        tokio::task::spawn_blocking(move || {
            let ids: HashSet<ProcessId> = platform::scan_for(&ended).into_iter().map(|(id, _)| id).collect();
            // An error means that the supervisor is gone.
            let _ = messages.blocking_send(Message::Marked(ids.into_iter().collect()));
        });
    }

    /// Marks were found; those of ended processes are leftovers. They had their grace when their run ended.
    pub(super) fn clean_up(&mut self, marked: Vec<ProcessId>) {
        self.outbox.count(Counter::CleanedUp);
        for id in marked {
            // Others' marks are others' business: another supervisor may live beside this one.
            let Some(process) = self.processes.get_mut(&id) else { continue };
            let Some(leader) = process.last_run.as_deref().cloned() else { continue };
            if process.life.state().is_ended() && !process.cleaning {
                process.cleaning = true;
                let tree = Tree { leader, process_id: id, keeper: process.keeper, cgroup: process.group.clone() };
                self.trees.look(tree, Look::Clean);
            }
        }
    }

    pub(super) fn cleaned_up(&mut self, id: &ProcessId, pids: Vec<u32>) {
        if let Some(process) = self.processes.get_mut(id) {
            process.cleaning = false;
        }
        if pids.is_empty() {
            return;
        }
        self.tell_orphans(pids, "ended-run");
        // Once more in a while, for what was born meanwhile.
        self.want_clean_up();
    }
}
