//! What a step wants done, and what it wants told.

use std::time::Duration;

use super::Live;
use crate::decision::{Ending, LimitKind};
use crate::sample::RunExit;
use crate::spec::StopSignal;

/// Something to be done. Effects of one step are done in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Find it a place, or let it wait for one; `Input::PlaceGranted` is the answer.
    SeekPlace,
    /// Let it wait for a place no longer.
    LeaveQueue,
    /// Its place is free for another.
    ReleasePlace,
    /// Make this run; `Input::Launched` is the answer.
    Launch {
        /// Its number.
        run: u32,
    },
    /// Signal the whole tree.
    SignalTree {
        /// Whose.
        live: Live,
        /// With what.
        signal: StopSignal,
    },
    /// Signal the main process alone.
    SignalMain {
        /// Whose.
        live: Live,
        /// With what.
        signal: StopSignal,
    },
    /// Make the tree less favoured.
    Throttle {
        /// Whose.
        live: Live,
    },
    /// Look what of the tree is left; `Input::Swept` with this generation is the answer.
    Sweep {
        /// Whose.
        live: Live,
        /// What to do to it.
        sweep: Sweep,
        /// Which sweep this is.
        generation: u64,
    },
    /// Give `Input::Timer` with this generation after this time. Replaces the timer before.
    Arm {
        /// Which timer this is.
        generation: u64,
        /// When.
        after: Duration,
    },
    /// Forget the timer.
    Disarm,
    /// Ask the restart policy; `Input::Decided` with this generation is the answer.
    AskRestart {
        /// Which question this is.
        generation: u64,
        /// How the run ended.
        ending: Ending,
        /// How long it lasted.
        lasted: Duration,
        /// Attempts the policy counted last time.
        attempts: u32,
        /// Restarts so far.
        restarts: u32,
    },
    /// Record and publish this.
    Tell(Moment),
}

/// What a sweep does to what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// Nothing.
    Look,
    /// Kill it.
    Kill,
}

/// Something worth recording and publishing.
#[derive(Debug, Clone, PartialEq)]
pub enum Moment {
    /// A launch begins.
    Starting {
        /// Of this run.
        run: u32,
    },
    /// A run exists.
    Began {
        /// This one.
        live: Live,
    },
    /// A run that an earlier supervisor began is in this one's care.
    Adopted {
        /// This one.
        live: Live,
        /// Whether it has not ended yet; if it has, its end is told next.
        lives: bool,
    },
    /// A run could not be made.
    StartFailed {
        /// Which.
        run: u32,
        /// Why.
        message: String,
    },
    /// It fell idle, or woke.
    Idle(bool),
    /// It was paused, or goes on.
    Paused(bool),
    /// A signal was sent for a person.
    Signalled(StopSignal),
    /// It outlived a limit of time.
    OutOfTime {
        /// Which.
        limit: LimitKind,
        /// How long that is.
        after: Duration,
    },
    /// Its stop has begun.
    Stopping {
        /// Why.
        reason: String,
        /// How long it has.
        grace: Duration,
    },
    /// It, or something of its tree, did not stop in its grace and is being killed.
    Killed {
        /// Who.
        pid: u32,
        /// The grace it had.
        grace: Duration,
    },
    /// A run is over, its tree gone (or given up on).
    Ended {
        /// Which.
        live: Live,
        /// How its main process ended.
        exit: RunExit,
        /// How the run counts.
        ending: Ending,
        /// How long it lasted.
        lasted: Duration,
        /// Whether that is a failure of the process.
        failed: bool,
    },
    /// A run ended by failure and nobody had asked for its end.
    Crashed {
        /// Which.
        run: u32,
        /// How.
        reason: String,
    },
    /// It will be started again.
    Backoff {
        /// After this long.
        delay: Duration,
        /// Which attempt that will be.
        attempt: u32,
        /// What made it necessary.
        reason: String,
    },
    /// It will not come back by itself.
    GaveUp {
        /// Why.
        reason: String,
        /// Attempts counted.
        attempts: u32,
    },
    /// It is down because it was asked to be, or because its work is done.
    Stopped {
        /// Which of the two.
        reason: String,
    },
    /// This survived SIGKILL.
    StopFailed {
        /// Pids.
        survivors: Vec<u32>,
    },
}
