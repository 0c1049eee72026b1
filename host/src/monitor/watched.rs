//! One run under watch: what was measured of it, what was said about it, and what is wanted of the supervisor for it.
//!
//! Pure: the present moment is passed in. Only the monitor enters.

use std::time::{Duration, Instant};

use super::MonitorConfig;
use super::chronicle::Chronicle;
use super::forecast::ForecastWatch;
use super::limits::{LimitWatch, Violation};
use super::requests::{Request, Requests};
use super::scores::{self, CheckFacts, Mark, StuckWatch};
use crate::decision::{AlertReading, HealthReading};
use crate::event::Who;
use crate::health::{HealthStatus, Verdict};
use crate::link::{Action, Enforcement, RunBegan};
use crate::policy::HISTORY_LENGTH;
use crate::registry::Observation;
use crate::sample::{Sample, Trend};
use crate::spec::{Identity, RestartMode};
use crate::trend::{Ring, trend};

const MIB: f64 = (1 << 20) as f64;
/// A gap of more ticks than this is not filled: what happened in it is unknown.
const LONGEST_GAP: u32 = 8;
/// What a process counts as before anybody has judged it, and when nobody can.
const UNJUDGED: (u8, HealthStatus) = (100, HealthStatus::Healthy);

/// One run under watch.
pub(super) struct Watched {
    pub(super) began: Box<RunBegan>,
    pub(super) chronicle: Chronicle,
    /// Whether its beginning was counted as a restart.
    pub(super) counted_as_restart: bool,
    pub(super) paused: bool,
    pub(super) alert_memo: u64,
    sampled: Option<(Sample, Instant)>,
    active: bool,
    last_active: Instant,
    /// MiB, one value for each interval.
    memory: Ring,
    /// Percent of one core, one value for each interval.
    cpu: Ring,
    memory_trend: Trend,
    cpu_trend: Trend,
    verdict: Option<Verdict>,
    unhealthy_since: Option<Instant>,
    check: Option<CheckFacts>,
    stuck: StuckWatch,
    is_stuck: bool,
    stability: u8,
    limits: LimitWatch,
    forecast: ForecastWatch,
    requests: Requests,
}

/// The status or the issues of a run have changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct HealthChange {
    /// As it is now.
    pub(super) verdict: Verdict,
    /// Before.
    pub(super) previous_score: u8,
}

/// The health check has changed its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CheckChange {
    /// Whether it passes now.
    pub(super) passed: bool,
    /// Failures in a row.
    pub(super) failures: u32,
}

impl Watched {
    pub(super) fn new(began: Box<RunBegan>, chronicle: Chronicle, config: &MonitorConfig) -> Self {
        let check = began.health_check.as_ref().map(|check| CheckFacts {
            timeout: check.timeout.get(),
            retries: check.retries.max(1),
            latency: None,
            failures: 0,
        });
        Self {
            last_active: began.began,
            began,
            chronicle,
            counted_as_restart: false,
            paused: false,
            alert_memo: 0,
            sampled: None,
            active: false,
            memory: Ring::new(config.trend_history),
            cpu: Ring::new(config.trend_history),
            memory_trend: Trend::default(),
            cpu_trend: Trend::default(),
            verdict: None,
            unhealthy_since: None,
            check,
            stuck: StuckWatch::default(),
            is_stuck: false,
            stability: 100,
            limits: LimitWatch::default(),
            forecast: ForecastWatch::default(),
            requests: Requests::default(),
        }
    }

    /// The newest sample.
    pub(super) fn sample(&self) -> Option<&Sample> {
        self.sampled.as_ref().map(|(sample, _)| sample)
    }

    /// Trend of memory, bytes per second.
    pub(super) const fn memory_trend(&self) -> Trend {
        self.memory_trend
    }

    /// Take in a reading. Gives the forecast when it should be told.
    pub(super) fn take_sample(&mut self, sample: Sample, now: Instant, interval: Duration) -> Option<Trend> {
        self.active = self.sampled.is_some_and(|(before, _)| has_worked(&before, &sample));
        if self.active || self.sampled.is_none() || self.paused {
            // A paused run does nothing because we said so: that is not idleness.
            self.last_active = now;
        }
        let gap = self.sampled.map_or(1, |(_, at)| ticks_between(at, now, interval));
        push(&mut self.memory, sample.memory_bytes as f64 / MIB, gap);
        push(&mut self.cpu, f64::from(sample.cpu_percent), gap);
        self.sampled = Some((sample, now));
        self.is_stuck = self.stuck.see(sample.state, self.paused);
        self.stability = self.chronicle.stability(now);

        let limits = &self.began.limits;
        let memory = trend(&self.memory, interval, limits.memory.map(|limit| limit.get() as f64 / MIB));
        let slope_per_second = (f64::from(memory.slope_per_second) * MIB) as f32;
        self.memory_trend = Trend { slope_per_second, ..memory };
        self.cpu_trend = trend(&self.cpu, interval, limits.cpu.map(|limit| limit.get()));
        let limit_in = memory.limit_in_ms.map(Duration::from_millis);
        self.forecast.see(limit_in, now).then_some(self.memory_trend)
    }

    /// Forget the samples, because the time between them has changed.
    pub(super) fn forget_history(&mut self, config: &MonitorConfig) {
        (self.memory, self.cpu) = (Ring::new(config.trend_history), Ring::new(config.trend_history));
    }

    /// What the health policy is asked; none before the first sample.
    pub(super) fn health_reading(&self, now: Instant) -> Option<HealthReading> {
        let sample = self.sample()?;
        let limits = &self.began.limits;
        Some(HealthReading {
            memory_bytes: sample.memory_bytes,
            memory_limit_bytes: limits.memory.map_or(0, |limit| limit.get()),
            cpu_percent: sample.cpu_percent,
            cpu_limit_percent: limits.cpu.map_or(0.0, |limit| limit.get() as f32),
            execution_ms: self.execution(now).as_millis() as u64,
            execution_limit_ms: limits.execution_time.map_or(0, |limit| limit.as_millis() as u64),
            file_handles: sample.file_handles,
            file_handle_limit: limits.file_handles.unwrap_or(0),
            threads: sample.threads,
            thread_limit: limits.pids.unwrap_or(0),
            responsiveness: self.responsiveness(),
            stability: self.stability,
            memory_slope: self.memory_trend.slope_per_second,
            memory_limit_in_ms: self.memory_trend.limit_in_ms.unwrap_or(0),
            cpu_slope: self.cpu_trend.slope_per_second,
            memory_direction: self.memory_trend.direction,
            cpu_direction: self.cpu_trend.direction,
            previous_score: self.verdict.map_or(UNJUDGED.0, |verdict| verdict.score),
            memo: self.verdict.map_or(0, |verdict| verdict.memo),
        })
    }

    /// The column of history that goes with `health_reading`.
    pub(super) fn history(&self) -> [f32; HISTORY_LENGTH] {
        let mut column = [f32::NAN; HISTORY_LENGTH];
        self.memory.last(&mut column);
        column
    }

    /// Take in what the health policy said; none when nobody could judge. Gives what changed.
    pub(super) fn judge(
        &mut self,
        verdict: Option<Verdict>,
        now: Instant,
        config: &MonitorConfig,
    ) -> Option<HealthChange> {
        let Some(verdict) = verdict else {
            // Unknown is neither better nor worse: the last judgement stands, but no patience is used up.
            self.unhealthy_since = None;
            return None;
        };
        let before = self.verdict.replace(verdict);
        self.lose_patience(verdict.status, now, config);
        let (status, issues) = before.map_or((UNJUDGED.1, Default::default()), |old| (old.status, old.issues));
        let previous_score = before.map_or(UNJUDGED.0, |old| old.score);
        (verdict.status != status || verdict.issues != issues).then_some(HealthChange { verdict, previous_score })
    }

    fn lose_patience(&mut self, status: HealthStatus, now: Instant, config: &MonitorConfig) {
        if self.paused || !config.unhealthy_restart.counts(status) {
            self.unhealthy_since = None;
            return;
        }
        let since = *self.unhealthy_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= config.unhealthy_after.get() {
            self.want_back();
        }
    }

    fn want_back(&mut self) {
        if self.began.restart != RestartMode::No {
            self.requests.want(Request::Unhealthy);
        }
    }

    /// Compare the newest sample with the limits; tells each violation and how often that limit was broken.
    pub(super) fn check_limits(&mut self, now: Instant, mut tell: impl FnMut(Violation, u32)) {
        let Some((sample, _)) = self.sampled else { return };
        let (chronicle, requests) = (&mut self.chronicle, &mut self.requests);
        let limits = (&self.began.limits, self.began.kernel);
        let comes_back = self.began.restart != RestartMode::No;
        self.limits.see(&sample, limits, comes_back, now, |violation| {
            match violation.action {
                Some(Action::Restart | Action::Stop) => requests.want(Request::End(violation.limit)),
                Some(Action::Throttle) => requests.want(Request::Throttle(violation.limit)),
                None => {}
            }
            tell(violation, chronicle.violated(violation.limit, now));
        });
    }

    /// What the alert policy is asked; none before the first sample.
    pub(super) fn alert_reading(&self, now: Instant) -> Option<AlertReading> {
        let sample = self.sample()?;
        let limits = &self.began.limits;
        let (score, status) = self.verdict.map_or(UNJUDGED, |verdict| (verdict.score, verdict.status));
        let execution = self.execution(now).as_secs_f64();
        Some(AlertReading {
            memory_percent: percent(sample.memory_bytes as f64, limits.memory.map(|limit| limit.get() as f64)),
            cpu_percent: percent(sample.cpu_percent.into(), limits.cpu.map(|limit| limit.get())),
            execution_percent: percent(execution, limits.execution_time.map(|limit| limit.as_secs_f64())),
            file_handle_percent: percent(sample.file_handles.into(), limits.file_handles.map(f64::from)),
            thread_percent: percent(sample.threads.into(), limits.pids.map(f64::from)),
            responsiveness: self.responsiveness(),
            score,
            status,
            memory_limit_in_ms: self.memory_trend.limit_in_ms.unwrap_or(0),
            recent_restarts: self.chronicle.recent_restarts(now),
            memo: self.alert_memo,
        })
    }

    /// Take in the answer of a health check. Gives what changed.
    pub(super) fn take_check(&mut self, passed: bool, latency: Duration, now: Instant) -> Option<CheckChange> {
        let start_period = self.began.health_check.as_ref().map_or(Duration::ZERO, |check| check.start_period.get());
        let check = self.check.as_mut()?;
        if passed {
            let recovered = check.has_failed();
            (check.latency, check.failures) = (Some(latency), 0);
            return recovered.then_some(CheckChange { passed, failures: 0 });
        }
        if self.paused || now.saturating_duration_since(self.began.began) < start_period {
            return None;
        }
        check.failures = check.failures.saturating_add(1);
        let failures = check.failures;
        let gone = failures == check.retries;
        if gone {
            self.want_back();
        }
        gone.then_some(CheckChange { passed, failures })
    }

    /// Ask the supervisor for what is due; `ask` says whether it has taken it.
    pub(super) fn ask(&mut self, now: Instant, idle_after: Duration, mut ask: impl FnMut(Enforcement) -> bool) {
        let idle = now.saturating_duration_since(self.last_active) >= idle_after;
        for request in self.requests.due(idle) {
            if ask(self.enforcement(request)) {
                self.requests.made(request);
            }
        }
    }

    fn enforcement(&self, request: Request) -> Enforcement {
        let process_id = self.began.identity.process_id.clone();
        let run_number = self.began.run_number;
        match request {
            Request::Unhealthy => {
                let score = self.verdict.map_or(0, |verdict| verdict.score);
                Enforcement::Unhealthy { process_id, run_number, score }
            }
            Request::End(limit) => {
                let wanted = self.began.restart != RestartMode::No;
                let action = if wanted { Action::Restart } else { Action::Stop };
                Enforcement::LimitBroken { process_id, run_number, limit, action }
            }
            Request::Throttle(limit) => {
                Enforcement::LimitBroken { process_id, run_number, limit, action: Action::Throttle }
            }
            Request::Idle(idle) => Enforcement::Idle { process_id, run_number, idle },
        }
    }

    /// What the registry should know; none before the first sample.
    pub(super) fn observation(&self, child_pids: Option<Vec<u32>>) -> Option<Observation> {
        Some(Observation {
            process_id: self.began.identity.process_id.clone(),
            run_number: self.began.run_number,
            sample: *self.sample()?,
            verdict: self.verdict,
            memory_trend: self.memory_trend,
            cpu_trend: self.cpu_trend,
            responsiveness: self.responsiveness(),
            stability: self.stability,
            active: self.active,
            child_pids,
        })
    }

    /// The run is over: what is left of it for the next.
    pub(super) fn end(mut self, failed: bool, restarted: bool, now: Instant) -> Chronicle {
        if restarted && !self.counted_as_restart {
            self.chronicle.mark(Mark::Restart, now);
        }
        if failed {
            self.chronicle.mark(Mark::Failure, now);
        }
        self.chronicle.last_failed = failed;
        self.chronicle
    }

    fn execution(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began.began)
    }

    fn responsiveness(&self) -> u8 {
        scores::responsiveness(self.check.as_ref(), self.is_stuck)
    }
}

/// Who it is, for events.
pub(super) fn who(identity: &Identity) -> Who {
    Who { process_id: identity.process_id.clone(), name: identity.name.clone() }
}

fn has_worked(before: &Sample, after: &Sample) -> bool {
    let work = |sample: &Sample| (sample.cpu_time_ms, sample.disk_read_bytes, sample.disk_written_bytes);
    work(before) != work(after)
}

fn ticks_between(before: Instant, now: Instant, interval: Duration) -> u32 {
    let ticks = now.saturating_duration_since(before).as_secs_f64() / interval.as_secs_f64().max(f64::MIN_POSITIVE);
    if ticks > f64::from(LONGEST_GAP) { 1 } else { (ticks.round() as u32).max(1) }
}

/// Push a value that was read `gap` ticks after the one before. Ticks that were skipped lie on the line between the
/// two, so that the ring keeps its fixed interval and a slope is not overstated.
fn push(ring: &mut Ring, value: f64, gap: u32) {
    let before = ring.newest().map_or(value, f64::from);
    for step in 1..=gap {
        ring.push((before + (value - before) * f64::from(step) / f64::from(gap)) as f32);
    }
}

/// Percent of the limit; 0 when there is none.
fn percent(value: f64, limit: Option<f64>) -> f32 {
    limit.filter(|limit| *limit > 0.0).map_or(0.0, |limit| (value / limit * 100.0) as f32)
}

#[cfg(test)]
pub(super) mod tests;
