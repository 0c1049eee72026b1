//! The restart question: conversion, checks, the question every restart policy must be able to answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::bindings::restart as wit;
use super::convert;
use super::fault::Fault;
use super::guest::GuestState;
use super::judge::{Judge, Kind, Live};
use super::lane::Lane;
use crate::decision::{Decided, Ending, PastRun, PolicyKind, RestartDecision, RestartQuestion};
use crate::sample::ExitStatus;
use crate::spec::{Identity, Priority, ProcessId};
use crate::units::Timestamp;

/// Longest delay a policy may ask for; the contract's figure.
const MAX_DELAY_MS: u64 = 86_400_000;
/// Delay when nobody can answer: long enough that a crashing process is no burden, short enough to come back.
const CONSTANT_DELAY: Duration = Duration::from_secs(300);
/// Earlier runs that a policy sees; the contract's figure.
const MAX_HISTORY: usize = 16;

/// Restart policies.
pub(super) struct Restart;

/// A question and the way back.
pub(super) struct RestartJob {
    pub(super) question: RestartQuestion,
    pub(super) reply: oneshot::Sender<Decided<RestartDecision>>,
}

impl Kind for Restart {
    const KIND: PolicyKind = PolicyKind::Restart;
    type Indices = wit::GuestIndices;
    type Guest = wit::Guest;
    type Extra = ();
    type Own = Seeds;
    type Job = RestartJob;

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

    fn self_test(judge: &mut Judge<Self>) -> Result<(), Fault> {
        let canned = canned();
        let parts = Parts::of(&canned);
        let failure = failure(&canned, &parts, Timestamp::now(), 0);
        judge.ask_at_load(|live| call(live, &failure), check).map(drop)
    }

    fn handle(lane: &mut Lane<Self>, job: RestartJob) {
        let running = lane.engine.clone();
        let _running = running.running();
        let parts = Parts::of(&job.question);
        let failure = failure(&job.question, &parts, Timestamp::now(), lane.own.next());
        let decided = lane.decide_restart(&job.question, &failure);
        let answer = lane.has_shadow().then(|| decided.answer.clone());
        // The one who asked may have gone, for example because the process was stopped meanwhile.
        let _ = job.reply.send(decided);
        let Some(answer) = answer else { return };
        lane.shadow(
            |judge| judge.bound.binding.matches.accepts(&job.question.identity),
            |judge| {
                let other = ask(judge, &failure).ok()?;
                (other != answer).then(|| format!("{:?} instead of {answer:?}", other))
            },
        );
    }
}

impl Lane<Restart> {
    /// Ask the binding that matches. The caller holds the `running` guard.
    pub(super) fn decide_restart(
        &mut self,
        question: &RestartQuestion,
        failure: &wit::Failure<'_>,
    ) -> Decided<RestartDecision> {
        let index = self.place(&question.identity);
        let (answer, provenance) =
            self.decide(index, |judge, _| ask(judge, failure), |_, _| constant(question.attempts));
        Decided { answer, provenance }
    }
}

/// The answer when nobody can give one: the longest delay, counted as an attempt.
pub(super) fn constant(attempts: u32) -> RestartDecision {
    RestartDecision::RestartAfter { delay_ms: CONSTANT_DELAY.as_millis() as u64, attempt: attempts.saturating_add(1) }
}

fn ask(judge: &mut Judge<Restart>, failure: &wit::Failure<'_>) -> Result<RestartDecision, Fault> {
    judge.ask(|live| call(live, failure), check)
}

pub(super) fn call(
    live: &mut Live<Restart>,
    failure: &wit::Failure<'_>,
) -> wasmtime::Result<Result<wit::Decision, super::bindings::types::Refusal>> {
    live.guest.call_decide(&mut live.store, failure.clone())
}

pub(super) fn check(decision: wit::Decision) -> Result<RestartDecision, Fault> {
    match decision {
        wit::Decision::GiveUp(reason) => Ok(RestartDecision::GiveUp { reason: convert::text("reason", reason, 1024)? }),
        wit::Decision::RestartAfter(comeback) if comeback.delay_ms > MAX_DELAY_MS => {
            Err(Fault::bad_answer(format!("delay {} ms is longer than a day", comeback.delay_ms)))
        }
        wit::Decision::RestartAfter(comeback) if comeback.attempt == 0 => {
            Err(Fault::bad_answer("attempt 0; attempts count from 1"))
        }
        wit::Decision::RestartAfter(comeback) => {
            Ok(RestartDecision::RestartAfter { delay_ms: comeback.delay_ms, attempt: comeback.attempt })
        }
    }
}

/// Jitter seeds, drawn from the system a few dozen at a time: a system call for each costs more than the question.
#[derive(Default)]
pub(super) struct Seeds {
    drawn: [u64; 32],
    left: usize,
}

impl Seeds {
    /// A seed that was never given out.
    pub(super) fn next(&mut self) -> u64 {
        if self.left == 0 {
            self.draw();
        }
        self.left -= 1;
        self.drawn[self.left]
    }

    /// A system without randomness has greater problems than a delay without jitter.
    fn draw(&mut self) {
        let mut bytes = [0; 8 * 32];
        if getrandom::fill(&mut bytes).is_err() {
            self.drawn[0] = Timestamp::now().ms();
            self.left = 1;
            return;
        }
        for (seed, bytes) in self.drawn.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *seed = u64::from_ne_bytes(*bytes);
        }
        self.left = self.drawn.len();
    }
}

/// The lists of a question, which its record borrows.
pub(super) struct Parts<'a> {
    tags: Vec<&'a str>,
    history: Vec<wit::PastRun<'a>>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(question: &'a RestartQuestion) -> Self {
        let past = |run: &'a PastRun| wit::PastRun {
            started_ms: run.started_at_ms.ms(),
            lasted_ms: run.lasted_ms,
            ending: ending(&run.ending),
        };
        Self {
            tags: convert::texts(&question.identity.tags),
            history: question.history.iter().take(MAX_HISTORY).map(past).collect(),
        }
    }
}

/// The question as the policy gets it; `parts` are those of `question`.
pub(super) fn failure<'a>(
    question: &'a RestartQuestion,
    parts: &'a Parts<'_>,
    now: Timestamp,
    jitter_seed: u64,
) -> wit::Failure<'a> {
    wit::Failure {
        identity: convert::identity(&question.identity, &parts.tags),
        ending: ending(&question.ending),
        lasted_ms: question.lasted.as_millis() as u64,
        attempts: question.attempts,
        max_attempts: question.max_attempts,
        restarts_total: question.restarts_total,
        history: &parts.history,
        now_ms: now.ms(),
        jitter_seed,
    }
}

fn ending(ending: &Ending) -> wit::Ending<'_> {
    match ending {
        Ending::Ended(ExitStatus::Code(code)) => wit::Ending::Exited(*code),
        Ending::Ended(ExitStatus::Signal(number)) => wit::Ending::Signalled(*number),
        Ending::Ended(ExitStatus::Unknown) => wit::Ending::Unknown,
        Ending::Unhealthy(score) => wit::Ending::Unhealthy(u32::from(*score)),
        Ending::Limit(kind) => wit::Ending::Limit(kind.as_str()),
        Ending::NotStarted(why) => wit::Ending::NotStarted(why),
    }
}

/// Someone a plugin has never heard of, for the first question.
pub(super) fn nobody() -> Arc<Identity> {
    Arc::new(Identity {
        process_id: ProcessId::new("self-test"),
        name: "self-test".to_owned(),
        task_id: String::new(),
        agent_type: String::new(),
        priority: Priority::Normal,
        tags: Vec::new(),
    })
}

fn canned() -> RestartQuestion {
    RestartQuestion {
        identity: nobody(),
        ending: Ending::Ended(ExitStatus::Code(1)),
        lasted: Duration::from_secs(1),
        attempts: 0,
        max_attempts: None,
        restarts_total: 0,
        history: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(delay_ms: u64, attempt: u32) -> Result<RestartDecision, Fault> {
        check(wit::Decision::RestartAfter(wit::Comeback { delay_ms, attempt }))
    }

    #[test]
    fn a_delay_of_a_day_is_an_answer_and_a_longer_one_is_none() {
        assert!(after(MAX_DELAY_MS, 1).is_ok());
        assert!(after(MAX_DELAY_MS + 1, 1).is_err());
        assert!(after(0, 0).is_err());
    }

    #[test]
    fn a_reason_longer_than_a_kibibyte_is_no_answer() {
        assert!(check(wit::Decision::GiveUp("x".repeat(1024))).is_ok());
        assert!(check(wit::Decision::GiveUp("x".repeat(1025))).is_err());
    }

    #[test]
    fn seeds_differ_from_each_other() {
        let mut seeds = Seeds::default();
        let given: std::collections::BTreeSet<u64> = (0..100).map(|_| seeds.next()).collect();
        assert_eq!(given.len(), 100);
    }

    #[test]
    fn the_constant_counts_as_an_attempt() {
        assert_eq!(constant(2), RestartDecision::RestartAfter { delay_ms: 300_000, attempt: 3 });
        assert!(matches!(constant(u32::MAX), RestartDecision::RestartAfter { attempt: u32::MAX, .. }));
    }
}
