//! Dealings with the launcher as one that outlives this life: ends that it need not keep any longer, what it has to say,
//! and leaving everything to it.

use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;

use super::message::{Answer, Message};
use super::task::Task;
use super::timers::Due;
use crate::error::{ErrorClass, Problem};
use crate::event::{EventBody, Who};
use crate::platform::Notice;
use crate::record::HolderState;
use crate::registry::Counter;
use crate::spec::ProcessId;

/// Time between two attempts to have ends on disk, when the disk refuses them.
const RETRY: Duration = Duration::from_secs(1);

/// What is between this life and the launcher. Bounded by the runs that end between two commits.
#[derive(Debug, Default)]
pub(super) struct Holding {
    /// Whether runs outlive this life in the launcher's hands: else there is nobody to settle with.
    outlives: bool,
    /// Ends that the registry has been told and the disk has not taken yet.
    unsettled: Vec<(ProcessId, u32)>,
    /// Those that the disk is being asked for; empty while it is not asked.
    asked: Vec<(ProcessId, u32)>,
    state: HolderState,
    /// Those who wait for this life to leave; there is one as soon as it is to.
    pub(super) leaving: Option<Vec<oneshot::Sender<()>>>,
}

impl Holding {
    pub(super) fn with(outlives: bool) -> Self {
        Self { outlives, ..Self::default() }
    }
}

impl Task {
    /// The end of this run has been acted upon; when the registry has it on disk, the launcher may forget it.
    pub(super) fn settle(&mut self, id: ProcessId, run: u32) {
        if self.holding.outlives {
            self.holding.unsettled.push((id, run));
        }
    }

    /// Ask the disk for what is to be settled, unless it is being asked already.
    pub(super) fn send_settlements(&mut self) {
        if !self.holding.asked.is_empty() || self.holding.unsettled.is_empty() {
            return;
        }
        self.holding.asked = std::mem::take(&mut self.holding.unsettled);
        let (registry, messages) = (self.registry.clone(), self.messages.clone());
        tokio::spawn(async move {
            let committed = registry.flush().await;
            // An error means that the supervisor is gone; the next one settles.
            let _ = messages.send(Message::Committed(committed)).await;
        });
    }

    pub(super) fn committed(&mut self, committed: bool) {
        if committed {
            let ends = std::mem::take(&mut self.holding.asked);
            ends.iter().for_each(|(id, run)| self.launcher.settle(id, *run));
        } else {
            // They stay asked for until the next attempt.
            self.timers.arm(self.now + RETRY, Due::Settlements);
        }
    }

    pub(super) fn settle_again(&mut self) {
        let mut ends = std::mem::take(&mut self.holding.asked);
        ends.append(&mut self.holding.unsettled);
        self.holding.unsettled = ends;
    }

    /// Everything is over and on disk: nothing is left to keep.
    pub(super) async fn part_from_launcher(&mut self) {
        let committed = self.registry.flush().await;
        self.settle_again();
        if committed {
            let ends = std::mem::take(&mut self.holding.unsettled);
            ends.iter().for_each(|(id, run)| self.launcher.settle(id, *run));
        }
        if self.holding.leaving.is_none() {
            self.launcher.end();
        }
    }

    pub(super) fn heed(&mut self, notice: Notice) {
        let mut state = self.holding.state;
        let event = match notice {
            Notice::HolderLost { pid, reason } => {
                tracing::error!(
                    pid,
                    reason,
                    "the holder of the runs is gone; they are watched on, and another is started for the next"
                );
                state = HolderState { lost: true, silent: false, losses: state.losses + 1, ..state };
                EventBody::HolderLost { pid, reason }
            }
            Notice::HolderStarted { pid } => {
                state = HolderState { pid, lost: false, silent: false, ..state };
                EventBody::HolderStarted { pid }
            }
            Notice::HolderSilent { pid, silent } => {
                if silent {
                    tracing::error!(pid, "the holder of the runs does not answer; launches wait for it");
                }
                state.silent = silent;
                EventBody::HolderSilent { pid, silent }
            }
            Notice::OutputLost { process_id, lost_bytes, archives_removed, reason } => {
                tracing::error!(process = %process_id, lost_bytes, archives_removed, reason, "output is lost");
                self.outbox.count(Counter::OutputLost(lost_bytes));
                let known = self.processes.get(&process_id).map(|process| process.who());
                let who = known.unwrap_or_else(|| Who { process_id, name: String::new() });
                EventBody::OutputLost { who, lost_bytes, archives_removed, reason }
            }
        };
        if state != self.holding.state {
            self.holding.state = state;
            self.outbox.count(Counter::Holder(state));
        }
        self.outbox.event(event);
    }

    /// Have the launcher go over to another program.
    pub(super) fn upgrade(&mut self, program: &Path, answer: Answer<()>) {
        let upgraded = self.check_outlives().and_then(|()| {
            self.launcher.upgrade(program).map_err(|error| {
                let message = format!("{} cannot take over as the holder: {error}", program.display());
                let unsure = error.kind() == std::io::ErrorKind::TimedOut;
                let class = if unsure { ErrorClass::Unavailable } else { ErrorClass::Configuration };
                Problem::new(class, message)
            })
        });
        self.outbox.reply(answer, upgraded);
    }

    /// Leave all runs as they are, for the next life to go on with.
    pub(super) fn leave(&mut self, reason: &str, done: oneshot::Sender<()>) {
        if self.holding.leaving.is_none() {
            let live = self.processes.values().filter(|process| process.life.state().live().is_some()).count();
            self.outbox.event(EventBody::SupervisorLeft { reason: reason.to_owned(), live });
        }
        self.holding.leaving.get_or_insert_default().push(done);
    }

    pub(super) fn check_outlives(&self) -> Result<(), Problem> {
        if self.holding.outlives {
            return Ok(());
        }
        let message = "runs were made by the supervisor itself and cannot outlive it; use launcher = \"holder\"";
        Err(Problem::new(ErrorClass::Unavailable, message))
    }
}
