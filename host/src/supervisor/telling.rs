//! Moments of a life as the rest of the house hears of them: record, events, counters, news for the monitor.

use std::sync::Arc;
use std::time::Duration;

use super::limits;
use super::run::Process;
use super::task::Task;
use crate::decision::{Ending, LimitKind};
use crate::event::EventBody;
use crate::health::Health;
use crate::lifecycle::{Live, Moment};
use crate::link::{RunBegan, RunNews};
use crate::registry::Counter;
use crate::sample::{ExitStatus, RunExit};
use crate::units::Timestamp;

impl Task {
    pub(super) fn tell(&mut self, process: &mut Process, moment: Moment) {
        let who = process.who();
        let event = match moment {
            Moment::Starting { run } => EventBody::Starting { who, run },
            Moment::Began { live } => return self.tell_began(process, live),
            Moment::Adopted { live, lives } => return self.tell_adopted(process, live, lives),
            Moment::StartFailed { run, message } => {
                process.remember(self.at, 0, Ending::NotStarted(message.clone()));
                self.outbox.count(Counter::Failed);
                EventBody::StartFailed { who, run, message }
            }
            Moment::Idle(idle) => EventBody::Idle { who, idle },
            Moment::Paused(paused) => {
                self.outbox.news(RunNews::Paused { process_id: who.process_id.clone(), paused });
                EventBody::Paused { who, paused }
            }
            Moment::Signalled(signal) => EventBody::Signalled { who, signal: signal.to_string() },
            Moment::OutOfTime { limit, after } => return self.tell_overtime(process, limit, after),
            Moment::Stopping { reason, grace } => EventBody::Stopping { who, reason, grace_ms: ms(grace) },
            Moment::Killed { pid, grace } => EventBody::Killed { who, pid, after_grace_ms: ms(grace) },
            Moment::Ended { live, exit, ending, lasted, failed } => {
                return self.tell_ended(process, &live, &exit, ending, lasted, failed);
            }
            Moment::Crashed { run, reason } => {
                process.change(|record| record.health = Health::Crashed);
                EventBody::Crashed { who, run, reason }
            }
            Moment::Backoff { delay, attempt, reason } => {
                let due = Timestamp(self.at.ms().saturating_add(ms(delay)));
                process.change(move |record| record.next_restart_at_ms = Some(due));
                EventBody::Backoff { who, delay_ms: ms(delay), attempt, reason }
            }
            Moment::GaveUp { reason, attempts } => EventBody::GaveUp { who, reason, attempts },
            Moment::Stopped { reason } => EventBody::Stopped { who, reason, exit: last_exit(process) },
            Moment::StopFailed { survivors } => {
                process.unstoppable = true;
                EventBody::StopFailed { who, survivors }
            }
        };
        self.outbox.event(event);
    }

    fn tell_began(&mut self, process: &mut Process, live: Live) {
        let (at, restarts, run) = (self.at, process.life.restarts(), live.number);
        let (pid, restarted) = (live.run.pid, live.restarted);
        process.last_run = Some(Arc::clone(&live.run));
        process.began_at = at;
        process.unstoppable = false;
        self.outbox.count(Counter::Started);
        self.outbox.event(EventBody::Started { who: process.who(), run, pid });
        if restarted {
            self.outbox.count(Counter::Restarted);
            self.outbox.event(EventBody::Restarted { who: process.who(), run, pid, restarts });
        }
        self.outbox.news(RunNews::Began(Box::new(began(process, &live))));
        process.change(move |record| {
            record.run = Some((*live.run).clone());
            (record.run_number, record.restarts) = (run, restarts);
            (record.started_at_ms, record.ended_at_ms) = (Some(at), None);
            (record.next_restart_at_ms, record.queue_position) = (None, None);
            (record.health, record.health_score, record.health_status) = (Health::Unknown, None, None);
            (record.usage, record.issues) = (None, Default::default());
            if restarted {
                record.last_restart_at_ms = Some(at);
            }
        });
    }

    fn tell_adopted(&mut self, process: &mut Process, live: Live, lives: bool) {
        let (run, restarts, began_at) = (live.number, process.life.restarts(), process.began_at);
        process.last_run = Some(Arc::clone(&live.run));
        if lives {
            self.outbox.count(Counter::Adopted);
            self.outbox.event(EventBody::Adopted { who: process.who(), run, pid: live.run.pid });
            self.outbox.news(RunNews::Began(Box::new(began(process, &live))));
            if live.paused {
                let process_id = process.identity.process_id.clone();
                self.outbox.news(RunNews::Paused { process_id, paused: true });
            }
        }
        let limits = limits::in_force(&process.prepared.limits, process.kernel);
        process.change(move |record| {
            record.run = Some((*live.run).clone());
            (record.run_number, record.restarts) = (run, restarts);
            record.started_at_ms = Some(began_at);
            record.next_restart_at_ms = None;
            (record.parent_pid, record.limits) = (std::process::id(), limits);
        });
    }

    fn tell_ended(
        &mut self,
        process: &mut Process,
        live: &Live,
        exit: &RunExit,
        ending: Ending,
        lasted: Duration,
        failed: bool,
    ) {
        let RunExit { status, user_time_ms, system_time_ms, peak_memory_bytes, .. } = *exit;
        let (run, pid, restarted) = (live.number, live.run.pid, live.restarted);
        process.remember(process.began_at, ms(lasted), ending);
        process.ended_at = Some(exit.at_ms);
        process.change(move |record| {
            record.exit = Some(status);
            record.cpu_time_ms += user_time_ms + system_time_ms;
            record.peak_memory_bytes = record.peak_memory_bytes.max(peak_memory_bytes);
            record.child_pids.clear();
        });
        if failed {
            self.outbox.count(Counter::Failed);
        } else if status.is_success() {
            self.outbox.count(Counter::Completed);
        }
        let process_id = process.identity.process_id.clone();
        self.outbox.news(RunNews::Ended { process_id, run_number: run, failed, restarted });
        let who = process.who();
        self.outbox.event(EventBody::Exited { who, run, pid, exit: status, lasted_ms: ms(lasted), peak_memory_bytes });
        self.want_clean_up();
        self.settle(process.identity.process_id.clone(), run);
    }

    fn tell_overtime(&mut self, process: &mut Process, limit: LimitKind, after: Duration) {
        process.overtimes += 1;
        process.change(move |record| *record.violations.entry(limit).or_default() += 1);
        let action = if limit == LimitKind::Timeout { "stop" } else { "restart" }.to_owned();
        let time = after.as_millis() as f64;
        let (who, count) = (process.who(), process.overtimes);
        self.outbox.event(EventBody::LimitViolated { who, limit, value: time, threshold: time, count, action });
    }
}

fn began(process: &Process, live: &Live) -> RunBegan {
    RunBegan {
        identity: Arc::clone(&process.identity),
        run_number: live.number,
        run: (*live.run).clone(),
        began: live.began,
        limits: process.prepared.limits,
        group: process.group.clone(),
        kernel: process.kernel,
        health_check: process.prepared.spec.health_check.clone(),
        directory: process.prepared.directory.clone(),
        env: Arc::clone(&process.prepared.env),
        confinement: Arc::clone(&process.prepared.sandbox.confinement),
        restart: process.prepared.spec.restart,
    }
}

/// How the last run ended, when the kernel had a word in it.
fn last_exit(process: &Process) -> Option<ExitStatus> {
    match process.history.first()?.ending {
        Ending::Ended(status) => Some(status),
        _ => None,
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
