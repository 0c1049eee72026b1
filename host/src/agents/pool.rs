//! The pool's task: sole owner of the runtimes and of the tasks in flight.
//!
//! It never waits for a process: starting one and waiting for its end are futures of its own that report back, so a
//! caller that goes away loses nothing but its answer.
//!
//! ```text
//!            start is refused
//!  Starting -----------------> (gone)
//!      | started                 ^
//!      v                         |
//!  Running ----------------------+ ended: result told, recorded, published
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::outcome;
use super::template::{runtime_for, spec_for};
use super::{AgentRequest, AgentResult, AgentRuntime, AgentStatistics, AgentStatus, AgentTask};
use crate::error::{ErrorClass, Problem};
use crate::event::{EventBody, EventBus};
use crate::record::ProcessRecord;
use crate::registry::Registry;
use crate::spec::{ProcessId, ProcessSpec};
use crate::supervisor::Supervisor;
use crate::units::Timestamp;

type Reply<T> = oneshot::Sender<T>;

/// What a handle may ask. That an asker has gone is never an error.
pub(super) enum Command {
    /// Run a task.
    Run { request: Box<AgentRequest>, reply: Reply<Result<AgentResult, Problem>> },
    /// Tasks in flight.
    List(Reply<Vec<AgentTask>>),
    /// The process of an agent's task.
    Find { agent_id: String, to_kill: bool, reply: Reply<Result<ProcessId, Problem>> },
    /// Tasks in figures.
    Statistics(Reply<AgentStatistics>),
    /// Take over changed runtimes.
    Reconfigure { runtimes: BTreeMap<String, AgentRuntime>, reply: Reply<()> },
}

/// A task in flight.
struct Flight {
    task_id: String,
    agent_type: String,
    accepted: Instant,
    reply: Reply<Result<AgentResult, Problem>>,
    state: State,
}

enum State {
    Starting,
    Running { task: AgentTask, killed: bool },
}

/// What a future of the pool reports.
enum Progress {
    Started { agent_id: String, started: Result<ProcessId, Problem> },
    Ended { agent_id: String, record: Option<Arc<ProcessRecord>>, output: String, error: String },
}

/// The pool's state.
pub(super) struct Pool {
    runtimes: BTreeMap<String, AgentRuntime>,
    supervisor: Supervisor,
    registry: Registry,
    events: Arc<EventBus>,
    /// By agent id. Bounded by the supervisor, which refuses a start when its queue is full.
    flights: BTreeMap<String, Flight>,
    work: JoinSet<Progress>,
    statistics: AgentStatistics,
    execution_time_ms: u64,
}

impl Pool {
    pub(super) fn new(
        runtimes: BTreeMap<String, AgentRuntime>,
        supervisor: Supervisor,
        registry: Registry,
        events: Arc<EventBus>,
    ) -> Self {
        Self {
            runtimes,
            supervisor,
            registry,
            events,
            flights: BTreeMap::new(),
            work: JoinSet::new(),
            statistics: AgentStatistics::default(),
            execution_time_ms: 0,
        }
    }

    /// Work until nobody can ask any more and every task has its result.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                Some(command) = inbox.recv() => self.obey(command),
                Some(progress) = self.work.join_next() => match progress {
                    Ok(progress) => self.progress(progress),
                    Err(error) => tracing::error!(%error, "a task of an agent was lost"),
                },
                else => break,
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Run { request, reply } => match self.prepare(*request) {
                Ok((request, spec)) => self.begin(request, spec, reply),
                Err(problem) => {
                    let _ = reply.send(Err(problem));
                }
            },
            Command::List(reply) => {
                let running = |flight: &Flight| match &flight.state {
                    State::Running { task, .. } => Some(task.clone()),
                    State::Starting => None,
                };
                let _ = reply.send(self.flights.values().filter_map(running).collect());
            }
            Command::Find { agent_id, to_kill, reply } => {
                let _ = reply.send(self.find(&agent_id, to_kill));
            }
            Command::Statistics(reply) => {
                let ended: u64 = self.statistics.ended.values().sum();
                let _ = reply.send(AgentStatistics {
                    in_flight: self.flights.len(),
                    mean_execution_time_ms: self.execution_time_ms.checked_div(ended).unwrap_or(0),
                    ..self.statistics.clone()
                });
            }
            Command::Reconfigure { runtimes, reply } => {
                self.runtimes = runtimes;
                let _ = reply.send(());
            }
        }
    }

    /// The request with its ids filled in, and what to run for it.
    fn prepare(&self, mut request: AgentRequest) -> Result<(AgentRequest, ProcessSpec), Problem> {
        let runtime = runtime_for(&self.runtimes, &request.agent_type)?;
        if request.agent_id.is_empty() {
            request.agent_id = new_agent_id()?;
        }
        if self.flights.contains_key(&request.agent_id) {
            return Err(busy(&request.agent_id));
        }
        if request.task_id.is_empty() {
            request.task_id = format!("task-{}", request.agent_id);
        }
        let spec = spec_for(runtime, &request)?;
        Ok((request, spec))
    }

    fn begin(&mut self, request: AgentRequest, spec: ProcessSpec, reply: Reply<Result<AgentResult, Problem>>) {
        let AgentRequest { agent_id, task_id, agent_type, .. } = request;
        let flight = Flight { task_id, agent_type, accepted: Instant::now(), reply, state: State::Starting };
        self.flights.insert(agent_id.clone(), flight);
        let supervisor = self.supervisor.clone();
        self.work.spawn(async move { Progress::Started { agent_id, started: supervisor.start(spec).await } });
    }

    fn find(&mut self, agent_id: &str, to_kill: bool) -> Result<ProcessId, Problem> {
        match self.flights.get_mut(agent_id).map(|flight| &mut flight.state) {
            Some(State::Running { task, killed }) => {
                *killed |= to_kill;
                Ok(task.process_id.clone())
            }
            Some(State::Starting) => {
                let message = format!("agent `{agent_id}` is just being started; try again in a moment");
                Err(Problem::new(ErrorClass::ProcessFailure, message))
            }
            None => {
                let known = self.flights.keys().cloned().collect::<Vec<_>>().join(", ");
                let known =
                    if known.is_empty() { "there is none at all".to_owned() } else { format!("there are {known}") };
                let message = format!("agent `{agent_id}` has no task in flight; {known}");
                Err(Problem::new(ErrorClass::NotFound, message))
            }
        }
    }

    fn progress(&mut self, progress: Progress) {
        match progress {
            Progress::Started { agent_id, started: Ok(process_id) } => self.started(agent_id, process_id),
            Progress::Started { agent_id, started: Err(problem) } => {
                if let Some(flight) = self.flights.remove(&agent_id) {
                    let _ = flight.reply.send(Err(problem));
                }
            }
            Progress::Ended { agent_id, record, output, error } => self.ended(agent_id, record, output, error),
        }
    }

    fn started(&mut self, agent_id: String, process_id: ProcessId) {
        let Some(flight) = self.flights.get_mut(&agent_id) else { return };
        let task = AgentTask {
            agent_id: agent_id.clone(),
            task_id: flight.task_id.clone(),
            agent_type: flight.agent_type.clone(),
            process_id: process_id.clone(),
            accepted_at_ms: Timestamp::now(),
        };
        self.statistics.accepted += 1;
        self.events.publish(EventBody::AgentStarted {
            agent_id: task.agent_id.clone(),
            task_id: task.task_id.clone(),
            agent_type: task.agent_type.clone(),
            process_id: process_id.clone(),
        });
        flight.state = State::Running { task, killed: false };
        let registry = self.registry.clone();
        self.work.spawn(async move {
            let record = registry.wait_ended(&process_id).await;
            let (output, error) = captured(record.clone()).await;
            Progress::Ended { agent_id, record, output, error }
        });
    }

    fn ended(&mut self, agent_id: String, record: Option<Arc<ProcessRecord>>, output: String, error: String) {
        let Some(Flight { accepted, reply, state: State::Running { task, killed }, .. }) =
            self.flights.remove(&agent_id)
        else {
            return;
        };
        let Some(record) = record else {
            let message = format!("the process of agent `{agent_id}` is no longer known; its history was cut");
            let _ = reply.send(Err(Problem::new(ErrorClass::Unavailable, message)));
            return;
        };
        let result = AgentResult {
            agent_id,
            task_id: task.task_id,
            agent_type: task.agent_type,
            process_id: task.process_id,
            status: outcome::status_of(&record, killed),
            exit: record.exit,
            output,
            error,
            total_time_ms: accepted.elapsed().as_millis() as u64,
            execution_time_ms: outcome::execution_time_ms(&record),
            peak_memory_bytes: record.peak_memory_bytes,
            cpu_time_ms: record.cpu_time_ms,
            restarts: record.restarts,
        };
        self.keep(&result);
        let _ = reply.send(Ok(result));
    }

    fn keep(&mut self, result: &AgentResult) {
        let status = word(result.status);
        *self.statistics.ended.entry(status.to_owned()).or_default() += 1;
        self.statistics.restarts += u64::from(result.restarts);
        self.execution_time_ms += result.execution_time_ms;
        self.events.publish(EventBody::AgentFinished {
            agent_id: result.agent_id.clone(),
            task_id: result.task_id.clone(),
            agent_type: result.agent_type.clone(),
            process_id: result.process_id.clone(),
            status: status.to_owned(),
            execution_time_ms: result.execution_time_ms,
        });
    }
}

async fn captured(record: Option<Arc<ProcessRecord>>) -> (String, String) {
    let read = move || {
        let record = record?;
        let output = outcome::read_output(record.stdout_path.as_deref());
        Some((output, outcome::read_output(record.stderr_path.as_deref())))
    };
    // An error means that the runtime is shutting down.
    tokio::task::spawn_blocking(read).await.ok().flatten().unwrap_or_default()
}

/// As in the API.
const fn word(status: AgentStatus) -> &'static str {
    match status {
        AgentStatus::Success => "success",
        AgentStatus::Failure => "failure",
        AgentStatus::Timeout => "timeout",
        AgentStatus::Killed => "killed",
    }
}

/// `a` and 8 random characters.
fn new_agent_id() -> Result<String, Problem> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|error| {
        Problem::new(ErrorClass::Unavailable, format!("cannot make up an agent id, name one: {error}"))
    })?;
    let characters = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Ok(std::iter::once('a').chain(characters).collect())
}

fn busy(agent_id: &str) -> Problem {
    let message = format!("agent `{agent_id}` has a task in flight already; wait for it, kill it or use another id");
    Problem::new(ErrorClass::Configuration, message).by_rule("agent-busy")
}
