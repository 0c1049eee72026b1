//! The life of one process as a pure machine: `step(life, input, now)` gives the next life and the effects.
//!
//! Owns every rule about what may follow what. Only the supervisor enters. There is no clock, I/O, lock or task here:
//! time comes in as an argument, and what should happen goes out as [`Effect`]s.
//!
//! ```text
//!             Start                PlaceGranted              Launched
//!   (ended) ───────────▶ Queued ───────────────▶ Starting ───────────────▶ Running ⇄ idle, ⇄ paused
//!      ▲  ▲                │ Stop                   │  ▲ ▲                    │      │
//!      │  └────────────────┘          LaunchFailed  │  │ │                    │      │ Stop, Kill, Restart,
//!      │                                            │  │ │ Restart            │      │ Timer (deadline), Unhealthy,
//!      │   Decided(give up)                         ▼  │ │                    │      ▼ LimitBroken
//!      ├◀────────────────────────────────────── Deciding │                    │   Stopping: grace ──▶ killing ──▶ Stuck
//!      │                                        ▲   │    │                    │      │ Exited           (survives KILL)
//!      │   Stop     ┌── Timer, Start, Restart ──│───│──▶ │             Exited │      │                     │ Exited
//!      ├◀───────── Backoff ◀────────────────────│───┘                         ▼      ▼                     ▼
//!      │                    Decided(after)      └───────────────────────── Clearing (main process gone, tree not yet)
//!      └◀──────────────────────────────────────────────────────────────────── Swept(nobody left)
//!
//!   ended: Stopped (asked to, or work done) · Crashed (failed, not wanted back) · Failed (not startable, given up on)
//! ```
//!
//! At any moment a process waits for at most one timer, policy answer or sweep. Each carries the *generation* in which
//! it was asked for; the generation rises whenever the process begins to wait for something else, so whatever comes
//! late is recognised and dropped. News of a run carry the run's number for the same reason.

mod effect;
mod input;
mod moves;
mod past;
mod state;
mod stopping;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub use effect::{Effect, Moment, Sweep};
pub use input::{Input, Launch};
use moves::Turn;
pub use past::{Past, Was};
pub use state::{Live, Patience, Stage, State, Then, Wanted};

use crate::decision::LimitKind;
use crate::record::Status;
use crate::spec::{Limits, RestartMode, StopSignal};

/// What of a specification and the configuration the machine must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// When the process is wanted back.
    pub restart: RestartMode,
    /// What asks it to stop.
    pub stop_signal: StopSignal,
    /// How long it may take to stop before it is killed.
    pub grace: Duration,
    /// How long to wait for the end of a killed one before its survivors are reported.
    pub kill_wait: Duration,
    /// When a run has lasted too long, and by which limit.
    pub deadline: Option<(LimitKind, Duration)>,
}

impl Rules {
    /// The deadline of a run: the shorter of `execution_time` and `timeout`. Either ends the run, so the other never
    /// counts; when they are equal it is `timeout`, which is the stricter of the two.
    pub fn deadline_of(limits: &Limits) -> Option<(LimitKind, Duration)> {
        let execution = limits.execution_time.map(|time| (LimitKind::ExecutionTime, time));
        let timeout = limits.timeout.map(|time| (LimitKind::Timeout, time));
        match (execution, timeout) {
            (Some(execution), Some(timeout)) if execution.1 < timeout.1 => Some(execution),
            (execution, timeout) => timeout.or(execution),
        }
    }
}

/// What a process has behind it, over all its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tally {
    /// Number of the last run begun, 1 for the first.
    run: u32,
    /// What the restart policy last counted; 0 after a start by a person.
    attempts: u32,
    /// Restarts since the beginning.
    restarts: u32,
    /// Rises whenever the process begins to wait for something else.
    generation: u64,
    /// Whether a timer of this generation runs.
    armed: bool,
}

/// One process: its rules, where it is, and what it has behind it. Changes in `step` only.
#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    rules: Rules,
    state: State,
    tally: Tally,
}

/// What cannot be asked of a process as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {asked} a process that is {state}")]
pub struct Illegal {
    /// What was asked.
    pub asked: &'static str,
    /// Where the process is, in a word.
    pub state: &'static str,
}

impl Life {
    /// A process that has never been started.
    pub fn new(rules: Rules) -> Self {
        Self { rules, state: State::Stopped { reason: "not started yet".to_owned() }, tally: Tally::default() }
    }

    /// Where it is.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where it is, for outsiders.
    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// Number of the live or last run, 1 for the first, 0 before it.
    pub fn run_number(&self) -> u32 {
        self.tally.run
    }

    /// Restarts since the beginning.
    pub fn restarts(&self) -> u32 {
        self.tally.restarts
    }

    /// The generation whose timer, answer or sweep is awaited.
    pub fn generation(&self) -> u64 {
        self.tally.generation
    }

    /// What the restart policy last counted; 0 after a start by a person.
    pub fn attempts(&self) -> u32 {
        self.tally.attempts
    }

    /// Its rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether a start or restart would have to wait for a place: it holds none.
    pub fn needs_place(&self) -> bool {
        self.state.is_ended()
    }
}

/// What follows `input` in this life at `now`: the life after it, and what must be done, in order.
///
/// Input that comes too late (a timer, answer or sweep of an earlier generation, news of an earlier run) changes
/// nothing and has no effects.
///
/// # Errors
/// When a process in this state cannot be asked that; nothing has changed then.
pub fn step(life: &Life, input: Input, now: Instant) -> Result<(Life, Vec<Effect>), Illegal> {
    if is_late(life, &input) {
        return Ok((life.clone(), Vec::new()));
    }
    let mut turn = Turn::new(life, now);
    let state = turn.follow(&life.state, input)?;
    let (tally, effects) = turn.done();
    Ok((Life { rules: life.rules, state, tally }, effects))
}

/// The moment `after` this one. One too far away for the clock is a century off, which nobody will see.
pub(crate) fn later(now: Instant, after: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    now.checked_add(after).unwrap_or_else(|| now + CENTURY)
}

fn is_late(life: &Life, input: &Input) -> bool {
    match input {
        Input::Timer { generation } | Input::Decided { generation, .. } | Input::Swept { generation, .. } => {
            *generation != life.tally.generation
        }
        Input::Exited { run, .. }
        | Input::Unhealthy { run, .. }
        | Input::LimitBroken { run, .. }
        | Input::Throttle { run }
        | Input::Idle { run, .. } => life.state.live().is_none_or(|live| live.number != *run),
        _ => false,
    }
}
