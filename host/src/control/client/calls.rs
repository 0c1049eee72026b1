//! One method for each route.

use std::path::PathBuf;

use hyper::Method;
use serde_json::json;

use super::{Client, EventStream, LogLines, NO_BODY};
use crate::agents::{AgentRequest, AgentResult, AgentStatistics, AgentTask};
use crate::control::params::{self, escape};
use crate::control::types::{
    About, CheckRequest, Done, EventQuery, InspectQuery, LogQuery, RestartRequest, SignalRequest, SwapRequest,
    UpgradeRequest,
};
use crate::daemon::{Reloaded, Upgrading};
use crate::error::Problem;
use crate::health::HealthReport;
use crate::policy::{BindingInfo, PluginInfo, Swapped};
use crate::record::{Page, ProcessRecord, Query, Statistics};
use crate::spec::{ProcessSpec, StopSignal};
use crate::supervisor::RestartWait;

/// What can be done to a process without saying more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Start,
    Stop,
    Kill,
    Pause,
    Resume,
}

impl Action {
    const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}

fn process(name: &str, rest: &str) -> String {
    format!("/v1/processes/{}{rest}", escape(name))
}

/// Every method fails with the problem that the supervisor tells, or `unavailable` when none answers. `name` is an id,
/// the beginning of one, or a name.
impl Client {
    /// Which processes, in what order.
    pub async fn query(&self, query: &Query) -> Result<Page, Problem> {
        self.post("/v1/query", query).await
    }

    /// Everything known of one process.
    pub async fn describe(&self, name: &str) -> Result<ProcessRecord, Problem> {
        self.call(Method::GET, &process(name, ""), NO_BODY).await
    }

    /// Its health in words.
    pub async fn health(&self, name: &str) -> Result<HealthReport, Problem> {
        self.call(Method::GET, &process(name, "/health"), NO_BODY).await
    }

    /// Register and start a process.
    pub async fn create(&self, spec: &ProcessSpec) -> Result<ProcessRecord, Problem> {
        self.post("/v1/processes", spec).await
    }

    pub(crate) async fn act(&self, name: &str, action: Action) -> Result<ProcessRecord, Problem> {
        self.call(Method::POST, &process(name, &format!("/{}", action.word())), NO_BODY).await
    }

    /// Start an ended process again.
    pub async fn start(&self, name: &str) -> Result<ProcessRecord, Problem> {
        self.act(name, Action::Start).await
    }

    /// Stop a process and wait until nothing of it is left.
    pub async fn stop(&self, name: &str) -> Result<ProcessRecord, Problem> {
        self.act(name, Action::Stop).await
    }

    /// Kill a process at once.
    pub async fn kill(&self, name: &str) -> Result<ProcessRecord, Problem> {
        self.act(name, Action::Kill).await
    }

    /// Stop a process and start it again.
    pub async fn restart(&self, name: &str, wait: RestartWait) -> Result<ProcessRecord, Problem> {
        self.post(&process(name, "/restart"), &RestartRequest { wait }).await
    }

    /// Send a signal to its main process.
    pub async fn signal(&self, name: &str, signal: StopSignal) -> Result<ProcessRecord, Problem> {
        self.post(&process(name, "/signal"), &SignalRequest { signal }).await
    }

    /// Stop its clock, or let it go on.
    pub async fn pause(&self, name: &str, paused: bool) -> Result<ProcessRecord, Problem> {
        self.act(name, if paused { Action::Pause } else { Action::Resume }).await
    }

    /// Its output.
    pub async fn logs(&self, name: &str, query: &LogQuery) -> Result<LogLines, Problem> {
        let query = params::write(&json!(query));
        let response = self.send(Method::GET, &process(name, &format!("/logs{query}")), NO_BODY).await?;
        Ok(LogLines::new(self.clone(), response))
    }

    /// What happened.
    pub async fn events(&self, query: &EventQuery) -> Result<EventStream, Problem> {
        let query = params::write(&json!(query));
        let response = self.send(Method::GET, &format!("/v1/events{query}"), NO_BODY).await?;
        Ok(EventStream::new(self.clone(), response))
    }

    /// The whole in figures.
    pub async fn statistics(&self) -> Result<Statistics, Problem> {
        self.call(Method::GET, "/v1/statistics", NO_BODY).await
    }

    /// Who answers.
    pub async fn about(&self) -> Result<About, Problem> {
        self.call(Method::GET, "/v1/version", NO_BODY).await
    }

    /// Read the configuration again.
    pub async fn reload(&self) -> Result<Reloaded, Problem> {
        self.call(Method::POST, "/v1/reload", NO_BODY).await
    }

    /// Let another program take over; the one at the path of the present one when none is named.
    pub async fn upgrade(&self, program: Option<PathBuf>) -> Result<Upgrading, Problem> {
        self.post("/v1/upgrade", &UpgradeRequest { program }).await
    }

    /// The bindings in force.
    pub async fn policies(&self) -> Result<Vec<BindingInfo>, Problem> {
        self.call(Method::GET, "/v1/policies", NO_BODY).await
    }

    /// Let other policies take over.
    pub async fn swap(&self, request: &SwapRequest) -> Result<Vec<Swapped>, Problem> {
        self.post("/v1/policies/swap", request).await
    }

    /// Check a plugin and settings for it.
    pub async fn check_policy(&self, request: &CheckRequest) -> Result<PluginInfo, Problem> {
        self.post("/v1/policies/check", request).await
    }

    /// Look at a plugin.
    pub async fn inspect_policy(&self, plugin: &str) -> Result<PluginInfo, Problem> {
        self.get("/v1/policies/inspect", &InspectQuery { plugin: plugin.to_owned() }).await
    }

    /// Run a task to its end.
    pub async fn run_agent(&self, request: &AgentRequest) -> Result<AgentResult, Problem> {
        self.post("/v1/agents", request).await
    }

    /// Tasks in flight.
    pub async fn agents(&self) -> Result<Vec<AgentTask>, Problem> {
        self.call(Method::GET, "/v1/agents", NO_BODY).await
    }

    /// Tasks in figures.
    pub async fn agent_statistics(&self) -> Result<AgentStatistics, Problem> {
        self.call(Method::GET, "/v1/agents/statistics", NO_BODY).await
    }

    /// End a task.
    pub async fn kill_agent(&self, agent_id: &str) -> Result<Done, Problem> {
        self.call(Method::POST, &format!("/v1/agents/{}/kill", escape(agent_id)), NO_BODY).await
    }

    /// Start a task again.
    pub async fn restart_agent(&self, agent_id: &str) -> Result<Done, Problem> {
        self.call(Method::POST, &format!("/v1/agents/{}/restart", escape(agent_id)), NO_BODY).await
    }
}
