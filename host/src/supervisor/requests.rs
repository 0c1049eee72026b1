//! What callers ask, checked and handed to the lives it concerns.

use super::admission::{Admitted, admit, judge};
use super::message::{Answer, Command, Message, Wish};
use super::run::Process;
use super::task::{Task, unknown};
use super::waiting::Waiting;
use super::{RestartWait, SandboxConfig, SupervisorConfig};
use crate::error::{ErrorClass, Problem};
use crate::lifecycle::Input;
use crate::spec::{Identity, Limits, Priority, ProcessId, ProcessSpec};

/// A process that is being admitted.
pub(super) struct Candidate {
    name: String,
    command: String,
    priority: Priority,
    configured: bool,
    answer: Answer<ProcessId>,
}

impl Task {
    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Start { spec, configured, answer } => self.ask_admission(spec, configured, answer),
            Command::Check { spec, answer } => self.judge_only(spec, answer),
            Command::Ask { id, wish, answer } => self.grant(&id, wish, answer),
            Command::Adopt { configured, answer } => self.adopt(configured, answer),
            Command::Upgrade { program, answer } => self.upgrade(&program, answer),
            Command::CheckOutlives(answer) => {
                let outlives = self.check_outlives();
                self.outbox.reply(answer, outlives);
            }
            Command::Leave { reason, done } => self.leave(&reason, done),
            Command::Reconfigure { settings, done } => {
                let (config, sandbox, limits, logs) = *settings;
                self.around.logs = logs;
                self.reconfigure(config, sandbox, limits);
                let _ = done.send(());
            }
            Command::ShutDown { reason, survivors } => {
                self.begin_to_close(&reason);
                self.closing.get_or_insert_default().push(survivors);
            }
        }
    }

    fn ask_admission(&mut self, spec: Box<ProcessSpec>, configured: bool, answer: Answer<ProcessId>) {
        let command = spec.command.first().cloned().unwrap_or_default();
        let id = match self.check(&spec).and_then(|()| new_id()) {
            Ok(id) => id,
            Err(problem) => return self.refuse(spec.name, command, problem, answer),
        };
        let (name, priority) = (spec.name.clone(), spec.priority);
        self.names.insert(name.clone(), id.clone());
        self.admitting.insert(id.clone(), Candidate { name, command, priority, configured, answer });
        let identity = Identity::of(id.clone(), &spec);
        let (around, policies, messages) = (self.around.clone(), self.policies.clone(), self.messages.clone());
        tokio::spawn(async move {
            let outcome = admit(spec, identity, around, policies).await;
            // An error means that the supervisor is gone.
            let _ = messages.send(Message::Admitted(Admitted { id, outcome })).await;
        });
    }

    fn judge_only(&mut self, spec: Box<ProcessSpec>, answer: Answer<()>) {
        if let Err(problem) = self.check_open().and_then(|()| check_spec(&spec)) {
            return self.outbox.reply(answer, Err(problem));
        }
        let (around, policies) = (self.around.clone(), self.policies.clone());
        tokio::spawn(async move {
            let identity = Identity::of(ProcessId::new("unborn"), &spec);
            let judged = judge(&spec, &identity, &around, &policies).await;
            // One who no longer wants the answer is no error.
            let _ = answer.send(judged.map(|_| ()));
        });
    }

    fn check(&self, spec: &ProcessSpec) -> Result<(), Problem> {
        self.check_open()?;
        check_spec(spec)?;
        self.check_name(&spec.name)
    }

    fn check_open(&self) -> Result<(), Problem> {
        if self.closing.is_none() && self.holding.leaving.is_none() {
            return Ok(());
        }
        Err(Problem::new(ErrorClass::Unavailable, "the supervisor is shutting down and starts nothing any more"))
    }

    fn check_name(&self, name: &str) -> Result<(), Problem> {
        let Some(holder) = self.names.get(name) else { return Ok(()) };
        let message = format!("name `{name}` is taken by the live process {holder}; stop that or choose another");
        Err(Problem::new(ErrorClass::Configuration, message).by_rule("name-taken"))
    }

    fn check_room(&mut self, exempt: bool) -> Result<(), Problem> {
        if !self.capacity.is_exhausted(exempt, self.now) {
            return Ok(());
        }
        let waiting = self.capacity.waiting().count();
        let message = format!(
            "no place is free and the queue is full: {waiting} wait already; try again later, \
             or raise max_processes or queue_length"
        );
        Err(Problem::new(ErrorClass::ResourceExhaustion, message).by_rule("queue-full"))
    }

    pub(super) fn take_in(&mut self, admitted: Admitted) {
        let Admitted { id, outcome } = admitted;
        let Some(candidate) = self.admitting.remove(&id) else { return };
        let Candidate { name, command, priority, configured, answer } = candidate;
        let exempt = configured || priority == Priority::Critical;
        let outcome = self.check_open().and(outcome).and_then(|accepted| self.check_room(exempt).map(|()| accepted));
        match outcome {
            Err(problem) => {
                self.names.remove(&name);
                self.refuse(name, command, problem, answer);
            }
            Ok(accepted) => {
                self.processes.insert(id.clone(), Box::new(Process::new(*accepted, configured)));
                // A refusal has been answered through `waiting` already.
                let _ = self.give(&id, Input::Start, Some(Waiting::First(answer)));
            }
        }
    }

    fn grant(&mut self, id: &ProcessId, wish: Wish, answer: Answer<()>) {
        let run = match self.processes.get(id) {
            Some(process) => process.life.run_number(),
            None => return self.outbox.reply(answer, Err(unknown(id))),
        };
        if matches!(wish, Wish::Start | Wish::Restart(_))
            && let Err(problem) = self.check_comeback(id)
        {
            return self.outbox.reply(answer, Err(problem));
        }
        let (input, waiting) = match wish {
            Wish::Start => (Input::Start, Waiting::Run { after: run, answer }),
            Wish::Restart(RestartWait::Started) => (Input::Restart, Waiting::Run { after: run, answer }),
            Wish::Stop { reason } => (Input::Stop { reason }, Waiting::Down { run, answer }),
            Wish::Kill { reason } => (Input::Kill { reason }, Waiting::Down { run, answer }),
            Wish::Restart(RestartWait::Asked) => {
                let given = self.give(id, Input::Restart, None);
                return self.outbox.reply(answer, given);
            }
            Wish::Signal(signal) => return self.reach(id, Input::Signal(signal), answer),
            Wish::Pause(paused) => return self.reach(id, Input::Pause(paused), answer),
            Wish::Wait => return self.wait_with(id, answer),
        };
        // A refusal has been answered through `waiting` already.
        let _ = self.give(id, input, Some(waiting));
    }

    /// What a start of an ended process needs besides what its life allows.
    fn check_comeback(&mut self, id: &ProcessId) -> Result<(), Problem> {
        self.check_open()?;
        let Some(process) = self.processes.get(id).filter(|process| process.life.needs_place()) else { return Ok(()) };
        if process.cleaning {
            let message = format!("leftovers of {} are just being ended; try again", process.title());
            return Err(Problem::new(ErrorClass::ProcessFailure, message));
        }
        let (name, exempt) = (process.identity.name.clone(), process.exempt);
        self.check_name(&name)?;
        self.check_room(exempt)
    }

    /// Give what is answered when the signal was delivered.
    fn reach(&mut self, id: &ProcessId, input: Input, answer: Answer<()>) {
        match self.give(id, input, None) {
            Ok(()) => self.trees.answer_last(answer),
            Err(problem) => self.outbox.reply(answer, Err(problem)),
        }
    }

    fn wait_with(&mut self, id: &ProcessId, answer: Answer<()>) {
        if let Some(process) = self.processes.get_mut(id) {
            process.waiting.push(Waiting::End(answer));
            process.answer(&mut self.outbox);
        }
    }

    fn reconfigure(&mut self, config: SupervisorConfig, sandbox: SandboxConfig, limits: Limits) {
        self.capacity.reconfigure(&config);
        self.around.sandbox = sandbox.into();
        self.around.defaults = limits;
        self.around.grace = config.graceful_shutdown_timeout.get();
        self.around.kill_wait = config.force_kill_timeout.get();
        self.config = config;
    }

    /// Start nothing any more and stop everything, all at the same time; signals go to the least important first.
    pub(super) fn begin_to_close(&mut self, reason: &str) {
        if self.closing.is_some() {
            return;
        }
        self.closing = Some(Vec::new());
        let live = self.processes.iter().filter(|(_, process)| !process.life.state().is_ended());
        let mut live: Vec<_> = live.map(|(id, process)| (process.identity.priority, id.clone())).collect();
        live.sort();
        for (_, id) in live {
            // A stop is legal everywhere.
            let _ = self.give(&id, Input::Stop { reason: reason.to_owned() }, None);
        }
    }
}

fn check_spec(spec: &ProcessSpec) -> Result<(), Problem> {
    spec.validate().map_err(|error| Problem::new(ErrorClass::Configuration, error.to_string()).by_rule("specification"))
}

/// A fresh id: `p` and nine characters of lower-case base32 (RFC 4648), 45 random bits.
fn new_id() -> Result<ProcessId, Problem> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut random = [0u8; 9];
    getrandom::fill(&mut random).map_err(|error| {
        Problem::new(ErrorClass::Unavailable, format!("the system gives no random numbers for a process id: {error}"))
    })?;
    let characters = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Ok(ProcessId::new(std::iter::once('p').chain(characters).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_plain_and_never_the_same() {
        let (one, other) = (new_id().unwrap(), new_id().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), 10);
        assert!(
            one.as_str().starts_with('p') && one.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        );
    }
}
