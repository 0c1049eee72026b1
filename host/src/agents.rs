//! Agents: tasks that run as supervised processes and give a result.
//!
//! One task (`pool`) owns the runtimes (how an agent type is run) and the tasks in flight. Concurrency and queueing are
//! the supervisor's. Everybody may ask; a caller that goes away leaves its task running, and it is recorded all the same.
//!
//! ```text
//!  run(request) -> template (pure) -> Supervisor::start -> Registry::wait_ended -> outcome (pure) -> AgentResult
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::error::{ErrorClass, Problem};
use crate::event::EventBus;
use crate::registry::Registry;
use crate::sample::ExitStatus;
use crate::spec::{LimitSettings, Priority, ProcessId, RestartMode, SandboxSettings};
use crate::supervisor::{RestartWait, Supervisor};
use crate::units::{OrOff, Span};

mod outcome;
mod pool;
mod template;

use pool::{Command, Pool};

/// How many callers may wait to be heard; a further one waits for a place, the pool waits for nobody.
const COMMANDS: usize = 64;

/// `[agent.TYPE]` of the configuration: how an agent type is run.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentRuntime {
    /// Argument vector; `{instructions}`, `{task_id}`, `{agent_id}`, `{agent_type}`, `{directory}` and
    /// `{context.KEY}` are filled in, each as a whole argument or inside one, never by a shell.
    pub command: Vec<String>,
    /// Limits that differ from the defaults.
    #[serde(default)]
    pub limits: LimitSettings,
    /// What it may not do or see, where that differs from `[sandbox]`.
    #[serde(default)]
    pub sandbox: SandboxSettings,
    /// When it is wanted back.
    #[serde(default)]
    pub restart: RestartMode,
    /// How many restarts at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_restarts: Option<u32>,
    /// Variables set for it; values are secrets.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Working directory when the request names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
}

/// Environment values are secrets: the debug form shows their names only.
impl std::fmt::Debug for AgentRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentRuntime")
            .field("command", &self.command)
            .field("env_keys", &self.env.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A task for an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentRequest {
    /// Who should do it; made up when empty.
    #[serde(default)]
    pub agent_id: String,
    /// Which runtime.
    pub agent_type: String,
    /// What work it belongs to; made up when empty.
    #[serde(default)]
    pub task_id: String,
    /// What to do.
    #[serde(default)]
    pub instructions: String,
    /// Scheduling class.
    #[serde(default)]
    pub priority: Priority,
    /// How long it may take; the runtime's limit when absent.
    #[serde(default)]
    pub timeout: Option<OrOff<Span>>,
    /// Working directory.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// More to fill in; also given as `WASMVISOR_CONTEXT_KEY`.
    #[serde(default)]
    pub context: BTreeMap<String, String>,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AgentStatus {
    /// Exit code 0.
    Success,
    /// Any other end by itself.
    Failure,
    /// It took too long.
    Timeout,
    /// Somebody ended it.
    Killed,
}

/// What came of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentResult {
    /// Who did it.
    pub agent_id: String,
    /// What work it belonged to.
    pub task_id: String,
    /// Which runtime.
    pub agent_type: String,
    /// The supervised process.
    pub process_id: ProcessId,
    /// How it ended.
    pub status: AgentStatus,
    /// How the last run ended.
    pub exit: Option<ExitStatus>,
    /// Captured standard output, the last 1 MiB.
    pub output: String,
    /// Captured standard error, the last 1 MiB.
    pub error: String,
    /// From acceptance to end, waiting included, milliseconds.
    pub total_time_ms: u64,
    /// From the first start to the end, milliseconds.
    pub execution_time_ms: u64,
    /// Largest memory seen.
    pub peak_memory_bytes: u64,
    /// Processor time used, milliseconds.
    pub cpu_time_ms: u64,
    /// Restarts.
    pub restarts: u32,
}

/// A task in flight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentTask {
    /// Who does it.
    pub agent_id: String,
    /// What work it belongs to.
    pub task_id: String,
    /// Which runtime.
    pub agent_type: String,
    /// The supervised process.
    pub process_id: ProcessId,
    /// When it was accepted.
    pub accepted_at_ms: crate::units::Timestamp,
}

/// Tasks in figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentStatistics {
    /// Accepted since the supervisor started.
    pub accepted: u64,
    /// In flight now.
    pub in_flight: usize,
    /// Ended, by status.
    pub ended: BTreeMap<String, u64>,
    /// Mean execution time of ended tasks, milliseconds.
    pub mean_execution_time_ms: u64,
    /// Restarts of ended tasks.
    pub restarts: u64,
}

/// A handle to the pool; cheap to clone.
#[derive(Debug, Clone)]
pub struct AgentPool {
    commands: mpsc::Sender<Command>,
    supervisor: Supervisor,
}

impl AgentPool {
    /// A pool over this supervisor. Must be called in a tokio runtime. It ends when the last handle is gone and every
    /// task has its result.
    pub fn launch(
        runtimes: BTreeMap<String, AgentRuntime>,
        supervisor: Supervisor,
        registry: Registry,
        events: Arc<EventBus>,
    ) -> Self {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        tokio::spawn(Pool::new(runtimes, supervisor.clone(), registry, events).run(inbox));
        Self { commands, supervisor }
    }

    /// Run a task to its end. Dropping the future does not end the task.
    ///
    /// # Errors
    /// When no runtime has that type (naming the nearest), a placeholder has no value, the agent has a task in flight
    /// already, or the start is refused.
    pub async fn run(&self, request: AgentRequest) -> Result<AgentResult, Problem> {
        self.ask(|reply| Command::Run { request: Box::new(request), reply }).await?
    }

    /// Tasks in flight, by agent id.
    pub async fn list(&self) -> Vec<AgentTask> {
        self.ask(Command::List).await.unwrap_or_default()
    }

    /// End a task; its result says `killed`.
    ///
    /// # Errors
    /// When no such agent has a task in flight.
    pub async fn kill(&self, agent_id: &str) -> Result<(), Problem> {
        let agent_id = agent_id.to_owned();
        let process = self.ask(|reply| Command::Find { agent_id, to_kill: true, reply }).await??;
        self.supervisor.kill(&process, "agent killed").await
    }

    /// Stop the task's run and start it again.
    ///
    /// # Errors
    /// As `kill`.
    pub async fn restart(&self, agent_id: &str) -> Result<(), Problem> {
        let agent_id = agent_id.to_owned();
        let process = self.ask(|reply| Command::Find { agent_id, to_kill: false, reply }).await??;
        self.supervisor.restart(&process, RestartWait::Started).await
    }

    /// Tasks in figures.
    pub async fn statistics(&self) -> AgentStatistics {
        self.ask(Command::Statistics).await.unwrap_or_default()
    }

    /// Take over changed runtimes for later tasks.
    pub async fn reconfigure(&self, runtimes: BTreeMap<String, AgentRuntime>) {
        // An error means that the pool has ended: no later task will come.
        let _ = self.ask(|reply| Command::Reconfigure { runtimes, reply }).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Problem> {
        let gone = || Problem::new(ErrorClass::Unavailable, "the agent pool has ended with its supervisor");
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}
