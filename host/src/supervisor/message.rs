//! What the task is told: by those who hold a handle, and by the small tasks it has sent out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio::sync::oneshot;

use super::admission::Admitted;
use super::adopting::{Adopted, Inheritance};
use super::trees::Outcome;
use super::{RestartWait, SandboxConfig, SupervisorConfig};
use crate::decision::{Decided, RestartDecision};
use crate::error::Problem;
use crate::lifecycle::Launch;
use crate::logs::LogsConfig;
use crate::sample::RunExit;
use crate::spec::{Limits, ProcessId, ProcessSpec, StopSignal};

/// Where an answer goes. One who no longer wants it is no error.
pub(super) type Answer<T> = oneshot::Sender<Result<T, Problem>>;

/// From a handle. The inbox is bounded; full: the caller waits.
pub(super) enum Command {
    Start {
        spec: Box<ProcessSpec>,
        configured: bool,
        answer: Answer<ProcessId>,
    },
    /// Judge as a start would, and start nothing.
    Check {
        spec: Box<ProcessSpec>,
        answer: Answer<()>,
    },
    Ask {
        id: ProcessId,
        wish: Wish,
        answer: Answer<()>,
    },
    Adopt {
        configured: BTreeMap<String, ProcessSpec>,
        answer: Answer<Adopted>,
    },
    Upgrade {
        program: PathBuf,
        answer: Answer<()>,
    },
    CheckOutlives(Answer<()>),
    Leave {
        reason: String,
        done: oneshot::Sender<()>,
    },
    Reconfigure {
        settings: Box<(SupervisorConfig, SandboxConfig, Limits, LogsConfig)>,
        done: oneshot::Sender<()>,
    },
    ShutDown {
        reason: String,
        survivors: oneshot::Sender<usize>,
    },
}

/// What can be asked of one process.
pub(super) enum Wish {
    Start,
    Stop {
        reason: String,
    },
    Kill {
        reason: String,
    },
    Restart(RestartWait),
    Signal(StopSignal),
    Pause(bool),
    /// Nothing but to be told of its end.
    Wait,
}

/// From a small task. The inbox is bounded; full: the small task waits, the supervisor never waits for it.
pub(super) enum Message {
    /// An admission has come out.
    Admitted(Admitted),
    /// A launch has come out; its exit is told after it, never before.
    Launched { id: ProcessId, run: u32, launch: Launch, keeper: u32 },
    /// The main process of a run has ended.
    Exited { id: ProcessId, run: u32, exit: RunExit },
    /// The restart policy has answered.
    Decided { id: ProcessId, generation: u64, decided: Decided<RestartDecision> },
    /// Work on trees is done.
    Trees(Vec<Outcome>),
    /// What an earlier life left has been gathered.
    Inherited(Box<Inheritance>),
    /// Whether the ends that the disk was asked for are on it.
    Committed(bool),
    /// These ids were found in the environment of living processes.
    Marked(Vec<ProcessId>),
}
