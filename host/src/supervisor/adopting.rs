//! Processes of an earlier life taken into this one's care.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::adoption::{Adoptee, Found, Gathered, Plan, Position, Rule, Wanted, gather};
use super::message::{Answer, Message};
use super::run::Process;
use super::task::Task;
use super::{limits, orphans};
use crate::care::Then;
use crate::decision::Ending;
use crate::error::{ErrorClass, Problem};
use crate::event::EventBody;
use crate::lifecycle::{Input, Life, Past, Was};
use crate::platform;
use crate::record::ProcessRecord;
use crate::registry::Counter;
use crate::sample::{ExitStatus, RunExit, RunIdentity};
use crate::spec::{Priority, ProcessId, ProcessSpec};
use crate::units::Timestamp;

/// What came of an adoption.
#[derive(Debug, Clone, Default)]
pub struct Adopted {
    /// Processes of the configuration that go on, by name.
    pub configured: BTreeMap<String, ProcessId>,
    /// Processes that are no longer wanted and are being stopped.
    pub leaving: Vec<ProcessId>,
    /// How many there are in all, those that somebody started included.
    pub total: usize,
}

/// What the small task that gathers brings back.
pub(super) struct Inheritance {
    gathered: Gathered,
    missed: Vec<Missed>,
    /// Processes that were nobody's and have been ended.
    orphans: Vec<u32>,
    answer: Answer<Adopted>,
}

/// A run that ended, and was followed by another, before the registry heard of it.
struct Missed {
    id: ProcessId,
    run: u32,
    began_at: Timestamp,
    exit: RunExit,
}

impl Inheritance {
    /// Hear how runs ended that others have followed since, and end what is nobody's.
    async fn complete(mut gathered: Gathered, patience: (Duration, Duration), answer: Answer<Adopted>) -> Self {
        let mut missed = Vec::new();
        for adoptee in &mut gathered.adoptees {
            for (run, Found { launched, began_at, .. }) in std::mem::take(&mut adoptee.missed) {
                let id = adoptee.identity.process_id.clone();
                missed.push(Missed { id, run, began_at, exit: launched.exit.wait().await });
            }
        }
        let strays = std::mem::take(&mut gathered.strays);
        let orphans = orphans::end_strays(strays, patience.0, patience.1).await;
        Self { gathered, missed, orphans, answer }
    }
}

impl Task {
    /// Go on with what an earlier life left; the first thing that is asked of a supervisor, or never.
    pub(super) fn adopt(&mut self, configured: BTreeMap<String, ProcessSpec>, answer: Answer<Adopted>) {
        let Some(legacy) = self.legacy.take() else {
            let message = "what an earlier life left is adopted once, and that has been done";
            let _ = answer.send(Err(Problem::new(ErrorClass::Unavailable, message)));
            return;
        };
        let rule = Rule { configured, orphans: self.config.orphans };
        let (around, messages) = (self.around.clone(), self.messages.clone());
        tokio::spawn(async move {
            let patience = (around.grace, around.kill_wait);
            let work = move || gather(*legacy, &rule, &around);
            // An error means that the runtime is shutting down.
            let Ok(gathered) = tokio::task::spawn_blocking(work).await else { return };
            let inheritance = Inheritance::complete(gathered, patience, answer).await;
            let _ = messages.send(Message::Inherited(Box::new(inheritance))).await;
        });
    }

    pub(super) fn inherit(&mut self, inheritance: Inheritance) {
        let Inheritance { gathered, missed, orphans, answer } = inheritance;
        let Gathered { mut adoptees, closed, settled, stale, .. } = gathered;
        // Those that have a place have it before anybody seeks one; those that wait do so in their order.
        adoptees.sort_by_key(|one| (one.plan.position == Position::Waiting, one.record.registered_at_ms));
        settled.into_iter().for_each(|(id, run)| self.settle(id, run));
        let (at, orphaned) = (self.at, orphans.len());
        for id in &closed {
            self.outbox.amend(id, vec![Box::new(move |record| orphans::close(record, at))]);
        }
        self.outbox.count(Counter::StalePids(stale as u64));
        self.outbox.count(Counter::CleanedUp);
        self.tell_orphans(orphans, "last-life");
        let ended = adoptees.iter().filter(|adoptee| adoptee.is_over()).count();
        let (mut adopted, mut leaving) = (Adopted::default(), Vec::new());
        for adoptee in adoptees {
            self.take_over(adoptee, &missed, &mut adopted, &mut leaving);
        }
        if adopted.total + orphaned + closed.len() > 0 {
            let living = adopted.total - ended;
            let stopped = leaving.len();
            self.outbox.event(EventBody::SupervisorAdopted { adopted: living, ended, stopped, orphans: orphaned });
        }
        // As at the end of everything: the least important first.
        leaving.sort();
        for (_, id, reason) in leaving {
            self.note(&id, Input::Stop { reason });
            adopted.leaving.push(id);
        }
        self.outbox.reply_adopted(answer, adopted);
    }

    fn take_over(
        &mut self,
        adoptee: Adoptee,
        missed: &[Missed],
        adopted: &mut Adopted,
        leaving: &mut Vec<(Priority, ProcessId, String)>,
    ) {
        let Adoptee { identity, prepared, rules, record, attempts, wanted, plan, run, .. } = adoptee;
        let (id, name, priority) = (identity.process_id.clone(), identity.name.clone(), identity.priority);
        let was = self.was(&plan, &record, run.as_ref());
        let past = Past { rules, run: plan.run, attempts, restarts: plan.restarts, was };
        let (life, effects) = Life::adopted(past, self.now);
        let group = self.around.groups.existing(&id, plan.run);
        let able = group.as_ref().map(|_| self.around.groups.abilities());
        let kernel = able.map(|able| limits::kernel_holds(&prepared.limits, able)).unwrap_or_default();
        let mut process = Box::new(Process::with_life(identity, prepared, kernel, life, wanted == Wanted::Configured));
        process.group = group;
        process.remind(&record, run.as_ref().map(|run| (run.began_at, run.launched.keeper)));
        for missed in missed.iter().filter(|missed| missed.id == id) {
            self.tell_missed(&mut process, missed);
        }
        self.bring_in(&id, process, effects, plan.position != Position::Waiting);
        match (plan.position, run) {
            (Position::Known(_), Some(run)) => self.watch(id.clone(), plan.run, run.launched.exit),
            (Position::Vanished, _) => {
                let exit = vanished(self.at);
                self.note(&id, Input::Exited { run: plan.run, exit, ago: Duration::ZERO });
            }
            // Nothing of it was alive, and somebody wanted that.
            (_, _) => {
                if let Some(Then::Down { reason }) = plan.then {
                    self.note(&id, Input::Stop { reason });
                }
            }
        }
        adopted.total += 1;
        match wanted {
            Wanted::Configured => drop(adopted.configured.insert(name, id)),
            Wanted::Asked => {}
            Wanted::No(reason) => leaving.push((priority, id, reason)),
        }
    }

    /// Where the life of a process was, in the words of the lifecycle.
    fn was(&self, plan: &Plan, record: &ProcessRecord, run: Option<&Found>) -> Was {
        let running = |identity: RunIdentity, age, lives| {
            let began = self.now.checked_sub(age).unwrap_or(self.now);
            // What the last life did to it may not have reached the disk: the process itself knows.
            let paused = lives && (plan.paused || platform::is_stopped(&identity));
            Was::Running { identity: Arc::new(identity), began, paused, lives, then: plan.then.clone() }
        };
        match (&plan.position, run, &record.run) {
            (Position::Known(_), Some(run), _) => running(run.launched.identity.clone(), run.age, run.lives),
            (Position::Vanished, _, Some(identity)) => {
                let began = record.started_at_ms.unwrap_or(self.at);
                running(identity.clone(), Duration::from_millis(self.at.ms().saturating_sub(began.ms())), false)
            }
            (Position::Deciding(ending, lasted), ..) => Was::Deciding { ending: ending.clone(), lasted: *lasted },
            (Position::Backoff(left), ..) => Was::Backoff { left: *left },
            (Position::Ended(state), ..) => Was::Ended(state.clone()),
            (Position::Waiting | Position::Known(_) | Position::Vanished, ..) => Was::Waiting,
        }
    }

    /// Enter an adopted process among those of this life.
    fn bring_in(
        &mut self,
        id: &ProcessId,
        mut process: Box<Process>,
        effects: Vec<crate::lifecycle::Effect>,
        has_place: bool,
    ) {
        let is_ended = process.life.state().is_ended();
        if has_place && !is_ended {
            self.capacity.occupy();
            process.holds_place = true;
        }
        if let Err(problem) = self.perform_all(&mut process, effects) {
            // As in `note`.
            tracing::error!(process = %id, %problem, "an adoption that the lifecycle did not expect");
        }
        process.show(&mut self.outbox, self.at);
        // An ended one joins the ended, a live one takes its name: as if it had just come to be so.
        self.file(id, &mut process, !is_ended);
        self.processes.insert(id.clone(), process);
    }

    fn tell_missed(&mut self, process: &mut Process, missed: &Missed) {
        let Missed { run, began_at, exit, .. } = missed;
        let lasted_ms = exit.at_ms.ms().saturating_sub(began_at.ms());
        let (ending, status) = (Ending::Ended(exit.status), exit.status);
        let (cpu_time, peak) = (exit.user_time_ms + exit.system_time_ms, exit.peak_memory_bytes);
        process.remember(*began_at, lasted_ms, ending);
        process.change(move |record| {
            record.exit = Some(status);
            record.cpu_time_ms += cpu_time;
            record.peak_memory_bytes = record.peak_memory_bytes.max(peak);
        });
        self.outbox.count(if status.is_success() { Counter::Completed } else { Counter::Failed });
        self.settle(missed.id.clone(), *run);
    }
}

impl Adoptee {
    /// Whether nothing of it lives and nothing is to come by itself but its end.
    fn is_over(&self) -> bool {
        match self.plan.position {
            Position::Vanished | Position::Ended(_) => true,
            _ => self.run.as_ref().is_some_and(|run| !run.lives),
        }
    }
}

/// The end of a run that nobody saw.
const fn vanished(at_ms: Timestamp) -> RunExit {
    RunExit { status: ExitStatus::Unknown, at_ms, user_time_ms: 0, system_time_ms: 0, peak_memory_bytes: 0 }
}
