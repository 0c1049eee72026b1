//! The health question: batches in chunks, conversion, checks, and the same for one process in words.

use std::sync::Arc;

use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::bindings::health as wit;
use super::convert;
use super::fault::Fault;
use super::guest::GuestState;
use super::judge::{Judge, Kind};
use super::lane::{Asked, Lane};
use super::restart::nobody;
use super::{HISTORY_LENGTH, HealthSubject, PolicyTick};
use crate::decision::{Decided, HealthReading, PolicyKind, Provenance};
use crate::health::{HealthReport, Issue, Verdict};
use crate::sample::Direction;
use crate::units::Timestamp;

/// Processes of one call. Larger batches cost the same per process and keep the lane busy longer.
pub(super) const CHUNK: usize = 512;

/// Health policies.
pub(super) struct Health;

/// One answer for each subject.
pub(super) type Verdicts = Vec<(Option<Verdict>, Arc<Provenance>)>;

/// A question and the way back.
pub(super) enum HealthJob {
    /// Judge a batch.
    Assess { tick: PolicyTick, subjects: Vec<HealthSubject>, history: Vec<f32>, reply: oneshot::Sender<Verdicts> },
    /// Judge one and say why.
    Explain {
        tick: PolicyTick,
        subject: HealthSubject,
        history: Vec<f32>,
        reply: oneshot::Sender<Decided<Option<HealthReport>>>,
    },
}

impl Kind for Health {
    const KIND: PolicyKind = PolicyKind::Health;
    type Indices = wit::GuestIndices;
    type Guest = wit::Guest;
    type Extra = ();
    type Own = ();
    type Job = HealthJob;

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
        let tick = PolicyTick { now: Timestamp::now(), interval_ms: 1000 };
        let (reading, history) = (to_wit(&canned(), false), [0.0; HISTORY_LENGTH]);
        let tick = to_tick(tick, HISTORY_LENGTH);
        let run =
            |live: &mut super::judge::Live<Self>| live.guest.call_assess(&mut live.store, tick, &[reading], &history);
        judge.ask_at_load(run, |verdicts| check(verdicts, 1))?;
        let nobody = nobody();
        let who = convert::identity(&nobody, &[]);
        judge
            .ask_at_load(|live| live.guest.call_explain(&mut live.store, tick, who, reading, &history), check_report)
            .map(drop)
    }

    fn handle(lane: &mut Lane<Self>, job: HealthJob) {
        let engine = lane.engine.clone();
        let _running = engine.running();
        match job {
            HealthJob::Assess { tick, subjects, history, reply } => {
                let verdicts = lane.assess(tick, &subjects, &history);
                let kept = lane.has_shadow().then(|| verdicts.clone());
                // The monitor may have gone on a shutdown; then nobody needs the answer.
                let _ = reply.send(verdicts);
                if let Some(verdicts) = kept {
                    lane.compare(tick, &subjects, &history, &verdicts);
                }
            }
            HealthJob::Explain { tick, subject, history, reply } => {
                let _ = reply.send(lane.explain_health(tick, &subject, &history));
            }
        }
    }
}

impl Lane<Health> {
    /// Judge a batch: subjects of one binding together, in chunks, answers by position. The caller holds the `running`
    /// guard.
    pub(super) fn assess(&mut self, tick: PolicyTick, subjects: &[HealthSubject], history: &[f32]) -> Verdicts {
        let places = self.place_all(subjects.iter().map(|subject| &subject.identity));
        let mut verdicts: Vec<Option<(Option<Verdict>, Arc<Provenance>)>> = vec![None; subjects.len()];
        let mut batch = Batch::new(tick, subjects, history);
        for (judge, positions) in super::batch::groups(&places) {
            for chunk in positions.chunks(CHUNK) {
                let (answers, provenance) =
                    self.decide(judge, |judge, asked| batch.ask(judge, chunk, asked), |_, _| vec![None; chunk.len()]);
                for (position, verdict) in chunk.iter().zip(answers) {
                    verdicts[*position] = Some((verdict, Arc::clone(&provenance)));
                }
            }
            if let Some(judge) = judge {
                self.judges[judge].fresh = false;
            }
        }
        // Every position belongs to exactly one group, so every place is filled.
        verdicts.into_iter().flatten().collect()
    }

    /// Judge one process and say why. The caller holds the `running` guard.
    pub(super) fn explain_health(
        &mut self,
        tick: PolicyTick,
        subject: &HealthSubject,
        history: &[f32],
    ) -> Decided<Option<HealthReport>> {
        let index = self.place(&subject.identity);
        let tags = convert::texts(&subject.identity.tags);
        let who = convert::identity(&subject.identity, &tags);
        let tick = to_tick(tick, history.len().min(64));
        let history = &history[history.len().saturating_sub(64)..];
        let (answer, provenance) = self.decide(
            index,
            |judge, asked| {
                let reading = to_wit(&subject.reading, judge.fresh || asked == Asked::StandIn);
                let run = |live: &mut super::judge::Live<Health>| {
                    live.guest.call_explain(&mut live.store, tick, who.clone(), reading, history)
                };
                judge.ask(run, check_report).map(Some)
            },
            |_, _| None,
        );
        Decided { answer, provenance }
    }

    /// Ask the shadow bindings the same and report how many of the verdicts differ. A shadow policy remembers nothing:
    /// its memo is always 0.
    fn compare(&mut self, tick: PolicyTick, subjects: &[HealthSubject], history: &[f32], verdicts: &Verdicts) {
        let mut batch = Batch::new(tick, subjects, history);
        self.shadow(
            |_| true,
            |judge| {
                let mut differ = Vec::new();
                let matches = |position: &usize| judge.bound.binding.matches.accepts(&subjects[*position].identity);
                let positions: Vec<usize> = (0..subjects.len()).filter(matches).collect();
                for chunk in positions.chunks(CHUNK) {
                    let others = batch.ask(judge, chunk, Asked::StandIn).ok()?;
                    differ.extend(chunk.iter().zip(others).filter_map(|(position, other)| {
                        let (other, verdict) = (other?, verdicts[*position].0?);
                        ((other.score, other.status, other.issues) != (verdict.score, verdict.status, verdict.issues))
                            .then(|| (subjects[*position].identity.name.clone(), other.score, verdict.score))
                    }));
                }
                let (name, other, score) = differ.first()?;
                let (differ, all) = (differ.len(), positions.len());
                Some(format!("{differ} of {all} verdicts; first: {name} scores {other} instead of {score}"))
            },
        );
    }
}

/// A batch being judged, with the buffers of one call.
struct Batch<'a> {
    tick: wit::Tick,
    subjects: &'a [HealthSubject],
    history: &'a [f32],
    readings: Vec<wit::Reading>,
    gathered: Vec<f32>,
}

impl<'a> Batch<'a> {
    /// A history that does not fit the subjects is left out: a policy must not see another process' past.
    fn new(tick: PolicyTick, subjects: &'a [HealthSubject], history: &'a [f32]) -> Self {
        let fits = history.len() == subjects.len() * HISTORY_LENGTH;
        let (length, history) = if fits { (HISTORY_LENGTH, history) } else { (0, &[][..]) };
        Self { tick: to_tick(tick, length), subjects, history, readings: Vec::new(), gathered: Vec::new() }
    }

    /// Ask about the subjects at these positions, which are in order and at most `CHUNK`. The memos of answers that are
    /// not the bound plugin's are 0.
    fn ask(
        &mut self,
        judge: &mut Judge<Health>,
        positions: &[usize],
        asked: Asked,
    ) -> Result<Vec<Option<Verdict>>, Fault> {
        let forget = judge.fresh || asked == Asked::StandIn;
        self.readings.clear();
        self.readings.extend(positions.iter().map(|position| to_wit(&self.subjects[*position].reading, forget)));
        let length = self.tick.history_length as usize;
        let (first, last) = (positions[0], positions[positions.len() - 1]);
        let history = if last - first + 1 == positions.len() {
            &self.history[first * length..(last + 1) * length]
        } else {
            self.gathered.clear();
            for position in positions {
                self.gathered.extend_from_slice(&self.history[position * length..(position + 1) * length]);
            }
            &self.gathered
        };
        let (tick, readings) = (self.tick, &self.readings);
        let verdicts = judge.ask(
            |live| live.guest.call_assess(&mut live.store, tick, readings, history),
            |verdicts| check(verdicts, positions.len()),
        )?;
        let keep = asked == Asked::Bound;
        Ok(verdicts.into_iter().map(|v| Some(Verdict { memo: if keep { v.memo } else { 0 }, ..v })).collect())
    }
}

pub(super) fn check(verdicts: Vec<wit::Verdict>, wanted: usize) -> Result<Vec<Verdict>, Fault> {
    if verdicts.len() != wanted {
        return Err(Fault::bad_answer(format!("{} verdicts for {wanted} readings", verdicts.len())));
    }
    verdicts.into_iter().map(from_wit).collect()
}

fn from_wit(verdict: wit::Verdict) -> Result<Verdict, Fault> {
    Ok(Verdict {
        score: convert::score(verdict.score)?,
        status: convert::from_status(verdict.status),
        issues: convert::issues(verdict.issues),
        memo: verdict.memo,
    })
}

pub(super) fn check_report(explanation: wit::Explanation) -> Result<HealthReport, Fault> {
    if explanation.recommendations.len() > 8 {
        return Err(Fault::bad_answer(format!("{} recommendations; at most 8", explanation.recommendations.len())));
    }
    Ok(HealthReport {
        verdict: from_wit(explanation.verdict)?,
        explained: explanation.issues.into_iter().map(issue).collect::<Result<_, _>>()?,
        recommendations: explanation
            .recommendations
            .into_iter()
            .map(|line| convert::text("a recommendation", line, 1024))
            .collect::<Result<_, _>>()?,
    })
}

fn issue(issue: wit::Issue) -> Result<Issue, Fault> {
    Ok(Issue {
        kind: convert::one_issue(issue.kind)?,
        severity: convert::from_severity(issue.severity),
        description: convert::text("description", issue.description, 200)?,
        value: convert::number("value", issue.value)?,
        threshold: convert::number("threshold", issue.threshold)?,
        trend: convert::from_direction(issue.trend),
    })
}

fn to_tick(tick: PolicyTick, history_length: usize) -> wit::Tick {
    wit::Tick { now_ms: tick.now.ms(), interval_ms: tick.interval_ms.max(1), history_length: history_length as u32 }
}

fn to_wit(reading: &HealthReading, forget: bool) -> wit::Reading {
    wit::Reading {
        memory_bytes: reading.memory_bytes,
        memory_limit_bytes: reading.memory_limit_bytes,
        cpu_percent: reading.cpu_percent,
        cpu_limit_percent: reading.cpu_limit_percent,
        execution_ms: reading.execution_ms,
        execution_limit_ms: reading.execution_limit_ms,
        file_handles: reading.file_handles,
        file_handle_limit: reading.file_handle_limit,
        threads: reading.threads,
        thread_limit: reading.thread_limit,
        responsiveness: u32::from(reading.responsiveness),
        stability: u32::from(reading.stability),
        memory_slope: reading.memory_slope,
        memory_limit_in_ms: reading.memory_limit_in_ms,
        cpu_slope: reading.cpu_slope,
        memory_direction: convert::to_direction(reading.memory_direction),
        cpu_direction: convert::to_direction(reading.cpu_direction),
        previous_score: u32::from(reading.previous_score),
        memo: if forget { 0 } else { reading.memo },
    }
}

fn canned() -> HealthReading {
    HealthReading {
        memory_bytes: 1 << 20,
        memory_limit_bytes: 1 << 30,
        cpu_percent: 1.0,
        cpu_limit_percent: 80.0,
        execution_ms: 1000,
        execution_limit_ms: 600_000,
        file_handles: 3,
        file_handle_limit: 100,
        threads: 1,
        thread_limit: 512,
        responsiveness: 100,
        stability: 100,
        memory_slope: 0.0,
        memory_limit_in_ms: 0,
        cpu_slope: 0.0,
        memory_direction: Direction::Stable,
        cpu_direction: Direction::Stable,
        previous_score: 100,
        memo: 0,
    }
}
