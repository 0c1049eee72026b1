//! Health in words and numbers: what a health policy answers and what the registry keeps of it.
//!
//! Any room may enter; it does no I/O.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sample::Direction;

/// A score in a word, worst last so that a larger value is worse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// 80 to 100 with the shipped policy.
    #[default]
    Healthy,
    /// 60 to 79.
    Warning,
    /// 30 to 59.
    Critical,
    /// 0 to 29.
    Failing,
}

/// Health of a process as the registry shows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Scored healthy or warning.
    Healthy,
    /// Scored critical or failing.
    Unhealthy,
    /// Not scored yet, or nobody could score it.
    #[default]
    Unknown,
    /// Its last run ended by failure.
    Crashed,
}

macro_rules! words {
    ($type:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in configuration, API and CLI.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words!(HealthStatus { Healthy => "healthy", Warning => "warning", Critical => "critical", Failing => "failing" });
words!(Health { Healthy => "healthy", Unhealthy => "unhealthy", Unknown => "unknown", Crashed => "crashed" });

/// What may be wrong with a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IssueKind {
    /// Memory close to or over its limit.
    Memory,
    /// CPU close to or over its limit.
    Cpu,
    /// The run has lasted longer than it may.
    ExecutionTime,
    /// More file handles than allowed.
    FileHandles,
    /// Answers slowly or not at all.
    Responsiveness,
    /// Failed often in the recent past.
    Stability,
    /// Memory rises steadily towards its limit.
    MemoryLeak,
    /// More threads or processes than allowed.
    Threads,
}

words!(IssueKind {
    Memory => "memory", Cpu => "cpu", ExecutionTime => "execution-time", FileHandles => "file-handles",
    Responsiveness => "responsiveness", Stability => "stability", MemoryLeak => "memory-leak", Threads => "threads",
});

/// A set of issues; bit n is `IssueKind::ALL[n]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct IssueSet(pub u8);

impl IssueSet {
    /// Whether nothing is wrong.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// This set with `kind` in it.
    #[must_use]
    pub const fn with(self, kind: IssueKind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Whether `kind` is in it.
    pub const fn contains(self, kind: IssueKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Its members, in order.
    pub fn iter(self) -> impl Iterator<Item = IssueKind> {
        IssueKind::ALL.iter().copied().filter(move |kind| self.contains(*kind))
    }
}

impl Serialize for IssueSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for IssueSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<IssueKind>::deserialize(deserializer)?.into_iter().fold(Self::default(), Self::with))
    }
}

impl JsonSchema for IssueSet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "IssueSet".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Vec::<IssueKind>::json_schema(generator)
    }
}

/// The judgement of a health policy on one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// 0 (worst) to 100 (best).
    pub score: u8,
    /// The score in a word.
    pub status: HealthStatus,
    /// What is wrong.
    pub issues: IssueSet,
    /// What the policy wants handed back next time.
    #[serde(skip)]
    pub memo: u64,
}

impl Verdict {
    /// What this means for the registry.
    pub const fn health(&self) -> Health {
        match self.status {
            HealthStatus::Healthy | HealthStatus::Warning => Health::Healthy,
            HealthStatus::Critical | HealthStatus::Failing => Health::Unhealthy,
        }
    }
}

/// One issue in words and numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Issue {
    /// What about.
    pub kind: IssueKind,
    /// How serious.
    pub severity: crate::alert::Severity,
    /// What is wrong, for a person.
    pub description: String,
    /// The measured value, in the unit of the metric.
    pub value: f64,
    /// The threshold it crossed.
    pub threshold: f64,
    /// Direction of the metric.
    pub trend: Direction,
}

/// A verdict in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HealthReport {
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Every issue, worst first.
    pub explained: Vec<Issue>,
    /// What a person should do.
    pub recommendations: Vec<String>,
}
