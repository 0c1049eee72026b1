//! The daemon: wires the actors, starts them, reloads them and drains them in order.
//!
//! Owns the order of things, the lock on the state directory and the configuration in force. The CLI's `run` and
//! `demo`, the API and embedders use its handle; it never speaks to a terminal or a socket.

mod lock;
mod reload;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

use crate::agents::AgentPool;
use crate::config::Config;
use crate::error::{ErrorClass, Problem};
use crate::event::{EventBody, EventBus};
use crate::monitor::{Monitor, MonitorParts};
use crate::platform::{self, InProcessLauncher};
use crate::policy::{PolicyHost, PolicyHostConfig, PolicySet};
use crate::registry::{LastLife, Registry, RegistryConfig};
use crate::spec::{Limits, ProcessId};
use crate::supervisor::{Supervisor, SupervisorParts};
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
    /// What happens.
    pub events: Arc<EventBus>,
    /// State directory, absolute.
    pub state_dir: PathBuf,
    /// The configuration file, when there is one.
    pub config_file: Option<PathBuf>,
    /// What is in force; locked for the length of a reload, so that reloads follow one another.
    in_force: Arc<Mutex<InForce>>,
}

/// The configuration in force and what it led to.
#[derive(Debug)]
struct InForce {
    config: Config,
    set: PolicySet,
    configured: BTreeMap<String, ProcessId>,
    began: std::time::Instant,
    /// Held for the life of the daemon: nobody else may use the state directory.
    _lock: StateLock,
}

impl Daemon {
    /// Take the state directory, open the registry, load the policies, clean up after the last life, start the
    /// configured processes. All or nothing: on an error nothing runs. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// Another daemon on the state directory, an unusable database, policy or configuration, or a configured process
    /// that may not or cannot run.
    pub async fn start(config: Config, config_file: Option<&Path>) -> Result<Self, Problem> {
        let state_dir = prepare_state_dir(&config)?;
        let lock = StateLock::take(&state_dir)?;
        let base = base_directory(config_file)?;
        let set = config.policy_set(&base).map_err(|error| configuration(error.to_string()))?;
        let events = Arc::new(EventBus::default());
        let policies = load_policies(&state_dir, set.clone(), &events).await?;
        let (registry, last_life) = Registry::open(RegistryConfig {
            database: state_dir.join("registry.db"),
            retention: config.supervisor.process_history_retention,
        })
        .map_err(|error| Problem::new(ErrorClass::Unavailable, error.to_string()))?;
        let (supervisor, monitor) =
            launch_actors(&config, &state_dir, &base, &registry, &policies, &events, last_life).await;
        let agents = AgentPool::launch(config.agent.clone(), supervisor.clone(), registry.clone(), Arc::clone(&events));
        let began = std::time::Instant::now();
        let in_force = InForce { config, set, configured: BTreeMap::new(), began, _lock: lock };
        let daemon = Self {
            supervisor,
            registry,
            policies,
            monitor,
            agents,
            events,
            state_dir,
            config_file: config_file.map(Path::to_owned),
            in_force: Arc::new(Mutex::new(in_force)),
        };
        daemon.boot().await?;
        Ok(daemon)
    }

    /// Start what is configured, or nothing of it.
    async fn boot(&self) -> Result<(), Problem> {
        let mut in_force = self.in_force.lock().await;
        let specs: Vec<_> = in_force.config.process.values().cloned().collect();
        if let Err(problem) = self.check_all(&specs).await {
            self.supervisor.shut_down("the configuration cannot be started").await;
            return Err(problem);
        }
        self.events.publish(EventBody::SupervisorStarted {
            pid: std::process::id(),
            state_dir: self.state_dir.display().to_string(),
            configured: specs.len(),
        });
        for spec in specs {
            let name = spec.name.clone();
            match self.supervisor.start_configured(spec).await {
                Ok(id) => {
                    in_force.configured.insert(name, id);
                }
                Err(problem) => {
                    self.supervisor.shut_down("a configured process could not be started").await;
                    return Err(Problem { message: format!("process {name}: {}", problem.message), ..problem });
                }
            }
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

async fn launch_actors(
    config: &Config,
    state_dir: &Path,
    base: &Path,
    registry: &Registry,
    policies: &PolicyHost,
    events: &Arc<EventBus>,
    last_life: LastLife,
) -> (Supervisor, Monitor) {
    // In this order: children get the limit on descriptors that the launcher finds, not the raised one.
    let launcher = Box::new(InProcessLauncher::default());
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
        state_dir: state_dir.to_owned(),
        default_directory: base.to_owned(),
        registry: registry.clone(),
        policies: policies.clone(),
        events: Arc::clone(events),
        launcher,
        news: news_sender,
        enforcement,
        last_life,
    })
    .await;
    (supervisor, monitor)
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
