//! What the configuration says to this room.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::platform::GroupsAt;
use crate::spec::{LimitSettings, NameOrNumber, Umask};
use crate::units::{OrOff, Percent, Span};

/// `[supervisor]` of the configuration, as far as this room needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SupervisorConfig {
    /// Where the database, logs, socket and caches are; `$XDG_STATE_HOME/wasmvisor` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// How many processes may have a live run at once, 1 or more.
    pub max_processes: u32,
    /// Time a process has to stop before it is killed.
    pub graceful_shutdown_timeout: Span,
    /// Time to wait for the end of a killed one before its survivors are reported.
    pub force_kill_timeout: Span,
    /// Time between two searches for orphans.
    pub orphan_cleanup_interval: Span,
    /// How many ended records the history keeps.
    pub process_history_retention: usize,
    /// Above this share of memory in use new work waits.
    pub max_memory_in_use: OrOff<Percent>,
    /// Above this one-minute load per core new work waits.
    pub max_load_per_core: OrOff<Percent>,
    /// How many processes may wait for a place.
    pub queue_length: usize,
    /// Where the cgroups of runs are kept: `auto` (our own group, if it is delegated to us), `off`, or the path of a
    /// directory of cgroup v2. Read at the start only.
    pub cgroup: GroupsAt,
    /// Who makes runs. Absent: a holder process where the program is at hand (`wasmvisor run`), in process otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launcher: Option<LauncherKind>,
    /// What becomes of runs whose supervisor and holder have both died.
    pub orphans: Orphans,
    /// What becomes of runs when the supervisor is told to end.
    pub on_shutdown: OnShutdown,
}

/// Who makes runs and owns their output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LauncherKind {
    /// A small process of its own: runs and their output outlive the supervisor, and files are rotated.
    Holder,
    /// The supervisor itself: nothing is rotated, and how a run ends while no supervisor lives may stay unknown.
    InProcess,
}

/// What becomes of runs whose supervisor and holder have both died.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Orphans {
    /// The next supervisor goes on with them.
    #[default]
    Adopt,
    /// The next supervisor ends them, and starts anew what is configured.
    Stop,
}

/// What becomes of runs when the supervisor is told to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnShutdown {
    /// They are stopped.
    #[default]
    Stop,
    /// They go on in the hands of the holder, and the next supervisor goes on with them.
    Keep,
}

impl Default for SupervisorConfig {
    fn default() -> Self {
        Self {
            state_dir: None,
            max_processes: 10,
            graceful_shutdown_timeout: Span::seconds(10),
            force_kill_timeout: Span::seconds(5),
            orphan_cleanup_interval: Span::seconds(60),
            process_history_retention: 1000,
            max_memory_in_use: OrOff::Of(Percent(85.0)),
            max_load_per_core: OrOff::Of(Percent(80.0)),
            queue_length: 1000,
            cgroup: GroupsAt::Auto,
            launcher: None,
            orphans: Orphans::default(),
            on_shutdown: OnShutdown::default(),
        }
    }
}

/// `[sandbox]` of the configuration: what holds for every process that does not say otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxConfig {
    /// Whether paths are restricted and privileges cannot be gained. What else is written here holds in any case.
    pub enabled: bool,
    /// No working directory and no path argument may resolve to one of these or into it.
    pub restricted_paths: Vec<PathBuf>,
    /// User to run as, by name or number; the supervisor's own when absent. Needs CAP_SETUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<NameOrNumber>,
    /// Primary group, by name or number; the user's own when absent. Needs CAP_SETGID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<NameOrNumber>,
    /// Supplementary groups; those the user is a member of when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<NameOrNumber>>,
    /// File mode creation mask, octal, like `"0077"`; inherited when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<Umask>,
    /// Files and directories that may be read and executed, with everything below. With this or `write`, the kernel
    /// (Landlock) closes all other files, but for what every program needs to start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Vec<PathBuf>>,
    /// Files and directories that may be changed as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<Vec<PathBuf>>,
    /// Whether each run gets a `/tmp` and a `/var/tmp` of its own, empty and in memory.
    pub private_tmp: bool,
    /// Whether privileges cannot be gained by executing set-uid files; as `enabled` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_new_privileges: Option<bool>,
    /// What the child's environment is built from.
    pub env: EnvironmentRules,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            restricted_paths: vec!["/etc".into(), "/usr".into()],
            user: None,
            group: None,
            groups: None,
            umask: None,
            read: None,
            write: None,
            private_tmp: false,
            no_new_privileges: None,
            env: EnvironmentRules::default(),
        }
    }
}

/// The allowlist that a child's environment is built from; the supervisor's own is never inherited whole.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentRules {
    /// Variables passed on from the supervisor's own environment when it has them.
    pub pass: Vec<String>,
    /// Variables set for every child; values are secrets.
    pub set: BTreeMap<String, String>,
    /// Variables taken away again; a process may still pass or set them itself.
    pub unset: Vec<String>,
}

impl std::fmt::Debug for EnvironmentRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnvironmentRules")
            .field("pass", &self.pass)
            .field("set_keys", &self.set.keys().collect::<Vec<_>>())
            .field("unset", &self.unset)
            .finish()
    }
}

impl Default for EnvironmentRules {
    fn default() -> Self {
        let pass = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL"];
        Self { pass: pass.map(str::to_owned).into(), set: BTreeMap::new(), unset: Vec::new() }
    }
}

/// `[limits]` of the configuration: defaults for every process.
pub type DefaultLimits = LimitSettings;
