//! Tests of `monitor::watched`: tables and properties, no processes.

use super::*;
use crate::decision::LimitKind;
use crate::health::{IssueKind, IssueSet};
use crate::sample::{Direction, ProcessState};
use crate::spec::{HealthCheck, Limits, Priority, ProcessId};
use crate::units::{Bytes, Percent, Span, Timestamp};
use std::sync::Arc;

pub(in crate::monitor) fn began(name: &str, run_number: u32, began: Instant) -> Box<RunBegan> {
    let identity = Identity {
        process_id: ProcessId::new(format!("p-{name}")),
        name: name.to_owned(),
        task_id: String::new(),
        agent_type: String::new(),
        priority: Priority::Normal,
        tags: Vec::new(),
    };
    Box::new(RunBegan {
        identity: Arc::new(identity),
        run_number,
        run: crate::sample::RunIdentity { pid: 7, start_ticks: 1, boot_id: "b".to_owned() },
        began,
        limits: Limits { memory: Some(Bytes::mib(100)), cpu: Some(Percent(80.0)), ..Limits::default() },
        group: None,
        kernel: Default::default(),
        health_check: Some(HealthCheck {
            command: vec!["true".to_owned()],
            interval: None,
            timeout: Span::seconds(1),
            retries: 3,
            start_period: Span::seconds(5),
        }),
        directory: "/".into(),
        env: Arc::default(),
        confinement: Arc::default(),
        restart: RestartMode::OnFailure,
    })
}

pub(in crate::monitor) fn sample(mib: u64, cpu_time_ms: u64) -> Sample {
    let at_ms = Timestamp(1);
    Sample { at_ms, memory_bytes: mib << 20, cpu_time_ms, threads: 1, processes: 1, ..Sample::default() }
}

pub(in crate::monitor) fn verdict(score: u8, status: HealthStatus) -> Verdict {
    Verdict { score, status, issues: IssueSet::default(), memo: u64::from(score) }
}

const SECOND: Duration = Duration::from_secs(1);

struct Run {
    watched: Watched,
    config: MonitorConfig,
    start: Instant,
}

impl Run {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut RunBegan)) -> Self {
        let (config, start) = (MonitorConfig::default(), Instant::now());
        let mut began = began("web", 1, start);
        change(&mut began);
        Self { watched: Watched::new(began, Chronicle::default(), &config), config, start }
    }

    fn at(&self, second: u64) -> Instant {
        self.start + SECOND * u32::try_from(second).unwrap()
    }

    fn sample(&mut self, second: u64, sample: Sample) -> Option<Trend> {
        self.watched.take_sample(sample, self.at(second), SECOND)
    }

    fn judge(&mut self, second: u64, verdict: Option<Verdict>) -> Option<HealthChange> {
        self.watched.judge(verdict, self.at(second), &self.config.clone())
    }

    fn asked(&mut self, second: u64) -> Vec<Enforcement> {
        let mut asked = Vec::new();
        let now = self.at(second);
        self.watched.ask(now, self.config.idle_after.get(), |request| {
            asked.push(request);
            true
        });
        asked
    }

    fn check(&mut self, second: u64, passed: bool) -> Option<CheckChange> {
        self.watched.take_check(passed, Duration::from_millis(10), self.at(second))
    }
}

fn unhealthy(score: u8) -> Enforcement {
    Enforcement::Unhealthy { process_id: ProcessId::new("p-web"), run_number: 1, score }
}

#[test]
fn nothing_is_asked_or_recorded_before_the_first_sample() {
    let run = Run::new();
    assert!(run.watched.health_reading(run.at(0)).is_none());
    assert!(run.watched.alert_reading(run.at(0)).is_none());
    assert!(run.watched.observation(None).is_none());
}

#[test]
fn a_reading_has_the_sample_the_limits_and_what_was_said_before() {
    let mut run = Run::new();
    run.sample(2, sample(50, 10));
    run.judge(2, Some(verdict(70, HealthStatus::Warning)));
    let reading = run.watched.health_reading(run.at(3)).unwrap();
    assert_eq!((reading.memory_bytes, reading.memory_limit_bytes), (50 << 20, 100 << 20));
    assert_eq!((reading.execution_ms, reading.execution_limit_ms), (3000, 600_000));
    assert_eq!((reading.previous_score, reading.memo), (70, 70));
    let alert = run.watched.alert_reading(run.at(6)).unwrap();
    assert_eq!((alert.memory_percent, alert.execution_percent), (50.0, 1.0));
    assert_eq!((alert.score, alert.status), (70, HealthStatus::Warning));
}

#[test]
fn a_percentage_of_no_limit_is_zero() {
    let mut run = Run::with(|began| began.limits.memory = None);
    run.sample(1, sample(50, 10));
    assert_eq!(run.watched.alert_reading(run.at(1)).unwrap().memory_percent, 0.0);
    assert_eq!(run.watched.health_reading(run.at(1)).unwrap().memory_limit_bytes, 0);
}

#[test]
fn a_steady_leak_has_a_slope_in_bytes_and_a_forecast_that_is_told_once() {
    let mut run = Run::new();
    let told: Vec<_> = (0..40).filter(|second| run.sample(*second, sample(10 + second, 0)).is_some()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let trend = run.watched.memory_trend();
    assert_eq!(trend.direction, Direction::Deteriorating);
    assert!((trend.slope_per_second - MIB as f32).abs() < 0.01 * MIB as f32, "{trend:?}");
    // 49 MiB now, one more each second, limit at 100.
    let limit_in = trend.limit_in_ms.unwrap();
    assert!((50_000..52_000).contains(&limit_in), "{limit_in}");
}

#[test]
fn a_skipped_tick_does_not_change_a_slope() {
    let mut run = Run::new();
    for second in (0..60).filter(|second| second % 3 != 1) {
        run.sample(second, sample(10 + second, 0));
    }
    let slope = run.watched.memory_trend().slope_per_second;
    assert!((slope - MIB as f32).abs() < 0.01 * MIB as f32, "{slope}");
}

#[test]
fn skipped_ticks_lie_on_the_line_between_two_samples() {
    let mut run = Run::new();
    run.sample(0, sample(10, 0));
    run.sample(3, sample(16, 0));
    assert_eq!(run.watched.history()[HISTORY_LENGTH - 4..], [10.0, 12.0, 14.0, 16.0]);
}

#[test]
fn history_is_in_mebibytes_with_nothing_where_the_run_is_younger() {
    let mut run = Run::new();
    run.sample(0, sample(10, 0));
    run.sample(1, sample(12, 0));
    let history = run.watched.history();
    assert_eq!(history[HISTORY_LENGTH - 2..], [10.0, 12.0]);
    assert!(history[..HISTORY_LENGTH - 2].iter().all(|value| value.is_nan()));
}

#[test]
fn only_a_change_of_status_or_issues_is_told() {
    let mut run = Run::new();
    assert_eq!(run.judge(0, Some(verdict(100, HealthStatus::Healthy))), None);
    assert_eq!(run.judge(1, Some(verdict(85, HealthStatus::Healthy))), None);
    let change = run.judge(2, Some(verdict(70, HealthStatus::Warning))).unwrap();
    assert_eq!((change.verdict.score, change.previous_score), (70, 85));
    let issues = IssueSet::default().with(IssueKind::Memory);
    assert!(run.judge(3, Some(Verdict { issues, ..verdict(70, HealthStatus::Warning) })).is_some());
    assert_eq!(run.judge(4, None), None, "unknown is no change");
}

#[test]
fn a_first_verdict_that_is_not_healthy_is_told() {
    let change = Run::new().judge(0, Some(verdict(20, HealthStatus::Failing))).unwrap();
    assert_eq!(change.previous_score, 100);
}

#[test]
fn a_process_that_stays_critical_is_restarted_once() {
    let mut run = Run::new();
    let mut asked = Vec::new();
    for second in 0..30 {
        run.judge(second, Some(verdict(40, HealthStatus::Critical)));
        asked.extend(run.asked(second).into_iter().map(|request| (second, request)));
    }
    assert_eq!(asked[0], (10, unhealthy(40)));
    assert_eq!(asked.len(), 1, "{asked:?}");
}

#[test]
fn a_break_in_bad_health_starts_the_patience_anew() {
    let mut run = Run::new();
    for second in 0..19 {
        let better = second == 9;
        let status = if better { HealthStatus::Warning } else { HealthStatus::Critical };
        run.judge(second, Some(verdict(40, status)));
        assert_eq!(run.asked(second), [], "{second}");
    }
}

#[test]
fn a_process_not_wanted_back_is_never_ended_for_its_health() {
    let mut run = Run::with(|began| began.restart = RestartMode::No);
    for second in 0..29 {
        run.judge(second, Some(verdict(0, HealthStatus::Failing)));
        run.check(second, false);
        assert_eq!(run.asked(second), []);
    }
}

#[test]
fn a_request_that_found_no_room_is_made_again() {
    let mut run = Run::new();
    for second in [0, 10] {
        run.judge(second, Some(verdict(40, HealthStatus::Critical)));
    }
    run.watched.ask(run.at(10), run.config.idle_after.get(), |_| false);
    assert_eq!(run.asked(11), [unhealthy(40)]);
    assert_eq!(run.asked(12), []);
}

#[test]
fn memory_over_its_limit_is_counted_and_a_restart_asked() {
    let mut run = Run::new();
    run.sample(0, sample(120, 0));
    let mut counts = Vec::new();
    for second in [0, 5, 10] {
        run.watched.check_limits(run.at(second), |violation, count| counts.push((violation.limit, count)));
    }
    assert_eq!(counts, [(LimitKind::Memory, 1), (LimitKind::Memory, 2)]);
    let wanted = Enforcement::LimitBroken {
        process_id: ProcessId::new("p-web"),
        run_number: 1,
        limit: LimitKind::Memory,
        action: Action::Restart,
    };
    assert_eq!(run.asked(10), [wanted]);
    assert_eq!(run.asked(11), []);
}

#[test]
fn a_process_that_does_nothing_is_idle_until_it_works_again() {
    let mut run = Run::new();
    let idle = |idle| Enforcement::Idle { process_id: ProcessId::new("p-web"), run_number: 1, idle };
    let mut told = Vec::new();
    for second in 0..50 {
        let worked = if second < 45 { 5 } else { 6 };
        run.sample(second, sample(10, worked));
        told.extend(run.asked(second).into_iter().map(|request| (second, request)));
    }
    assert_eq!(told, [(30, idle(true)), (45, idle(false))]);
}

#[test]
fn a_paused_process_is_neither_idle_nor_stuck() {
    let mut run = Run::new();
    run.watched.paused = true;
    for second in 0..60 {
        run.sample(second, Sample { state: ProcessState::Stopped, ..sample(10, 5) });
        assert_eq!(run.asked(second), []);
    }
    assert_eq!(run.watched.observation(None).unwrap().responsiveness, 100);
}

#[test]
fn failed_checks_lower_responsiveness_and_the_last_one_asks_for_a_restart_at_once() {
    let mut run = Run::new();
    run.sample(10, sample(10, 0));
    run.judge(10, Some(verdict(90, HealthStatus::Healthy)));
    let responsiveness = |run: &Run| run.watched.observation(None).unwrap().responsiveness;
    assert_eq!(run.check(10, false), None);
    assert_eq!(responsiveness(&run), 75);
    assert_eq!(run.check(20, false), None);
    assert_eq!(run.asked(20), []);
    assert_eq!(run.check(30, false), Some(CheckChange { passed: false, failures: 3 }));
    assert_eq!(responsiveness(&run), 0);
    assert_eq!(run.asked(10), [unhealthy(90)]);
    assert_eq!(run.check(40, false), None, "it is told once");
    assert_eq!(run.check(50, true), Some(CheckChange { passed: true, failures: 0 }));
    assert_eq!(responsiveness(&run), 100);
}

#[test]
fn failures_in_the_start_period_or_while_paused_do_not_count() {
    let mut run = Run::new();
    run.sample(1, sample(10, 0));
    for second in 0..5 {
        assert_eq!(run.check(second, false), None);
    }
    run.watched.paused = true;
    for second in 5..10 {
        assert_eq!(run.check(second, false), None);
    }
    assert_eq!(run.watched.observation(None).unwrap().responsiveness, 100);
}
