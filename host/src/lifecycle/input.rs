//! What can happen to a process.

use std::sync::Arc;
use std::time::Duration;

use crate::decision::{LimitKind, RestartDecision};
use crate::sample::{RunExit, RunIdentity};
use crate::spec::StopSignal;

/// Something that happened to a process, or is asked of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Start it, or start it now instead of after its backoff. Attempts counted so far are forgiven.
    Start,
    /// A place is free for it.
    PlaceGranted,
    /// The launch asked for has come out.
    Launched(Launch),
    /// The main process has ended.
    Exited {
        /// Of which run.
        run: u32,
        /// How.
        exit: RunExit,
        /// How long ago: it may have ended while no supervisor lived to see it.
        ago: Duration,
    },
    /// Stop it for good.
    Stop {
        /// Why, for a person.
        reason: String,
    },
    /// Kill it for good, without grace.
    Kill {
        /// Why, for a person.
        reason: String,
    },
    /// Stop it and start it again. Attempts counted so far are forgiven.
    Restart,
    /// Pause it, or let it go on.
    Pause(bool),
    /// Send its main process a signal.
    Signal(StopSignal),
    /// The timer that was armed in this generation has run out.
    Timer {
        /// Which.
        generation: u64,
    },
    /// The restart policy has answered.
    Decided {
        /// The question of which generation.
        generation: u64,
        /// What.
        decision: RestartDecision,
    },
    /// A sweep of the tree is done.
    Swept {
        /// The sweep of which generation.
        generation: u64,
        /// Pids that are still there.
        survivors: Vec<u32>,
    },
    /// The monitor wants it restarted for its health.
    Unhealthy {
        /// Which run was judged.
        run: u32,
        /// Its score.
        score: u8,
    },
    /// The monitor saw a limit broken whose breach ends the run.
    LimitBroken {
        /// In which run.
        run: u32,
        /// Which.
        limit: LimitKind,
    },
    /// The monitor saw a limit broken whose breach makes the run less favoured.
    Throttle {
        /// Which run.
        run: u32,
    },
    /// The monitor saw it fall idle, or wake.
    Idle {
        /// Which run.
        run: u32,
        /// Whether it is idle now.
        idle: bool,
    },
}

/// How a launch came out.
#[derive(Debug, Clone, PartialEq)]
pub enum Launch {
    /// A run exists.
    Made(Arc<RunIdentity>),
    /// None does; why.
    Failed(String),
}

impl Input {
    /// What is asked, as a verb for messages.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::PlaceGranted => "give a place to",
            Self::Launched(_) => "take a launch for",
            Self::Exited { .. } => "take an exit of",
            Self::Stop { .. } => "stop",
            Self::Kill { .. } => "kill",
            Self::Restart => "restart",
            Self::Pause(true) => "pause",
            Self::Pause(false) => "resume",
            Self::Signal(_) => "signal",
            Self::Timer { .. } => "take a timer of",
            Self::Decided { .. } => "take a decision for",
            Self::Swept { .. } => "take a sweep of",
            Self::Unhealthy { .. } => "restart for its health",
            Self::LimitBroken { .. } => "end for a limit",
            Self::Throttle { .. } => "throttle",
            Self::Idle { .. } => "call idle",
        }
    }
}
