//! What to run: the specification of a process, as the configuration, the API and the library write it.
//!
//! Owns the vocabulary of a specification and the checks that need nothing but the specification itself.
//! Any room may enter; it does no I/O.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Bytes, CountOrOff, OrOff, Percent, Span};

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

/// Limits of one process; what is absent is taken from the defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Resident memory of the whole tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<OrOff<Bytes>>,
    /// CPU of the whole tree, percent of one core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<OrOff<Percent>>,
    /// How long one run may last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_time: Option<OrOff<Span>>,
    /// Open file descriptors of one process (`RLIMIT_NOFILE`) and, by the monitor, of the main process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_handles: Option<CountOrOff>,
    /// Threads and processes of the whole tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<CountOrOff>,
    /// How long a task may take; afterwards it is stopped for good and not restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<OrOff<Span>>,
}

/// Limits in force for a process, every default filled in; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Resident memory of the whole tree.
    pub memory: Option<Bytes>,
    /// CPU of the whole tree, percent of one core.
    pub cpu: Option<Percent>,
    /// How long one run may last.
    pub execution_time: Option<std::time::Duration>,
    /// Open file descriptors.
    pub file_handles: Option<u32>,
    /// Threads and processes of the whole tree.
    pub pids: Option<u32>,
    /// How long a task may take in one run before it is stopped for good.
    pub timeout: Option<std::time::Duration>,
}

impl Default for Limits {
    /// The seed's defaults: 2 GiB, 80 % of one core, 10 min, 100 handles, 512 threads, 5 min.
    fn default() -> Self {
        Self {
            memory: Some(Bytes(2 << 30)),
            cpu: Some(Percent(80.0)),
            execution_time: Some(std::time::Duration::from_secs(600)),
            file_handles: Some(100),
            pids: Some(512),
            timeout: Some(std::time::Duration::from_secs(300)),
        }
    }
}

impl Limits {
    /// These limits with what `settings` says put over them.
    #[must_use]
    pub fn overridden_by(self, settings: &LimitSettings) -> Self {
        fn pick<T, U>(own: Option<U>, inherited: Option<T>, limit: impl Fn(U) -> Option<T>) -> Option<T> {
            own.map_or(inherited, limit)
        }
        Self {
            memory: pick(settings.memory, self.memory, OrOff::limit),
            cpu: pick(settings.cpu, self.cpu, OrOff::limit),
            execution_time: pick(settings.execution_time, self.execution_time, |s| s.limit().map(Span::get)),
            file_handles: pick(settings.file_handles, self.file_handles, |c| c.0),
            pids: pick(settings.pids, self.pids, |c| c.0),
            timeout: pick(settings.timeout, self.timeout, |s| s.limit().map(Span::get)),
        }
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
            timeout: None,
            restart: RestartMode::default(),
            max_restarts: None,
            health_check: None,
            stop_signal: StopSignal::default(),
            graceful_shutdown_timeout: None,
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
            if key.is_empty() || key.contains(['=', '\0']) || value.contains('\0') {
                return Err(SpecError::new(
                    "env",
                    format!("`{key}` cannot be a variable: `=` and NUL are not allowed"),
                ));
            }
        }
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

/// A signal by its name without `SIG`, for example `TERM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StopSignal(i32);

/// Names and numbers of the signals that can be sent, as Linux numbers them on x86 and ARM (signal(7)).
const SIGNALS: [(&str, i32); 15] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("WINCH", 28),
];

impl StopSignal {
    /// SIGTERM.
    pub const TERM: Self = Self(15);
    /// SIGKILL.
    pub const KILL: Self = Self(9);
    /// SIGSTOP.
    pub const STOP: Self = Self(19);
    /// SIGCONT.
    pub const CONT: Self = Self(18);

    /// Its number.
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl Default for StopSignal {
    fn default() -> Self {
        Self::TERM
    }
}

/// The name of a signal number, `SIGTERM`, or `signal 34` for one without a name here.
pub fn signal_name(number: i32) -> String {
    SIGNALS
        .iter()
        .find(|(_, known)| *known == number)
        .map_or_else(|| format!("signal {number}"), |(name, _)| format!("SIG{name}"))
}

impl std::str::FromStr for StopSignal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let upper = text.trim().to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        SIGNALS
            .iter()
            .find(|(known, number)| *known == name || number.to_string() == name)
            .map(|(_, number)| Self(*number))
            .ok_or_else(|| {
                let known: Vec<_> = SIGNALS.iter().map(|(name, _)| *name).collect();
                format!("`{text}` is not a signal; known are {}", known.join(", "))
            })
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(signal_name(self.0).trim_start_matches("SIG"))
    }
}

impl Serialize for StopSignal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StopSignal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for StopSignal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Signal".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names: Vec<_> = SIGNALS.iter().map(|(name, _)| *name).collect();
        schemars::json_schema!({ "type": "string", "enum": names })
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
