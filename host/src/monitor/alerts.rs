//! Alerts of one process: from what a policy finds each tick to what a person is told.
//!
//! Pure: the present moment is passed in. Only the monitor enters.
//!
//! ```text
//!            found, worse than the            found, cooldown over
//!            one before or cooldown over      or worse
//!  (nothing) ----------------------> Told <------------------- Hushed
//!      ^  |                           |                          ^  |
//!      |  +-- found within cooldown --)--------------------------+  |
//!      |                              | absent 3 times              | absent 3 times
//!      +---- cooldown over ---- Resting <---------------------------+
//! ```
//!
//! - What stays is told once; it is told again (escalated) when it gets worse, and one step higher each time it has
//!   persisted for the escalation time without easing.
//! - What is gone for [`ABSENT`] evaluations, or whose run has ended, is resolved.
//! - What comes back within the cooldown is told only when it is worse than before; otherwise when the cooldown is over.

use std::time::{Duration, Instant};

use crate::alert::{Finding, Severity, Topic};
use crate::units::Timestamp;

/// Evaluations in a row without a finding that resolve an alert.
const ABSENT: u8 = 3;

/// `alert_cooldown` and `alert_escalation`.
#[derive(Debug, Clone, Copy)]
pub(super) struct AlertRules {
    /// How long an alert that was told stays quiet before it is told again.
    pub(super) cooldown: Duration,
    /// How long it may persist before its severity is raised.
    pub(super) escalation: Duration,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Notice {
    /// What happened to the alert.
    pub(super) change: Change,
    /// What about.
    pub(super) topic: Topic,
    /// How serious, escalation included.
    pub(super) severity: Severity,
    /// The last measured value.
    pub(super) value: f64,
    /// The threshold it crossed.
    pub(super) threshold: f64,
    /// When it was first found.
    pub(super) since: Timestamp,
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is new.
    Raised,
    /// It got worse or lasted.
    Escalated,
    /// It is over.
    Resolved {
        /// How long it lasted.
        lasted: Duration,
        /// Why.
        cause: Cause,
    },
}

/// Why an alert is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Nothing was found any more.
    Cleared,
    /// The run it was about has ended.
    RunEnded,
    /// The process has not run for a long time.
    Forgotten,
}

/// Every alert of one process. At most one for each topic, so it is bounded.
#[derive(Debug, Clone, Default)]
pub(super) struct AlertBook {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    topic: Topic,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Told {
        open: Open,
        at: Instant,
    },
    /// Found again within the cooldown of an earlier telling.
    Hushed {
        open: Open,
        earlier: Telling,
    },
    Resting {
        earlier: Telling,
    },
}

#[derive(Debug, Clone, Copy)]
struct Telling {
    at: Instant,
    severity: Severity,
}

/// An alert that is not over.
#[derive(Debug, Clone, Copy)]
struct Open {
    began: Instant,
    since: Timestamp,
    /// Escalation included.
    severity: Severity,
    /// The worst a policy has found, escalation not included.
    worst: Severity,
    /// Since when it has been at this severity without easing.
    level_since: Instant,
    absent: u8,
    value: f64,
    threshold: f64,
}

impl AlertBook {
    /// Whether there is nothing to keep track of.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Take in what was found of this process in one evaluation; gives what is to be told.
    pub(super) fn evaluate(
        &mut self,
        findings: &[Finding],
        now: Instant,
        wall: Timestamp,
        rules: AlertRules,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        for entry in &mut self.entries {
            let found = findings.iter().find(|finding| finding.topic == entry.topic);
            notices.extend(match found {
                Some(finding) => entry.found(finding, now, wall, rules),
                None => entry.not_found(now),
            });
        }
        for finding in findings {
            if !self.entries.iter().any(|entry| entry.topic == finding.topic) {
                let open = Open::new(finding, now, wall);
                notices.push(open.notice(finding.topic, Change::Raised));
                self.entries.push(Entry { topic: finding.topic, state: State::Told { open, at: now } });
            }
        }
        self.entries.retain(|entry| !entry.is_forgotten(now, rules.cooldown));
        notices
    }

    /// The run has ended: what was about it is over. Restarts are about the process and go on.
    pub(super) fn run_ended(&mut self, now: Instant) -> Vec<Notice> {
        self.close(now, Cause::RunEnded, |topic| topic != Topic::Restarts)
    }

    /// Nobody waits for the process any more: everything is over.
    pub(super) fn forget(&mut self, now: Instant) -> Vec<Notice> {
        self.close(now, Cause::Forgotten, |_| true)
    }

    fn close(&mut self, now: Instant, cause: Cause, concerns: impl Fn(Topic) -> bool) -> Vec<Notice> {
        let concerned = self.entries.iter_mut().filter(|entry| concerns(entry.topic));
        concerned.filter_map(|entry| entry.resolve(now, cause)).collect()
    }
}

impl Entry {
    fn found(&mut self, finding: &Finding, now: Instant, wall: Timestamp, rules: AlertRules) -> Option<Notice> {
        let (state, change) = match self.state.clone() {
            State::Told { open, at } => {
                let (open, worse) = open.again(finding, now, rules.escalation);
                let at = if worse { now } else { at };
                (State::Told { open, at }, worse.then_some(Change::Escalated))
            }
            State::Hushed { open, earlier } => open.again(finding, now, rules.escalation).0.speak(earlier, now, rules),
            State::Resting { earlier } => Open::new(finding, now, wall).speak(earlier, now, rules),
        };
        let notice = match (&state, change) {
            (State::Told { open, .. }, Some(change)) => Some(open.notice(self.topic, change)),
            _ => None,
        };
        self.state = state;
        notice
    }

    fn not_found(&mut self, now: Instant) -> Option<Notice> {
        let (State::Told { open, .. } | State::Hushed { open, .. }) = &mut self.state else { return None };
        open.absent += 1;
        (open.absent >= ABSENT).then(|| self.resolve(now, Cause::Cleared)).flatten()
    }

    /// End what is open; only what was told is told to be over.
    fn resolve(&mut self, now: Instant, cause: Cause) -> Option<Notice> {
        let (earlier, notice) = match &self.state {
            State::Told { open, at } => {
                let change = Change::Resolved { lasted: now.saturating_duration_since(open.began), cause };
                (Telling { at: *at, severity: open.severity }, Some(open.notice(self.topic, change)))
            }
            State::Hushed { earlier, .. } => (*earlier, None),
            State::Resting { .. } => return None,
        };
        self.state = State::Resting { earlier };
        notice
    }

    fn is_forgotten(&self, now: Instant, cooldown: Duration) -> bool {
        matches!(&self.state, State::Resting { earlier } if now.saturating_duration_since(earlier.at) >= cooldown)
    }
}

impl Open {
    fn new(finding: &Finding, now: Instant, wall: Timestamp) -> Self {
        Self {
            began: now,
            since: wall,
            severity: finding.severity,
            worst: finding.severity,
            level_since: now,
            absent: 0,
            value: finding.value,
            threshold: finding.threshold,
        }
    }

    /// This alert, found once more; and whether that made it worse.
    fn again(mut self, finding: &Finding, now: Instant, escalation: Duration) -> (Self, bool) {
        let before = self.severity;
        (self.absent, self.value, self.threshold) = (0, finding.value, finding.threshold);
        if finding.severity < self.worst {
            // It eases: what gets better is not raised for lasting.
            self.level_since = now;
        }
        self.worst = self.worst.max(finding.severity);
        self.severity = self.severity.max(finding.severity);
        if self.severity == before && now.saturating_duration_since(self.level_since) >= escalation {
            self.severity = one_step_up(before);
        }
        if self.severity != before {
            self.level_since = now;
        }
        (self, self.severity > before)
    }

    /// Speak, or keep quiet because the same was told a short while ago.
    fn speak(self, earlier: Telling, now: Instant, rules: AlertRules) -> (State, Option<Change>) {
        let cooled = now.saturating_duration_since(earlier.at) >= rules.cooldown;
        if cooled || self.severity > earlier.severity {
            (State::Told { open: self, at: now }, Some(Change::Raised))
        } else {
            (State::Hushed { open: self, earlier }, None)
        }
    }

    const fn notice(&self, topic: Topic, change: Change) -> Notice {
        let Self { severity, value, threshold, since, .. } = *self;
        Notice { change, topic, severity, value, threshold, since }
    }
}

/// Source: the escalation warning, critical, emergency of the specification; a mere info stays one.
const fn one_step_up(severity: Severity) -> Severity {
    match severity {
        Severity::Info => Severity::Info,
        Severity::Warning => Severity::Critical,
        Severity::Critical | Severity::Emergency => Severity::Emergency,
    }
}

#[cfg(test)]
mod tests;
