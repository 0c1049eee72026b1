//! The daemon: wires the actors, starts them, reloads them and drains them in order.
//!
//! Owns the order of things, the lock on the state directory and the configuration in force. The CLI's `run` and
//! `demo`, the API and embedders use its handle; it never speaks to a terminal or a socket.

mod handover;
mod launcher;
mod lock;
mod reload;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

use crate::agents::AgentPool;
use crate::config::Config;
use crate::error::{ErrorClass, Problem};
use crate::event::{EventBody, EventBus};
use crate::logs::{Logs, LogsParts};
use crate::monitor::{Monitor, MonitorParts};
use crate::platform::{self, Cgroups, GroupsAt, Launcher};
use crate::policy::{PolicyHost, PolicyHostConfig, PolicySet};
use crate::record::Query;
use crate::registry::{LastLife, Registry, RegistryConfig};
use crate::spec::{Limits, ProcessId, ProcessSpec};
use crate::supervisor::{Supervisor, SupervisorParts};
use crate::units::Timestamp;
pub use handover::Upgrading;
use lock::StateLock;

/// Room in the channel from the supervisor to the monitor; when it is full the supervisor waits.
const NEWS_WINDOW: usize = 4096;
/// Room in the channel from the monitor to the supervisor; what does not fit is asked again at the next tick.
const ENFORCEMENT_WINDOW: usize = 256;

/// What a reload changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// Processes that are new.
    pub added: Vec<String>,
    /// Processes that are gone.
    pub removed: Vec<String>,
    /// Processes that were restarted because their specification changed.
    pub changed: Vec<String>,
}

/// A running supervisor with all its rooms; cheap to clone.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Life of processes.
    pub supervisor: Supervisor,
    /// What is known.
    pub registry: Registry,
    /// Judgement.
    pub policies: PolicyHost,
    /// Measurement.
    pub monitor: Monitor,
    /// Tasks.
    pub agents: AgentPool,
    /// What processes have written.
    pub logs: Logs,
    /// What happens.
    pub events: Arc<EventBus>,
    /// State directory, absolute.
    pub state_dir: PathBuf,
    /// The configuration file, when there is one.
    pub config_file: Option<PathBuf>,
    /// When it was started.
    pub since: Timestamp,
    /// What is in force; locked for the length of a reload, so that reloads follow one another.
    in_force: Arc<Mutex<InForce>>,
}

/// The configuration in force and what it led to.
#[derive(Debug)]
struct InForce {
    config: Config,
    set: PolicySet,
    configured: BTreeMap<String, ProcessId>,
    /// The program that makes and holds runs, and takes over in an upgrade when no other is named.
    program: Option<PathBuf>,
    /// Whoever becomes another program when asked to.
    upgrades: Option<mpsc::Sender<PathBuf>>,
    began: std::time::Instant,
    /// Held for the life of the daemon: nobody else may use the state directory.
    _lock: StateLock,
}

impl Daemon {
    /// Take the state directory, open the registry, load the policies, go on with what the last life left, start the
    /// configured processes that are not among it. All or nothing: on an error nothing new runs, and what the last life
    /// left is as it was. Must be called in a tokio runtime.
    ///
    /// Runs are made by this process: they do not outlive it in anybody's care, and their output is not rotated.
    ///
    /// # Errors
    /// Another daemon on the state directory, an unusable database, policy or configuration, or a configured process
    /// that may not or cannot run.
    pub async fn start(config: Config, config_file: Option<&Path>) -> Result<Self, Problem> {
        Self::begin(config, config_file, None).await
    }

    /// The same with a holder: a small process that makes the runs, owns their output and outlives this one. `program`
    /// is the `wasmvisor` program, which is executed for it. A configuration that says `launcher = "in-process"` is
    /// followed.
    ///
    /// # Errors
    /// As `start`, or when there is no holder and none can be started.
    pub async fn start_with_holder(
        config: Config,
        config_file: Option<&Path>,
        program: &Path,
    ) -> Result<Self, Problem> {
        Self::begin(config, config_file, Some(program)).await
    }

    async fn begin(config: Config, config_file: Option<&Path>, program: Option<&Path>) -> Result<Self, Problem> {
        let state_dir = prepare_state_dir(&config)?;
        let lock = StateLock::take(&state_dir)?;
        let base = base_directory(config_file)?;
        let set = config.policy_set(&base).map_err(|error| configuration(error.to_string()))?;
        let events = Arc::new(EventBus::default());
        let policies = load_policies(&state_dir, set.clone(), &events).await?;
        let launcher = launcher::choose(config.supervisor.launcher, program, &state_dir).await?;
        let groups = set_up_groups(&config.supervisor.cgroup).await;
        let (registry, last_life) = open_registry(&config, &state_dir)?;
        let (supervisor, monitor) =
            launch_actors(&config, (&state_dir, &base), (&registry, last_life), &policies, &events, (launcher, groups));
        let agents = AgentPool::launch(config.agent.clone(), supervisor.clone(), registry.clone(), Arc::clone(&events));
        let logs = keep_logs(&config, &state_dir, &registry, &events);
        let began = std::time::Instant::now();
        let (configured, program) = (BTreeMap::new(), program.map(Path::to_owned));
        let in_force = InForce { config, set, configured, program, upgrades: None, began, _lock: lock };
        let daemon = Self {
            supervisor,
            registry,
            policies,
            monitor,
            agents,
            logs,
            events,
            state_dir,
            config_file: config_file.map(Path::to_owned),
            since: Timestamp::now(),
            in_force: Arc::new(Mutex::new(in_force)),
        };
        daemon.boot().await?;
        Ok(daemon)
    }

    /// Go on with what the last life left and start what is configured besides, or nothing of it.
    async fn boot(&self) -> Result<(), Problem> {
        let mut in_force = self.in_force.lock().await;
        let specs: Vec<_> = in_force.config.process.values().cloned().collect();
        if let Err(problem) = self.check_all(&specs).await {
            // Nothing has been touched yet, and nothing is.
            self.supervisor.leave("the configuration cannot be started").await;
            return Err(problem);
        }
        self.events.publish(EventBody::SupervisorStarted {
            pid: std::process::id(),
            state_dir: self.state_dir.display().to_string(),
            configured: specs.len(),
        });
        let adopted = self.supervisor.adopt(in_force.config.process.clone()).await?;
        // A name is free, and a changed process startable, when the old one is down.
        let leaving = adopted.leaving.iter().map(|id| self.supervisor.stop(id, "no longer wanted"));
        for left in join_all(leaving).await {
            if let Err(problem) = left {
                tracing::error!(%problem, "a process that is no longer wanted is still there");
            }
        }
        in_force.configured = adopted.configured;
        let started = self.start_missing(&mut in_force.configured, specs).await;
        match (&started, adopted.total) {
            (Ok(()), _) => handover::done(&self.state_dir),
            (Err(_), 0) => drop(self.supervisor.shut_down("a configured process could not be started").await),
            // What went on before goes on.
            (Err(_), _) => self.leave("a configured process could not be started").await,
        }
        started
    }

    async fn start_missing(
        &self,
        configured: &mut BTreeMap<String, ProcessId>,
        specs: Vec<ProcessSpec>,
    ) -> Result<(), Problem> {
        for spec in specs {
            let name = spec.name.clone();
            if configured.contains_key(&name) {
                continue;
            }
            let id = self.supervisor.start_configured(spec).await;
            let id =
                id.map_err(|problem| Problem { message: format!("process {name}: {}", problem.message), ..problem })?;
            configured.insert(name, id);
        }
        Ok(())
    }

    /// Stop everything in order; gives the number of processes that survived.
    pub async fn shut_down(&self, reason: &str) -> usize {
        let began = self.in_force.lock().await.began;
        let leftovers = self.supervisor.shut_down(reason).await;
        self.registry.flush().await;
        let uptime_ms = began.elapsed().as_millis() as u64;
        self.events.publish(EventBody::SupervisorStopped { uptime_ms, leftovers });
        leftovers
    }
}

/// The registry, which knows what the last life left.
fn open_registry(config: &Config, state_dir: &Path) -> Result<(Registry, LastLife), Problem> {
    let retention = config.supervisor.process_history_retention;
    let place = RegistryConfig { database: state_dir.join("registry.db"), retention };
    let opened = if handover::is_announced(state_dir) { Registry::resume(place) } else { Registry::open(place) };
    opened.map_err(|error| Problem::new(ErrorClass::Unavailable, error.to_string()))
}

fn launch_actors(
    config: &Config,
    (state_dir, base): (&Path, &Path),
    (registry, last_life): (&Registry, LastLife),
    policies: &PolicyHost,
    events: &Arc<EventBus>,
    (launcher, groups): (Box<dyn Launcher>, Cgroups),
) -> (Supervisor, Monitor) {
    // After the launcher was made: children get the limit on descriptors that it has found, not the raised one.
    if let Err(error) = platform::raise_descriptor_limit() {
        tracing::warn!(%error, "cannot raise the limit on open descriptors; some hundreds of processes will be the most");
    }
    let (news_sender, news) = mpsc::channel(NEWS_WINDOW);
    let (enforcement_sender, enforcement) = mpsc::channel(ENFORCEMENT_WINDOW);
    let monitor = Monitor::launch(MonitorParts {
        config: config.monitor.clone(),
        registry: registry.clone(),
        policies: policies.clone(),
        events: Arc::clone(events),
        news,
        enforcement: enforcement_sender,
    });
    let supervisor = Supervisor::launch(SupervisorParts {
        config: config.supervisor.clone(),
        sandbox: config.sandbox.clone(),
        limits: Limits::default().overridden_by(&config.limits),
        logs: config.logs,
        state_dir: state_dir.to_owned(),
        default_directory: base.to_owned(),
        registry: registry.clone(),
        policies: policies.clone(),
        events: Arc::clone(events),
        launcher,
        groups,
        news: news_sender,
        enforcement,
        last_life,
    });
    (supervisor, monitor)
}

/// Before anything is launched: helpers belong beside us, not among the runs.
async fn set_up_groups(at: &GroupsAt) -> Cgroups {
    let at = at.clone();
    let groups = tokio::task::spawn_blocking(move || Cgroups::set_up(&at)).await.unwrap_or_default();
    let able = groups.abilities();
    match &able.base {
        Some(base) => tracing::info!(base = %base.display(), missing = able.reason, "each run gets a cgroup"),
        None => tracing::info!(reason = able.reason, "runs get no cgroups"),
    }
    groups
}

/// Logs belong to the processes that the registry knows.
fn keep_logs(config: &Config, state_dir: &Path, registry: &Registry, events: &Arc<EventBus>) -> Logs {
    let registry = registry.clone();
    let everything = || Query { history: true, ..Query::default() };
    let known = move || {
        let registry = registry.clone();
        let known = async move { registry.query(everything()).await };
        Box::pin(async { known.await.processes.iter().map(|record| record.process_id.clone()).collect() }) as _
    };
    Logs::launch(LogsParts {
        directory: state_dir.join("logs"),
        config: config.logs,
        events: Arc::clone(events),
        known: Box::new(known),
    })
}

/// Compiling plugins may take a while: it must not hold up the runtime.
async fn load_policies(state_dir: &Path, set: PolicySet, events: &Arc<EventBus>) -> Result<PolicyHost, Problem> {
    let config = PolicyHostConfig { cache_dir: Some(state_dir.join("cache")) };
    let events = Arc::clone(events);
    tokio::task::spawn_blocking(move || PolicyHost::start(config, set, events))
        .await
        .map_err(|error| Problem::new(ErrorClass::Unavailable, format!("loading the policies failed: {error}")))?
        .map_err(|error| configuration(error.to_string()))
}

fn configuration(message: String) -> Problem {
    Problem::new(ErrorClass::Configuration, message)
}

/// The directory that relative paths of the configuration start from.
fn base_directory(config_file: Option<&Path>) -> Result<PathBuf, Problem> {
    let fail = |path: &Path, error| configuration(format!("cannot resolve {}: {error}", path.display()));
    match config_file {
        Some(path) if path.is_dir() => path.canonicalize().map_err(|error| fail(path, error)),
        Some(path) => {
            let absolute = path.canonicalize().map_err(|error| fail(path, error))?;
            Ok(absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned))
        }
        None => std::env::current_dir().map_err(|error| fail(Path::new("."), error)),
    }
}

/// Create the state directory for its owner only, and make its path absolute.
fn prepare_state_dir(config: &Config) -> Result<PathBuf, Problem> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let wanted = config.state_dir().map_err(|error| configuration(error.to_string()))?;
    let fail = |operation: &str, error: std::io::Error| {
        configuration(format!(
            "cannot {operation} the state directory {}: {error}; choose another with --state-dir or supervisor.state_dir",
            wanted.display()
        ))
    };
    let existed = wanted.is_dir();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&wanted).map_err(|error| fail("create", error))?;
    if !existed {
        let owner_only = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&wanted, owner_only).map_err(|error| fail("protect", error))?;
    }
    wanted.canonicalize().map_err(|error| fail("resolve", error))
}
