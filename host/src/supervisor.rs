//! The supervisor: one task that owns the life of every process.
//!
//! It turns commands, exits, timers and answers of policies into steps of `lifecycle`, and effects into I/O. It never
//! awaits a policy or a process: their answers come back as inputs. Any room above may hold a handle; only the task
//! touches its state.
//!
//! ```text
//!  handles ─▶ commands ─┐                        ┌─▶ launcher, timers, trees (blocking threads)
//!  exits, decisions,    ├─▶ task: step(life) ──▶ effects ─▶ admission and restart policies (small tasks)
//!  admissions, sweeps ──┤                        └─▶ registry, monitor, events, answers (in this order)
//!  monitor, timers ─────┘
//! ```

mod admission;
mod adopting;
mod adoption;
mod capacity;
mod effects;
mod entry;
mod environment;
mod groups;
mod holding;
mod limits;
mod message;
mod orphans;
mod outbox;
mod paths;
mod places;
mod requests;
mod run;
mod sandbox;
mod settings;
mod task;
mod telling;
mod timers;
mod trees;
mod waiting;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::error::{ErrorClass, Problem};
use crate::event::EventBus;
use crate::link::{Enforcement, RunNews};
use crate::logs::LogsConfig;
use crate::platform::{Cgroups, Launcher};
use crate::policy::PolicyHost;
use crate::record::ProcessRecord;
use crate::registry::{LastLife, Registry};
use crate::spec::{Limits, ProcessId, ProcessSpec, StopSignal};
use crate::units::Timestamp;
pub use adopting::Adopted;
use adoption::Legacy;
use holding::Holding;
use message::{Answer, Command, Message, Wish};
pub use settings::{
    DefaultLimits, EnvironmentRules, LauncherKind, OnShutdown, Orphans, SandboxConfig, SupervisorConfig,
};
use task::{Inboxes, Task};

/// Commands that may wait; a caller beyond that waits for a place.
const COMMANDS: usize = 256;
/// Messages of small tasks that may wait; a small task beyond that waits for a place.
const MESSAGES: usize = 4096;

/// What the supervisor works with.
pub struct SupervisorParts {
    /// `[supervisor]`.
    pub config: SupervisorConfig,
    /// `[sandbox]`.
    pub sandbox: SandboxConfig,
    /// Defaults with `[limits]` over them.
    pub limits: Limits,
    /// `[logs]`.
    pub logs: LogsConfig,
    /// State directory, absolute.
    pub state_dir: PathBuf,
    /// Working directory of specifications that name none.
    pub default_directory: PathBuf,
    /// Records what is known.
    pub registry: Registry,
    /// Judges.
    pub policies: PolicyHost,
    /// Tells.
    pub events: Arc<EventBus>,
    /// Makes runs.
    pub launcher: Box<dyn Launcher>,
    /// Makes the cgroups of runs, where there can be any.
    pub groups: Cgroups,
    /// To the monitor. Full: the supervisor waits for a place (the monitor never waits for the supervisor).
    pub news: mpsc::Sender<RunNews>,
    /// From the monitor, who drops what does not fit and says it again next tick.
    pub enforcement: mpsc::Receiver<Enforcement>,
    /// What the last life left in the registry; `adopt` says what becomes of it.
    pub last_life: LastLife,
}

/// How `restart` treats its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartWait {
    /// Return when the new run exists.
    Started,
    /// Return when the old run is being stopped.
    Asked,
}

/// A handle to the supervisor; cheap to clone. Every call answers after the work is done, not before. When the last
/// handle is gone, everything is stopped as by `shut_down`.
#[derive(Debug, Clone)]
pub struct Supervisor {
    commands: mpsc::Sender<Command>,
    registry: Registry,
}

impl Supervisor {
    /// Start the task. Must be called in a tokio runtime. What the last life left is untouched until `adopt`.
    pub fn launch(parts: SupervisorParts) -> Self {
        let registry = parts.registry.clone();
        let (commands, inbox) = mpsc::channel(COMMANDS);
        tokio::spawn(run(parts, inbox));
        Self { commands, registry }
    }

    /// Go on with what the last life left, `configured` being what the configuration wants now. Every process that is
    /// still wanted goes on where it was: a run that lives is watched, one that ended meanwhile is judged as it ended,
    /// a wait for a restart goes on with what was left of it. One that is configured no longer, or otherwise, is being
    /// stopped when this returns; `stop` waits for it. Runs that are nobody's have been ended by then.
    ///
    /// # Errors
    /// When it is not the first time.
    pub async fn adopt(&self, configured: BTreeMap<String, ProcessSpec>) -> Result<Adopted, Problem> {
        self.ask(|answer| Command::Adopt { configured, answer }).await
    }

    /// Have the holder of the runs go over to the program at this path, leaving every run alone.
    ///
    /// # Errors
    /// When runs are not held, or the program cannot take over; nothing has changed then.
    pub async fn upgrade_holder(&self, program: PathBuf) -> Result<(), Problem> {
        self.ask(|answer| Command::Upgrade { program, answer }).await
    }

    /// Whether runs can outlive this supervisor: they are held by a process of their own.
    ///
    /// # Errors
    /// When they are not; says what to do.
    pub async fn check_outlives(&self) -> Result<(), Problem> {
        self.ask(Command::CheckOutlives).await
    }

    /// End the task and leave every run as it is, for the next supervisor to go on with. Runs that were made in process
    /// become orphans of the system.
    pub async fn leave(&self, reason: &str) {
        let (done, heard) = oneshot::channel();
        // One that has ended already leaves nothing.
        if self.commands.send(Command::Leave { reason: reason.to_owned(), done }).await.is_ok() {
            let _ = heard.await;
        }
    }

    /// Register and start a process: validation, admission policy, paths, capacity, spawn. Answers when a run exists,
    /// when the process waits in the queue, or when its first launch failed and its restart policy has it tried again.
    ///
    /// # Errors
    /// The refusal with its class and rule; nothing runs then.
    pub async fn start(&self, spec: ProcessSpec) -> Result<ProcessId, Problem> {
        self.ask(|answer| Command::Start { spec: Box::new(spec), configured: false, answer }).await
    }

    /// The same for a configured process at boot, which memory and load gates do not hold back.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_configured(&self, spec: ProcessSpec) -> Result<ProcessId, Problem> {
        self.ask(|answer| Command::Start { spec: Box::new(spec), configured: true, answer }).await
    }

    /// Judge a specification as a start would — validation, admission policy, paths — and start nothing. Whether its
    /// name is free and there is room is not asked.
    ///
    /// # Errors
    /// The refusal with its class and rule.
    pub async fn check(&self, spec: ProcessSpec) -> Result<(), Problem> {
        self.ask(|answer| Command::Check { spec: Box::new(spec), answer }).await
    }

    /// Start an ended process again, or one in backoff at once. The attempts counted so far are forgiven.
    ///
    /// # Errors
    /// When it already runs or cannot be started.
    pub async fn start_again(&self, id: &ProcessId) -> Result<(), Problem> {
        self.wish(id, Wish::Start).await
    }

    /// Stop: stop signal to the tree, grace, kill. Answers when nothing of it is left. Stopping a stopped process is
    /// no error.
    ///
    /// # Errors
    /// When there is no such process, or something survived the kill.
    pub async fn stop(&self, id: &ProcessId, reason: &str) -> Result<(), Problem> {
        self.wish(id, Wish::Stop { reason: reason.to_owned() }).await
    }

    /// Kill the tree at once; answers when nothing of it is left.
    ///
    /// # Errors
    /// As `stop`.
    pub async fn kill(&self, id: &ProcessId, reason: &str) -> Result<(), Problem> {
        self.wish(id, Wish::Kill { reason: reason.to_owned() }).await
    }

    /// Stop and start again under the same id; an ended one is started.
    ///
    /// # Errors
    /// As `stop` and `start_again`.
    pub async fn restart(&self, id: &ProcessId, wait: RestartWait) -> Result<(), Problem> {
        self.wish(id, Wish::Restart(wait)).await
    }

    /// Send a signal to the main process.
    ///
    /// # Errors
    /// When it has no live run.
    pub async fn signal(&self, id: &ProcessId, signal: StopSignal) -> Result<(), Problem> {
        self.wish(id, Wish::Signal(signal)).await
    }

    /// Stop the tree's clock (SIGSTOP) or let it go on (SIGCONT).
    ///
    /// # Errors
    /// When it has no live run, or is being stopped.
    pub async fn pause(&self, id: &ProcessId, paused: bool) -> Result<(), Problem> {
        self.wish(id, Wish::Pause(paused)).await
    }

    /// Wait until a process has come to its end, and give its record. Every event of that end is published by then.
    ///
    /// # Errors
    /// When there is no such process.
    pub async fn wait(&self, id: &ProcessId) -> Result<Arc<ProcessRecord>, Problem> {
        // One that the task does not know has ended, in this life or an earlier one; the registry may still know it.
        let _ = self.wish(id, Wish::Wait).await;
        self.registry.wait_ended(id).await.ok_or_else(|| task::unknown(id))
    }

    /// Take over what changed in the configuration: capacity at once, timeouts, sandbox, limits and logs for later starts.
    pub async fn reconfigure(
        &self,
        config: SupervisorConfig,
        sandbox: SandboxConfig,
        limits: Limits,
        logs: LogsConfig,
    ) {
        let (done, heard) = oneshot::channel();
        let settings = Box::new((config, sandbox, limits, logs));
        // A supervisor that has ended needs no configuration.
        if self.commands.send(Command::Reconfigure { settings, done }).await.is_ok() {
            let _ = heard.await;
        }
    }

    /// Stop everything at the same time, the least important signalled first, and end the task. Answers when nothing is
    /// left; gives the number of processes of which something survived.
    pub async fn shut_down(&self, reason: &str) -> usize {
        let (survivors, heard) = oneshot::channel();
        let command = Command::ShutDown { reason: reason.to_owned(), survivors };
        // One that has ended already has left nothing behind that it could still end.
        if self.commands.send(command).await.is_ok() { heard.await.unwrap_or_default() } else { 0 }
    }

    async fn wish(&self, id: &ProcessId, wish: Wish) -> Result<(), Problem> {
        self.ask(|answer| Command::Ask { id: id.clone(), wish, answer }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, Problem> {
        let gone = || Problem::new(ErrorClass::Unavailable, "the supervisor has ended");
        let (answer, heard) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| gone())?;
        heard.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// The task from its parts to its end.
async fn run(parts: SupervisorParts, commands: mpsc::Receiver<Command>) {
    let SupervisorParts { config, sandbox, limits, logs, state_dir, default_directory, .. } = parts;
    let SupervisorParts { registry, policies, events, mut launcher, groups, news, enforcement, last_life, .. } = parts;
    let notices = launcher.notices();
    let legacy = Legacy { last_life, survivors: launcher.survivors() };
    let (messages, inbox) = mpsc::channel::<Message>(MESSAGES);
    let around = admission::Surroundings {
        sandbox: Arc::new(sandbox),
        state_dir: state_dir.into(),
        default_directory: default_directory.into(),
        own_environment: Arc::new(environment::of_this_process()),
        defaults: limits,
        groups,
        logs,
        grace: config.graceful_shutdown_timeout.get(),
        kill_wait: config.force_kill_timeout.get(),
    };
    let task = Task {
        capacity: capacity::Capacity::new(&config),
        config,
        around,
        registry,
        policies,
        events,
        news,
        launcher,
        messages,
        processes: HashMap::new(),
        names: HashMap::new(),
        admitting: HashMap::new(),
        ended: VecDeque::new(),
        stuck: HashSet::new(),
        timers: timers::Timers::default(),
        trees: trees::Trees::default(),
        outbox: outbox::Outbox::default(),
        // A launcher that has something to say is a process of its own.
        holding: Holding::with(notices.is_some()),
        legacy: Some(Box::new(legacy)),
        closing: None,
        due: task::Pending::default(),
        now: tokio::time::Instant::now().into_std(),
        at: Timestamp::now(),
    };
    task.run(Inboxes { commands, messages: inbox, enforcement, notices }).await;
}
