//! Health checks: commands that tell whether a process does its work.
//!
//! Owns the schedule and the checks that run. Only the monitor's task enters, which waits for the next answer among its
//! other inputs. A check runs in the directory, environment and sandbox of its process, its output goes nowhere, and what is
//! left of it at its timeout is killed. At most [`MOST_AT_ONCE`] run at once; what is due meanwhile waits its turn.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::link::RunBegan;
use crate::platform::{self, LaunchPlan, Launched, Launcher, Tree};
use crate::spec::{Confinement, HealthCheck, ProcessId, StopSignal};

/// How many checks may run at once.
const MOST_AT_ONCE: usize = 8;
/// Where commands are looked for when the process has no PATH.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What one check has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Which run.
    pub(super) key: u64,
    /// Whether it passed.
    pub(super) passed: bool,
    /// How long it took.
    pub(super) latency: Duration,
    /// How it ended, for a person.
    pub(super) detail: String,
}

/// How to check one run.
struct Plan {
    check: HealthCheck,
    interval: Duration,
    process_id: ProcessId,
    /// The process's id with a suffix, so that no search for the check's own tree finds the process.
    tree_id: ProcessId,
    directory: PathBuf,
    env: Arc<BTreeMap<String, String>>,
    confinement: Arc<Confinement>,
}

struct Check {
    plan: Plan,
    state: CheckState,
    paused: bool,
}

enum CheckState {
    Due(Instant),
    Runs(Tree),
}

/// Runs the health checks of every run under watch.
pub(super) struct Prober {
    launcher: Box<dyn Launcher>,
    checks: HashMap<u64, Check>,
    due: BTreeSet<(Instant, u64)>,
    running: JoinSet<Answer>,
}

impl Prober {
    pub(super) fn new(launcher: Box<dyn Launcher>) -> Self {
        Self { launcher, checks: HashMap::new(), due: BTreeSet::new(), running: JoinSet::new() }
    }

    /// Check this run from now on, if it says how; `default_interval` holds when it does not say how often.
    pub(super) fn watch(&mut self, key: u64, began: &RunBegan, default_interval: Duration) {
        let Some(check) = began.health_check.clone() else { return };
        let plan = Plan {
            interval: check.interval.map_or(default_interval, |interval| interval.get()),
            check,
            process_id: began.identity.process_id.clone(),
            tree_id: ProcessId::new(format!("{}.check", began.identity.process_id)),
            directory: began.directory.clone(),
            env: Arc::clone(&began.env),
            confinement: Arc::clone(&began.confinement),
        };
        let at = Instant::now() + plan.interval;
        self.due.insert((at, key));
        self.checks.insert(key, Check { plan, state: CheckState::Due(at), paused: false });
    }

    /// Check this run no more; a check that runs is ended.
    pub(super) fn forget(&mut self, key: u64) {
        match self.checks.remove(&key).map(|check| check.state) {
            Some(CheckState::Due(at)) => {
                self.due.remove(&(at, key));
            }
            // The check sees its own end; nobody has to wait for it here.
            Some(CheckState::Runs(tree)) => drop(kill(tree)),
            None => {}
        }
    }

    /// A paused run is not asked.
    pub(super) fn pause(&mut self, key: u64, paused: bool) {
        if let Some(check) = self.checks.get_mut(&key) {
            check.paused = paused;
        }
    }

    /// Wait for the next answer. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Answer {
        loop {
            let due = self.due.first().map(|(at, _)| *at).filter(|_| self.running.len() < MOST_AT_ONCE);
            let answer = tokio::select! {
                Some(ended) = self.running.join_next() => self.ended(ended),
                () = sleep_until(due) => self.begin_first(),
            };
            if let Some(answer) = answer {
                return answer;
            }
        }
    }

    /// End every check.
    pub(super) async fn shut_down(&mut self) {
        let keys: Vec<_> = self.checks.keys().copied().collect();
        keys.into_iter().for_each(|key| self.forget(key));
        while self.running.join_next().await.is_some() {}
    }

    /// Begin the check that is due first. Gives an answer when that was not possible.
    fn begin_first(&mut self) -> Option<Answer> {
        let (_, key) = self.due.pop_first()?;
        let check = self.checks.get_mut(&key)?;
        if check.paused {
            self.schedule(key);
            return None;
        }
        let launched = match launch(self.launcher.as_mut(), &check.plan) {
            Ok(launched) => launched,
            Err(detail) => {
                self.schedule(key);
                return Some(Answer { key, passed: false, latency: Duration::ZERO, detail });
            }
        };
        let tree = Tree::of(&launched, check.plan.tree_id.clone());
        check.state = CheckState::Runs(tree.clone());
        self.running.spawn(run(key, launched, tree, check.plan.check.timeout.get()));
        None
    }

    fn ended(&mut self, ended: Result<Answer, JoinError>) -> Option<Answer> {
        let answer = ended.inspect_err(|error| tracing::error!(%error, "a health check was lost")).ok()?;
        let is_wanted = self.checks.contains_key(&answer.key);
        self.schedule(answer.key);
        is_wanted.then_some(answer)
    }

    /// The interval counts from the end of a check to the beginning of the next, so that slow ones never pile up.
    fn schedule(&mut self, key: u64) {
        let Some(check) = self.checks.get_mut(&key) else { return };
        let at = Instant::now() + check.plan.interval;
        check.state = CheckState::Due(at);
        self.due.insert((at, key));
    }
}

/// A runtime that shuts down drops its tasks where they stand; no check may outlive it for that.
impl Drop for Prober {
    fn drop(&mut self) {
        for check in self.checks.values() {
            if let CheckState::Runs(tree) = &check.state {
                // Nobody is left to be told of an error.
                let _ = tree.signal(StopSignal::KILL);
            }
        }
    }
}

fn launch(launcher: &mut dyn Launcher, plan: &Plan) -> Result<Launched, String> {
    let command = plan.check.command.first().map_or("", String::as_str);
    let search_path = plan.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let program = platform::find_program(command, search_path, &plan.directory)
        .ok_or_else(|| format!("cannot find `{command}` on the PATH of the process ({search_path})"))?;
    let env = plan.env.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    // With the process's own mark: what a check leaves behind goes with the process.
    let (id, argv) = (plan.process_id.clone(), plan.check.command.clone());
    let confinement = (*plan.confinement).clone();
    let plan = LaunchPlan { env, confinement, ..LaunchPlan::new(id, program, argv, plan.directory.clone()) };
    launcher.launch(plan).wait().map_err(|error| error.to_string())
}

/// See one check to its end.
async fn run(key: u64, launched: Launched, tree: Tree, timeout: Duration) -> Answer {
    let began = Instant::now();
    let exit = launched.exit.wait();
    tokio::pin!(exit);
    match tokio::time::timeout(timeout, &mut exit).await {
        Ok(exit) => {
            Answer { key, passed: exit.status.is_success(), latency: began.elapsed(), detail: exit.status.to_string() }
        }
        Err(_) => {
            let killed = kill(tree);
            exit.await;
            // An error means that the runtime is shutting down.
            let _ = killed.await;
            let detail = format!("no answer within {}", crate::units::human_duration(timeout));
            Answer { key, passed: false, latency: began.elapsed(), detail }
        }
    }
}

/// Kill what there is of a check. On a thread of its own, for the search may look at every process there is.
fn kill(tree: Tree) -> JoinHandle<()> {
    tokio::task::spawn_blocking(move || {
        if let Err(error) = tree.signal(StopSignal::KILL) {
            tracing::warn!(pid = tree.leader.pid, %error, "cannot kill a health check");
        }
    })
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
