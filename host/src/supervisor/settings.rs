//! What the configuration says to this room.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::LimitSettings;
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
        }
    }
}

/// `[sandbox]` of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxConfig {
    /// Whether paths are restricted and privileges cannot be gained.
    pub enabled: bool,
    /// No working directory may resolve to one of these or into it.
    pub restricted_paths: Vec<PathBuf>,
    /// What the child's environment is built from.
    pub env: EnvironmentRules,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self { enabled: true, restricted_paths: vec!["/etc".into(), "/usr".into()], env: EnvironmentRules::default() }
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
}

impl std::fmt::Debug for EnvironmentRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnvironmentRules")
            .field("pass", &self.pass)
            .field("set_keys", &self.set.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl Default for EnvironmentRules {
    fn default() -> Self {
        let pass = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL"];
        Self { pass: pass.map(str::to_owned).into(), set: BTreeMap::new() }
    }
}

/// `[limits]` of the configuration: defaults for every process.
pub type DefaultLimits = LimitSettings;
