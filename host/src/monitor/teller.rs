//! Puts changes of health and alerts into words and publishes them, in the order in which they were found.
//!
//! One task asks the policies to explain; the monitor's task hands over and goes on. The queue is bounded: when it is
//! full, a change is published at once in plain words, for being told late is worse than being told briefly.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::alerts::{Cause, Change, Notice};
use super::watched::who;
use crate::alert::{Alert, Finding, Severity, Topic};
use crate::event::{EventBody, EventBus};
use crate::health::{HealthReport, Verdict};
use crate::policy::{AlertSubject, HealthSubject, PolicyHost, PolicyTick};
use crate::sample::Trend;
use crate::spec::Identity;
use crate::units::human_duration;

/// How many changes may wait for their words.
const QUEUE: usize = 256;

/// Something to tell.
pub(super) enum Tell {
    /// Status or issues have changed.
    Health(Box<HealthTell>),
    /// An alert has changed.
    Alert(Box<AlertTell>),
}

/// A change of health and what it was judged by.
pub(super) struct HealthTell {
    pub(super) verdict: Verdict,
    pub(super) previous_score: u8,
    pub(super) tick: PolicyTick,
    pub(super) subject: HealthSubject,
    pub(super) history: Vec<f32>,
    pub(super) memory_trend: Trend,
}

/// A change of an alert.
pub(super) struct AlertTell {
    pub(super) notice: Notice,
    pub(super) identity: Arc<Identity>,
    /// What the policy needs to explain it; absent when it is over.
    pub(super) explain: Option<(AlertSubject, Finding)>,
}

/// The way to the teller's task, which ends when this is gone.
pub(super) struct Teller {
    queue: mpsc::Sender<Tell>,
    events: Arc<EventBus>,
}

impl Teller {
    /// Start the task. Must be called in a tokio runtime.
    pub(super) fn launch(policies: PolicyHost, events: Arc<EventBus>) -> Self {
        let (queue, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(tell_all(inbox, policies, Arc::clone(&events)));
        Self { queue, events }
    }

    /// Tell this. Never waits.
    pub(super) fn tell(&self, tell: Tell) {
        let Err(mpsc::error::TrySendError::Full(tell) | mpsc::error::TrySendError::Closed(tell)) =
            self.queue.try_send(tell)
        else {
            return;
        };
        match tell {
            Tell::Health(tell) => self.events.publish(health_event(&tell, None)),
            Tell::Alert(tell) => publish_alert(&self.events, &tell, plain(&tell.notice, &tell.identity.name)),
        }
    }
}

async fn tell_all(mut inbox: mpsc::Receiver<Tell>, policies: PolicyHost, events: Arc<EventBus>) {
    while let Some(tell) = inbox.recv().await {
        match tell {
            Tell::Health(tell) => {
                let asked = policies.explain_health(tell.tick, tell.subject.clone(), tell.history.clone());
                let report = asked.await.answer;
                events.publish(health_event(&tell, report));
            }
            Tell::Alert(mut tell) => {
                let mut message = plain(&tell.notice, &tell.identity.name);
                if let Some((subject, finding)) = tell.explain.take() {
                    let words = policies.explain_alert(subject, finding).await.answer;
                    if !words.trim().is_empty() {
                        message = words;
                    }
                }
                publish_alert(&events, &tell, message);
            }
        }
    }
}

fn health_event(tell: &HealthTell, report: Option<HealthReport>) -> EventBody {
    let (descriptions, recommendations) = match report {
        Some(report) => (report.explained.into_iter().map(|issue| issue.description).collect(), report.recommendations),
        None => (tell.verdict.issues.iter().map(|kind| kind.to_string()).collect(), Vec::new()),
    };
    EventBody::HealthChanged {
        who: who(&tell.subject.identity),
        score: tell.verdict.score,
        previous_score: tell.previous_score,
        status: tell.verdict.status,
        issues: tell.verdict.issues,
        descriptions,
        recommendations,
        memory_bytes: tell.subject.reading.memory_bytes,
        memory_trend: tell.memory_trend,
    }
}

fn publish_alert(events: &EventBus, tell: &AlertTell, message: String) {
    let AlertTell { notice, identity, .. } = tell;
    let (process, topic, severity) = (&identity.name, notice.topic, notice.severity);
    let is_loud = severity >= Severity::Warning && !matches!(notice.change, Change::Resolved { .. });
    if is_loud {
        tracing::warn!(%process, %topic, %severity, "alert: {message}");
    } else {
        tracing::info!(%process, %topic, %severity, "alert: {message}");
    }
    let alert = Alert {
        process_id: identity.process_id.clone(),
        name: identity.name.clone(),
        topic: notice.topic,
        severity: notice.severity,
        value: notice.value,
        threshold: notice.threshold,
        message,
        since_ms: notice.since,
    };
    events.publish(match notice.change {
        Change::Raised => EventBody::AlertRaised { alert },
        Change::Escalated => EventBody::AlertEscalated { alert },
        Change::Resolved { lasted, .. } => EventBody::AlertResolved { alert, lasted_ms: lasted.as_millis() as u64 },
    });
}

/// What to say when no policy puts it into words.
fn plain(notice: &Notice, name: &str) -> String {
    let Notice { topic, value, threshold, .. } = *notice;
    if let Change::Resolved { lasted, cause } = notice.change {
        let why = match cause {
            Cause::Cleared => "is over",
            Cause::RunEnded => "is over: the run has ended",
            Cause::Forgotten => "is over: the process has not come back",
        };
        return format!("{topic} alert of {name} {why}, after {}", human_duration(lasted));
    }
    let span = |ms: f64| human_duration(Duration::from_millis(ms.max(0.0) as u64));
    match topic {
        Topic::Memory | Topic::Cpu | Topic::ExecutionTime | Topic::FileHandles | Topic::Threads => {
            format!("{topic} of {name} is at {value:.0} % of its limit (threshold {threshold:.0} %)")
        }
        Topic::Responsiveness | Topic::Health => {
            format!("{topic} of {name} is {value:.0} of 100 (threshold {threshold:.0})")
        }
        Topic::MemoryForecast => {
            format!("memory of {name} will reach its limit in {} (threshold {})", span(value), span(threshold))
        }
        Topic::Restarts => format!("{name} was restarted {value:.0} times of late (threshold {threshold:.0})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    fn notice(topic: Topic, change: Change, value: f64, threshold: f64) -> Notice {
        Notice { change, topic, severity: Severity::Warning, value, threshold, since: Timestamp(0) }
    }

    #[test]
    fn an_alert_without_words_of_a_policy_is_still_a_sentence_with_its_unit() {
        for (topic, value, threshold, sentence) in [
            (Topic::Memory, 91.4, 90.0, "memory of web is at 91 % of its limit (threshold 90 %)"),
            (Topic::Health, 55.0, 60.0, "health of web is 55 of 100 (threshold 60)"),
            (Topic::MemoryForecast, 90_000.0, 120_000.0, "memory of web will reach its limit in 1m 30s (threshold 2m)"),
            (Topic::Restarts, 3.0, 3.0, "web was restarted 3 times of late (threshold 3)"),
        ] {
            assert_eq!(plain(&notice(topic, Change::Raised, value, threshold), "web"), sentence);
        }
    }

    #[test]
    fn a_resolved_alert_says_why_and_how_long_it_lasted() {
        let resolved = Change::Resolved { lasted: Duration::from_secs(75), cause: Cause::RunEnded };
        let sentence = plain(&notice(Topic::Cpu, resolved, 99.0, 90.0), "web");
        assert_eq!(sentence, "cpu alert of web is over: the run has ended, after 1m 15s");
    }
}
