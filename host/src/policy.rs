//! The policy host: components in a sandbox that make every judgement.
//!
//! Owns the engine, the plugins, their instances and the policy set in force. The only room that may name `wasmtime`.
//! Callers see questions and decisions of `decision`, never a component.
//!
//! ```text
//!  question --> PolicyHost --bounded queue--> lane (one thread a kind) --> judge (binding, instance) --> answer
//!                                               |   no answer: the binding's on_failure rule
//!                                               '-> stand-in (embedded plugin) --> constant of the kind
//!  swap --> prepare (compile, check, configure, first question; off the hot path) --> message to the lane
//! ```
//!
//! A policy is a pure function of its arguments, so an instance may be thrown away between any two calls: after every
//! trap, missed deadline or wrong answer it is, and the next question gets a new one.

mod admission;
mod alert;
mod batch;
#[doc(hidden)]
pub mod bench_api;
mod bindings;
mod breaker;
mod cache;
mod convert;
mod engine;
mod fault;
pub mod golden;
mod guest;
mod health;
mod host;
mod judge;
mod lane;
mod lookup;
mod matching;
mod plugin;
mod prepare;
mod restart;
mod set;
mod settings;
mod source;
mod swap;
mod toml_error;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::host::PolicyHost;
pub use self::matching::Match;
pub use self::set::{Binding, Budget, Mode, OnFailure, PolicySet};
use crate::alert::Finding;
use crate::decision::{AlertReading, HealthReading, PolicyKind};
use crate::spec::Identity;
use crate::units::Timestamp;

/// Values of memory history that go with each health reading.
pub const HISTORY_LENGTH: usize = 16;

/// What went wrong with a policy set or a plugin; every mistake found, not just the first.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct PolicyError {
    /// For a person.
    pub message: String,
}

/// How the host itself is set up.
#[derive(Debug, Clone, Default)]
pub struct PolicyHostConfig {
    /// Where compiled plugins are kept; none: compiled anew each time.
    pub cache_dir: Option<PathBuf>,
}

/// What all subjects of a batch have in common.
#[derive(Debug, Clone, Copy)]
pub struct PolicyTick {
    /// When the samples were taken.
    pub now: Timestamp,
    /// Time between two ticks, milliseconds, at least 1.
    pub interval_ms: u32,
}

/// One process of a health batch.
#[derive(Debug, Clone)]
pub struct HealthSubject {
    /// Who, for matching; shared between ticks.
    pub identity: Arc<Identity>,
    /// What was measured.
    pub reading: HealthReading,
}

/// One process of an alert batch.
#[derive(Debug, Clone)]
pub struct AlertSubject {
    /// Who, for matching; shared between ticks.
    pub identity: Arc<Identity>,
    /// What was judged.
    pub reading: AlertReading,
}

/// Answer to an alert batch.
#[derive(Debug, Clone, Default)]
pub struct AlertAnswer {
    /// What was found; `subject` is the place in the batch.
    pub findings: Vec<Finding>,
    /// One for each subject.
    pub memos: Vec<u64>,
}

/// A binding as `policy list` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BindingInfo {
    /// Which question.
    pub kind: PolicyKind,
    /// Place in the kind's list, 0 first.
    pub index: usize,
    /// Which processes, for a person; `*` for all.
    pub matches: String,
    /// `enforce`, `shadow` or `off`.
    pub mode: String,
    /// The reference.
    pub plugin: String,
    /// The plugin's own name and version.
    pub version: String,
    /// SHA-256 of the component.
    pub digest: String,
    /// Settings in force, canonical JSON.
    pub settings: serde_json::Value,
    /// What rules when it fails.
    pub on_failure: String,
    /// `closed` (it is asked), `open` (it failed too often and is not asked for now) or `half-open` (the next question
    /// decides).
    pub circuit: String,
    /// Which installation this is.
    pub generation: u64,
    /// Calls so far.
    pub calls: u64,
    /// Faults so far, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Mean time of a call, microseconds.
    pub mean_call_us: f64,
}

/// A plugin as `policy inspect` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PluginInfo {
    /// The reference.
    pub plugin: String,
    /// Its own name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// Which question it answers.
    pub kind: PolicyKind,
    /// One line.
    pub summary: String,
    /// SHA-256 of the component.
    pub digest: String,
    /// Size of the component.
    pub size_bytes: u64,
    /// What it imports.
    pub imports: Vec<String>,
    /// JSON Schema of its settings.
    pub settings_schema: serde_json::Value,
}

/// What a swap changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Swapped {
    /// Which question.
    pub kind: PolicyKind,
    /// The references now in force, in order.
    pub plugins: Vec<String>,
    /// The new installation.
    pub generation: u64,
    /// From request to takeover, microseconds.
    pub took_us: u64,
}

/// Look at a plugin without installing it: its imports, its description, its schema. Compiles it, so it takes a while.
///
/// # Errors
/// Why it is not a plugin.
pub fn inspect(plugin: &str) -> Result<PluginInfo, PolicyError> {
    let reference = plugin.parse().map_err(PolicyError::new)?;
    let loaded = host::loader(None)?.load(&reference, None).map_err(PolicyError::new)?;
    Ok(loaded.info(plugin))
}

/// Check a plugin and settings (an object) for it as a swap would, without installing it.
///
/// # Errors
/// Why it would be refused.
pub fn check(plugin: &str, settings: &serde_json::Value) -> Result<PluginInfo, PolicyError> {
    let loader = host::loader(None)?;
    Ok(prepare::check(&loader, plugin, swap::object(settings)?)?.info(plugin))
}

impl PolicyError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// All of these.
    fn of(problems: Vec<String>) -> Self {
        Self::new(problems.join("\n"))
    }
}

impl plugin::Plugin {
    fn info(&self, reference: &str) -> PluginInfo {
        PluginInfo {
            plugin: reference.to_owned(),
            name: self.name.clone(),
            version: self.release.clone(),
            kind: self.kind,
            summary: self.summary.clone(),
            digest: self.digest.to_string(),
            size_bytes: self.size,
            imports: self.imports.clone(),
            settings_schema: self.schema(),
        }
    }
}
