//! Every run under watch, and the stages of a tick over all of them.
//!
//! Pure: the present moment is passed in, answers of policies come in as values, and what should be told comes out as
//! an [`Outcome`]. Only the monitor's task enters.
//!
//! ```text
//!  readings -> take_readings -> health_batch -> (policy) -> take_verdicts -> alert_batch -> (policy) -> take_findings
//!                                                                                                            |
//!                                                    (registry) <- observations <----------------------------+
//! ```
//! Between two stages runs may begin and end: a [`Round`] holds keys, and a key that is gone is passed over.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::MonitorConfig;
use super::alerts::{AlertRules, Notice};
use super::chronicle::Chronicle;
use super::limits::Violation;
use super::scores::Mark;
use super::slots::Slots;
use super::teller::{AlertTell, HealthTell, Tell};
use super::watched::{Watched, who};
use crate::alert::Finding;
use crate::decision::LimitKind;
use crate::event::EventBody;
use crate::health::Verdict;
use crate::link::{Enforcement, RunBegan};
use crate::platform::Reading;
use crate::policy::{AlertAnswer, AlertSubject, HISTORY_LENGTH, HealthSubject, PolicyTick};
use crate::registry::Observation;
use crate::spec::{Identity, ProcessId};
use crate::units::Timestamp;

/// How long what outlives a run is kept for the next one: the window of the scores and some more.
const PAST_KEPT: Duration = Duration::from_secs(15 * 60);
/// How many processes without a run are remembered; the one that ended first is forgotten first.
const MOST_PAST: usize = 4096;

/// What a stage wants told, in order.
#[derive(Default)]
pub(super) struct Outcome {
    /// To be put into words first.
    pub(super) tells: Vec<Tell>,
    /// To be published as they are.
    pub(super) events: Vec<EventBody>,
    /// To be counted in the registry.
    pub(super) violations: Vec<(ProcessId, LimitKind)>,
}

/// One tick on its way through the stages.
pub(super) struct Round {
    /// Runs that were sampled; position is identity.
    keys: Vec<u64>,
    /// When the samples were taken, monotonic.
    pub(super) now: Instant,
    /// The same as policies see it.
    pub(super) tick: PolicyTick,
}

impl Round {
    /// How many runs are in it.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

/// What outlives the runs of a process.
struct Past {
    identity: Arc<Identity>,
    chronicle: Chronicle,
    ended: Instant,
}

/// Every run under watch.
pub(super) struct Watchlist {
    pub(super) config: MonitorConfig,
    runs: Slots<Watched>,
    keys: HashMap<ProcessId, u64>,
    past: HashMap<ProcessId, Past>,
    /// Order in which the past is forgotten.
    fading: BTreeSet<(Instant, ProcessId)>,
}

impl Watchlist {
    pub(super) fn new(config: MonitorConfig) -> Self {
        Self { config, runs: Slots::new(), keys: HashMap::new(), past: HashMap::new(), fading: BTreeSet::new() }
    }

    /// Whether nothing runs.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Every run with its key.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, &Watched)> {
        self.runs.iter()
    }

    /// The live run of a process.
    pub(super) fn run_of(&self, id: &ProcessId) -> Option<(u64, &Watched)> {
        let key = *self.keys.get(id)?;
        Some((key, self.runs.get(key)?))
    }

    /// Take over a changed configuration.
    pub(super) fn reconfigure(&mut self, config: MonitorConfig) {
        let keeps_samples =
            config.interval == self.config.interval && config.trend_history == self.config.trend_history;
        self.config = config;
        if !keeps_samples {
            self.runs.values_mut().for_each(|watched| watched.forget_history(&self.config));
        }
    }

    /// Watch a run from now on, under the key that is given back.
    pub(super) fn began(&mut self, began: Box<RunBegan>, now: Instant) -> u64 {
        let id = began.identity.process_id.clone();
        let mut chronicle = self.recall(&id);
        let restarted = began.run_number > 1 && chronicle.last_failed;
        if restarted {
            chronicle.mark(Mark::Restart, now);
        }
        let mut watched = Watched::new(began, chronicle, &self.config);
        watched.counted_as_restart = restarted;
        let key = self.runs.insert(watched);
        self.keys.insert(id, key);
        key
    }

    fn recall(&mut self, id: &ProcessId) -> Chronicle {
        let Some(past) = self.past.remove(id) else { return Chronicle::default() };
        self.fading.remove(&(past.ended, id.clone()));
        past.chronicle
    }

    /// Forget a run. Gives its key when it was watched.
    pub(super) fn ended(
        &mut self,
        id: &ProcessId,
        run_number: u32,
        (failed, restarted): (bool, bool),
        now: Instant,
        out: &mut Outcome,
    ) -> Option<u64> {
        let key = self.run_of(id).filter(|(_, watched)| watched.began.run_number == run_number)?.0;
        let watched = self.runs.remove(key)?;
        self.keys.remove(id);
        let identity = Arc::clone(&watched.began.identity);
        let mut chronicle = watched.end(failed, restarted, now);
        tell_all(chronicle.alerts.run_ended(now), &identity, out);
        self.fading.insert((now, id.clone()));
        self.past.insert(id.clone(), Past { identity, chronicle, ended: now });
        if self.past.len() > MOST_PAST {
            self.forget_first(now, out);
        }
        Some(key)
    }

    /// When something of the past fades next.
    pub(super) fn next_fading(&self) -> Option<Instant> {
        self.fading.first().map(|(ended, _)| *ended + PAST_KEPT)
    }

    /// Forget what is too old.
    pub(super) fn fade(&mut self, now: Instant, out: &mut Outcome) {
        while self.next_fading().is_some_and(|fades| fades <= now) {
            self.forget_first(now, out);
        }
    }

    fn forget_first(&mut self, now: Instant, out: &mut Outcome) {
        let Some((_, id)) = self.fading.pop_first() else { return };
        if let Some(mut past) = self.past.remove(&id) {
            tell_all(past.chronicle.alerts.forget(now), &past.identity, out);
        }
    }

    /// A process was paused or runs again. Gives the key of its run.
    pub(super) fn paused(&mut self, id: &ProcessId, paused: bool) -> Option<u64> {
        let key = *self.keys.get(id)?;
        self.runs.get_mut(key)?.paused = paused;
        Some(key)
    }

    /// Take in the answer of a health check.
    pub(super) fn take_check(
        &mut self,
        key: u64,
        (passed, latency): (bool, Duration),
        detail: String,
        now: Instant,
        out: &mut Outcome,
    ) {
        let Some(watched) = self.runs.get_mut(key) else { return };
        if let Some(change) = watched.take_check(passed, latency, now) {
            let (passed, failures) = (change.passed, change.failures);
            out.events.push(EventBody::HealthCheck { who: who(&watched.began.identity), passed, failures, detail });
        }
    }

    /// First stage: samples into rings and trends.
    pub(super) fn take_readings(
        &mut self,
        readings: &[Reading],
        now: Instant,
        wall: Timestamp,
        out: &mut Outcome,
    ) -> Round {
        let interval = self.config.interval.get();
        let mut keys = Vec::with_capacity(readings.len());
        for reading in readings {
            // A run that is gone is the supervisor's to tell.
            let Some(sample) = reading.sample else { continue };
            let Some(watched) = self.runs.get_mut(reading.key) else { continue };
            if let Some(forecast) = watched.take_sample(sample, now, interval) {
                out.events.push(EventBody::Forecast {
                    who: who(&watched.began.identity),
                    metric: "memory".to_owned(),
                    limit_in_ms: forecast.limit_in_ms.unwrap_or(0),
                    confidence: forecast.confidence,
                });
            }
            keys.push(reading.key);
        }
        Round { keys, now, tick: self.tick(wall) }
    }

    /// What policies are told of a tick at this moment.
    pub(super) fn tick(&self, wall: Timestamp) -> PolicyTick {
        let interval_ms = self.config.interval.get().as_millis().clamp(1, u32::MAX.into()) as u32;
        PolicyTick { now: wall, interval_ms }
    }

    /// What the health policy is asked in this round. Runs that have ended meanwhile leave the round.
    pub(super) fn health_batch(&self, round: &mut Round) -> (Vec<HealthSubject>, Vec<f32>) {
        let mut subjects = Vec::with_capacity(round.keys.len());
        let mut history = Vec::with_capacity(round.keys.len() * HISTORY_LENGTH);
        round.keys.retain(|key| {
            let Some(watched) = self.runs.get(*key) else { return false };
            let Some(reading) = watched.health_reading(round.now) else { return false };
            subjects.push(HealthSubject { identity: Arc::clone(&watched.began.identity), reading });
            history.extend_from_slice(&watched.history());
            true
        });
        (subjects, history)
    }

    /// Second stage: verdicts, and limits.
    pub(super) fn take_verdicts(
        &mut self,
        round: &Round,
        verdicts: impl IntoIterator<Item = Option<Verdict>>,
        out: &mut Outcome,
    ) {
        for (key, verdict) in round.keys.iter().zip(verdicts) {
            let Some(watched) = self.runs.get_mut(*key) else { continue };
            // The question as it was asked: its previous score and memo are those of before this verdict.
            let asked = watched.health_reading(round.now);
            if let Some((change, reading)) = watched.judge(verdict, round.now, &self.config).zip(asked) {
                let subject = HealthSubject { identity: Arc::clone(&watched.began.identity), reading };
                out.tells.push(Tell::Health(Box::new(HealthTell {
                    verdict: change.verdict,
                    previous_score: change.previous_score,
                    tick: round.tick,
                    subject,
                    history: watched.history().to_vec(),
                    memory_trend: watched.memory_trend(),
                })));
            }
            let identity = Arc::clone(&watched.began.identity);
            watched.check_limits(round.now, |violation, count| {
                out.violations.push((identity.process_id.clone(), violation.limit));
                out.events.push(violated(&identity, violation, count));
            });
        }
    }

    /// What the alert policy is asked in this round.
    pub(super) fn alert_batch(&self, round: &mut Round) -> Vec<AlertSubject> {
        let mut subjects = Vec::with_capacity(round.keys.len());
        round.keys.retain(|key| {
            let Some(watched) = self.runs.get(*key) else { return false };
            let Some(reading) = watched.alert_reading(round.now) else { return false };
            subjects.push(AlertSubject { identity: Arc::clone(&watched.began.identity), reading });
            true
        });
        subjects
    }

    /// Third stage: findings into alerts.
    pub(super) fn take_findings(&mut self, round: &Round, mut answer: AlertAnswer, out: &mut Outcome) {
        answer.findings.sort_unstable_by_key(|finding| finding.subject);
        let rules =
            AlertRules { cooldown: self.config.alert_cooldown.get(), escalation: self.config.alert_escalation.get() };
        let mut rest = &answer.findings[..];
        for (place, key) in round.keys.iter().enumerate() {
            let (own, others) = rest.split_at(rest.partition_point(|finding| finding.subject <= place));
            rest = others;
            let Some(watched) = self.runs.get_mut(*key) else { continue };
            // As asked, the memo of before included.
            let asked = watched.alert_reading(round.now);
            watched.alert_memo = answer.memos.get(place).copied().unwrap_or(0);
            if own.is_empty() && watched.chronicle.alerts.is_empty() {
                continue;
            }
            let notices = watched.chronicle.alerts.evaluate(own, round.now, round.tick.now, rules);
            for notice in notices {
                let finding = own.iter().find(|finding| finding.topic == notice.topic);
                let identity = Arc::clone(&watched.began.identity);
                let explain = finding.zip(asked).map(|(finding, reading)| {
                    (AlertSubject { identity: Arc::clone(&identity), reading }, Finding { subject: 0, ..*finding })
                });
                out.tells.push(Tell::Alert(Box::new(AlertTell { notice, identity, explain })));
            }
        }
    }

    /// What the registry should know of this round.
    pub(super) fn observations(&self, round: &Round, mut children: HashMap<u64, Vec<u32>>) -> Vec<Observation> {
        let seen = |key: &u64| self.runs.get(*key)?.observation(children.remove(key));
        round.keys.iter().filter_map(seen).collect()
    }

    /// Ask the supervisor for what is due; `ask` says whether it has taken it.
    pub(super) fn ask(&mut self, now: Instant, mut ask: impl FnMut(Enforcement) -> bool) {
        let idle_after = self.config.idle_after.get();
        self.runs.values_mut().for_each(|watched| watched.ask(now, idle_after, &mut ask));
    }

    /// The same for one run.
    pub(super) fn ask_for(&mut self, key: u64, now: Instant, ask: impl FnMut(Enforcement) -> bool) {
        let idle_after = self.config.idle_after.get();
        if let Some(watched) = self.runs.get_mut(key) {
            watched.ask(now, idle_after, ask);
        }
    }
}

fn tell_all(notices: Vec<Notice>, identity: &Arc<Identity>, out: &mut Outcome) {
    let tell = |notice| Tell::Alert(Box::new(AlertTell { notice, identity: Arc::clone(identity), explain: None }));
    out.tells.extend(notices.into_iter().map(tell));
}

fn violated(identity: &Identity, violation: Violation, count: u32) -> EventBody {
    EventBody::LimitViolated {
        who: who(identity),
        limit: violation.limit,
        value: violation.value,
        threshold: violation.threshold,
        count,
        action: violation.action_word().to_owned(),
    }
}

#[cfg(test)]
mod tests;
