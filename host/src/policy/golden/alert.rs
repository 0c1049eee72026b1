//! Cases of alert policies.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Golden;
use super::words::{GOOD, Who, arguments, no_function, status};
use crate::alert::{Severity, Topic};
use crate::policy::alert::{Alerts, check, finding_to_wit, topic};
use crate::policy::bindings::{alert as wit, types};
use crate::policy::convert;
use crate::policy::fault::Fault;
use crate::policy::judge::Judge;
use crate::spec::Identity;

/// A question and its arguments.
pub(super) enum Question {
    Evaluate { tick: wit::Tick, subjects: Vec<wit::Subject> },
    Explain { who: Identity, subject: wit::Subject, finding: wit::Finding },
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Evaluate {
    now_ms: u64,
    interval_ms: u32,
    subject: Vec<One>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Explain {
    identity: Who,
    subject: One,
    finding: Found,
}

/// The record `finding`. A lane asks about one subject, so its place is 0 unless the case says otherwise.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Found {
    subject: u32,
    topic: Topic,
    severity: Severity,
    value: f64,
    threshold: f64,
}

/// The first words of the contract.
impl Default for Found {
    fn default() -> Self {
        Self { subject: 0, topic: Topic::Memory, severity: Severity::Info, value: 0.0, threshold: 0.0 }
    }
}

/// A subject where it stands by itself.
#[derive(Deserialize)]
struct One(#[serde(with = "Subject")] wit::Subject);

impl Default for One {
    fn default() -> Self {
        Self(well())
    }
}

/// The fields of a subject as a case writes them.
#[derive(Deserialize)]
#[serde(remote = "wit::Subject", default = "well", deny_unknown_fields)]
struct Subject {
    memory_percent: f32,
    cpu_percent: f32,
    execution_percent: f32,
    file_handle_percent: f32,
    thread_percent: f32,
    responsiveness: u32,
    score: u32,
    #[serde(deserialize_with = "status")]
    status: types::HealthStatus,
    memory_limit_in_ms: u64,
    recent_restarts: u32,
    memo: u64,
}

/// A process with which all is well.
fn well() -> wit::Subject {
    wit::Subject {
        memory_percent: 0.0,
        cpu_percent: 0.0,
        execution_percent: 0.0,
        file_handle_percent: 0.0,
        thread_percent: 0.0,
        responsiveness: GOOD,
        score: GOOD,
        status: types::HealthStatus::Healthy,
        memory_limit_in_ms: 0,
        recent_restarts: 0,
        memo: 0,
    }
}

impl From<Found> for wit::Finding {
    fn from(found: Found) -> Self {
        let Found { subject, topic, severity, value, threshold } = found;
        let place = crate::alert::Finding { subject: 0, topic, severity, value, threshold };
        Self { subject, ..finding_to_wit(&place) }
    }
}

impl From<Evaluate> for Question {
    fn from(case: Evaluate) -> Self {
        Self::Evaluate {
            tick: wit::Tick { now_ms: case.now_ms, interval_ms: case.interval_ms.max(1) },
            subjects: case.subject.into_iter().map(|one| one.0).collect(),
        }
    }
}

impl From<Explain> for Question {
    fn from(case: Explain) -> Self {
        Self::Explain { who: case.identity.into(), subject: case.subject.0, finding: case.finding.into() }
    }
}

impl Golden for Alerts {
    type Question = Question;

    fn read(ask: Option<&str>, input: toml::Table) -> Result<Question, String> {
        match ask {
            None | Some("evaluate") => arguments::<Evaluate>(input).map(Into::into),
            Some("explain") => arguments::<Explain>(input).map(Into::into),
            Some(other) => no_function(other, "`evaluate`, `explain`, or nothing for `evaluate`"),
        }
    }

    fn put(judge: &mut Judge<Self>, question: &Question) -> Result<Value, Fault> {
        match question {
            Question::Evaluate { tick, subjects } => judge.ask(
                |live| live.guest.call_evaluate(&mut live.store, *tick, subjects),
                |evaluation| {
                    let shown = show(&evaluation);
                    check(evaluation, subjects.len()).map(|_| shown)
                },
            ),
            Question::Explain { who, subject, finding } => {
                let tags = convert::texts(&who.tags);
                let who = convert::identity(who, &tags);
                judge.ask(
                    |live| live.guest.call_explain(&mut live.store, who, *subject, *finding),
                    |line| convert::text("explanation", line, 200).map(|line| json!({ "line": line })),
                )
            }
        }
    }
}

fn show(evaluation: &wit::Evaluation) -> Value {
    let finding = |finding: &wit::Finding| {
        json!({
            "subject": finding.subject,
            "topic": topic(finding.topic),
            "severity": convert::from_severity(finding.severity),
            "value": finding.value,
            "threshold": finding.threshold,
        })
    };
    json!({ "finding": evaluation.findings.iter().map(finding).collect::<Vec<_>>(), "memos": evaluation.memos })
}
