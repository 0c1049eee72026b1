//! What passes between the supervisor and the monitor, which do not know each other.
//!
//! Owns the two message types of the channels that the daemon lays between them. It does no I/O.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::decision::LimitKind;
use crate::sample::RunIdentity;
use crate::spec::{Confinement, HealthCheck, Identity, Limits, ProcessId, RestartMode};

/// From the supervisor: what became of runs.
#[derive(Debug, Clone)]
pub enum RunNews {
    /// A run exists: watch it.
    Began(Box<RunBegan>),
    /// A run is over: forget it.
    Ended {
        /// Whose.
        process_id: ProcessId,
        /// Which.
        run_number: u32,
        /// Whether by failure.
        failed: bool,
        /// Whether it was a restart that began it.
        restarted: bool,
    },
    /// The process is paused or runs again; a paused one is not blamed for not answering.
    Paused {
        /// Whose.
        process_id: ProcessId,
        /// Whether it is paused now.
        paused: bool,
    },
}

/// A run to be watched.
#[derive(Clone)]
pub struct RunBegan {
    /// Whose.
    pub identity: Arc<Identity>,
    /// Which run, 1 for the first.
    pub run_number: u32,
    /// The operating system's view of it.
    pub run: RunIdentity,
    /// When it began, monotonic.
    pub began: Instant,
    /// Limits in force.
    pub limits: Limits,
    /// The run's own cgroup, when it has one.
    pub group: Option<PathBuf>,
    /// Those of them that the kernel keeps: they cannot be broken, only come up against.
    pub kernel: KernelHolds,
    /// How to ask whether it works.
    pub health_check: Option<HealthCheck>,
    /// Working directory and environment for health checks.
    pub directory: PathBuf,
    /// The child's environment; secret.
    pub env: Arc<BTreeMap<String, String>>,
    /// What the child may not do or see; nor may its health checks.
    pub confinement: Arc<Confinement>,
    /// When it is wanted back: one that is not is never ended for its health.
    pub restart: RestartMode,
}

/// Which limits the kernel keeps for a run (its cgroup has them).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelHolds {
    /// Memory of the tree.
    pub memory: bool,
    /// Processor time of the tree.
    pub cpu: bool,
    /// Threads and processes of the tree.
    pub pids: bool,
}

/// Environment values are secrets: the debug form shows their names only.
impl std::fmt::Debug for RunBegan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunBegan")
            .field("identity", &self.identity)
            .field("run_number", &self.run_number)
            .field("run", &self.run)
            .field("env_keys", &self.env.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// From the monitor: what should be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Enforcement {
    /// It has been unhealthy for so long that it should be restarted.
    Unhealthy {
        /// Whose.
        process_id: ProcessId,
        /// Which run was judged; a later one is not meant.
        run_number: u32,
        /// Its score.
        score: u8,
    },
    /// It broke a limit.
    LimitBroken {
        /// Whose.
        process_id: ProcessId,
        /// Which run.
        run_number: u32,
        /// Which limit.
        limit: LimitKind,
        /// What to do.
        action: Action,
    },
    /// It has begun or ceased to do nothing.
    Idle {
        /// Whose.
        process_id: ProcessId,
        /// Which run.
        run_number: u32,
        /// Whether it is idle now.
        idle: bool,
    },
}

/// What a broken limit leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Make the tree less favoured.
    Throttle,
    /// End the run; the restart policy says what then.
    Restart,
    /// End the run, which is not wanted back.
    Stop,
}
