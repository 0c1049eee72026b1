//! What to run: the specification of a process, as the configuration, the API and the library write it.
//!
//! Owns the vocabulary of a specification and the checks that need nothing but the specification itself.
//! Any room may enter; it does no I/O.

mod confinement;
mod limits;
mod logs;
mod sandbox;
mod signal;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::confinement::{Confinement, FileRules, UserIds};
pub use self::limits::{LimitEnforcement, LimitSettings, Limits};
pub use self::logs::LogSettings;
pub(crate) use self::sandbox::is_variable;
pub use self::sandbox::{EnvironmentSettings, IoPriority, NameOrNumber, PathArgument, SandboxSettings, Umask};
pub use self::signal::{StopSignal, signal_name};
use crate::units::{OrOff, Span};

/// Name of one supervised process, stable for its life: restarts keep it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ProcessId(Arc<str>);

impl ProcessId {
    /// An id made of this text.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(Arc::from(text.as_ref()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Scheduling class: the order of the queue, niceness and OOM score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Throttled first, started last.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before normal work.
    High,
    /// Before everything else; the memory and load gates do not hold it back.
    Critical,
}

impl Priority {
    /// Every priority, least first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// The word used in configuration, API and CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Niceness of the run, -20 (favoured) to 19. Lowering it below 0 needs a privilege; without it, it stays at 0.
    pub const fn niceness(self) -> i32 {
        match self {
            Self::Low => 10,
            Self::Normal => 0,
            Self::High => -5,
            Self::Critical => -10,
        }
    }

    /// Adjustment of the kernel's OOM score, -1000 (never killed) to 1000 (killed first).
    pub const fn oom_score_adjustment(self) -> i32 {
        match self {
            Self::Low => 500,
            Self::Normal => 200,
            Self::High => 100,
            Self::Critical => 0,
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// When a process is wanted back after its run ended by itself. How often and how soon is the restart policy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartMode {
    /// Never.
    No,
    /// After a failure: a non-zero exit, a signal, failed health or a violated limit.
    #[default]
    OnFailure,
    /// After any end that nobody asked for, success included.
    Always,
}

impl fmt::Display for RestartMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::No => "no",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        })
    }
}

/// A command that tells whether a process does its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// Argument vector, never a shell. Exit code 0 is a success.
    pub command: Vec<String>,
    /// Time between two checks; the monitor's `health_check_interval` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// How long one check may take.
    #[serde(default = "HealthCheck::default_timeout")]
    pub timeout: Span,
    /// Failures in a row before the process counts as not responding, 1 or more.
    #[serde(default = "HealthCheck::default_retries")]
    pub retries: u32,
    /// Time after the start of a run during which failures do not count.
    #[serde(default)]
    pub start_period: Span,
}

impl HealthCheck {
    const fn default_timeout() -> Span {
        Span::seconds(5)
    }

    const fn default_retries() -> u32 {
        3
    }
}

/// Everything there is to say about a process before it runs.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// Unique among live processes, `[A-Za-z0-9._-]`, 1 to 64 characters. In a configuration, the table's name.
    #[serde(default)]
    pub name: String,
    /// Argument vector, never a shell: the command and its arguments.
    pub command: Vec<String>,
    /// Working directory; the supervisor's state directory is never used. Absent: the directory of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// What work it belongs to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub task_id: String,
    /// Kind of worker.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent_type: String,
    /// Scheduling class.
    #[serde(default)]
    pub priority: Priority,
    /// Variables set for the child, over what the sandbox passes. Values are secrets: never shown, never logged.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Limits that differ from the defaults.
    #[serde(default)]
    pub limits: LimitSettings,
    /// What it may not do or see, where that differs from `[sandbox]`.
    #[serde(default)]
    pub sandbox: SandboxSettings,
    /// How long a task may take; short for `limits.timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<OrOff<Span>>,
    /// When it is wanted back.
    #[serde(default)]
    pub restart: RestartMode,
    /// How many restarts in a row at most; the restart policy's own setting when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_restarts: Option<u32>,
    /// How to ask whether it does its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// Signal that asks it to stop, for example `TERM`.
    #[serde(default)]
    pub stop_signal: StopSignal,
    /// How long it may take to stop before it is killed; the supervisor's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graceful_shutdown_timeout: Option<Span>,
    /// How its output is kept, where that differs from the defaults.
    #[serde(default, skip_serializing_if = "LogSettings::is_default")]
    pub logs: LogSettings,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Free data, kept and shown but never interpreted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// Environment values are secrets: the debug form shows their names only.
impl fmt::Debug for ProcessSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessSpec")
            .field("name", &self.name)
            .field("command", &self.command)
            .field("directory", &self.directory)
            .field("env_keys", &self.env.keys().collect::<Vec<_>>())
            .field("limits", &self.limits)
            .field("restart", &self.restart)
            .finish_non_exhaustive()
    }
}

impl ProcessSpec {
    /// A specification of this command with every default.
    pub fn new(name: impl Into<String>, command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            name: name.into(),
            command: command.into_iter().map(Into::into).collect(),
            directory: None,
            task_id: String::new(),
            agent_type: String::new(),
            priority: Priority::default(),
            env: BTreeMap::new(),
            limits: LimitSettings::default(),
            sandbox: SandboxSettings::default(),
            timeout: None,
            restart: RestartMode::default(),
            max_restarts: None,
            health_check: None,
            stop_signal: StopSignal::default(),
            graceful_shutdown_timeout: None,
            logs: LogSettings::default(),
            tags: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// The limits in force: `defaults` with this specification's own put over them.
    pub fn effective_limits(&self, defaults: Limits) -> Limits {
        let mut own = self.limits.clone();
        own.timeout = self.timeout.or(own.timeout);
        defaults.overridden_by(&own)
    }

    /// Check what needs nothing but the specification.
    ///
    /// # Errors
    /// Names the first field that cannot be right, and what would be.
    pub fn validate(&self) -> Result<(), SpecError> {
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(named) {
            return Err(SpecError::new("name", format!("`{}` is not 1 to 64 of A-Z a-z 0-9 . _ -", self.name)));
        }
        check_argv("command", &self.command)?;
        if let Some(check) = &self.health_check {
            check_argv("health_check.command", &check.command)?;
            if check.retries == 0 {
                return Err(SpecError::new("health_check.retries", "0 failures are no failure; write 1 or more"));
            }
            if check.timeout.get().is_zero() || check.interval.is_some_and(|i| i.get().is_zero()) {
                return Err(SpecError::new("health_check", "timeout and interval must be longer than 0"));
            }
        }
        for (key, value) in &self.env {
            if !is_variable(key) || value.contains('\0') {
                return Err(SpecError::new(
                    "env",
                    format!("`{key}` cannot be a variable: `=` and NUL are not allowed"),
                ));
            }
        }
        self.logs.validate()?;
        self.sandbox.validate(&self.command)?;
        if self.timeout.is_some() && self.limits.timeout.is_some() {
            return Err(SpecError::new("timeout", "set here and in limits.timeout; write it once"));
        }
        for (field, limit) in
            [("timeout", self.timeout.or(self.limits.timeout)), ("limits.execution_time", self.limits.execution_time)]
        {
            if limit.and_then(OrOff::limit).is_some_and(|span| span.get().is_zero()) {
                return Err(SpecError::new(field, "0 is no time at all; write a longer one, or \"off\""));
            }
        }
        Ok(())
    }
}

fn check_argv(field: &'static str, argv: &[String]) -> Result<(), SpecError> {
    match argv.first() {
        None => Err(SpecError::new(field, "is empty; write the command and its arguments as a list")),
        Some(program) if program.trim().is_empty() => Err(SpecError::new(field, "has an empty command")),
        Some(_) if argv.iter().any(|arg| arg.contains('\0')) => Err(SpecError::new(field, "contains a NUL character")),
        Some(_) => Ok(()),
    }
}

/// A specification that cannot be right whatever the machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct SpecError {
    /// The field, as written in the configuration.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

impl SpecError {
    fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// Who a process is, as policies and events see it. Shared, so that a tick over thousands copies nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Stable id.
    pub process_id: ProcessId,
    /// Name.
    pub name: String,
    /// What work it belongs to.
    pub task_id: String,
    /// Kind of worker.
    pub agent_type: String,
    /// Scheduling class.
    pub priority: Priority,
    /// Free labels.
    pub tags: Vec<String>,
}

impl Identity {
    /// The identity of the process that `spec` describes.
    pub fn of(process_id: ProcessId, spec: &ProcessSpec) -> Arc<Self> {
        Arc::new(Self {
            process_id,
            name: spec.name.clone(),
            task_id: spec.task_id.clone(),
            agent_type: spec.agent_type.clone(),
            priority: spec.priority,
            tags: spec.tags.clone(),
        })
    }
}
