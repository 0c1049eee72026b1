//! What differs between operating systems: spawn, signal a tree, wait, sample, limits.
//!
//! The only room that may use `nix`, `libc`, `sysinfo` and `unsafe`, and the only one that names Linux. It decides
//! nothing: it is told what to do and says what happened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::oneshot;

use crate::sample::{RunIdentity, Sample};
use crate::spec::ProcessId;
pub use crate::spec::{Confinement, FileRules, IoPriority, UserIds};

mod ability;
mod change;
mod groups;
mod paths;
mod program;
mod tree;
mod user;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
mod unsupported;
#[cfg(not(target_os = "linux"))]
use unsupported as system;

pub use ability::Ability;
pub use change::{Change, ChangeKind};
pub use groups::{Abilities, GroupError, GroupLimits, GroupUsage, GroupsAt, OutOfMemory};
pub use paths::{PathRefusal, PathRules, judge_argument, resolve, restriction};
pub use program::find_program;
pub use system::{
    Cgroup, Cgroups, DirectoryWatch, ExitWatch, HolderLauncher, HolderSettings, InProcessLauncher, Sampler,
    SystemProbe, abilities, become_subreaper, find_user, hold, raise_descriptor_limit, release_startup_pages, scan_for,
    scan_marked,
};
pub use tree::{Tree, is_alive, is_stopped, members_of, signal_all};
pub use user::{Account, ConfinementError, UserError, UserRequest, check_confinement};

/// Variable that names the process a run belongs to. All of a tree inherits it, and is recognised by it when nothing
/// else ties it to its run any more.
pub const PROCESS_ID_VARIABLE: &str = "WASMVISOR_PROCESS_ID";

/// Everything a launcher needs to make one run. Paths are absolute and resolved.
#[derive(Clone)]
pub struct LaunchPlan {
    /// Whose run it is; given to the child as `WASMVISOR_PROCESS_ID` unless `env` does, and its tree is known by it.
    pub process_id: ProcessId,
    /// Which run, 1 for the first; with the process id it names the run to a holder.
    pub run: u32,
    /// File to execute.
    pub program: PathBuf,
    /// Argument vector, `argv[0]` included, as written.
    pub argv: Vec<String>,
    /// The child's whole environment.
    pub env: Vec<(String, String)>,
    /// Working directory.
    pub directory: PathBuf,
    /// File that receives standard output, appended to; created readable for its owner only.
    pub stdout: PathBuf,
    /// File that receives standard error, the same way; it may be the same file.
    pub stderr: PathBuf,
    /// When the two files are rotated. Only a holder rotates: in process the child writes to the file itself.
    pub rotation: Rotation,
    /// Niceness, -20 to 19; applied as far as the kernel lets us.
    pub niceness: i32,
    /// OOM score adjustment, -1000 to 1000; applied as far as the kernel lets us.
    pub oom_score_adjustment: i32,
    /// Limits that the kernel keeps for each process of the run.
    pub rlimits: ProcessLimits,
    /// What the child may not do or see.
    pub confinement: Confinement,
    /// What its paths were judged by.
    pub paths: PathRules,
    /// Directory of the run's own cgroup (v2), which exists; the child begins its life in it.
    pub cgroup: Option<PathBuf>,
}

impl LaunchPlan {
    /// The first run of `argv` with every default: output thrown away, an empty environment, nothing limited.
    pub fn new(process_id: ProcessId, program: PathBuf, argv: Vec<String>, directory: PathBuf) -> Self {
        Self {
            process_id,
            run: 1,
            program,
            argv,
            env: Vec::new(),
            directory,
            stdout: PathBuf::from("/dev/null"),
            stderr: PathBuf::from("/dev/null"),
            rotation: Rotation::default(),
            niceness: 0,
            oom_score_adjustment: 0,
            rlimits: ProcessLimits::default(),
            confinement: Confinement { no_new_privileges: true, ..Confinement::default() },
            paths: PathRules::default(),
            cgroup: None,
        }
    }
}

/// When output files are rotated, and how much of the past is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// A file of this many bytes is put aside at the next end of a line; 0 for never.
    pub max_bytes: u64,
    /// How many files put aside are kept per stream; the oldest goes first.
    pub keep: u32,
}

impl Default for Rotation {
    /// 10 MiB, 5 files put aside.
    fn default() -> Self {
        Self { max_bytes: 10 << 20, keep: 5 }
    }
}

/// Limits of setrlimit(2); `None` leaves what is inherited. No more than our own hard limits allow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessLimits {
    /// `RLIMIT_NOFILE`, soft and hard: open descriptors of one process.
    pub file_handles: Option<u32>,
    /// `RLIMIT_CORE`, bytes: size of a core dump; 0 for none.
    pub core_bytes: Option<u64>,
    /// `RLIMIT_FSIZE`, bytes: size of a file that it writes.
    pub file_size_bytes: Option<u64>,
    /// I/O priority, ioprio_set(2).
    pub io_priority: Option<IoPriority>,
}

/// Environment values are secrets: the debug form shows their names only.
impl fmt::Debug for LaunchPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaunchPlan")
            .field("process_id", &self.process_id)
            .field("program", &self.program)
            .field("argv", &self.argv)
            .field("env_keys", &self.env.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// A run that exists.
#[derive(Debug)]
pub struct Launched {
    /// Who it is.
    pub identity: RunIdentity,
    /// Tells its end.
    pub exit: ExitWatch,
    /// Pid of the process that made it and adopts what it orphans.
    pub keeper: u32,
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {path}: {source}")]
pub struct LaunchError {
    /// What was being done, for example `execute`.
    pub operation: &'static str,
    /// To what.
    pub path: PathBuf,
    /// What the system said.
    pub source: std::io::Error,
}

/// A launch on its way.
#[derive(Debug)]
pub struct PendingLaunch(oneshot::Receiver<Result<Launched, LaunchError>>);

impl PendingLaunch {
    /// The launch whose outcome `outcome` will receive.
    pub(crate) fn new(outcome: oneshot::Receiver<Result<Launched, LaunchError>>) -> Self {
        Self(outcome)
    }

    /// Its outcome, when the program was executed or has failed to be.
    ///
    /// # Errors
    /// Names the step that failed: a directory, an output file, the program itself, or the launcher that ended.
    pub async fn outcome(self) -> Result<Launched, LaunchError> {
        self.0.await.unwrap_or_else(|_| Err(launcher_ended()))
    }

    /// The same for a caller that stands still until then, about the tenth of a millisecond that a launch takes.
    ///
    /// # Errors
    /// As `outcome`.
    pub fn wait(self) -> Result<Launched, LaunchError> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut outcome = std::pin::pin!(self.outcome());
        loop {
            if let Poll::Ready(outcome) = outcome.as_mut().poll(&mut Context::from_waker(&waker)) {
                return outcome;
            }
            std::thread::park();
        }
    }
}

/// Wakes the thread that waits for a launch.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn launcher_ended() -> LaunchError {
    let source = std::io::ErrorKind::BrokenPipe.into();
    LaunchError { operation: "make a run: the launcher has ended", path: PathBuf::new(), source }
}

/// A run of an earlier life that a launcher still holds: it lives, or its end has not been settled.
#[derive(Debug)]
pub struct Survivor {
    /// Whose run.
    pub process_id: ProcessId,
    /// Which run.
    pub run: u32,
    /// The run. Its `exit` answers at once when it has ended already.
    pub launched: Launched,
}

/// What a launcher that is a process of its own has to say, besides the fate of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The holder is gone: runs are still watched, but what they write now is lost and they cannot outlive this life.
    HolderLost {
        /// Its pid.
        pid: u32,
        /// How it was noticed.
        reason: String,
    },
    /// A new holder serves new launches.
    HolderStarted {
        /// Its pid.
        pid: u32,
    },
    /// The holder does not answer, or answers again.
    HolderSilent {
        /// Its pid.
        pid: u32,
        /// Whether it is silent now.
        silent: bool,
    },
    /// Output could not be kept: the disk is full or fails.
    OutputLost {
        /// Whose.
        process_id: ProcessId,
        /// Bytes thrown away since the last notice.
        lost_bytes: u64,
        /// Files put aside that were removed early, to make room.
        archives_removed: u32,
        /// What the system said.
        reason: String,
    },
}

/// Makes runs: in this process, or through a holder process that outlives it.
///
/// An implementation never forks the caller's memory, starts every run in a session of its own, leaves it no
/// descriptor but 0 (null), 1 and 2, and resets signal dispositions and mask. It answers in the order of asking, and
/// `launch` never waits for the child.
pub trait Launcher: Send + 'static {
    /// Have a run made.
    fn launch(&mut self, plan: LaunchPlan) -> PendingLaunch;

    /// Runs of earlier lives in this launcher's hands; given once. None in process: those died unwatched.
    fn survivors(&mut self) -> Vec<Survivor> {
        Vec::new()
    }

    /// The end of this run is on record and acted upon: it need not be kept any longer.
    fn settle(&mut self, _process_id: &ProcessId, _run: u32) {}

    /// What the launcher has to say; given once.
    fn notices(&mut self) -> Option<tokio::sync::mpsc::Receiver<Notice>> {
        None
    }

    /// Nothing more will be asked of it: one that is a process of its own ends as soon as no run is left.
    fn end(&mut self) {}

    /// Go over to the program now at this path, leaving every run alone.
    ///
    /// # Errors
    /// When the new program cannot take over; the old one goes on then.
    fn upgrade(&mut self, _program: &std::path::Path) -> std::io::Result<()> {
        Ok(())
    }
}

/// How long ago a run began, by the kernel's clock; `None` when it was in another boot of the machine.
pub fn age_of(identity: &RunIdentity) -> Option<std::time::Duration> {
    system::age_of(identity)
}

/// A run that this process has not made and no holder has, when exactly that one still lives. Its end is told by the
/// kernel; how it ended only where the kernel tells strangers (Linux 6.15 on).
pub fn find_run(identity: &RunIdentity) -> Option<Launched> {
    system::find_run(identity)
}

/// One reading taken by the sampler.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The key given to `track`.
    pub key: u64,
    /// What was measured; `None` when the run is gone.
    pub sample: Option<Sample>,
}
