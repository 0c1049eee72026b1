//! The moves of a process without a run, with a fresh one, or with one that nobody wants to end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Effect, Illegal, Input, Launch, Life, Live, Moment, Rules, State, Sweep, Tally, Then, Wanted, later};
use crate::decision::{Ending, LimitKind, RestartDecision};
use crate::sample::RunIdentity;
use crate::spec::{RestartMode, StopSignal};
use crate::units::human_duration;

/// One step in the making: collects effects and counts generations.
pub(super) struct Turn {
    pub(super) rules: Rules,
    pub(super) tally: Tally,
    pub(super) now: Instant,
    effects: Vec<Effect>,
}

pub(super) type Moved = Result<State, Illegal>;

impl Turn {
    pub(super) fn new(life: &Life, now: Instant) -> Self {
        Self { rules: life.rules, tally: life.tally, now, effects: Vec::new() }
    }

    pub(super) fn done(self) -> (Tally, Vec<Effect>) {
        (self.tally, self.effects)
    }

    pub(super) fn follow(&mut self, state: &State, input: Input) -> Moved {
        match state {
            State::Queued => self.when_queued(input),
            State::Starting { restarted, wanted } => self.when_starting(*restarted, wanted, input),
            State::Running(live) => self.when_running(live, input),
            State::Stopping { live, stage, then } => self.when_stopping(live, *stage, then, input),
            State::Clearing { live, exit, ended, then, patience } => {
                let at = super::stopping::Clearing { live, exit, ended: *ended, then, patience: *patience };
                self.when_clearing(at, input)
            }
            State::Stuck { live, reason } => self.when_stuck(live, reason, input),
            State::Deciding { ending } => self.when_deciding(ending, input),
            State::Backoff { .. } => self.when_backoff(state, input),
            State::Stopped { .. } | State::Crashed { .. } | State::Failed { .. } => self.when_ended(state, input),
        }
    }

    pub(super) fn act(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn tell(&mut self, moment: Moment) {
        self.act(Effect::Tell(moment));
    }

    /// Wait for nothing that was asked for before: whatever of it still comes is late.
    pub(super) fn wait_anew(&mut self) -> u64 {
        if self.tally.armed {
            self.act(Effect::Disarm);
            self.tally.armed = false;
        }
        self.tally.generation += 1;
        self.tally.generation
    }

    pub(super) fn arm(&mut self, after: Duration) {
        // `Arm` replaces the timer before, so no `Disarm` is needed.
        self.tally.armed = false;
        let generation = self.wait_anew();
        self.tally.armed = true;
        self.act(Effect::Arm { generation, after });
    }

    /// The moment so long ago.
    pub(super) fn before(&self, ago: Duration) -> Instant {
        // A clock that does not reach so far back has no earlier moment to give.
        self.now.checked_sub(ago).unwrap_or(self.now)
    }

    pub(super) fn sweep(&mut self, live: &Live, sweep: Sweep) {
        let generation = self.wait_anew();
        self.act(Effect::Sweep { live: live.clone(), sweep, generation });
    }

    /// Come to an end: nothing is awaited and no place is held.
    pub(super) fn rest(&mut self, state: State) -> State {
        self.wait_anew();
        self.act(Effect::ReleasePlace);
        state
    }

    pub(super) fn stopped(&mut self, reason: String) -> State {
        self.tell(Moment::Stopped { reason: reason.clone() });
        self.rest(State::Stopped { reason })
    }

    pub(super) fn gave_up(&mut self, reason: String) -> State {
        self.tell(Moment::GaveUp { reason: reason.clone(), attempts: self.tally.attempts });
        self.rest(State::Failed { reason })
    }

    /// Begin the next run. The process holds a place.
    pub(super) fn launch(&mut self, restarted: bool) -> State {
        self.wait_anew();
        self.tally.run += 1;
        self.tell(Moment::Starting { run: self.tally.run });
        self.act(Effect::Launch { run: self.tally.run });
        State::Starting { restarted, wanted: Wanted::Run }
    }

    /// The same because a person wants it: the attempts counted so far are forgiven.
    pub(super) fn launch_forgiven(&mut self) -> State {
        self.tally.attempts = 0;
        self.launch(true)
    }

    /// A run is over, or could not be made, and nobody had asked for its end: does the process come back?
    pub(super) fn judge(&mut self, ending: Ending, lasted: Duration) -> State {
        let failed = ending.is_failure();
        if failed && !matches!(ending, Ending::NotStarted(_)) {
            self.tell(Moment::Crashed { run: self.tally.run, reason: ending.to_string() });
        }
        match (self.rules.restart, failed) {
            (RestartMode::No | RestartMode::OnFailure, false) => self.stopped("completed".to_owned()),
            (RestartMode::No, true) => {
                let reason = ending.to_string();
                let never_ran = matches!(ending, Ending::NotStarted(_));
                self.rest(if never_ran { State::Failed { reason } } else { State::Crashed { reason } })
            }
            (RestartMode::OnFailure, true) | (RestartMode::Always, _) => self.ask(ending, lasted),
        }
    }

    /// Ask the restart policy whether and when it comes back.
    pub(super) fn ask(&mut self, ending: Ending, lasted: Duration) -> State {
        let generation = self.wait_anew();
        let Tally { attempts, restarts, .. } = self.tally;
        self.act(Effect::AskRestart { generation, ending: ending.clone(), lasted, attempts, restarts });
        State::Deciding { ending }
    }

    fn when_ended(&mut self, state: &State, input: Input) -> Moved {
        match input {
            Input::Start | Input::Restart => {
                self.tally.attempts = 0;
                self.act(Effect::SeekPlace);
                Ok(State::Queued)
            }
            // It is down already, which is what was wanted.
            Input::Stop { .. } | Input::Kill { .. } => Ok(state.clone()),
            other => Err(illegal(&other, state)),
        }
    }

    fn when_queued(&mut self, input: Input) -> Moved {
        match input {
            Input::PlaceGranted => Ok(self.launch(false)),
            Input::Stop { reason } | Input::Kill { reason } => {
                self.act(Effect::LeaveQueue);
                self.tell(Moment::Stopped { reason: reason.clone() });
                Ok(State::Stopped { reason })
            }
            // Its start is on its way already.
            Input::Restart => Ok(State::Queued),
            other => Err(illegal(&other, &State::Queued)),
        }
    }

    fn when_starting(&mut self, restarted: bool, wanted: &Wanted, input: Input) -> Moved {
        match input {
            Input::Launched(Launch::Made(run)) => Ok(self.began(run, restarted, wanted)),
            Input::Launched(Launch::Failed(message)) => {
                self.tell(Moment::StartFailed { run: self.tally.run, message: message.clone() });
                Ok(match wanted {
                    Wanted::Run => self.judge(Ending::NotStarted(message), Duration::ZERO),
                    Wanted::Stop { reason, .. } => self.stopped(reason.clone()),
                })
            }
            Input::Stop { reason } => {
                let kill = matches!(wanted, Wanted::Stop { kill: true, .. });
                Ok(State::Starting { restarted, wanted: Wanted::Stop { reason, kill } })
            }
            Input::Kill { reason } => Ok(State::Starting { restarted, wanted: Wanted::Stop { reason, kill: true } }),
            // A fresh run is on its way already.
            Input::Restart => Ok(State::Starting { restarted, wanted: Wanted::Run }),
            other => Err(illegal(&other, &State::Starting { restarted, wanted: wanted.clone() })),
        }
    }

    fn began(&mut self, run: Arc<RunIdentity>, restarted: bool, wanted: &Wanted) -> State {
        self.tally.restarts += u32::from(restarted);
        let live = Live { run, number: self.tally.run, began: self.now, restarted, idle: false, paused: false };
        self.tell(Moment::Began { live: live.clone() });
        match wanted {
            Wanted::Run => {
                if let Some((_, after)) = self.rules.deadline {
                    self.arm(after);
                }
                State::Running(live)
            }
            Wanted::Stop { reason, kill: true } => self.begin_kill(live, Then::Down { reason: reason.clone() }, reason),
            Wanted::Stop { reason, kill: false } => {
                self.begin_stop(live, Then::Down { reason: reason.clone() }, reason.clone())
            }
        }
    }

    fn when_running(&mut self, live: &Live, input: Input) -> Moved {
        let live = live.clone();
        Ok(match input {
            Input::Exited { exit, ago, .. } => self.begin_clearing(live, (exit, self.before(ago)), Then::Judge),
            Input::Stop { reason } => self.begin_stop(live, Then::Down { reason: reason.clone() }, reason),
            Input::Kill { reason } => self.begin_kill(live, Then::Down { reason: reason.clone() }, &reason),
            Input::Restart => self.begin_stop(live, Then::Restart, "restart asked for".to_owned()),
            Input::Timer { .. } => self.out_of_time(live),
            Input::LimitBroken { limit, .. } => self.end_for(live, Ending::Limit(limit)),
            Input::Unhealthy { score, .. } if self.rules.restart != RestartMode::No => {
                self.end_for(live, Ending::Unhealthy(score))
            }
            // Not wanted back, so ending it would heal nothing.
            Input::Unhealthy { .. } => State::Running(live),
            Input::Throttle { .. } => {
                self.act(Effect::Throttle { live: live.clone() });
                State::Running(live)
            }
            Input::Idle { idle, .. } => {
                if live.idle != idle {
                    self.tell(Moment::Idle(idle));
                }
                State::Running(Live { idle, ..live })
            }
            Input::Pause(paused) => {
                let signal = if paused { StopSignal::STOP } else { StopSignal::CONT };
                self.act(Effect::SignalTree { live: live.clone(), signal });
                self.tell(Moment::Paused(paused));
                State::Running(Live { paused, ..live })
            }
            Input::Signal(signal) => {
                self.signal_main(&live, signal);
                State::Running(live)
            }
            other => return Err(illegal(&other, &State::Running(live))),
        })
    }

    pub(super) fn signal_main(&mut self, live: &Live, signal: StopSignal) {
        self.act(Effect::SignalMain { live: live.clone(), signal });
        self.tell(Moment::Signalled(signal));
    }

    fn end_for(&mut self, live: Live, ending: Ending) -> State {
        let reason = ending.to_string();
        self.begin_stop(live, Then::JudgeAs(ending), reason)
    }

    fn out_of_time(&mut self, live: Live) -> State {
        // The only timer of a running process is its deadline.
        let Some((limit, after)) = self.rules.deadline else { return State::Running(live) };
        self.tell(Moment::OutOfTime { limit, after });
        let ending = Ending::Limit(limit);
        if limit == LimitKind::Timeout {
            let reason = format!("timeout after {}", human_duration(after));
            self.begin_stop(live, Then::Fail { ending, reason: reason.clone() }, reason)
        } else {
            self.end_for(live, ending)
        }
    }

    fn when_deciding(&mut self, ending: &Ending, input: Input) -> Moved {
        Ok(match input {
            Input::Decided { decision: RestartDecision::GiveUp { reason }, .. } => self.gave_up(reason),
            Input::Decided { decision: RestartDecision::RestartAfter { delay_ms, attempt }, .. } => {
                self.tally.attempts = attempt;
                if delay_ms == 0 {
                    return Ok(self.launch(true));
                }
                let delay = Duration::from_millis(delay_ms);
                self.tell(Moment::Backoff { delay, attempt, reason: ending.to_string() });
                self.arm(delay);
                State::Backoff { until: later(self.now, delay), attempt }
            }
            Input::Stop { reason } | Input::Kill { reason } => self.stopped(reason),
            Input::Start | Input::Restart => self.launch_forgiven(),
            other => return Err(illegal(&other, &State::Deciding { ending: ending.clone() })),
        })
    }

    fn when_backoff(&mut self, state: &State, input: Input) -> Moved {
        Ok(match input {
            Input::Timer { .. } => self.launch(true),
            Input::Stop { reason } | Input::Kill { reason } => self.stopped(reason),
            Input::Start | Input::Restart => self.launch_forgiven(),
            other => return Err(illegal(&other, state)),
        })
    }
}

pub(super) fn illegal(input: &Input, state: &State) -> Illegal {
    Illegal { asked: input.verb(), state: state.word() }
}
