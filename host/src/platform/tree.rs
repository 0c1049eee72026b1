//! A run and all that descends from it: who they are, and how to reach them.
//!
//! Owns no state; `linux/tree` looks and acts. The supervisor and the monitor's health checks enter.

use std::path::PathBuf;

use super::{Launched, system};
use crate::sample::RunIdentity;
use crate::spec::{ProcessId, StopSignal};

/// A run and all that descends from it, as far as the platform can find it.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The main process.
    pub leader: RunIdentity,
    /// Whose run it is.
    pub process_id: ProcessId,
    /// Pid of the process that adopts its orphans while it lives (see `Launched::keeper`).
    pub keeper: u32,
    /// The run's own cgroup, when it has one: then it holds all of the tree, and nothing else.
    pub cgroup: Option<PathBuf>,
}

impl Tree {
    /// The tree of a run that was just made, which has no cgroup of its own.
    pub fn of(launched: &Launched, process_id: ProcessId) -> Self {
        Self { leader: launched.identity.clone(), process_id, keeper: launched.keeper, cgroup: None }
    }

    /// Pids of the members that live now (zombies do not), the leader first if it lives. With a cgroup of its own: who is
    /// in that. Without: found by descent, and among the orphans that the keeper adopted by tag, session and marker; each
    /// checked for identity. All processes are looked at only when the leader is gone and its orphans may have gone to
    /// somebody else.
    ///
    /// Ask for an old run before the next one of the same process is launched: tag and marker cannot tell the two apart.
    /// Not found without a cgroup: an orphan that sets `RLIMIT_LOCKS` (its tag), changes its session and cleans its
    /// environment.
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
    /// looks everywhere, and again until it finds no new ones. In a run's own cgroup the kernel does all at once: KILL
    /// leaves no gap to fork away through, STOP freezes, which the members cannot notice, and CONT thaws as well.
    ///
    /// # Errors
    /// When the system forbids it for a member that still lives; the others have got it.
    pub fn signal(&self, signal: StopSignal) -> std::io::Result<usize> {
        signal_all(&[(self.clone(), signal)]).pop().unwrap_or(Ok(0))
    }

    /// Make every member less favoured: the least weight of its cgroup, or niceness 19 for every thread. Returns how
    /// many processes.
    ///
    /// # Errors
    /// When the system forbids it.
    pub fn throttle(&self) -> std::io::Result<usize> {
        system::throttle(self)
    }
}

/// Send each tree its signal, in this order, as `Tree::signal` does; cheaper than one by one. One answer for each.
pub fn signal_all(orders: &[(Tree, StopSignal)]) -> Vec<std::io::Result<usize>> {
    system::signal(orders)
}

/// The members of each of these trees, as `Tree::members` finds them; cheaper than one by one.
pub fn members_of(trees: &[Tree]) -> Vec<Vec<u32>> {
    system::members(trees)
}

/// Whether exactly this run lives and stands still: it, or somebody, has stopped it (SIGSTOP).
pub fn is_stopped(identity: &RunIdentity) -> bool {
    system::is_stopped(identity)
}

/// Whether exactly this run still lives: same pid, same start, same boot. A zombie does not.
pub fn is_alive(identity: &RunIdentity) -> bool {
    system::is_alive(identity)
}
