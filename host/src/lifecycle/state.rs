//! Where a process can be, each state with its data, and what outsiders see of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use crate::care::Then;
use crate::decision::Ending;
use crate::record::Status;
use crate::sample::{RunExit, RunIdentity};

/// A run that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// The operating system's view of it.
    pub run: Arc<RunIdentity>,
    /// Which run, 1 for the first.
    pub number: u32,
    /// When it began.
    pub began: Instant,
    /// Whether it was a restart that began it.
    pub restarted: bool,
    /// Whether it does nothing.
    pub idle: bool,
    /// Whether it is paused.
    pub paused: bool,
}

/// Where a process is in its life.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Waits for a place.
    Queued,
    /// A launch is on its way.
    Starting {
        /// Whether this is a restart.
        restarted: bool,
        /// What is wanted of the run when it exists.
        wanted: Wanted,
    },
    /// A run exists and nobody wants its end.
    Running(Live),
    /// A run exists and has been asked, or forced, to end.
    Stopping {
        /// The run.
        live: Live,
        /// How far the stop is.
        stage: Stage,
        /// What comes after it.
        then: Then,
    },
    /// The main process has ended; what it left behind is being ended.
    Clearing {
        /// The run.
        live: Live,
        /// How its main process ended.
        exit: RunExit,
        /// When it did.
        ended: Instant,
        /// What comes after it.
        then: Then,
        /// What is done to the leftovers, and until when.
        patience: Patience,
    },
    /// The main process survived a SIGKILL (it hangs in the kernel). It still holds its place.
    Stuck {
        /// The run.
        live: Live,
        /// Why it was to end.
        reason: String,
    },
    /// The restart policy has been asked.
    Deciding {
        /// How the last run ended.
        ending: Ending,
    },
    /// Waits for its restart.
    Backoff {
        /// Until when.
        until: Instant,
        /// Which attempt the restart will be.
        attempt: u32,
    },
    /// Down because it was asked to be, or because its work is done.
    Stopped {
        /// Which of the two, for a person.
        reason: String,
    },
    /// Ended by failure and not wanted back.
    Crashed {
        /// How.
        reason: String,
    },
    /// Could not be started or stopped, or was given up on.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What is wanted of a run that does not exist yet.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// That it runs.
    Run,
    /// That it ends at once: somebody asked while it was being launched.
    Stop {
        /// Why.
        reason: String,
        /// Whether without grace.
        kill: bool,
    },
}

/// How far a stop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The stop signal was sent.
    Grace {
        /// When its grace is over.
        until: Instant,
    },
    /// SIGKILL was sent.
    Killing,
    /// SIGKILL has not helped; the tree is looked at a last time.
    LastLook,
}

/// How leftovers of a tree are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Whether they are killed, or still in their grace.
    pub kill: bool,
    /// When the grace, or the wait after the kill, is over.
    pub until: Instant,
    /// Time to the next look.
    pub pause: Duration,
}

impl State {
    /// What outsiders see.
    pub const fn status(&self) -> Status {
        match self {
            Self::Queued => Status::Queued,
            Self::Starting { .. } => Status::Starting,
            Self::Running(Live { idle: true, .. }) => Status::Idle,
            Self::Running(_) => Status::Running,
            Self::Stopping { .. } | Self::Clearing { .. } => Status::Stopping,
            Self::Deciding { .. } | Self::Backoff { .. } => Status::Backoff,
            Self::Stopped { .. } => Status::Stopped,
            Self::Crashed { .. } => Status::Crashed,
            Self::Stuck { .. } | Self::Failed { .. } => Status::Error,
        }
    }

    /// A word for messages.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Starting { .. } => "starting",
            Self::Running(_) => "running",
            Self::Stopping { .. } | Self::Clearing { .. } => "stopping",
            Self::Stuck { .. } => "stuck: it survived SIGKILL",
            Self::Deciding { .. } | Self::Backoff { .. } => "waiting for its restart",
            Self::Stopped { .. } => "stopped",
            Self::Crashed { .. } => "crashed",
            Self::Failed { .. } => "in error",
        }
    }

    /// Why it is there, for a person; empty when there is nothing to say.
    pub fn reason(&self) -> String {
        match self {
            Self::Queued | Self::Starting { .. } | Self::Clearing { .. } => String::new(),
            Self::Running(live) => if live.paused { "paused" } else { "" }.to_owned(),
            Self::Stopping { then, .. } => then.reason(),
            Self::Deciding { ending } => ending.to_string(),
            Self::Backoff { attempt, .. } => format!("restart attempt {attempt} is due"),
            Self::Stuck { reason, .. }
            | Self::Stopped { reason }
            | Self::Crashed { reason }
            | Self::Failed { reason } => reason.clone(),
        }
    }

    /// Whether nothing more happens until somebody starts it; it holds no place then.
    pub const fn is_ended(&self) -> bool {
        matches!(self, Self::Stopped { .. } | Self::Crashed { .. } | Self::Failed { .. })
    }

    /// The run whose main process lives, as far as is known.
    pub const fn live(&self) -> Option<&Live> {
        match self {
            Self::Running(live) | Self::Stopping { live, .. } | Self::Stuck { live, .. } => Some(live),
            _ => None,
        }
    }

    /// What comes after the end of its run, when somebody wants that end.
    pub fn then(&self) -> Option<Then> {
        match self {
            Self::Stopping { then, .. } | Self::Clearing { then, .. } => Some(then.clone()),
            Self::Starting { wanted: Wanted::Stop { reason, .. }, .. } => Some(Then::Down { reason: reason.clone() }),
            _ => None,
        }
        .filter(|then| *then != Then::Judge)
    }

    /// The run whose tree has not been seen empty yet.
    pub const fn tree(&self) -> Option<&Live> {
        match self {
            Self::Clearing { live, .. } => Some(live),
            _ => self.live(),
        }
    }
}
