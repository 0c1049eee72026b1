//! A platform on which nothing can be run yet: every request says so.
//!
//! Owns nothing. Stands in for `linux` elsewhere, so that the rest of the house compiles.

use std::io;

use super::{LaunchError, LaunchPlan, Launcher, PendingLaunch, Reading, Tree};
use crate::sample::{ExitStatus, RunExit, RunIdentity, SystemLoad};
use crate::spec::{ProcessId, StopSignal};
use crate::units::Timestamp;

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "processes can only be supervised on Linux yet")
}

/// Tells the end of a run; none can be made here.
#[derive(Debug)]
pub struct ExitWatch {}

impl ExitWatch {
    /// The unknown end.
    pub async fn wait(self) -> RunExit {
        let (status, at_ms) = (ExitStatus::Unknown, Timestamp::now());
        RunExit { status, at_ms, user_time_ms: 0, system_time_ms: 0, peak_memory_bytes: 0 }
    }
}

/// Launches nothing.
#[derive(Debug, Default)]
pub struct InProcessLauncher {}

impl Launcher for InProcessLauncher {
    fn launch(&mut self, plan: LaunchPlan) -> PendingLaunch {
        let (reply, outcome) = tokio::sync::oneshot::channel();
        let refused = LaunchError { operation: "execute", path: plan.program, source: unsupported() };
        // The receiver is right here.
        let _ = reply.send(Err(refused));
        PendingLaunch::new(outcome)
    }
}

/// Reads nothing.
#[derive(Debug, Default)]
pub struct Sampler {}

impl Sampler {
    /// Does nothing.
    pub fn track(&mut self, _key: u64, _leader: RunIdentity) {}

    /// Does nothing.
    pub fn untrack(&mut self, _key: u64) {}

    /// Clears `readings`.
    pub fn sample(&mut self, readings: &mut Vec<Reading>) {
        readings.clear();
    }

    /// None.
    pub fn descendants(&self, _key: u64) -> Vec<u32> {
        Vec::new()
    }
}

/// Knows nothing of the machine.
#[derive(Debug, Default)]
pub struct SystemProbe {}

impl SystemProbe {
    /// Zeros.
    pub fn read(&mut self) -> SystemLoad {
        SystemLoad::default()
    }
}

/// Nobody can be adopted here.
///
/// # Errors
/// Always.
pub fn become_subreaper() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Err::<std::future::Ready<()>, _>(unsupported())
}

/// There is no such limit here.
///
/// # Errors
/// Always.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    Err(unsupported())
}

/// None.
pub fn scan_marked() -> Vec<(ProcessId, u32)> {
    Vec::new()
}

pub(crate) fn is_alive(_identity: &RunIdentity) -> bool {
    false
}

pub(crate) fn members(trees: &[Tree]) -> Vec<Vec<u32>> {
    vec![Vec::new(); trees.len()]
}

pub(crate) fn signal_leader(_tree: &Tree, _signal: StopSignal) -> io::Result<bool> {
    Err(unsupported())
}

pub(crate) fn signal(_tree: &Tree, _signal: StopSignal) -> io::Result<usize> {
    Err(unsupported())
}

pub(crate) fn throttle(_tree: &Tree) -> io::Result<usize> {
    Err(unsupported())
}

/// Releases nothing.
pub fn release_startup_pages() -> u64 {
    0
}
