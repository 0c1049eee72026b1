//! What differs between operating systems: spawn, signal a tree, wait, sample, limits.
//!
//! The only room that may use `nix`, `libc`, `sysinfo` and `unsafe`, and the only one that names Linux. It decides
//! nothing: it is told what to do and says what happened.

use std::fmt;
use std::path::PathBuf;

use crate::sample::{RunIdentity, Sample};
use crate::spec::{ProcessId, StopSignal};

mod program;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
mod unsupported;
#[cfg(not(target_os = "linux"))]
use unsupported as system;

pub use program::find_program;
pub use system::{
    ExitWatch, InProcessLauncher, Sampler, SystemProbe, become_subreaper, raise_descriptor_limit, scan_marked,
};

/// Variable that names the process a run belongs to. All of a tree inherits it, and is recognised by it when nothing
/// else ties it to its run any more.
pub const PROCESS_ID_VARIABLE: &str = "WASMVISOR_PROCESS_ID";

/// Everything a launcher needs to make one run. Paths are absolute and resolved.
#[derive(Clone)]
pub struct LaunchPlan {
    /// Whose run it is; given to the child as `WASMVISOR_PROCESS_ID` unless `env` does, and its tree is known by it.
    pub process_id: ProcessId,
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
    /// Niceness, -20 to 19; applied as far as the kernel lets us.
    pub niceness: i32,
    /// OOM score adjustment, -1000 to 1000; applied as far as the kernel lets us.
    pub oom_score_adjustment: i32,
    /// `RLIMIT_NOFILE`, soft and hard (no more than our own hard limit allows); inherited when absent.
    pub file_handles: Option<u32>,
    /// Whether the child may gain privileges by executing set-uid files.
    pub no_new_privileges: bool,
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

/// Makes runs. Today in process; a holder process can implement it later (the daemon must then only speak to it).
///
/// An implementation never forks the caller's memory, starts every run in a session of its own, leaves it no
/// descriptor but 0 (null), 1 and 2, and resets signal dispositions and mask.
pub trait Launcher: Send + 'static {
    /// Make a run. Returns after the program was executed or has failed to be.
    ///
    /// # Errors
    /// Names the step that failed: a directory, an output file, the program itself.
    fn launch(&mut self, plan: &LaunchPlan) -> Result<Launched, LaunchError>;
}

/// A run and all that descends from it, as far as the platform can find it.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The main process.
    pub leader: RunIdentity,
    /// Whose run it is.
    pub process_id: ProcessId,
}

impl Tree {
    /// Pids of the members that live now (zombies do not), the leader first if it lives. Found by descent, by adoption
    /// and session (see `become_subreaper`), and by the marker in the environment; each checked for identity.
    ///
    /// Ask for an old run before the next one of the same process is launched: when this process is no subreaper, the
    /// marker cannot tell the two apart. It is looked for only once the leader is gone. An orphan that changed its session
    /// and cleaned its environment is not found.
    pub fn members(&self) -> Vec<u32> {
        members_of(std::slice::from_ref(self)).concat()
    }

    /// Send a signal to the leader alone; whether it still lived to get it.
    ///
    /// # Errors
    /// When the system forbids it.
    pub fn signal_leader(&self, signal: StopSignal) -> std::io::Result<bool> {
        system::signal_leader(self, signal)
    }

    /// Send a signal to every member; returns how many got it. Never signals a stranger that took over a pid. KILL
    /// looks everywhere, and again until it finds no new ones.
    ///
    /// # Errors
    /// When the system forbids it for a member that still lives; the others have got it.
    pub fn signal(&self, signal: StopSignal) -> std::io::Result<usize> {
        system::signal(self, signal)
    }

    /// Make every thread of every member less favoured: niceness 19. Returns how many processes.
    ///
    /// # Errors
    /// When the system forbids it.
    pub fn throttle(&self) -> std::io::Result<usize> {
        system::throttle(self)
    }
}

/// The members of each of these trees, as `Tree::members` finds them; cheaper than one by one.
pub fn members_of(trees: &[Tree]) -> Vec<Vec<u32>> {
    system::members(trees)
}

/// Whether exactly this run still lives: same pid, same start, same boot. A zombie does not.
pub fn is_alive(identity: &RunIdentity) -> bool {
    system::is_alive(identity)
}

/// One reading taken by the sampler.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The key given to `track`.
    pub key: u64,
    /// What was measured; `None` when the run is gone.
    pub sample: Option<Sample>,
}
