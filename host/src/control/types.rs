//! What travels over the socket beside the vocabulary of the other rooms.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorClass, Problem};
use crate::spec::StopSignal;
use crate::supervisor::RestartWait;
use crate::units::Timestamp;

pub use crate::logs::LogStream;

/// A problem as the API tells it (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemDocument {
    /// A URN that programs may match on.
    #[serde(rename = "type")]
    pub kind: String,
    /// The class in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened and what to do, for a person.
    pub detail: String,
    /// Where it belongs.
    pub class: ErrorClass,
    /// The rule that refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
}

impl From<Problem> for ProblemDocument {
    fn from(problem: Problem) -> Self {
        let title = match problem.class {
            ErrorClass::Configuration => "configuration error",
            ErrorClass::ResourceExhaustion => "resource exhaustion",
            ErrorClass::SecurityViolation => "security violation",
            ErrorClass::ProcessFailure => "process failure",
            ErrorClass::NotFound => "not found",
            ErrorClass::Unavailable => "unavailable",
        };
        Self {
            kind: problem.class.problem_type().to_owned(),
            title: title.to_owned(),
            status: problem.class.http_status(),
            detail: problem.message,
            class: problem.class,
            rule: problem.rule,
        }
    }
}

impl From<ProblemDocument> for Problem {
    fn from(document: ProblemDocument) -> Self {
        Self { class: document.class, rule: document.rule, message: document.detail }
    }
}

/// Which lines of a process's output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogQuery {
    /// One output; both when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<LogStream>,
    /// Only this many lines at the end of each; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// Only lines first seen at this moment or later, milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<Timestamp>,
    /// Only lines first seen at this moment or earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<Timestamp>,
    /// Go on with new lines until the process has come to its end.
    pub follow: bool,
}

/// One line of output, as a line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// Where it was written.
    pub stream: LogStream,
    /// When it was first seen, within 50 ms of when it was written.
    pub at_ms: Timestamp,
    /// Whether that moment is only the nearest one known: it was written while no supervisor ran.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub approximate: bool,
    /// The line without its end; what is not UTF-8 is replaced.
    pub text: String,
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventQuery {
    /// Only those with a larger number. Absent: every one still kept, or only new ones with `follow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Go on with new ones.
    pub follow: bool,
    /// Only those whose type begins so.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A signal to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalRequest {
    /// Its name, for example `HUP`.
    pub signal: StopSignal,
}

/// How a restart answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestartRequest {
    /// When the new run exists, or as soon as the old one is being stopped.
    pub wait: RestartWait,
}

/// What takes over: a whole policy set, or one plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields, expecting = "either `set`, or `plugin` with optional `settings`")]
pub enum SwapRequest {
    /// Every binding.
    Set {
        /// Path of a policy set.
        set: PathBuf,
    },
    /// One binding.
    Plugin {
        /// A path or `builtin:NAME`.
        plugin: String,
        /// Its settings; those of the binding when absent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        settings: Option<serde_json::Value>,
    },
}

/// A plugin to check and settings for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    /// A path or `builtin:NAME`.
    pub plugin: String,
    /// Its settings; none when absent.
    #[serde(default)]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// A plugin to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InspectQuery {
    /// A path or `builtin:NAME`.
    pub plugin: String,
}

/// What takes over from the supervisor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpgradeRequest {
    /// Absolute path of the program; the one at the path of the present one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct About {
    /// Version of the program.
    pub version: String,
    /// Version of the API.
    pub api: String,
    /// Its pid.
    pub pid: u32,
    /// Since when: an upgrade keeps the pid and begins anew here.
    #[serde(default)]
    pub since_ms: Timestamp,
    /// Its state directory.
    pub state_dir: PathBuf,
    /// Its configuration, when it has a file.
    pub config_file: Option<PathBuf>,
}

/// Something was done and there is nothing to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// Always true.
    pub done: bool,
}

impl Done {
    /// It was done.
    pub const YES: Self = Self { done: true };
}
