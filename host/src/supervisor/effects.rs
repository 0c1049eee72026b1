//! Effects of the lifecycle turned into deeds.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::message::Message;
use super::run::Process;
use super::task::Task;
use super::timers::Due;
use super::trees::{Look, Reach};
use crate::decision::{Ending, RestartQuestion};
use crate::lifecycle::{Effect, Input, Launch, later};
use crate::platform::{ExitWatch, LaunchPlan, Launched};
use crate::spec::ProcessId;

impl Task {
    /// Do what one effect says. What comes of it at once is the next input.
    pub(super) fn perform(&mut self, process: &mut Process, effect: Effect) -> Option<Input> {
        match effect {
            Effect::SeekPlace => return self.seek_place(process),
            Effect::LeaveQueue => {
                if let Some(ticket) = process.ticket.take() {
                    self.capacity.leave(ticket);
                    self.due.queue_moved = true;
                }
            }
            Effect::ReleasePlace => {
                if std::mem::take(&mut process.holds_place) {
                    self.capacity.release();
                }
            }
            Effect::Launch { run } => self.launch(process, run),
            Effect::SignalTree { live, signal } => self.trees.reach(process.tree(&live), Reach::All(signal)),
            Effect::SignalMain { live, signal } => self.trees.reach(process.tree(&live), Reach::Main(signal)),
            Effect::Throttle { live } => self.trees.reach(process.tree(&live), Reach::Throttle),
            Effect::Sweep { live, sweep, generation } => {
                self.trees.look(process.tree(&live), Look::Sweep { sweep, generation });
            }
            Effect::Arm { generation, after } => {
                self.disarm(process);
                let due = Due::Process { id: process.identity.process_id.clone(), generation };
                process.timer = Some(self.timers.arm(later(self.now, after), due));
            }
            Effect::Disarm => self.disarm(process),
            Effect::AskRestart { generation, ending, lasted, attempts, restarts } => {
                let question = question(process, ending, lasted, attempts, restarts);
                self.ask_restart(question, generation);
            }
            Effect::Tell(moment) => self.tell(process, moment),
        }
        None
    }

    /// Have a run made. A small task of its own says what came of it, and then how it ended.
    fn launch(&mut self, process: &mut Process, run: u32) {
        let (messages, id) = (self.messages.clone(), process.identity.process_id.clone());
        let obstacle = process.prepared.obstacle.clone().map_or(Ok(()), Err);
        if let Err(message) = obstacle.and_then(|()| self.make_group(process, run)) {
            tokio::spawn(async move {
                let launch = Launch::Failed(message);
                let _ = messages.send(Message::Launched { id, run, launch, keeper: 0 }).await;
            });
            return;
        }
        let plan = LaunchPlan { cgroup: process.group.clone(), ..process.prepared.plan(&process.identity, run) };
        let pending = self.launcher.launch(plan);
        tokio::spawn(async move {
            // An error of `send` means that the supervisor is gone.
            match pending.outcome().await {
                Ok(Launched { identity, exit, keeper }) => {
                    let launch = Launch::Made(Arc::new(identity));
                    let _ = messages.send(Message::Launched { id: id.clone(), run, launch, keeper }).await;
                    tell_end(messages, id, run, exit).await;
                }
                Err(error) => {
                    let launch = Launch::Failed(error.to_string());
                    let _ = messages.send(Message::Launched { id, run, launch, keeper: 0 }).await;
                }
            }
        });
    }

    /// Have the end of a run told.
    pub(super) fn watch(&self, id: ProcessId, run: u32, exit: ExitWatch) {
        tokio::spawn(tell_end(self.messages.clone(), id, run, exit));
    }

    /// A launch has come out. There is never another of the same process on its way, so it is the one it waits for.
    pub(super) fn launched(&mut self, id: &ProcessId, run: u32, launch: Launch, keeper: u32) {
        debug_assert!(self.processes.get(id).is_none_or(|process| process.life.run_number() == run));
        if let Some(process) = self.processes.get_mut(id) {
            process.keeper = keeper;
        }
        self.note(id, Input::Launched(launch));
    }

    fn disarm(&mut self, process: &mut Process) {
        if let Some(timer) = process.timer.take() {
            self.timers.disarm(timer);
        }
    }

    fn ask_restart(&self, question: RestartQuestion, generation: u64) {
        let (messages, policies) = (self.messages.clone(), self.policies.clone());
        tokio::spawn(async move {
            let id = question.identity.process_id.clone();
            let decided = policies.decide_restart(question).await;
            let _ = messages.send(Message::Decided { id, generation, decided }).await;
        });
    }
}

async fn tell_end(messages: mpsc::Sender<Message>, id: ProcessId, run: u32, exit: ExitWatch) {
    let exit = exit.wait().await;
    // An error means that the supervisor is gone.
    let _ = messages.send(Message::Exited { id, run, exit }).await;
}

fn question(
    process: &Process,
    ending: Ending,
    lasted: std::time::Duration,
    attempts: u32,
    restarts_total: u32,
) -> RestartQuestion {
    RestartQuestion {
        identity: Arc::clone(&process.identity),
        ending,
        lasted,
        attempts,
        max_attempts: process.prepared.spec.max_restarts,
        restarts_total,
        // The newest is the run that the question is about.
        history: process.history.iter().skip(1).cloned().collect(),
    }
}
