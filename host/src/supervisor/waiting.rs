//! Callers that wait for a process to come somewhere, and when they have their answer.

use super::message::Answer;
use super::outbox::Outbox;
use super::run::Process;
use crate::error::{ErrorClass, Problem};
use crate::lifecycle::{Life, State};
use crate::spec::ProcessId;

/// What a caller waits for. There are as many as callers; one that no longer listens is let go at the next step.
pub(super) enum Waiting {
    /// The first run, or a place in the queue.
    First(Answer<ProcessId>),
    /// A run later than this one, or a place in the queue.
    Run { after: u32, answer: Answer<()> },
    /// The end of this run and of everything about it.
    Down { run: u32, answer: Answer<()> },
    /// The end of the process, whatever brings it.
    End(Answer<()>),
}

impl Waiting {
    fn is_given_up(&self) -> bool {
        match self {
            Self::First(answer) => answer.is_closed(),
            Self::Run { answer, .. } | Self::Down { answer, .. } | Self::End(answer) => answer.is_closed(),
        }
    }
}

impl Process {
    /// Answer everybody whose time has come.
    pub(super) fn answer(&mut self, outbox: &mut Outbox) {
        if self.waiting.is_empty() {
            return;
        }
        let title = self.title();
        for waiting in std::mem::take(&mut self.waiting) {
            let verdict = match &waiting {
                Waiting::First(_) => begun(&self.life, 0, true),
                Waiting::Run { after, .. } => begun(&self.life, *after, false),
                Waiting::Down { run, .. } => down(&self.life, *run, self.unstoppable),
                Waiting::End(_) => self.life.status().is_ended().then_some(Ok(())),
            };
            let Some(verdict) = verdict else {
                self.waiting.extend(Some(waiting).filter(|waiting| !waiting.is_given_up()));
                continue;
            };
            let verdict = verdict.map_err(|why| Problem::new(ErrorClass::ProcessFailure, format!("{title} {why}")));
            match waiting {
                Waiting::First(answer) => {
                    outbox.reply_started(answer, verdict.map(|()| self.identity.process_id.clone()));
                }
                Waiting::Run { answer, .. } | Waiting::Down { answer, .. } | Waiting::End(answer) => {
                    outbox.reply(answer, verdict);
                }
            }
        }
    }
}

type Verdict = Option<Result<(), String>>;

/// Whether a run later than `after` exists. A first start whose launch failed and is tried again counts: the process is
/// in the supervisor's care.
fn begun(life: &Life, after: u32, first: bool) -> Verdict {
    let state = life.state();
    match state {
        State::Queued => Some(Ok(())),
        State::Stuck { reason, .. } => Some(Err(reason.clone())),
        State::Stopped { reason } | State::Crashed { reason } | State::Failed { reason } => {
            Some(Err(format!("is down: {reason}")))
        }
        _ if life.run_number() <= after => None,
        State::Deciding { .. } | State::Backoff { .. } if first => Some(Ok(())),
        State::Deciding { .. } => None,
        State::Backoff { .. } => Some(Err(format!("could not be started yet: {}", state.reason()))),
        State::Starting { .. } => None,
        State::Running(_) | State::Stopping { .. } | State::Clearing { .. } => Some(Ok(())),
    }
}

/// Whether nothing is left of this run. A later run is proof of that.
fn down(life: &Life, run: u32, unstoppable: bool) -> Verdict {
    match life.state() {
        State::Stuck { reason, .. } => Some(Err(format!("could not be stopped: {reason}"))),
        State::Failed { reason } if unstoppable => Some(Err(format!("could not be stopped whole: {reason}"))),
        state if state.is_ended() || life.run_number() > run => Some(Ok(())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{Effect, Input, Launch, Rules, step};
    use crate::sample::{ExitStatus, RunExit, RunIdentity};
    use crate::spec::{RestartMode, StopSignal};
    use crate::units::Timestamp;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn after(restart: RestartMode, inputs: Vec<Input>) -> Life {
        let second = Duration::from_secs(1);
        let rules = Rules { restart, stop_signal: StopSignal::TERM, grace: second, kill_wait: second, deadline: None };
        let (mut life, now) = (Life::new(rules), Instant::now());
        for input in inputs {
            // A sweep finds nobody, so that an exit is the end.
            let (next, effects) = step(&life, input, now).unwrap();
            life = next;
            for effect in effects {
                if let Effect::Sweep { generation, .. } = effect {
                    life = step(&life, Input::Swept { generation, survivors: vec![] }, now).unwrap().0;
                }
            }
        }
        life
    }

    fn made(pid: u32) -> Input {
        Input::Launched(Launch::Made(Arc::new(RunIdentity { pid, start_ticks: 1, boot_id: String::new() })))
    }

    fn failed() -> Input {
        Input::Launched(Launch::Failed("no such file".to_owned()))
    }

    fn exited(run: u32) -> Input {
        let status = ExitStatus::Signal(15);
        let exit = RunExit { status, at_ms: Timestamp(0), user_time_ms: 0, system_time_ms: 0, peak_memory_bytes: 0 };
        Input::Exited { run, exit, ago: Duration::ZERO }
    }

    fn stop() -> Input {
        Input::Stop { reason: "asked".to_owned() }
    }

    #[test]
    fn a_start_is_answered_by_a_run_or_a_place_in_the_queue() {
        use RestartMode::{No, OnFailure};
        assert_eq!(begun(&after(No, vec![Input::Start]), 0, true), Some(Ok(())));
        assert_eq!(begun(&after(No, vec![Input::Start, Input::PlaceGranted]), 0, true), None);
        assert_eq!(begun(&after(No, vec![Input::Start, Input::PlaceGranted, made(1)]), 0, true), Some(Ok(())));
        let refused = begun(&after(No, vec![Input::Start, Input::PlaceGranted, failed()]), 0, true);
        assert!(refused.unwrap().unwrap_err().contains("no such file"));
        let retried = begun(&after(OnFailure, vec![Input::Start, Input::PlaceGranted, failed()]), 0, true);
        assert_eq!(retried, Some(Ok(())));
    }

    #[test]
    fn a_restart_is_answered_by_the_next_run_and_not_by_the_old() {
        let mut history = vec![Input::Start, Input::PlaceGranted, made(1), Input::Restart];
        assert_eq!(begun(&after(RestartMode::No, history.clone()), 1, false), None);
        history.push(exited(1));
        assert_eq!(begun(&after(RestartMode::No, history.clone()), 1, false), None);
        history.push(made(2));
        assert_eq!(begun(&after(RestartMode::No, history), 1, false), Some(Ok(())));
    }

    #[test]
    fn a_stop_is_answered_when_nothing_is_left() {
        let mut history = vec![Input::Start, Input::PlaceGranted, made(1), stop()];
        assert_eq!(down(&after(RestartMode::No, history.clone()), 1, false), None);
        history.push(exited(1));
        assert_eq!(down(&after(RestartMode::No, history), 1, false), Some(Ok(())));
    }

    #[test]
    fn a_stop_that_a_restart_overtook_is_answered_by_the_next_run() {
        let history = vec![Input::Start, Input::PlaceGranted, made(1), stop(), Input::Restart, exited(1), made(2)];
        assert_eq!(down(&after(RestartMode::No, history), 1, false), Some(Ok(())));
    }
}
