//! The task: sole owner of every process, the queue, the timers and the launcher. Turn by turn it takes in what came,
//! steps the lives it concerns, does what follows, and says it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::SupervisorConfig;
use super::admission::Surroundings;
use super::adoption::Legacy;
use super::capacity::Capacity;
use super::holding::Holding;
use super::message::{Answer, Command, Message};
use super::outbox::Outbox;
use super::run::Process;
use super::timers::{Due, Timers};
use super::trees::{Outcome, Trees};
use super::waiting::Waiting;
use crate::error::{ErrorClass, Problem};
use crate::event::{EventBody, EventBus};
use crate::lifecycle::{Effect, Input, State, step};
use crate::link::{Action, Enforcement, RunNews};
use crate::platform::{Launcher, Notice};
use crate::policy::PolicyHost;
use crate::registry::{Counter, Registry};
use crate::spec::ProcessId;
use crate::units::Timestamp;

/// Messages taken in one turn at most, so that a storm of exits delays no command by more than these.
const BATCH: usize = 64;

/// Where the task hears from.
pub(super) struct Inboxes {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) enforcement: mpsc::Receiver<Enforcement>,
    pub(super) notices: Option<mpsc::Receiver<Notice>>,
}

/// What is to come that no process waits for; each is armed at most once.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The queue has changed in this turn.
    pub(super) queue_moved: bool,
    pub(super) positions: bool,
    pub(super) gates: bool,
    pub(super) clean_up: bool,
}

pub(super) struct Task {
    pub(super) config: SupervisorConfig,
    pub(super) around: Surroundings,
    pub(super) registry: Registry,
    pub(super) policies: PolicyHost,
    pub(super) events: Arc<EventBus>,
    pub(super) news: mpsc::Sender<RunNews>,
    pub(super) launcher: Box<dyn Launcher>,
    pub(super) messages: mpsc::Sender<Message>,
    /// Live and ended ones; of the ended no more than the history keeps.
    pub(super) processes: HashMap<ProcessId, Box<Process>>,
    /// Names taken by processes that have not ended, or are being admitted.
    pub(super) names: HashMap<String, ProcessId>,
    pub(super) admitting: HashMap<ProcessId, super::requests::Candidate>,
    /// Ended processes in the order of their end, with the number of that end: a later start makes it void.
    pub(super) ended: VecDeque<(ProcessId, u64)>,
    /// Processes that survived SIGKILL.
    pub(super) stuck: HashSet<ProcessId>,
    pub(super) capacity: Capacity,
    pub(super) timers: Timers,
    pub(super) trees: Trees,
    pub(super) outbox: Outbox,
    pub(super) holding: Holding,
    /// What an earlier life left, until it is taken over.
    pub(super) legacy: Option<Box<Legacy>>,
    /// Callers that wait for the end of everything; there is one as soon as everything is to end.
    pub(super) closing: Option<Vec<oneshot::Sender<usize>>>,
    pub(super) due: Pending,
    /// The moment of this turn, for logic.
    pub(super) now: Instant,
    /// The same for stamps.
    pub(super) at: Timestamp,
}

impl Task {
    /// Turn by turn until everything has ended after `shut_down`, or after the last handle is gone.
    pub(super) async fn run(mut self, mut inboxes: Inboxes) {
        let mut batch = Vec::with_capacity(BATCH);
        let (mut has_callers, mut has_monitor) = (true, true);
        while !self.is_over() {
            let due = self.timers.next();
            tokio::select! {
                _ = inboxes.messages.recv_many(&mut batch, BATCH) => self.look_at_the_clock(),
                command = inboxes.commands.recv(), if has_callers => {
                    self.look_at_the_clock();
                    has_callers = command.is_some();
                    match command {
                        Some(command) => self.obey(command),
                        None => self.begin_to_close("nobody holds a handle to the supervisor any more"),
                    }
                }
                asked = inboxes.enforcement.recv(), if has_monitor => {
                    self.look_at_the_clock();
                    has_monitor = asked.is_some();
                    asked.into_iter().for_each(|asked| self.enforce(asked));
                }
                notice = hear(&mut inboxes.notices) => {
                    self.look_at_the_clock();
                    self.heed(notice);
                }
                () = tokio::time::sleep_until(due.unwrap_or(self.now).into()), if due.is_some() => {
                    self.look_at_the_clock();
                }
            }
            batch.drain(..).for_each(|message| self.hear(message));
            self.end_turn().await;
        }
        self.close(inboxes).await;
    }

    fn look_at_the_clock(&mut self) {
        // Tokio's clock, so that a paused one in tests holds here too.
        (self.now, self.at) = (tokio::time::Instant::now().into_std(), Timestamp::now());
    }

    async fn end_turn(&mut self) {
        while let Some(due) = self.timers.pop(self.now) {
            self.come_due(due);
        }
        self.let_in_who_waits();
        self.trees.send_out(&self.messages);
        self.outbox.flush(&self.registry, &self.news, &self.events).await;
        self.send_settlements();
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Admitted(admitted) => self.take_in(admitted),
            Message::Launched { id, run, launch, keeper } => self.launched(&id, run, launch, keeper),
            Message::Exited { id, run, exit } => {
                self.note_out_of_memory(&id, run, &exit);
                // It may have ended while no supervisor lived to see it.
                let ago = Duration::from_millis(self.at.ms().saturating_sub(exit.at_ms.ms()));
                self.note(&id, Input::Exited { run, exit, ago });
            }
            Message::Decided { id, generation, decided } => {
                let process = self.processes.get(&id).filter(|process| process.life.generation() == generation);
                if let Some(process) = process {
                    let (decision, provenance) = (decided.answer.clone(), Arc::clone(&decided.provenance));
                    self.outbox.event(EventBody::RestartDecided { who: process.who(), decision, provenance });
                }
                self.note(&id, Input::Decided { generation, decision: decided.answer });
            }
            Message::Trees(outcomes) => {
                self.trees.is_back();
                outcomes.into_iter().for_each(|outcome| self.note_outcome(outcome));
            }
            Message::Marked(ids) => self.clean_up(ids),
            Message::Inherited(inheritance) => self.inherit(*inheritance),
            Message::Committed(committed) => self.committed(committed),
        }
    }

    fn note_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Swept { tree, generation, survivors } => {
                self.note(&tree.process_id, Input::Swept { generation, survivors });
            }
            Outcome::Cleaned { tree, pids } => self.cleaned_up(&tree.process_id, pids),
        }
    }

    fn come_due(&mut self, due: Due) {
        match due {
            Due::Process { id, generation } => {
                if let Some(process) = self.processes.get_mut(&id) {
                    process.timer = None;
                }
                self.note(&id, Input::Timer { generation });
            }
            Due::Gates => self.due.gates = false,
            Due::Positions => self.show_positions(),
            Due::Orphans => self.look_for_leftovers(),
            Due::Settlements => self.settle_again(),
        }
    }

    fn enforce(&mut self, asked: Enforcement) {
        let (id, input) = match asked {
            Enforcement::Unhealthy { process_id, run_number: run, score } => {
                (process_id, Input::Unhealthy { run, score })
            }
            Enforcement::LimitBroken { process_id, run_number: run, limit, action } => match action {
                Action::Throttle => (process_id, Input::Throttle { run }),
                Action::Restart | Action::Stop => (process_id, Input::LimitBroken { run, limit }),
            },
            Enforcement::Idle { process_id, run_number: run, idle } => (process_id, Input::Idle { run, idle }),
        };
        self.note(&id, input);
    }

    /// Give a process news of the world. News of one that is known no more are late like any other.
    pub(super) fn note(&mut self, id: &ProcessId, input: Input) {
        if !self.processes.contains_key(id) {
            return;
        }
        if let Err(problem) = self.give(id, input, None) {
            // The lifecycle's tests say that this cannot happen; nothing has changed if it does.
            tracing::error!(process = %id, %problem, "news that the lifecycle did not expect");
        }
    }

    /// Step the life of one process and do all that follows; `waiting` waits for what comes of it.
    pub(super) fn give(&mut self, id: &ProcessId, input: Input, waiting: Option<Waiting>) -> Result<(), Problem> {
        let Some(mut process) = self.processes.remove(id) else {
            return Err(unknown(id));
        };
        let was_ended = process.life.state().is_ended();
        let driven = self.drive(&mut process, input);
        match (&driven, waiting) {
            (Ok(()), waiting) => process.waiting.extend(waiting),
            (Err(problem), Some(Waiting::Run { answer, .. } | Waiting::Down { answer, .. } | Waiting::End(answer))) => {
                self.outbox.reply(answer, Err(problem.clone()));
            }
            (Err(problem), Some(Waiting::First(answer))) => self.outbox.reply_started(answer, Err(problem.clone())),
            (Err(_), None) => {}
        }
        process.show(&mut self.outbox, self.at);
        process.answer(&mut self.outbox);
        self.file(id, &mut process, was_ended);
        self.processes.insert(id.clone(), process);
        driven
    }

    fn drive(&mut self, process: &mut Process, input: Input) -> Result<(), Problem> {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let (life, effects) = step(&process.life, input, self.now).map_err(|illegal| {
                Problem::new(ErrorClass::ProcessFailure, format!("{}: {illegal}", process.title()))
            })?;
            process.life = life;
            next = self.perform_each(process, effects);
        }
        Ok(())
    }

    /// Do all that follows from an adoption.
    pub(super) fn perform_all(&mut self, process: &mut Process, effects: Vec<Effect>) -> Result<(), Problem> {
        let next = self.perform_each(process, effects);
        next.map_or(Ok(()), |input| self.drive(process, input))
    }

    /// Do these; one step has at most one effect with an answer at once: a place.
    fn perform_each(&mut self, process: &mut Process, effects: Vec<Effect>) -> Option<Input> {
        effects.into_iter().fold(None, |next, effect| self.perform(process, effect).or(next))
    }

    /// Keep the lists of names, of the ended and of the stuck true.
    pub(super) fn file(&mut self, id: &ProcessId, process: &mut Process, was_ended: bool) {
        let state = process.life.state();
        if matches!(state, State::Stuck { .. }) {
            self.stuck.insert(id.clone());
        } else {
            self.stuck.remove(id);
        }
        match (was_ended, state.is_ended()) {
            (false, true) => {
                if self.names.get(&process.identity.name) == Some(id) {
                    self.names.remove(&process.identity.name);
                }
                process.endings += 1;
                self.ended.push_back((id.clone(), process.endings));
            }
            (true, false) => {
                self.names.insert(process.identity.name.clone(), id.clone());
            }
            _ => {}
        }
        if self.ended.len() > self.config.process_history_retention {
            self.forget_the_oldest();
        }
    }

    fn forget_the_oldest(&mut self) {
        let Some((id, ending)) = self.ended.pop_front() else { return };
        let still = |process: &Process| process.endings == ending && process.life.state().is_ended();
        if self.processes.get(&id).is_some_and(|process| still(process)) {
            self.processes.remove(&id);
        }
    }

    /// Whether everything was to end and has, as far as it can.
    fn is_over(&self) -> bool {
        self.holding.leaving.is_some() || (self.closing.is_some() && self.names.len() == self.stuck.len())
    }

    /// Nobody is left to care for. Commands that came too late are refused one by one: a caller between two states of
    /// its channel would wait for ever if the inbox were just dropped.
    async fn close(mut self, mut inboxes: Inboxes) {
        inboxes.commands.close();
        while let Some(late) = inboxes.commands.recv().await {
            self.obey(late);
        }
        self.outbox.flush(&self.registry, &self.news, &self.events).await;
        self.part_from_launcher().await;
        let survivors = self.processes.values().filter(|process| process.unstoppable).count();
        for answer in self.closing.into_iter().flatten() {
            let _ = answer.send(survivors);
        }
        // Before anybody is told: who is told may make the next supervisor.
        drop(self.launcher);
        for done in self.holding.leaving.into_iter().flatten() {
            let _ = done.send(());
        }
    }

    pub(super) fn refuse(&mut self, name: String, command: String, problem: Problem, answer: Answer<ProcessId>) {
        self.outbox.count(Counter::Refused);
        let rule = problem.rule.clone().unwrap_or_default();
        self.outbox.event(EventBody::Refused { name, command, rule, message: problem.message.clone() });
        self.outbox.reply_started(answer, Err(problem));
    }
}

/// What the launcher has to say; never, when it has nothing to say or is silent for good.
async fn hear(notices: &mut Option<mpsc::Receiver<Notice>>) -> Notice {
    let heard = match notices {
        Some(notices) => notices.recv().await,
        None => None,
    };
    match heard {
        Some(notice) => notice,
        None => {
            *notices = None;
            std::future::pending().await
        }
    }
}

pub(super) fn unknown(id: &ProcessId) -> Problem {
    Problem::new(ErrorClass::NotFound, format!("no process `{id}` is known to this supervisor; start it anew"))
}
