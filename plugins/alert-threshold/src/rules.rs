//! The rules: one for each measure that is on. Nothing is allocated while all is well.

use wasmvisor_policy_sdk::alert::{Finding, Subject, Topic};
use wasmvisor_policy_sdk::settings::problem;
use wasmvisor_policy_sdk::{SettingsProblem, Severity};

use crate::settings::{Levels, Settings, Spans};

/// On which side of a threshold the trouble lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// At or above it.
    Above,
    /// Below it.
    Below,
}

/// The thresholds of one measure, worst first; a level that is off can never be crossed.
#[derive(Clone, Debug)]
pub struct Rule {
    setting: &'static str,
    topic: Topic,
    side: Side,
    levels: [(Severity, f64); 3],
}

/// The rules that the settings leave on.
#[must_use]
pub fn from_settings(settings: &Settings) -> Vec<Rule> {
    let above = |setting, topic, levels: &Option<Levels>| rule(setting, topic, Side::Above, thresholds(levels)?);
    let below = |setting, topic, levels: &Option<Levels>| rule(setting, topic, Side::Below, thresholds(levels)?);
    let rules = [
        above("memory", Topic::Memory, &settings.memory),
        above("cpu", Topic::Cpu, &settings.cpu),
        above("execution_time", Topic::ExecutionTime, &settings.execution_time),
        above("file_handles", Topic::FileHandles, &settings.file_handles),
        above("threads", Topic::Threads, &settings.threads),
        below("responsiveness", Topic::Responsiveness, &settings.responsiveness),
        below("health", Topic::Health, &settings.health),
        forecast(&settings.memory_forecast),
        above("restarts", Topic::Restarts, &settings.restarts),
    ];
    rules.into_iter().flatten().collect()
}

fn thresholds(levels: &Option<Levels>) -> Option<[Option<f64>; 3]> {
    levels.as_ref().map(|levels| [levels.emergency, levels.critical, levels.warning])
}

fn forecast(spans: &Option<Spans>) -> Option<Rule> {
    let spans = spans.as_ref()?;
    let ms = [spans.emergency, spans.critical, spans.warning].map(|span| span.map(|span| span.as_millis() as f64));
    rule("memory_forecast", Topic::MemoryForecast, Side::Below, ms)
}

/// No rule when every level is off.
fn rule(setting: &'static str, topic: Topic, side: Side, thresholds: [Option<f64>; 3]) -> Option<Rule> {
    thresholds.iter().any(Option::is_some).then(|| {
        let never = match side {
            Side::Above => f64::INFINITY,
            Side::Below => f64::NEG_INFINITY,
        };
        let [emergency, critical, warning] = thresholds.map(|threshold| threshold.unwrap_or(never));
        let levels = [(Severity::Emergency, emergency), (Severity::Critical, critical), (Severity::Warning, warning)];
        Rule { setting, topic, side, levels }
    })
}

impl Rule {
    /// What is wrong between the thresholds: a worse level must not be crossed before a milder one.
    #[must_use]
    pub fn problem(&self) -> Option<SettingsProblem> {
        let on: Vec<f64> = self.levels.iter().map(|(_, threshold)| *threshold).filter(|t| t.is_finite()).collect();
        let ordered = on.windows(2).all(|pair| match self.side {
            Side::Above => pair[0] > pair[1],
            Side::Below => pair[0] < pair[1],
        });
        let order = match self.side {
            Side::Above => "must rise from warning to critical to emergency",
            Side::Below => "must fall from warning to critical to emergency",
        };
        (!ordered).then(|| problem(format!("/{}", self.setting), order))
    }

    #[inline]
    fn crossed(&self, value: f64) -> Option<(Severity, f64)> {
        let over = |threshold: f64| match self.side {
            Side::Above => value >= threshold,
            Side::Below => value < threshold,
        };
        self.levels.into_iter().find(|(_, threshold)| over(*threshold))
    }
}

/// What deserves attention, in the order of the subjects.
#[must_use]
pub fn evaluate(rules: &[Rule], subjects: &[Subject]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, subject) in (0..).zip(subjects) {
        for rule in rules {
            if let Some(value) = measure(rule.topic, subject)
                && let Some((severity, threshold)) = rule.crossed(value)
            {
                findings.push(Finding { subject: place, topic: rule.topic, severity, value, threshold });
            }
        }
    }
    findings
}

/// The measure of a topic; none when there is no forecast.
#[inline]
fn measure(topic: Topic, subject: &Subject) -> Option<f64> {
    Some(match topic {
        Topic::Memory => subject.memory_percent.into(),
        Topic::Cpu => subject.cpu_percent.into(),
        Topic::ExecutionTime => subject.execution_percent.into(),
        Topic::FileHandles => subject.file_handle_percent.into(),
        Topic::Threads => subject.thread_percent.into(),
        Topic::Responsiveness => subject.responsiveness.into(),
        Topic::Health => subject.score.into(),
        Topic::MemoryForecast if subject.memory_limit_in_ms == 0 => return None,
        Topic::MemoryForecast => subject.memory_limit_in_ms as f64,
        Topic::Restarts => subject.recent_restarts.into(),
    })
}
