//! Lives that began under an earlier supervisor, and how they go on under this one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::moves::Turn;
use super::{Effect, Life, Live, Moment, Rules, State, Tally, Then};
use crate::decision::Ending;
use crate::sample::RunIdentity;

/// What an earlier supervisor has left of the life of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// Its rules, as they are now.
    pub rules: Rules,
    /// Number of its live or last run, 0 before the first.
    pub run: u32,
    /// What the restart policy last counted.
    pub attempts: u32,
    /// Restarts since the beginning.
    pub restarts: u32,
    /// Where it was.
    pub was: Was,
}

/// Where a process was when its supervisor died or left.
#[derive(Debug, Clone, PartialEq)]
pub enum Was {
    /// It waited for its first run, or that was never born.
    Waiting,
    /// A run exists, or existed until lately: then its end follows as `Input::Exited`.
    Running {
        /// Which.
        identity: Arc<RunIdentity>,
        /// When it began.
        began: Instant,
        /// Whether it is paused.
        paused: bool,
        /// Whether it has not ended yet.
        lives: bool,
        /// What comes after its end, when somebody wanted that end.
        then: Option<Then>,
    },
    /// The restart policy had been asked, or was to be.
    Deciding {
        /// How the last run ended.
        ending: Ending,
        /// How long it lasted.
        lasted: Duration,
    },
    /// It waited for its restart.
    Backoff {
        /// What is left of the wait.
        left: Duration,
    },
    /// It had come to its end: one of the states that `State::is_ended` names.
    Ended(State),
}

impl Life {
    /// The life of a process that an earlier supervisor began, and what must be done for it to go on. A run that
    /// exists, or a pending restart, holds a place without asking for one.
    ///
    /// A stop that was under way is begun again, with its whole grace. The deadline of a run counts from its true
    /// beginning; one that has passed ends the run at once.
    pub fn adopted(past: Past, now: Instant) -> (Self, Vec<Effect>) {
        let Past { rules, run, attempts, restarts, was } = past;
        let tally = Tally { run, attempts, restarts, ..Tally::default() };
        let before = Self { rules, state: State::Queued, tally };
        let mut turn = Turn::new(&before, now);
        let state = turn.take_up(was);
        let (tally, effects) = turn.done();
        (Self { rules, state, tally }, effects)
    }
}

impl Turn {
    fn take_up(&mut self, was: Was) -> State {
        match was {
            Was::Waiting => {
                self.act(Effect::SeekPlace);
                State::Queued
            }
            Was::Running { identity, began, paused, lives, then } => {
                let (number, restarted) = (self.tally.run, self.tally.restarts > 0);
                let live = Live { run: identity, number, began, restarted, idle: false, paused };
                self.tell(Moment::Adopted { live: live.clone(), lives });
                match then.filter(|then| *then != Then::Judge) {
                    Some(then) => {
                        let reason = then.reason();
                        self.begin_stop(live, then, reason)
                    }
                    None => self.go_on(live, lives),
                }
            }
            Was::Deciding { ending, lasted } => self.ask(ending, lasted),
            Was::Backoff { left } => {
                self.arm(left);
                State::Backoff { until: super::later(self.now, left), attempt: self.tally.attempts }
            }
            Was::Ended(state) => state,
        }
    }

    fn go_on(&mut self, live: Live, lives: bool) -> State {
        // How a run ended that outlived its deadline unwatched is told by its exit, which is on its way.
        if let Some((_, after)) = self.rules.deadline.filter(|_| lives) {
            self.arm(after.saturating_sub(self.now.saturating_duration_since(live.began)));
        }
        State::Running(live)
    }
}
