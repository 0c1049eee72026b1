//! The four classes of error, and what each means for a program: exit code and problem type.
//!
//! Rooms have typed errors of their own; each says through `class` where it belongs. Any room may enter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The seed's four classes, and two for the conversation itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// What was asked for cannot be right: configuration, specification, settings, a name nobody has.
    Configuration,
    /// There is no room: capacity, queue, descriptors, memory.
    ResourceExhaustion,
    /// A rule forbids it: admission policy, restricted path, permission.
    SecurityViolation,
    /// A process did not do what it should: not startable, not stoppable.
    ProcessFailure,
    /// What was named does not exist.
    NotFound,
    /// The supervisor itself cannot be reached or failed.
    Unavailable,
}

impl ErrorClass {
    /// Exit code of the CLI. 0 is success and 1 a failure of the supervised command itself; 2 is clap's for wrong usage.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Configuration => 3,
            Self::ResourceExhaustion => 4,
            Self::SecurityViolation => 5,
            Self::ProcessFailure => 6,
            Self::NotFound => 7,
            Self::Unavailable => 8,
        }
    }

    /// HTTP status of the API.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Configuration => 400,
            Self::ResourceExhaustion => 429,
            Self::SecurityViolation => 403,
            Self::ProcessFailure => 409,
            Self::NotFound => 404,
            Self::Unavailable => 503,
        }
    }

    /// Problem type of the API (RFC 9457), a URN that programs may match on.
    pub const fn problem_type(self) -> &'static str {
        match self {
            Self::Configuration => "urn:wasmvisor:problem:configuration",
            Self::ResourceExhaustion => "urn:wasmvisor:problem:resource-exhaustion",
            Self::SecurityViolation => "urn:wasmvisor:problem:security-violation",
            Self::ProcessFailure => "urn:wasmvisor:problem:process-failure",
            Self::NotFound => "urn:wasmvisor:problem:not-found",
            Self::Unavailable => "urn:wasmvisor:problem:unavailable",
        }
    }
}

/// A refusal or failure as it crosses a room's border: what happened, its class, and the rule that refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Where it belongs.
    pub class: ErrorClass,
    /// The rule that refused, for programs; for example `command-allowlist`, `restricted-path`, `queue-full`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// What happened and what to do, for a person.
    pub message: String,
}

impl Problem {
    /// A problem of this class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, rule: None, message: message.into() }
    }

    /// The same with the rule that refused.
    #[must_use]
    pub fn by_rule(mut self, rule: impl Into<String>) -> Self {
        self.rule = Some(rule.into());
        self
    }
}
