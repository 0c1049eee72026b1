//! What all four kinds have in common when the vocabulary crosses the border to WIT and back.
//!
//! Pure. What belongs to one kind alone stands beside it, in `admission`, `health`, `restart` and `alert`.

use super::bindings::types;
use super::fault::Fault;
use crate::alert::Severity;
use crate::decision::PolicyKind;
use crate::health::{HealthStatus, IssueKind, IssueSet};
use crate::sample::Direction;
use crate::spec::{Identity, Priority};

pub(super) fn kind(kind: types::Kind) -> PolicyKind {
    match kind {
        types::Kind::Admission => PolicyKind::Admission,
        types::Kind::Health => PolicyKind::Health,
        types::Kind::Restart => PolicyKind::Restart,
        types::Kind::Alert => PolicyKind::Alert,
    }
}

/// A list of texts as the border takes it.
pub(super) fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// Who is asked about; `tags` are the `texts` of its tags.
pub(super) fn identity<'a>(identity: &'a Identity, tags: &'a [&'a str]) -> types::Identity<'a> {
    types::Identity {
        process_id: identity.process_id.as_str(),
        name: &identity.name,
        task_id: &identity.task_id,
        agent_type: &identity.agent_type,
        priority: match identity.priority {
            Priority::Low => types::Priority::Low,
            Priority::Normal => types::Priority::Normal,
            Priority::High => types::Priority::High,
            Priority::Critical => types::Priority::Critical,
        },
        tags,
    }
}

pub(super) fn to_direction(direction: Direction) -> types::Direction {
    match direction {
        Direction::Unknown => types::Direction::Unknown,
        Direction::Improving => types::Direction::Improving,
        Direction::Stable => types::Direction::Stable,
        Direction::Deteriorating => types::Direction::Deteriorating,
    }
}

pub(super) fn from_direction(direction: types::Direction) -> Direction {
    match direction {
        types::Direction::Unknown => Direction::Unknown,
        types::Direction::Improving => Direction::Improving,
        types::Direction::Stable => Direction::Stable,
        types::Direction::Deteriorating => Direction::Deteriorating,
    }
}

pub(super) fn to_status(status: HealthStatus) -> types::HealthStatus {
    match status {
        HealthStatus::Healthy => types::HealthStatus::Healthy,
        HealthStatus::Warning => types::HealthStatus::Warning,
        HealthStatus::Critical => types::HealthStatus::Critical,
        HealthStatus::Failing => types::HealthStatus::Failing,
    }
}

pub(super) fn from_status(status: types::HealthStatus) -> HealthStatus {
    match status {
        types::HealthStatus::Healthy => HealthStatus::Healthy,
        types::HealthStatus::Warning => HealthStatus::Warning,
        types::HealthStatus::Critical => HealthStatus::Critical,
        types::HealthStatus::Failing => HealthStatus::Failing,
    }
}

pub(super) fn to_severity(severity: Severity) -> types::Severity {
    match severity {
        Severity::Info => types::Severity::Info,
        Severity::Warning => types::Severity::Warning,
        Severity::Critical => types::Severity::Critical,
        Severity::Emergency => types::Severity::Emergency,
    }
}

pub(super) fn from_severity(severity: types::Severity) -> Severity {
    match severity {
        types::Severity::Info => Severity::Info,
        types::Severity::Warning => Severity::Warning,
        types::Severity::Critical => Severity::Critical,
        types::Severity::Emergency => Severity::Emergency,
    }
}

/// Both sides number the flags alike: bit n is the nth flag of the WIT type and the nth `IssueKind`.
pub(super) fn issues(issues: types::Issues) -> IssueSet {
    IssueSet((issues.as_array()[0] & 0xff) as u8)
}

/// A set of exactly one issue.
pub(super) fn one_issue(flags: types::Issues) -> Result<IssueKind, Fault> {
    let set = issues(flags);
    let mut kinds = set.iter();
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) => Ok(kind),
        _ => Err(Fault::bad_answer(format!("an issue has {} kinds and must have one", set.0.count_ones()))),
    }
}

/// A whole number from 0 to 100.
pub(super) fn score(score: u32) -> Result<u8, Fault> {
    u8::try_from(score)
        .ok()
        .filter(|score| *score <= 100)
        .ok_or_else(|| Fault::bad_answer(format!("score {score} is not between 0 and 100")))
}

/// A number that is one.
pub(super) fn number(what: &str, value: f64) -> Result<f64, Fault> {
    if value.is_finite() { Ok(value) } else { Err(Fault::bad_answer(format!("{what} is {value}"))) }
}

/// A text of at most `limit` bytes.
pub(super) fn text(what: &str, text: String, limit: usize) -> Result<String, Fault> {
    if text.len() <= limit {
        return Ok(text);
    }
    Err(Fault::bad_answer(format!("{what} has {} bytes and may have {limit}", text.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_issue_flag_is_the_issue_of_the_same_name() {
        use types::Issues as Flag;
        let flags = [
            Flag::MEMORY,
            Flag::CPU,
            Flag::EXECUTION_TIME,
            Flag::FILE_HANDLES,
            Flag::RESPONSIVENESS,
            Flag::STABILITY,
            Flag::MEMORY_LEAK,
            Flag::THREADS,
        ];
        for (flag, kind) in flags.into_iter().zip(IssueKind::ALL) {
            assert_eq!(one_issue(flag).unwrap(), *kind);
        }
        assert!(one_issue(Flag::MEMORY | Flag::CPU).is_err());
        assert!(one_issue(Flag::empty()).is_err());
    }

    #[test]
    fn a_score_above_100_and_a_value_that_is_no_number_are_no_answers() {
        assert_eq!(score(100).unwrap(), 100);
        assert!(score(101).is_err() && score(300).is_err());
        assert!(number("value", f64::NAN).is_err() && number("value", f64::INFINITY).is_err());
    }
}
