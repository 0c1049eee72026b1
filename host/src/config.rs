//! The configuration: composes what each room owns; locates, reads, validates and explains it.
//!
//! Owns the whole of it and nothing of what it means: every section belongs to the room it sets up. Entered by the
//! daemon and the command line. It reads files and environment variables, and starts nothing.

mod check;
mod decode;
mod document;
mod locate;
mod policies;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agents::AgentRuntime;
use crate::error::{ErrorClass, Problem};
use crate::logs::LogsConfig;
use crate::monitor::MonitorConfig;
use crate::policy::PolicySet;
use crate::spec::{LimitSettings, ProcessSpec};
use crate::supervisor::{SandboxConfig, SupervisorConfig};

pub use locate::{locate, socket_path, state_dir};
pub use policies::PoliciesConfig;

/// A whole configuration, checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[supervisor]`.
    pub supervisor: SupervisorConfig,
    /// `[policies]`.
    pub policies: PoliciesConfig,
    /// `[limits]`.
    pub limits: LimitSettings,
    /// `[sandbox]`.
    pub sandbox: SandboxConfig,
    /// `[logs]`.
    pub logs: LogsConfig,
    /// `[monitor]`.
    pub monitor: MonitorConfig,
    /// `[process.NAME]`.
    pub process: BTreeMap<String, ProcessSpec>,
    /// `[agent.TYPE]`.
    pub agent: BTreeMap<String, AgentRuntime>,
}

/// A configuration that cannot be used: every mistake found, each with file, line, key and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// For a person; one line for each mistake.
    pub message: String,
}

impl ConfigError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        Self::new(ErrorClass::Configuration, error.message)
    }
}

impl Config {
    /// Read and check a configuration: a file, or a directory whose `*.toml` are read in order of name and form one
    /// configuration together.
    ///
    /// Each process takes its name from its table. Relative directories and commands (those with a `/`) are taken from
    /// `base_directory`, and so is a working directory that is not given.
    ///
    /// # Errors
    /// Every mistake found, in the order of the files.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let sources = document::read(path)?;
        let mut config = decode::decode(&sources)?;
        config.resolve(&base_directory(path)?);
        Ok(config)
    }

    /// The policy set it names, loaded and checked as a text; relative paths are taken from `base`.
    ///
    /// # Errors
    /// When the set cannot be read.
    pub fn policy_set(&self, base: &Path) -> Result<PolicySet, ConfigError> {
        match &self.policies.set {
            Some(set) => PolicySet::load(&base.join(set)).map_err(|error| ConfigError::new(error.message)),
            None => Ok(self.policies.inline.clone().relative_to(base)),
        }
    }

    /// The state directory it names, or the one that is used when none is named; absolute.
    ///
    /// # Errors
    /// When it names none and the environment has none either.
    pub fn state_dir(&self) -> Result<PathBuf, ConfigError> {
        match &self.supervisor.state_dir {
            Some(directory) => std::path::absolute(directory)
                .map_err(|error| ConfigError::new(format!("cannot find {}: {error}", directory.display()))),
            None => state_dir(),
        }
    }

    /// What is allowed but probably not meant, one sentence each; naming the key that changes it.
    pub fn notes(&self) -> Vec<String> {
        check::notes(self)
    }

    /// Take every relative path from `base`.
    fn resolve(&mut self, base: &Path) {
        let absolute = |path: &mut PathBuf| *path = base.join(&*path);
        self.supervisor.state_dir.iter_mut().for_each(absolute);
        let roots = |read: &mut Option<Vec<PathBuf>>, write: &mut Option<Vec<PathBuf>>| {
            [read, write].into_iter().flatten().flatten().for_each(absolute);
        };
        roots(&mut self.sandbox.read, &mut self.sandbox.write);
        for (name, spec) in &mut self.process {
            spec.name.clone_from(name);
            resolve_command(&mut spec.command, base);
            roots(&mut spec.sandbox.read, &mut spec.sandbox.write);
            if let Some(check) = &mut spec.health_check {
                resolve_command(&mut check.command, base);
            }
            let directory = spec.directory.take().unwrap_or_default();
            spec.directory = Some(if directory.as_os_str().is_empty() { base.into() } else { base.join(directory) });
        }
        for runtime in self.agent.values_mut() {
            resolve_command(&mut runtime.command, base);
            roots(&mut runtime.sandbox.read, &mut runtime.sandbox.write);
            runtime.directory.iter_mut().for_each(absolute);
        }
    }
}

/// A program written as a relative path is taken from `base`; a bare name is looked up in PATH later, and a
/// placeholder is filled in later.
fn resolve_command(command: &mut [String], base: &Path) {
    if let Some(program) = command.first_mut().filter(|program| program.contains('/') && !program.starts_with('{')) {
        *program = base.join(&*program).to_string_lossy().into_owned();
    }
}

/// The directory that relative paths of this configuration are taken from, absolute: that of the file, or the
/// directory of fragments itself.
///
/// # Errors
/// When `path` is relative and the current directory is gone.
pub fn base_directory(path: &Path) -> Result<PathBuf, ConfigError> {
    let absolute = std::path::absolute(path)
        .map_err(|error| ConfigError::new(format!("cannot find out where {} is: {error}", path.display())))?;
    if absolute.is_dir() {
        return Ok(absolute);
    }
    Ok(absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned))
}

/// A commented configuration with every key at its default.
pub const fn default_text() -> &'static str {
    include_str!("config/default.toml")
}

/// JSON Schema of the configuration, for editors.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    schema["title"] = "wasmvisor configuration".into();
    schema
}

#[cfg(test)]
mod tests;
