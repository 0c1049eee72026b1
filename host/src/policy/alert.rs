//! The alert question: batches in chunks, conversion, checks, and one finding in words.

use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::bindings::alert as wit;
use super::convert;
use super::fault::Fault;
use super::guest::GuestState;
use super::health::CHUNK;
use super::judge::{Judge, Kind, Live};
use super::lane::{Asked, Lane};
use super::{AlertAnswer, AlertSubject, PolicyTick};
use crate::alert::{Finding, Severity, Topic};
use crate::decision::{AlertReading, AnsweredBy, Decided, PolicyKind};
use crate::health::HealthStatus;
use crate::units::Timestamp;

/// Alert policies.
pub(super) struct Alerts;

/// A question and the way back.
pub(super) enum AlertJob {
    /// Judge a batch.
    Evaluate { tick: PolicyTick, subjects: Vec<AlertSubject>, reply: oneshot::Sender<AlertAnswer> },
    /// Put one finding into words.
    Explain { subject: AlertSubject, finding: Finding, reply: oneshot::Sender<Decided<String>> },
}

impl Kind for Alerts {
    const KIND: PolicyKind = PolicyKind::Alert;
    type Indices = wit::GuestIndices;
    type Guest = wit::Guest;
    type Extra = ();
    type Own = ();
    type Job = AlertJob;

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
        let tick = wit::Tick { now_ms: Timestamp::now().ms(), interval_ms: 1000 };
        let subject = to_wit(&canned(), false);
        let run = |live: &mut Live<Self>| live.guest.call_evaluate(&mut live.store, tick, &[subject]);
        judge.ask_at_load(run, |evaluation| check(evaluation, 1)).map(drop)
    }

    fn handle(lane: &mut Lane<Self>, job: AlertJob) {
        let engine = lane.engine.clone();
        let _running = engine.running();
        match job {
            AlertJob::Evaluate { tick, subjects, reply } => {
                let answer = lane.evaluate(tick, &subjects);
                let kept = lane.has_shadow().then(|| answer.findings.clone());
                // The monitor may have gone on a shutdown; then nobody needs the answer.
                let _ = reply.send(answer);
                if let Some(findings) = kept {
                    lane.compare(tick, &subjects, &findings);
                }
            }
            AlertJob::Explain { subject, finding, reply } => {
                let _ = reply.send(lane.explain_alert(&subject, &finding));
            }
        }
    }
}

impl Lane<Alerts> {
    /// Judge a batch: subjects of one binding together, in chunks. The caller holds the `running` guard.
    pub(super) fn evaluate(&mut self, tick: PolicyTick, subjects: &[AlertSubject]) -> AlertAnswer {
        let places = self.place_all(subjects.iter().map(|subject| &subject.identity));
        let mut answer = AlertAnswer { findings: Vec::new(), memos: vec![0; subjects.len()] };
        for (judge, positions) in super::batch::groups(&places) {
            for chunk in positions.chunks(CHUNK) {
                let given = |by: AnsweredBy| chunk.iter().map(move |p| memo_by_rule(by, subjects[*p].reading.memo));
                let (part, _) = self.decide(
                    judge,
                    |judge, asked| ask(judge, tick, subjects, chunk, asked),
                    |by, _| Part { findings: Vec::new(), memos: given(by).collect() },
                );
                answer.findings.extend(part.findings);
                for (position, memo) in chunk.iter().zip(part.memos) {
                    answer.memos[*position] = memo;
                }
            }
            if let Some(judge) = judge {
                self.judges[judge].fresh = false;
            }
        }
        answer
    }

    /// Put one finding into words. The caller holds the `running` guard.
    pub(super) fn explain_alert(&mut self, subject: &AlertSubject, finding: &Finding) -> Decided<String> {
        let index = self.place(&subject.identity);
        let tags = convert::texts(&subject.identity.tags);
        let who = convert::identity(&subject.identity, &tags);
        let found = finding_to_wit(finding);
        let (answer, provenance) = self.decide(
            index,
            |judge, asked| {
                let reading = to_wit(&subject.reading, judge.fresh || asked == Asked::StandIn);
                judge.ask(
                    |live| live.guest.call_explain(&mut live.store, who.clone(), reading, found),
                    |words| convert::text("explanation", words, 200),
                )
            },
            |_, _| constant(finding),
        );
        Decided { answer, provenance }
    }

    /// Ask the shadow bindings the same and report when they find something else.
    fn compare(&mut self, tick: PolicyTick, subjects: &[AlertSubject], findings: &[Finding]) {
        let name = |finding: &Finding| {
            format!("{} {} of {}", finding.severity, finding.topic, subjects[finding.subject].identity.name)
        };
        let key = |f: &Finding| (f.subject, f.topic, f.severity);
        self.shadow(
            |_| true,
            |judge| {
                let matches = |position: &usize| judge.bound.binding.matches.accepts(&subjects[*position].identity);
                let positions: Vec<usize> = (0..subjects.len()).filter(matches).collect();
                let mut others = Vec::new();
                for chunk in positions.chunks(CHUNK) {
                    others.extend(ask(judge, tick, subjects, chunk, Asked::StandIn).ok()?.findings);
                }
                let ours: Vec<_> = findings.iter().filter(|f| positions.binary_search(&f.subject).is_ok()).collect();
                let more = others.iter().find(|other| !ours.iter().any(|f| key(f) == key(other)));
                let less = ours.iter().find(|f| !others.iter().any(|other| key(f) == key(other)));
                match (more, less) {
                    (Some(more), _) => Some(format!("it would report {}", name(more))),
                    (None, Some(less)) => Some(format!("it would not report {}", name(less))),
                    (None, None) => None,
                }
            },
        );
    }
}

/// Memos when nobody answered: kept where nothing is to change, else forgotten.
fn memo_by_rule(by: AnsweredBy, memo: u64) -> u64 {
    if by == AnsweredBy::Hold { memo } else { 0 }
}

/// A finding in words when nobody can give better ones.
pub(super) fn constant(finding: &Finding) -> String {
    format!("{} is at {:.1}, threshold {:.1}", finding.topic, finding.value, finding.threshold)
}

/// The answer for the subjects of one chunk; findings with their place in the whole batch.
pub(super) struct Part {
    findings: Vec<Finding>,
    memos: Vec<u64>,
}

fn ask(
    judge: &mut Judge<Alerts>,
    tick: PolicyTick,
    subjects: &[AlertSubject],
    positions: &[usize],
    asked: Asked,
) -> Result<Part, Fault> {
    let forget = judge.fresh || asked == Asked::StandIn;
    let readings: Vec<_> = positions.iter().map(|position| to_wit(&subjects[*position].reading, forget)).collect();
    let tick = wit::Tick { now_ms: tick.now.ms(), interval_ms: tick.interval_ms.max(1) };
    let mut part = judge.ask(
        |live| live.guest.call_evaluate(&mut live.store, tick, &readings),
        |evaluation| check(evaluation, positions.len()),
    )?;
    for finding in &mut part.findings {
        finding.subject = positions[finding.subject];
    }
    if asked == Asked::StandIn {
        part.memos.fill(0);
    }
    Ok(part)
}

pub(super) fn check(evaluation: wit::Evaluation, subjects: usize) -> Result<Part, Fault> {
    let mut memos = evaluation.memos;
    if !memos.is_empty() && memos.len() != subjects {
        return Err(Fault::bad_answer(format!("{} memos for {subjects} subjects", memos.len())));
    }
    memos.resize(subjects, 0);
    // Topics found so far, a bit each, for every subject; made only when something was found.
    let mut seen = vec![0_u16; if evaluation.findings.is_empty() { 0 } else { subjects }];
    let findings = evaluation.findings.iter().map(|finding| from_wit(finding, &mut seen)).collect::<Result<_, _>>()?;
    Ok(Part { findings, memos })
}

fn from_wit(finding: &wit::Finding, seen: &mut [u16]) -> Result<Finding, Fault> {
    let subject = finding.subject as usize;
    let Some(topics) = seen.get_mut(subject) else {
        return Err(Fault::bad_answer(format!("a finding about subject {subject} of {}", seen.len())));
    };
    let topic = topic(finding.topic);
    let bit = 1 << topic as u16;
    if *topics & bit != 0 {
        return Err(Fault::bad_answer(format!("two findings about {topic} of subject {subject}")));
    }
    *topics |= bit;
    let severity = convert::from_severity(finding.severity);
    if severity == Severity::Info {
        return Err(Fault::bad_answer("a finding of severity info; it must be warning, critical or emergency"));
    }
    Ok(Finding {
        subject,
        topic,
        severity,
        value: convert::number("value", finding.value)?,
        threshold: convert::number("threshold", finding.threshold)?,
    })
}

pub(super) fn topic(topic: wit::Topic) -> Topic {
    match topic {
        wit::Topic::Memory => Topic::Memory,
        wit::Topic::Cpu => Topic::Cpu,
        wit::Topic::ExecutionTime => Topic::ExecutionTime,
        wit::Topic::FileHandles => Topic::FileHandles,
        wit::Topic::Threads => Topic::Threads,
        wit::Topic::Responsiveness => Topic::Responsiveness,
        wit::Topic::Health => Topic::Health,
        wit::Topic::MemoryForecast => Topic::MemoryForecast,
        wit::Topic::Restarts => Topic::Restarts,
    }
}

pub(super) fn finding_to_wit(finding: &Finding) -> wit::Finding {
    let topic = match finding.topic {
        Topic::Memory => wit::Topic::Memory,
        Topic::Cpu => wit::Topic::Cpu,
        Topic::ExecutionTime => wit::Topic::ExecutionTime,
        Topic::FileHandles => wit::Topic::FileHandles,
        Topic::Threads => wit::Topic::Threads,
        Topic::Responsiveness => wit::Topic::Responsiveness,
        Topic::Health => wit::Topic::Health,
        Topic::MemoryForecast => wit::Topic::MemoryForecast,
        Topic::Restarts => wit::Topic::Restarts,
    };
    wit::Finding {
        subject: 0,
        topic,
        severity: convert::to_severity(finding.severity),
        value: finding.value,
        threshold: finding.threshold,
    }
}

fn to_wit(reading: &AlertReading, forget: bool) -> wit::Subject {
    wit::Subject {
        memory_percent: reading.memory_percent,
        cpu_percent: reading.cpu_percent,
        execution_percent: reading.execution_percent,
        file_handle_percent: reading.file_handle_percent,
        thread_percent: reading.thread_percent,
        responsiveness: u32::from(reading.responsiveness),
        score: u32::from(reading.score),
        status: convert::to_status(reading.status),
        memory_limit_in_ms: reading.memory_limit_in_ms,
        recent_restarts: reading.recent_restarts,
        memo: if forget { 0 } else { reading.memo },
    }
}

fn canned() -> AlertReading {
    AlertReading {
        memory_percent: 50.0,
        cpu_percent: 10.0,
        execution_percent: 10.0,
        file_handle_percent: 3.0,
        thread_percent: 1.0,
        responsiveness: 100,
        score: 100,
        status: HealthStatus::Healthy,
        memory_limit_in_ms: 0,
        recent_restarts: 0,
        memo: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(subject: u32, topic: wit::Topic, value: f64) -> wit::Finding {
        wit::Finding {
            subject,
            topic,
            severity: super::super::bindings::types::Severity::Warning,
            value,
            threshold: 1.0,
        }
    }

    fn checked(findings: Vec<wit::Finding>, memos: Vec<u64>) -> Result<Part, Fault> {
        check(wit::Evaluation { findings, memos }, 2)
    }

    #[test]
    fn findings_about_strangers_doubles_and_no_numbers_are_no_answers() {
        assert!(checked(vec![found(1, wit::Topic::Cpu, 2.0)], vec![]).is_ok());
        assert!(checked(vec![found(2, wit::Topic::Cpu, 2.0)], vec![]).is_err());
        assert!(checked(vec![found(1, wit::Topic::Cpu, f64::NAN)], vec![]).is_err());
        assert!(checked(vec![found(1, wit::Topic::Cpu, 2.0), found(1, wit::Topic::Cpu, 3.0)], vec![]).is_err());
    }

    #[test]
    fn memos_are_one_for_each_subject_or_none() {
        assert_eq!(checked(vec![], vec![]).ok().unwrap().memos, [0, 0]);
        assert_eq!(checked(vec![], vec![4, 5]).ok().unwrap().memos, [4, 5]);
        assert!(checked(vec![], vec![4]).is_err());
    }
}
