//! `wasmvisor demo`: the whole house in one story, on real processes, in under a minute.
//!
//! The story is only told: the chapters do what a person would do at a second terminal, and everything that is said
//! is read back from the event stream and the registry.

mod chapters;
mod summary;
mod teller;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use super::run::own_program;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::error::{ErrorClass, Problem};
use crate::platform;
use crate::record::Query;
use crate::spec::ProcessId;
use chapters::Stage;
use summary::Summary;
use teller::Teller;

const FLEET: &str = include_str!("../../../policies/demo.toml");
const POLICIES: &str = include_str!("../../../policies/demo-policies.toml");
const STRICT: &str = include_str!("../../../policies/demo-strict.toml");

/// A directory of its own for the demo, taken away at the end.
struct Scene {
    directory: PathBuf,
}

impl Scene {
    fn set() -> Result<Self, Problem> {
        let directory = std::env::temp_dir().join(format!("wasmvisor-demo-{}", std::process::id()));
        let scene = Self { directory };
        scene.furnish().map_err(|error| {
            let message =
                format!("cannot prepare {}: {error}; set TMPDIR to another directory", scene.directory.display());
            Problem::new(ErrorClass::Unavailable, message)
        })?;
        Ok(scene)
    }

    fn furnish(&self) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        for (name, text) in [("demo.toml", FLEET), ("demo-policies.toml", POLICIES), ("demo-strict.toml", STRICT)] {
            std::fs::write(self.directory.join(name), text)?;
        }
        std::os::unix::fs::symlink("/etc", self.directory.join("looks-harmless"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Nothing depends on it; a temporary directory that stays is the system's to clean.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Tell the story; `json` prints events as JSON lines and the summary as the last.
///
/// # Errors
/// When the scene cannot be set or the story does not go as it must.
pub(crate) async fn run(json: bool) -> Result<ExitCode, Problem> {
    let scene = Scene::set()?;
    let file = scene.path("demo.toml");
    let mut config = Config::load(&file).map_err(|error| Problem::new(ErrorClass::Configuration, error.to_string()))?;
    config.supervisor.state_dir = Some(scene.path("state"));
    // This process is the supervisor's alone. Where the kernel refuses, what is left behind is only harder to find.
    if let Ok(reaping) = platform::become_subreaper() {
        tokio::spawn(reaping);
    }
    let daemon = Daemon::start_with_holder(config, Some(&file), &own_program()?).await?;
    let teller = Teller::listen(&daemon, json);
    let stage = Stage::new(&daemon, &teller, &scene.directory);
    let outcome = tokio::select! {
        outcome = stage.play() => outcome,
        _ = tokio::signal::ctrl_c() => Err(Problem::new(ErrorClass::ProcessFailure, "interrupted; everything was stopped")),
    };
    teller.chapter("Everything stops, in order").await;
    let known = known(&daemon).await;
    daemon.shut_down("the demo is over").await;
    let mut summary = teller.finish().await;
    summary.leftover_processes = left_behind(&known);
    let agent = outcome?;
    summary.agent_status = Some(agent.status);
    conclude(&summary, json)
}

/// Every process of this demo.
async fn known(daemon: &Daemon) -> HashSet<ProcessId> {
    let page = daemon.registry.query(Query { history: true, ..Query::default() }).await;
    page.processes.iter().map(|record| record.process_id.clone()).collect()
}

/// A look at the whole machine that asks no room of the supervisor: who still carries the mark of one of these?
fn left_behind(known: &HashSet<ProcessId>) -> usize {
    platform::scan_marked().iter().filter(|(id, _)| known.contains(id)).count()
}

fn conclude(summary: &Summary, json: bool) -> Result<ExitCode, Problem> {
    summary.print(json);
    let missing = summary.missing();
    if missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Problem::new(ErrorClass::ProcessFailure, format!("the story is incomplete: no {}", missing.join(", no "))))
}
