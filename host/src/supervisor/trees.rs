//! Work on process trees: signals, sweeps, throttling. Finding a tree may take a look through all processes, so it is
//! done away from the task, one batch at a time; what comes meanwhile makes the next batch. In a batch signals go first, in order.

use tokio::sync::mpsc;

use super::message::{Answer, Message};
use crate::error::{ErrorClass, Problem};
use crate::lifecycle::Sweep;
use crate::platform::{self, Tree};
use crate::spec::StopSignal;

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
            reaching.into_iter().for_each(reach);
            // An error means that the supervisor is gone, and with it whoever wanted to know.
            let _ = messages.blocking_send(Message::Trees(look(looking)));
        });
    }

    pub(super) fn is_back(&mut self) {
        self.busy = false;
    }
}

fn reach(reaching: Reaching) {
    let Reaching { tree, reach, answer } = reaching;
    let done = match reach {
        Reach::All(signal) => tree.signal(signal).map(|_| ()),
        Reach::Main(signal) => tree.signal_leader(signal).map(|_| ()),
        Reach::Throttle => tree.throttle().map(|_| ()),
    };
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
    let each = trees.into_iter().zip(looks).zip(found);
    each.map(|((tree, look), found)| match look {
        Look::Sweep { sweep, generation } => {
            let killed = sweep == Sweep::Kill && !found.is_empty();
            let survivors = if killed { kill(&tree) } else { found };
            Outcome::Swept { tree, generation, survivors }
        }
        Look::Clean => {
            if !found.is_empty() {
                kill(&tree);
            }
            Outcome::Cleaned { tree, pids: found }
        }
    })
    .collect()
}

/// Kill a tree and say who is left of it a moment later.
fn kill(tree: &Tree) -> Vec<u32> {
    if let Err(error) = tree.signal(StopSignal::KILL) {
        tracing::warn!(process = %tree.process_id, pid = tree.leader.pid, %error, "cannot kill the whole tree");
    }
    tree.members()
}
