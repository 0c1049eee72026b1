//! Answers as JSON, in the words of the WIT package with `_` for `-`: what `expect` is compared with.

use serde_json::{Value, json};

use super::input::{SEVERITIES, TOPICS};
use crate::admission::Decision as Admission;
use crate::alert::Evaluation;
use crate::health::{Explanation, Issue, Verdict};
use crate::restart::Decision as Restart;
use crate::{Direction, HealthStatus, Issues, Refusal, SettingsProblem};

fn word<T: Copy + PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("?", |(word, _)| word)
}

fn answer<T>(answer: Result<T, Refusal>, show: impl FnOnce(T) -> Value) -> Value {
    match answer {
        Ok(answer) => show(answer),
        Err(refusal) => json!({ "refusal": refusal.reason }),
    }
}

pub(super) fn problems(problems: &[SettingsProblem]) -> Value {
    let shown: Vec<Value> = problems.iter().map(|p| json!({ "field": p.field, "message": p.message })).collect();
    json!({ "problems": shown })
}

pub(super) fn admission(decision: Result<Admission, Refusal>) -> Value {
    answer(decision, |decision| match decision {
        Admission::Allow => json!({ "decision": "allow" }),
        Admission::Deny(denial) => json!({ "decision": "deny", "rule": denial.rule, "reason": denial.reason }),
    })
}

pub(super) fn restart(decision: Result<Restart, Refusal>) -> Value {
    answer(decision, |decision| match decision {
        Restart::RestartAfter(comeback) => {
            json!({ "restart_after": { "delay_ms": comeback.delay_ms, "attempt": comeback.attempt } })
        }
        Restart::GiveUp(reason) => json!({ "give_up": reason }),
    })
}

pub(super) fn verdicts(verdicts: Result<Vec<Verdict>, Refusal>) -> Value {
    answer(verdicts, |verdicts| json!({ "verdict": verdicts.iter().map(verdict).collect::<Vec<_>>() }))
}

pub(super) fn explanation(explanation: Result<Explanation, Refusal>) -> Value {
    answer(explanation, |explanation| {
        json!({
            "verdict": verdict(&explanation.verdict),
            "issue": explanation.issues.iter().map(issue).collect::<Vec<_>>(),
            "recommendations": explanation.recommendations,
        })
    })
}

pub(super) fn evaluation(evaluation: Result<Evaluation, Refusal>) -> Value {
    answer(evaluation, |evaluation| {
        let finding = |finding: &crate::alert::Finding| {
            json!({
                "subject": finding.subject,
                "topic": word(&TOPICS, finding.topic),
                "severity": word(&SEVERITIES, finding.severity),
                "value": finding.value,
                "threshold": finding.threshold,
            })
        };
        json!({ "finding": evaluation.findings.iter().map(finding).collect::<Vec<_>>(), "memos": evaluation.memos })
    })
}

pub(super) fn line(line: Result<String, Refusal>) -> Value {
    answer(line, |line| json!({ "line": line }))
}

fn verdict(verdict: &Verdict) -> Value {
    let statuses = [
        ("healthy", HealthStatus::Healthy),
        ("warning", HealthStatus::Warning),
        ("critical", HealthStatus::Critical),
        ("failing", HealthStatus::Failing),
    ];
    json!({
        "score": verdict.score,
        "status": word(&statuses, verdict.status),
        "issues": issues(verdict.issues),
        "memo": verdict.memo,
    })
}

fn issue(issue: &Issue) -> Value {
    let directions = [
        ("unknown", Direction::Unknown),
        ("improving", Direction::Improving),
        ("stable", Direction::Stable),
        ("deteriorating", Direction::Deteriorating),
    ];
    json!({
        "kind": issues(issue.kind).first(),
        "severity": word(&SEVERITIES, issue.severity),
        "description": issue.description,
        "value": issue.value,
        "threshold": issue.threshold,
        "trend": word(&directions, issue.trend),
    })
}

/// Flags by their word, in the order of the WIT package.
fn issues(issues: Issues) -> Vec<&'static str> {
    let words = [
        ("memory", Issues::MEMORY),
        ("cpu", Issues::CPU),
        ("execution-time", Issues::EXECUTION_TIME),
        ("file-handles", Issues::FILE_HANDLES),
        ("responsiveness", Issues::RESPONSIVENESS),
        ("stability", Issues::STABILITY),
        ("memory-leak", Issues::MEMORY_LEAK),
        ("threads", Issues::THREADS),
    ];
    words.iter().filter(|(_, flag)| issues.contains(*flag)).map(|(word, _)| *word).collect()
}
