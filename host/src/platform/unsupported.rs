//! A platform on which nothing can be run yet: every request says so.
//!
//! Owns nothing. Stands in for `linux` elsewhere, so that the rest of the house compiles.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    Abilities, Ability, Account, Confinement, ConfinementError, FileRules, GroupError, GroupLimits, GroupUsage,
    GroupsAt, LaunchError, LaunchPlan, Launched, Launcher, PendingLaunch, Reading, Tree, UserError, UserRequest,
};
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
        let (reply, outcome) = tokio::sync::oneshot::channel::<Result<Launched, LaunchError>>();
        // The receiver is right below.
        let _ = reply.send(Err(LaunchError { operation: "execute", path: plan.program, source: unsupported() }));
        PendingLaunch::new(outcome)
    }
}

/// Where a holder would work.
#[derive(Debug, Clone)]
pub struct HolderSettings {
    /// Directory of its files.
    pub state_dir: std::path::PathBuf,
    /// The program that it would be.
    pub program: std::path::PathBuf,
}

/// Launches nothing.
#[derive(Debug)]
pub struct HolderLauncher {}

impl HolderLauncher {
    /// There are no holders here.
    ///
    /// # Errors
    /// Always.
    pub fn attach(settings: HolderSettings) -> Result<Self, LaunchError> {
        Err(LaunchError { operation: "start a holder in", path: settings.state_dir, source: unsupported() })
    }
}

impl Launcher for HolderLauncher {
    fn launch(&mut self, plan: LaunchPlan) -> PendingLaunch {
        InProcessLauncher::default().launch(plan)
    }
}

/// Nobody is asked to be a holder here.
pub fn hold(_arguments: impl Iterator<Item = std::ffi::OsString>) -> Option<std::process::ExitCode> {
    None
}

/// Reads nothing.
#[derive(Debug, Default)]
pub struct Sampler {}

impl Sampler {
    /// Does nothing.
    pub fn track(&mut self, _key: u64, _leader: RunIdentity) {}

    /// Does nothing.
    pub fn track_group(&mut self, _key: u64, _leader: RunIdentity, _group: Option<&Path>) {}

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

/// No groups.
#[derive(Debug, Clone, Default)]
pub struct Cgroups {
    abilities: Abilities,
}

impl Cgroups {
    /// None.
    pub fn set_up(at: &GroupsAt) -> Self {
        Self { abilities: Self::look(at) }
    }

    /// None.
    pub fn look(_at: &GroupsAt) -> Abilities {
        Abilities { reason: "only Linux has control groups".to_owned(), ..Abilities::default() }
    }

    /// None.
    pub fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    /// None.
    ///
    /// # Errors
    /// Never.
    pub fn create(&self, _: &ProcessId, _: u32, _: &GroupLimits) -> Result<Option<PathBuf>, GroupError> {
        Ok(None)
    }

    /// None.
    pub fn existing(&self, _: &ProcessId, _: u32) -> Option<PathBuf> {
        None
    }
}

/// A group that does not exist.
#[derive(Debug, Clone, Copy)]
pub struct Cgroup {}

impl Cgroup {
    /// It does not exist.
    pub fn at(_directory: &Path) -> Self {
        Self {}
    }

    /// Nothing.
    pub fn usage(self) -> GroupUsage {
        GroupUsage::default()
    }

    /// At once.
    ///
    /// # Errors
    /// Never.
    pub fn wait_empty(self, _patience: Duration) -> io::Result<bool> {
        Ok(true)
    }

    /// Nothing.
    ///
    /// # Errors
    /// Never.
    pub fn remove(self) -> Result<(), GroupError> {
        Ok(())
    }
}

/// Watches nothing.
#[derive(Debug)]
pub struct DirectoryWatch {}

impl DirectoryWatch {
    /// Cannot be made here.
    ///
    /// # Errors
    /// Always.
    pub fn new() -> io::Result<Self> {
        Err(unsupported())
    }

    /// Cannot be called here.
    ///
    /// # Errors
    /// Always.
    pub fn add(&self, _directory: &std::path::Path) -> io::Result<i32> {
        Err(unsupported())
    }

    /// Cannot be called here.
    ///
    /// # Errors
    /// Always.
    pub async fn changes(&mut self, _changes: &mut Vec<super::Change>) -> io::Result<()> {
        Err(unsupported())
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

/// None.
pub fn scan_for<'a>(_ids: impl IntoIterator<Item = &'a ProcessId>) -> Vec<(ProcessId, u32)> {
    Vec::new()
}

/// The one finding: nothing can be run.
pub fn abilities() -> Vec<Ability> {
    let detail = unsupported().to_string();
    vec![Ability { name: "platform", present: false, essential: true, detail, costs: "nothing can be run" }]
}

/// Nobody is known here.
///
/// # Errors
/// When somebody is asked for.
pub fn find_user(request: &UserRequest) -> Result<Account, UserError> {
    let name = request.user.clone().or_else(|| request.group.clone()).unwrap_or_default();
    Err(UserError::Lookup { name, source: unsupported() })
}

pub(crate) fn cannot_confine(confinement: &Confinement, _: &Path, _: &Path) -> Option<ConfinementError> {
    confinement.files.is_some().then_some(ConfinementError::FileRules)
}

pub(crate) fn allows(_rules: &FileRules, _private_tmp: bool, _path: &Path) -> bool {
    false
}

pub(crate) fn is_stopped(_identity: &RunIdentity) -> bool {
    false
}

pub(crate) fn is_alive(_identity: &RunIdentity) -> bool {
    false
}

pub(crate) fn age_of(_identity: &RunIdentity) -> Option<std::time::Duration> {
    None
}

pub(crate) fn find_run(_identity: &RunIdentity) -> Option<crate::platform::Launched> {
    None
}

pub(crate) fn members(trees: &[Tree]) -> Vec<Vec<u32>> {
    vec![Vec::new(); trees.len()]
}

pub(crate) fn signal_leader(_tree: &Tree, _signal: StopSignal) -> io::Result<bool> {
    Err(unsupported())
}

pub(crate) fn signal(orders: &[(Tree, StopSignal)]) -> Vec<io::Result<usize>> {
    orders.iter().map(|_| Err(unsupported())).collect()
}

pub(crate) fn throttle(_tree: &Tree) -> io::Result<usize> {
    Err(unsupported())
}

/// Releases nothing.
pub fn release_startup_pages() -> u64 {
    0
}
