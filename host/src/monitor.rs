//! The monitor: measures every run each tick, has it judged, and asks for what follows.
//!
//! One task (`task`) owns the rings, trends, probes and alerts. It tells the registry and the event bus; what should be
//! done it asks of the supervisor through a channel (`link`) without knowing it. The daemon lays the channels; everybody
//! may ask for an explanation.
//!
//! ```text
//!  supervisor --news--> task --enforcement--> supervisor
//!                        |  \\--observations--> registry
//!   tick: measure -> watchlist (pure) -> health policy -> watchlist -> alert policy -> watchlist
//!                                                                          words: teller --> events
//! ```
//!
//! Everything that decides is pure and takes the present moment as an argument: `scores`, `limits`, `forecast`,
//! `alerts`, `requests`, `chronicle`, `slots`, `watched` and `watchlist`. What does I/O is thin: `instruments`, `probe`,
//! `teller` and `task`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::error::{ErrorClass, Problem};
use crate::event::EventBus;
use crate::health::{HealthReport, HealthStatus};
use crate::link::{Enforcement, RunNews};
use crate::policy::PolicyHost;
use crate::registry::Registry;
use crate::spec::ProcessId;
use crate::units::Span;

mod alerts;
mod chronicle;
mod forecast;
mod instruments;
mod limits;
mod probe;
mod requests;
mod scores;
mod slots;
mod task;
mod teller;
mod watched;
mod watchlist;

use task::{Command, Task};

/// How many callers may wait for an explanation; a further one waits for a place, never the monitor for a caller.
const COMMANDS: usize = 16;

/// `[monitor]` of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorConfig {
    /// Time between two ticks, 100 ms or more.
    pub interval: Span,
    /// Time between two health checks of a process that does not say its own.
    pub health_check_interval: Span,
    /// Samples kept for trends, 16 to 3600.
    pub trend_history: usize,
    /// A process whose health status is this or worse for `unhealthy_after` is restarted; `off`: never.
    pub unhealthy_restart: UnhealthyRestart,
    /// How long, without a break, before it is restarted.
    pub unhealthy_after: Span,
    /// How long a process must do nothing to count as idle.
    pub idle_after: Span,
    /// How long an alert that was told stays quiet before it is told again.
    pub alert_cooldown: Span,
    /// How long a warning or critical alert may persist before its severity is raised.
    pub alert_escalation: Span,
}

/// From which status on a process is restarted for its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnhealthyRestart {
    /// Critical or failing.
    Critical,
    /// Failing only.
    Failing,
    /// Never.
    Off,
}

impl UnhealthyRestart {
    /// Whether a process of this status counts.
    pub fn counts(self, status: HealthStatus) -> bool {
        match self {
            Self::Critical => status >= HealthStatus::Critical,
            Self::Failing => status >= HealthStatus::Failing,
            Self::Off => false,
        }
    }
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self {
            interval: Span::seconds(1),
            health_check_interval: Span::seconds(10),
            trend_history: 300,
            unhealthy_restart: UnhealthyRestart::Critical,
            unhealthy_after: Span::seconds(10),
            idle_after: Span::seconds(30),
            alert_cooldown: Span::seconds(60),
            alert_escalation: Span::seconds(300),
        }
    }
}

/// What the monitor works with.
pub struct MonitorParts {
    /// `[monitor]`.
    pub config: MonitorConfig,
    /// Records what was seen.
    pub registry: Registry,
    /// Judges.
    pub policies: PolicyHost,
    /// Tells.
    pub events: Arc<EventBus>,
    /// From the supervisor.
    pub news: mpsc::Receiver<RunNews>,
    /// To the supervisor. Full: the request is dropped and made again next tick.
    pub enforcement: mpsc::Sender<Enforcement>,
}

/// A handle to the monitor; cheap to clone.
#[derive(Debug, Clone)]
pub struct Monitor {
    commands: mpsc::Sender<Command>,
}

impl Monitor {
    /// Start the task. It ends when the sender of news is gone. Must be called in a tokio runtime.
    pub fn launch(parts: MonitorParts) -> Self {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        tokio::spawn(Task::new(parts, inbox).run());
        Self { commands }
    }

    /// Have one live process judged now, in words.
    ///
    /// # Errors
    /// When it has no live run or has not been sampled yet.
    pub async fn explain(&self, id: &ProcessId) -> Result<HealthReport, Problem> {
        let (reply, answer) = oneshot::channel();
        let gone = || Problem::new(ErrorClass::Unavailable, "the monitor has ended with its supervisor");
        self.commands.send(Command::Explain { id: id.clone(), reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Take over a changed configuration at the next tick.
    pub async fn reconfigure(&self, config: MonitorConfig) {
        // An error means that the monitor has ended: there is nothing left to configure.
        let _ = self.commands.send(Command::Reconfigure(config)).await;
    }
}

#[cfg(test)]
mod tests;
