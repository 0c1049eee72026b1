//! Work on process trees: signals, sweeps, throttling. Finding a tree may take a look through all processes, so it is
//! done away from the task, one batch at a time; what comes meanwhile makes the next batch. In a batch signals go first, in order.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::message::{Answer, Message};
use crate::error::{ErrorClass, Problem};
use crate::lifecycle::Sweep;
use crate::platform::{self, Cgroup, Tree};
use crate::spec::{ProcessId, StopSignal};

/// How long the end of killed cgroups is waited for before their members are looked at.
const KILL_TAKES: Duration = Duration::from_millis(20);

/// How to reach the processes of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    All(StopSignal),
    Main(StopSignal),
    Throttle,
}

/// Why to look who is left of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// A run has ended, or should have.
    Sweep { sweep: Sweep, generation: u64 },
    /// An ended run may have left something behind: end it.
    Clean,
}

struct Reaching {
    tree: Tree,
    reach: Reach,
    /// Who wants to know that it is done.
    answer: Option<Answer<()>>,
}

/// What came of a look.
pub(super) enum Outcome {
    Swept { tree: Tree, generation: u64, survivors: Vec<u32> },
    Cleaned { tree: Tree, pids: Vec<u32> },
}

/// The work in hand. Bounded by the processes: each has at most one wait, and those who signal wait for their answer.
#[derive(Default)]
pub(super) struct Trees {
    reaching: Vec<Reaching>,
    looking: Vec<(Tree, Look)>,
    busy: bool,
}

impl Trees {
    pub(super) fn reach(&mut self, tree: Tree, reach: Reach) {
        self.reaching.push(Reaching { tree, reach, answer: None });
    }

    pub(super) fn look(&mut self, tree: Tree, look: Look) {
        self.looking.push((tree, look));
    }

    /// Have this answered when the last tree was reached; at once when there is none to reach.
    pub(super) fn answer_last(&mut self, answer: Answer<()>) {
        match self.reaching.last_mut() {
            Some(last) => last.answer = Some(answer),
            None => drop(answer.send(Ok(()))),
        }
    }

    /// Send out what is pending, unless a batch is out already; `Message::Trees` says that it is back.
    pub(super) fn send_out(&mut self, messages: &mpsc::Sender<Message>) {
        if self.busy || (self.reaching.is_empty() && self.looking.is_empty()) {
            return;
        }
        self.busy = true;
        let (reaching, looking) = (std::mem::take(&mut self.reaching), std::mem::take(&mut self.looking));
        let messages = messages.clone();
        tokio::task::spawn_blocking(move || {
            reach_all(reaching);
            // An error means that the supervisor is gone, and with it whoever wanted to know.
            let _ = messages.blocking_send(Message::Trees(look(looking)));
        });
    }

    pub(super) fn is_back(&mut self) {
        self.busy = false;
    }
}

/// Do all that was asked, in order; what is asked of whole trees in a row is asked at once.
fn reach_all(mut reaching: Vec<Reaching>) {
    while let Some(first) = reaching.first() {
        let in_a_row = reaching.iter().take_while(|next| matches!(next.reach, Reach::All(_))).count();
        let (count, done) = match first.reach {
            Reach::All(_) => (in_a_row, signal_all(&reaching[..in_a_row])),
            Reach::Main(signal) => (1, vec![first.tree.signal_leader(signal).map(drop)]),
            Reach::Throttle => (1, vec![first.tree.throttle().map(drop)]),
        };
        reaching.drain(..count).zip(done).for_each(|(reached, done)| answer(reached, done));
    }
}

fn signal_all(reaching: &[Reaching]) -> Vec<io::Result<()>> {
    let order = |reaching: &Reaching| match reaching.reach {
        Reach::All(signal) | Reach::Main(signal) => Some((reaching.tree.clone(), signal)),
        Reach::Throttle => None,
    };
    let orders: Vec<_> = reaching.iter().filter_map(order).collect();
    platform::signal_all(&orders).into_iter().map(|reached| reached.map(drop)).collect()
}

fn answer(reached: Reaching, done: io::Result<()>) {
    let Reaching { tree, reach, answer } = reached;
    if let Err(error) = &done {
        tracing::warn!(process = %tree.process_id, pid = tree.leader.pid, ?reach, %error, "cannot reach the whole tree");
    }
    if let Some(answer) = answer {
        let answered = done.map_err(|error| {
            let message = format!("cannot signal pid {} of {}: {error}", tree.leader.pid, tree.process_id);
            Problem::new(ErrorClass::ProcessFailure, message)
        });
        let _ = answer.send(answered);
    }
}

/// Look at all these trees at once: one look through the processes serves them all.
fn look(trees: Vec<(Tree, Look)>) -> Vec<Outcome> {
    if trees.is_empty() {
        return Vec::new();
    }
    let (trees, looks): (Vec<_>, Vec<_>) = trees.into_iter().unzip();
    let found = platform::members_of(&trees);
    let kills = |look: &Look| matches!(look, Look::Clean | Look::Sweep { sweep: Sweep::Kill, .. });
    let ends = looks.iter().zip(&found).map(|(look, found)| kills(look) && !found.is_empty());
    let ends: Vec<Tree> = trees.iter().zip(ends).filter(|(_, ends)| *ends).map(|(tree, _)| tree.clone()).collect();
    let mut left_of = kill(ends);
    let each = trees.into_iter().zip(looks).zip(found);
    each.map(|((tree, look), found)| {
        let left = left_of.remove(&tree.process_id).unwrap_or_else(|| found.clone());
        if left.is_empty() {
            take_group_away(&tree);
        }
        match look {
            Look::Sweep { generation, .. } => Outcome::Swept { tree, generation, survivors: left },
            Look::Clean => Outcome::Cleaned { tree, pids: found },
        }
    })
    .collect()
}

/// Kill these trees and say who is left of each a moment later. A process has one run that is swept or cleaned.
fn kill(trees: Vec<Tree>) -> HashMap<ProcessId, Vec<u32>> {
    let orders: Vec<_> = trees.iter().map(|tree| (tree.clone(), StopSignal::KILL)).collect();
    for (tree, done) in trees.iter().zip(platform::signal_all(&orders)) {
        if let Err(error) = done {
            tracing::warn!(process = %tree.process_id, pid = tree.leader.pid, %error, "cannot kill the whole tree");
        }
    }
    let until = Instant::now() + KILL_TAKES;
    for group in trees.iter().filter_map(|tree| tree.cgroup.as_deref()) {
        // The kernel tells when it is empty. One that is not by then is looked at again, as trees without groups are.
        let _ = Cgroup::at(group).wait_empty(until.saturating_duration_since(Instant::now()));
    }
    let left = platform::members_of(&trees);
    trees.into_iter().map(|tree| tree.process_id).zip(left).collect()
}

/// Nobody is left in it, and what it has counted was read when the run ended.
fn take_group_away(tree: &Tree) {
    let Some(group) = tree.cgroup.as_deref() else { return };
    if let Err(error) = Cgroup::at(group).remove() {
        tracing::warn!(process = %tree.process_id, %error, "an empty cgroup stays until the next start");
    }
}
