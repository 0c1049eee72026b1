//! The moves of a run that is to end: stop signal, grace, kill, and the clearing of what its tree left behind.

use std::time::{Duration, Instant};

use super::moves::{Moved, Turn, illegal};
use super::{Effect, Input, Live, Moment, Patience, Stage, State, Sweep, Then, later};
use crate::decision::Ending;
use crate::sample::RunExit;
use crate::spec::StopSignal;

/// Time to the second look at a tree whose main process is gone; doubles up to `LONGEST_PAUSE`. Leftovers are not the
/// supervisor's children, so no notification of their end is certain.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// `State::Clearing`, borrowed.
pub(super) struct Clearing<'a> {
    pub(super) live: &'a Live,
    pub(super) exit: &'a RunExit,
    pub(super) ended: Instant,
    pub(super) then: &'a Then,
    pub(super) patience: Patience,
}

impl Clearing<'_> {
    fn with(&self, then: Then, patience: Patience) -> State {
        State::Clearing { live: self.live.clone(), exit: *self.exit, ended: self.ended, then, patience }
    }
}

impl Turn {
    /// Ask the tree to end and give it its grace.
    pub(super) fn begin_stop(&mut self, live: Live, then: Then, reason: String) -> State {
        let grace = self.rules.grace;
        if grace.is_zero() {
            return self.begin_kill(live, then, &reason);
        }
        self.tell(Moment::Stopping { reason, grace });
        self.act(Effect::SignalTree { live: live.clone(), signal: self.rules.stop_signal });
        if live.paused {
            // A paused process sees the stop signal only when it goes on.
            self.act(Effect::SignalTree { live: live.clone(), signal: StopSignal::CONT });
        }
        self.arm(grace);
        State::Stopping { live, stage: Stage::Grace { until: later(self.now, grace) }, then }
    }

    /// Kill the tree without grace.
    pub(super) fn begin_kill(&mut self, live: Live, then: Then, reason: &str) -> State {
        self.tell(Moment::Stopping { reason: reason.to_owned(), grace: Duration::ZERO });
        self.kill_tree(live, then)
    }

    fn kill_tree(&mut self, live: Live, then: Then) -> State {
        self.act(Effect::SignalTree { live: live.clone(), signal: StopSignal::KILL });
        self.arm(self.rules.kill_wait);
        State::Stopping { live, stage: Stage::Killing, then }
    }

    pub(super) fn when_stopping(&mut self, live: &Live, stage: Stage, then: &Then, input: Input) -> Moved {
        let live = live.clone();
        Ok(match input {
            Input::Exited { exit, ago, .. } => {
                let end = (exit, self.before(ago));
                match stage {
                    Stage::Grace { until } => self.begin_grace_clearing(live, end, then.clone(), until),
                    Stage::Killing | Stage::LastLook => self.begin_clearing(live, end, then.clone()),
                }
            }
            Input::Timer { .. } => match stage {
                Stage::Grace { .. } => {
                    self.tell(Moment::Killed { pid: live.run.pid, grace: self.rules.grace });
                    self.kill_tree(live, then.clone())
                }
                Stage::Killing | Stage::LastLook => {
                    self.sweep(&live, Sweep::Kill);
                    State::Stopping { live, stage: Stage::LastLook, then: then.clone() }
                }
            },
            Input::Swept { survivors, .. } if stage == Stage::LastLook => self.after_last_look(live, then, survivors),
            Input::Stop { reason } => State::Stopping { live, stage, then: down(then, reason) },
            Input::Kill { reason } => match stage {
                Stage::Grace { .. } => self.kill_tree(live, down(then, reason)),
                Stage::Killing | Stage::LastLook => State::Stopping { live, stage, then: down(then, reason) },
            },
            Input::Restart => State::Stopping { live, stage, then: Then::Restart },
            Input::Signal(signal) => {
                self.signal_main(&live, signal);
                State::Stopping { live, stage, then: then.clone() }
            }
            // It is being ended already.
            Input::Unhealthy { .. } | Input::LimitBroken { .. } | Input::Throttle { .. } | Input::Idle { .. } => {
                State::Stopping { live, stage, then: then.clone() }
            }
            other => return Err(illegal(&other, &State::Stopping { live, stage, then: then.clone() })),
        })
    }

    fn after_last_look(&mut self, live: Live, then: &Then, survivors: Vec<u32>) -> State {
        if survivors.is_empty() {
            // Nobody is left, so the news of the main process's end is on its way.
            self.arm(self.rules.kill_wait);
            return State::Stopping { live, stage: Stage::Killing, then: then.clone() };
        }
        let reason = survived(&survivors);
        self.wait_anew();
        self.tell(Moment::StopFailed { survivors });
        State::Stuck { live, reason }
    }

    fn begin_grace_clearing(&mut self, live: Live, end: (RunExit, Instant), then: Then, until: Instant) -> State {
        self.sweep(&live, Sweep::Look);
        let (exit, ended) = end;
        State::Clearing { live, exit, ended, then, patience: Patience { kill: false, until, pause: FIRST_PAUSE } }
    }

    /// The main process is gone: end what it left behind.
    pub(super) fn begin_clearing(&mut self, live: Live, end: (RunExit, Instant), then: Then) -> State {
        self.sweep(&live, Sweep::Kill);
        let until = later(self.now, self.rules.kill_wait);
        let (exit, ended) = end;
        State::Clearing { live, exit, ended, then, patience: Patience { kill: true, until, pause: FIRST_PAUSE } }
    }

    pub(super) fn when_clearing(&mut self, at: Clearing<'_>, input: Input) -> Moved {
        Ok(match input {
            Input::Swept { survivors, .. } if survivors.is_empty() => self.over(&at),
            Input::Swept { survivors, .. } => self.not_clear_yet(&at, survivors),
            Input::Timer { .. } => {
                self.sweep(at.live, if at.patience.kill { Sweep::Kill } else { Sweep::Look });
                at.with(at.then.clone(), at.patience)
            }
            Input::Stop { reason } => at.with(down(at.then, reason), at.patience),
            Input::Kill { reason } if at.patience.kill => at.with(down(at.then, reason), at.patience),
            Input::Kill { reason } => self.begin_clearing(at.live.clone(), (*at.exit, at.ended), down(at.then, reason)),
            Input::Restart => at.with(Then::Restart, at.patience),
            other => return Err(illegal(&other, &at.with(at.then.clone(), at.patience))),
        })
    }

    fn not_clear_yet(&mut self, at: &Clearing<'_>, survivors: Vec<u32>) -> State {
        let Patience { kill, until, pause } = at.patience;
        let left = until.saturating_duration_since(self.now);
        if !left.is_zero() {
            self.arm(pause.min(left));
            return at.with(at.then.clone(), Patience { kill, until, pause: (pause * 2).min(LONGEST_PAUSE) });
        }
        if !kill {
            self.tell(Moment::Killed { pid: survivors[0], grace: self.rules.grace });
            return self.begin_clearing(at.live.clone(), (*at.exit, at.ended), at.then.clone());
        }
        self.tell_end(at);
        let reason = survived(&survivors);
        self.tell(Moment::StopFailed { survivors });
        self.rest(State::Failed { reason })
    }

    /// How the run counts, and whether that is a failure of the process.
    fn ending(at: &Clearing<'_>) -> (Ending, bool) {
        match at.then {
            Then::Judge => {
                let ending = Ending::Ended(at.exit.status);
                let failed = ending.is_failure();
                (ending, failed)
            }
            Then::JudgeAs(ending) | Then::Fail { ending, .. } => (ending.clone(), true),
            // Somebody wanted its end, so whatever it looks like it is no failure.
            Then::Down { .. } | Then::Restart => (Ending::Ended(at.exit.status), false),
        }
    }

    fn tell_end(&mut self, at: &Clearing<'_>) -> (Ending, Duration) {
        let (ending, failed) = Self::ending(at);
        let lasted = at.ended.saturating_duration_since(at.live.began);
        let (live, exit) = (at.live.clone(), *at.exit);
        self.tell(Moment::Ended { live, exit, ending: ending.clone(), lasted, failed });
        (ending, lasted)
    }

    fn over(&mut self, at: &Clearing<'_>) -> State {
        let (ending, lasted) = self.tell_end(at);
        match at.then {
            Then::Judge | Then::JudgeAs(_) => self.judge(ending, lasted),
            Then::Down { reason } => self.stopped(reason.clone()),
            Then::Fail { reason, .. } => self.gave_up(reason.clone()),
            Then::Restart => self.launch_forgiven(),
        }
    }

    pub(super) fn when_stuck(&mut self, live: &Live, reason: &str, input: Input) -> Moved {
        let live = live.clone();
        Ok(match input {
            Input::Exited { exit, ago, .. } => {
                let then = Then::Down { reason: "ended long after it was killed".to_owned() };
                self.begin_clearing(live, (exit, self.before(ago)), then)
            }
            Input::Stop { reason } | Input::Kill { reason } => {
                self.begin_kill(live, Then::Down { reason: reason.clone() }, &reason)
            }
            Input::Signal(signal) => {
                self.signal_main(&live, signal);
                State::Stuck { live, reason: reason.to_owned() }
            }
            // Nothing more can be done to it than was done.
            Input::Unhealthy { .. } | Input::LimitBroken { .. } | Input::Throttle { .. } | Input::Idle { .. } => {
                State::Stuck { live, reason: reason.to_owned() }
            }
            other => return Err(illegal(&other, &State::Stuck { live, reason: reason.to_owned() })),
        })
    }
}

/// What comes after the end when somebody asks for a stop now: it stays down. Whoever asked first gives the reason.
fn down(then: &Then, reason: String) -> Then {
    match then {
        Then::Down { .. } | Then::Fail { .. } => then.clone(),
        Then::Judge | Then::JudgeAs(_) | Then::Restart => Then::Down { reason },
    }
}

fn survived(pids: &[u32]) -> String {
    let list: Vec<_> = pids.iter().map(u32::to_string).collect();
    format!("survived SIGKILL: pid {}", list.join(", "))
}
