//! What the demo's events add up to.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use crate::agents::AgentStatus;
use crate::event::{Event, EventBody};

/// The figures of one demo, folded from its event stream.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    /// Starts that were refused.
    pub denied: u64,
    /// Runs that were restarts.
    pub restarts: u64,
    /// Processes the restart policy gave up on.
    pub gave_up: u64,
    /// Alerts told, by severity.
    pub alerts: BTreeMap<String, u64>,
    /// Lowest health score of any process.
    pub lowest_score: Option<u8>,
    /// The first forecast, seconds until the limit.
    pub forecast_seconds: Option<f64>,
    /// How the agent's task ended.
    pub agent_status: Option<AgentStatus>,
    /// Policies that took over while everything ran.
    pub policy_swaps: u64,
    /// Starts that had to wait for a place.
    pub queued: u64,
    /// Processes killed because they did not stop in their grace.
    pub killed_after_grace: u64,
    /// Processes that are still there after the end.
    pub leftover_processes: usize,
}

impl Summary {
    /// Take one event in.
    pub(super) fn add(&mut self, event: &Event) {
        match &event.body {
            EventBody::Refused { .. } => self.denied += 1,
            EventBody::Restarted { .. } => self.restarts += 1,
            EventBody::GaveUp { .. } => self.gave_up += 1,
            EventBody::AlertRaised { alert } | EventBody::AlertEscalated { alert } => {
                *self.alerts.entry(alert.severity.to_string()).or_default() += 1;
            }
            EventBody::HealthChanged { score, .. } => {
                self.lowest_score = Some(self.lowest_score.map_or(*score, |lowest| lowest.min(*score)));
            }
            EventBody::Forecast { limit_in_ms, .. } => {
                self.forecast_seconds.get_or_insert(*limit_in_ms as f64 / 1000.0);
            }
            EventBody::PolicySwapped { .. } => self.policy_swaps += 1,
            EventBody::Queued { .. } => self.queued += 1,
            EventBody::Killed { .. } => self.killed_after_grace += 1,
            _ => {}
        }
    }

    /// What a complete story has and this one has not.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let parts = [
            (self.denied >= 2, "refusal by policy and by path"),
            (self.restarts >= 4, "restarts"),
            (self.gave_up >= 1, "giving up"),
            (!self.alerts.is_empty(), "alert"),
            (self.lowest_score.is_some_and(|score| score < 60), "critical score"),
            (self.forecast_seconds.is_some(), "forecast"),
            (self.agent_status == Some(AgentStatus::Success), "successful agent"),
            (self.policy_swaps >= 1, "policy swap"),
            (self.queued >= 3, "queue"),
            (self.killed_after_grace >= 1, "kill after grace"),
            (self.leftover_processes == 0, "clean end"),
        ];
        parts.into_iter().filter(|(there, _)| !there).map(|(_, name)| name).collect()
    }

    /// Print it: a JSON line, or a table.
    pub(super) fn print(&self, json: bool) {
        let text = if json { serde_json::to_string(self).unwrap_or_default() } else { self.table() };
        // Nobody reads any more: nothing is lost.
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    fn table(&self) -> String {
        let alerts: Vec<_> = self.alerts.iter().map(|(severity, count)| format!("{count} {severity}")).collect();
        let rows = [
            ("starts refused", self.denied.to_string()),
            ("restarts", self.restarts.to_string()),
            ("given up", self.gave_up.to_string()),
            ("alerts", alerts.join(", ")),
            ("lowest score", self.lowest_score.map_or_else(|| "-".into(), |score| score.to_string())),
            ("first forecast", self.forecast_seconds.map_or_else(|| "-".into(), |s| format!("limit in {s:.0}s"))),
            ("agent task", self.agent_status.map_or_else(|| "-".into(), |status| format!("{status:?}").to_lowercase())),
            ("policies swapped", self.policy_swaps.to_string()),
            ("waited in the queue", self.queued.to_string()),
            ("killed after grace", self.killed_after_grace.to_string()),
            ("processes left behind", self.leftover_processes.to_string()),
        ];
        let lines: Vec<_> = rows.iter().map(|(name, value)| format!("  {name:<22} {value}")).collect();
        format!("\nSummary\n{}", lines.join("\n"))
    }
}
