//! The admission question: conversion, checks, look-ups, and the rule that every matching policy must allow.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::bindings::admission as wit;
use super::bindings::types::Refusal;
use super::convert;
use super::fault::Fault;
use super::guest::GuestState;
use super::judge::{Judge, Kind, Live};
use super::lane::{Lane, nobody_asked};
use super::lookup::Lookups;
use super::restart::nobody;
use super::set::Mode;
use crate::decision::{Admission, AdmissionRequest, AnsweredBy, Decided, PolicyKind, Provenance};
use crate::spec::Limits;
use crate::units::Timestamp;

/// Look-ups of one policy; the contract's figure.
const MAX_LOOKUPS: usize = 4096;

/// Admission policies.
pub(super) struct Admissions;

/// A question and the way back.
pub(super) struct AdmissionJob {
    pub(super) request: AdmissionRequest,
    pub(super) reply: oneshot::Sender<Decided<Admission>>,
}

impl Kind for Admissions {
    const KIND: PolicyKind = PolicyKind::Admission;
    type Indices = wit::GuestIndices;
    type Guest = wit::Guest;
    /// What the policy wants looked up before each question.
    type Extra = Arc<[String]>;
    type Own = ();
    type Job = AdmissionJob;

    fn indices(pre: &InstancePre<GuestState>) -> wasmtime::Result<Self::Indices> {
        wit::GuestIndices::new(pre)
    }

    fn guest(
        indices: &Self::Indices,
        store: &mut Store<GuestState>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Guest> {
        indices.load(store, instance)
    }

    fn prepare(live: &mut Live<Self>) -> wasmtime::Result<()> {
        let lookups = live.guest.call_lookups(&mut live.store)?;
        if lookups.len() > MAX_LOOKUPS {
            return Err(wasmtime::format_err!("it wants {} look-ups and may have {MAX_LOOKUPS}", lookups.len()));
        }
        live.extra = lookups.into();
        Ok(())
    }

    fn self_test(judge: &mut Judge<Self>) -> Result<(), Fault> {
        let (canned, mut lookups) = (canned(), Lookups::default());
        let parts = Parts::of(&canned);
        let resolved = lookups.answer(&judge.wake()?.extra, &canned.search_path);
        let request = to_wit(&canned, &parts);
        judge.ask_at_load(|live| call(live, &request, resolved), check).map(drop)
    }

    fn handle(lane: &mut Lane<Self>, job: AdmissionJob) {
        let engine = lane.engine.clone();
        let _running = engine.running();
        let decided = lane.admit(&job.request);
        let answer = lane.has_shadow().then(|| decided.answer.clone());
        // The one who asked may have gone; nothing will be started then.
        let _ = job.reply.send(decided);
        let Some(answer) = answer else { return };
        let (parts, mut lookups) = (Parts::of(&job.request), Lookups::default());
        let request = to_wit(&job.request, &parts);
        lane.shadow(
            |judge| judge.bound.binding.matches.accepts(&job.request.identity),
            |judge| {
                let other = ask(judge, &request, &mut lookups, &job.request.search_path).ok()?;
                let command = &job.request.command;
                (other != answer).then(|| format!("{command}: {} instead of {}", in_words(&other), in_words(&answer)))
            },
        );
    }
}

impl Lane<Admissions> {
    /// Ask every enforcing binding that matches: all must allow, the first that denies wins, and when none matches
    /// nothing is allowed. The caller holds the `running` guard.
    pub(super) fn admit(&mut self, question: &AdmissionRequest) -> Decided<Admission> {
        let (parts, mut lookups) = (Parts::of(question), Lookups::default());
        let request = to_wit(question, &parts);
        let mut last: Option<Arc<Provenance>> = None;
        for index in 0..self.judges.len() {
            let binding = &self.judges[index].bound.binding;
            if binding.mode != Mode::Enforce || !binding.matches.accepts(&question.identity) {
                continue;
            }
            let (answer, provenance) =
                self.decide(Some(index), |judge, _| ask(judge, &request, &mut lookups, &question.search_path), rule);
            if answer != Admission::Allow {
                return Decided { answer, provenance };
            }
            // An answer that somebody else gave is worth more to the reader than the last of several plain ones.
            last = last.filter(|earlier| earlier.fallback.is_some()).or(Some(provenance));
        }
        match last {
            Some(provenance) => Decided { answer: Admission::Allow, provenance },
            None => Decided {
                answer: Admission::Deny {
                    rule: "no-admission-policy".to_owned(),
                    reason: format!("no admission policy matches process `{}`", question.identity.name),
                },
                provenance: nobody_asked("none", self.generation, None),
            },
        }
    }
}

/// The answer of a failure rule. Only `allow` allows.
fn rule(by: AnsweredBy, fault: &Fault) -> Admission {
    if by == AnsweredBy::Allow { Admission::Allow } else { constant(&fault.to_string()) }
}

/// The answer when nobody can give one.
pub(super) fn constant(why: &str) -> Admission {
    Admission::Deny { rule: "policy-failure".to_owned(), reason: format!("the admission policy cannot answer: {why}") }
}

fn ask(
    judge: &mut Judge<Admissions>,
    request: &wit::Request<'_>,
    lookups: &mut Lookups,
    search_path: &str,
) -> Result<Admission, Fault> {
    // Without an instance there are no look-ups to answer; `ask` below then makes it and counts the fault if it cannot.
    let mut resolved: &[Option<String>] = &[];
    if judge.breaker.closed_for(Instant::now).is_none()
        && let Ok(live) = judge.wake()
    {
        resolved = lookups.answer(&live.extra, search_path);
    }
    judge.ask(|live| call(live, request, resolved), check)
}

/// Ask with the answers to the policy's own look-ups; those of `request` are not used.
pub(super) fn call(
    live: &mut Live<Admissions>,
    request: &wit::Request<'_>,
    resolved: &[Option<String>],
) -> wasmtime::Result<Result<wit::Decision, Refusal>> {
    let answers = live.extra.iter().zip(resolved);
    let lookups: Vec<_> =
        answers.map(|(query, resolved)| wit::Lookup { query, resolved: resolved.as_deref() }).collect();
    live.guest.call_decide(&mut live.store, wit::Request { lookups: &lookups, ..request.clone() })
}

pub(super) fn check(decision: wit::Decision) -> Result<Admission, Fault> {
    let denial = match decision {
        wit::Decision::Allow => return Ok(Admission::Allow),
        wit::Decision::Deny(denial) => denial,
    };
    let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if denial.rule.is_empty() || denial.rule.len() > 64 || !denial.rule.chars().all(named) {
        return Err(Fault::bad_answer(format!("rule `{}` is not 1 to 64 of a-z 0-9 -", denial.rule.escape_debug())));
    }
    Ok(Admission::Deny { rule: denial.rule, reason: convert::text("reason", denial.reason, 1024)? })
}

/// The lists of a question, which its record borrows.
pub(super) struct Parts<'a> {
    tags: Vec<&'a str>,
    args: Vec<&'a str>,
    environment_keys: Vec<&'a str>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(question: &'a AdmissionRequest) -> Self {
        Self {
            tags: convert::texts(&question.identity.tags),
            args: convert::texts(&question.args),
            environment_keys: convert::texts(&question.environment_keys),
        }
    }
}

/// The question as the policy gets it, without look-ups; `parts` are those of `question`.
pub(super) fn to_wit<'a>(question: &'a AdmissionRequest, parts: &'a Parts<'_>) -> wit::Request<'a> {
    wit::Request {
        identity: convert::identity(&question.identity, &parts.tags),
        command: &question.command,
        found: question.found.as_deref(),
        resolved: question.resolved.as_deref(),
        args: &parts.args,
        directory: &question.directory,
        environment_keys: &parts.environment_keys,
        memory_limit_bytes: question.limits.memory.map(|bytes| bytes.get()),
        cpu_limit_percent: question.limits.cpu.map(|percent| percent.get()),
        execution_limit_ms: question.limits.execution_time.map(|time| time.as_millis() as u64),
        now_ms: question.now.ms(),
        lookups: &[],
    }
}

fn in_words(admission: &Admission) -> String {
    match admission {
        Admission::Allow => "allow".to_owned(),
        Admission::Deny { rule, .. } => format!("deny by {rule}"),
    }
}

fn canned() -> AdmissionRequest {
    AdmissionRequest {
        identity: nobody(),
        command: "self-test".to_owned(),
        found: None,
        resolved: None,
        args: Vec::new(),
        directory: "/".to_owned(),
        environment_keys: Vec::new(),
        search_path: String::new(),
        limits: Limits::default(),
        now: Timestamp::now(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_needs_a_rule_that_programs_can_match_on() {
        let deny =
            |rule: &str| check(wit::Decision::Deny(wit::Denial { rule: rule.to_owned(), reason: String::new() }));
        assert!(deny("command-allowlist").is_ok());
        assert!(deny("").is_err() && deny("No Rule").is_err());
    }

    #[test]
    fn of_the_failure_rules_only_allow_allows() {
        let fault = Fault::bad_answer("x");
        for by in AnsweredBy::ALL {
            assert_eq!(rule(*by, &fault) == Admission::Allow, *by == AnsweredBy::Allow, "{by}");
        }
    }
}
