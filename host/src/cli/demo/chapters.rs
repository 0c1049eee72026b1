//! What happens in the demo: each chapter does something and waits until the event stream shows what came of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::teller::Teller;
use crate::agents::{AgentRequest, AgentResult};
use crate::daemon::Daemon;
use crate::decision::LimitKind;
use crate::error::{ErrorClass, Problem};
use crate::event::{EventBody, Received, Who};
use crate::policy::PolicySet;
use crate::record::Query;
use crate::spec::{Priority, ProcessId, ProcessSpec};
use crate::units::{Bytes, Span, human_duration};

/// Longest time a chapter may take before the story has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the chapters are played.
pub(super) struct Stage<'a> {
    daemon: &'a Daemon,
    teller: &'a Teller,
    directory: &'a Path,
}

impl<'a> Stage<'a> {
    pub(super) fn new(daemon: &'a Daemon, teller: &'a Teller, directory: &'a Path) -> Self {
        Self { daemon, teller, directory }
    }

    /// All chapters. The leak needs its time, so it runs in the background of the others.
    pub(super) async fn play(&self) -> Result<AgentResult, Problem> {
        self.refusals().await?;
        self.crash_loop().await?;
        let agent = self.agent_task().await?;
        self.queue().await?;
        self.stubborn().await?;
        self.swap().await?;
        self.leak().await?;
        Ok(agent)
    }

    async fn refusals(&self) -> Result<(), Problem> {
        self.teller.chapter("What may not run is refused, and the rule that refused it is named").await;
        let mut link = ProcessSpec::new("sly", ["sleep", "1"]);
        link.directory = Some(self.directory.join("looks-harmless"));
        for spec in [ProcessSpec::new("intruder", ["cat", "/etc/hostname"]), link] {
            match self.daemon.supervisor.start(spec).await {
                Err(problem) if problem.class == ErrorClass::SecurityViolation => {}
                Err(other) => return Err(other),
                Ok(id) => return Err(broken(format!("{id} was started and should have been refused"))),
            }
        }
        Ok(())
    }

    async fn crash_loop(&self) -> Result<(), Problem> {
        self.teller.chapter("A worker that crashes comes back with growing delays, until the policy gives up").await;
        self.until(
            "the policy gives up on crasher",
            |body| matches!(body, EventBody::GaveUp { who, .. } if who.name == "crasher"),
        )
        .await?;
        let record = self.daemon.registry.find("crasher").await?;
        self.teller
            .note(&format!("registry: crasher is {}, {} restarts, {}", record.status, record.restarts, record.reason));
        Ok(())
    }

    async fn agent_task(&self) -> Result<AgentResult, Problem> {
        self.teller.chapter("An agent's task is a supervised process with a result").await;
        let request = AgentRequest {
            agent_id: "agent-1".to_owned(),
            agent_type: "summariser".to_owned(),
            task_id: "task-1".to_owned(),
            instructions: "count to three million".to_owned(),
            priority: Priority::High,
            timeout: None,
            directory: None,
            context: Default::default(),
        };
        let result = self.daemon.agents.run(request).await?;
        for line in result.output.lines() {
            self.teller.note(&format!("output: {}", line.trim()));
        }
        let took = human_duration(Duration::from_millis(result.execution_time_ms));
        let cpu = human_duration(Duration::from_millis(result.cpu_time_ms));
        let peak = Bytes(result.peak_memory_bytes);
        self.teller.note(&format!("result: {:?} after {took}, {cpu} of CPU, peak {peak}", result.status));
        Ok(result)
    }

    async fn queue(&self) -> Result<(), Problem> {
        self.teller.chapter("When all places are taken, starts wait in order of priority").await;
        let mut fillers = Vec::new();
        while self.live().await < 6 {
            let spec = sleeper(&format!("filler-{}", fillers.len() + 1), Priority::Normal);
            fillers.push(self.daemon.supervisor.start(spec).await?);
        }
        let mut waiting = Vec::new();
        for priority in [Priority::Low, Priority::Normal, Priority::High] {
            let spec = sleeper(&format!("{priority}-priority"), priority);
            waiting.push(self.daemon.supervisor.start(spec).await?);
        }
        for id in &fillers {
            self.daemon.supervisor.stop(id, "makes room").await?;
        }
        self.until(
            "the waiting ones have started",
            |body| matches!(body, EventBody::Started { who, .. } if who.name == "low-priority"),
        )
        .await?;
        for id in &waiting {
            self.daemon.supervisor.stop(id, "the chapter is over").await?;
        }
        Ok(())
    }

    async fn live(&self) -> usize {
        self.daemon.registry.statistics().await.active
    }

    async fn stubborn(&self) -> Result<(), Problem> {
        self.teller.chapter("A process that ignores SIGTERM is killed when its grace is over").await;
        let mut spec =
            ProcessSpec::new("stubborn", ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.2; done"]);
        spec.graceful_shutdown_timeout = Some(Span(Duration::from_millis(800)));
        let id = self.daemon.supervisor.start(spec).await?;
        self.heard(&id, "deaf").await?;
        self.daemon.supervisor.stop(&id, "asked politely").await
    }

    /// Wait until a process has said this on its standard output.
    async fn heard(&self, id: &ProcessId, word: &str) -> Result<(), Problem> {
        let record = self.daemon.registry.get(id).await;
        let path = record.and_then(|record| record.stdout_path.clone()).map(PathBuf::from);
        let path = path.ok_or_else(|| broken(format!("{id} has no output")))?;
        let said = async {
            while !tokio::fs::read_to_string(&path).await.unwrap_or_default().contains(word) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, said).await.map_err(|_| broken(format!("{id} never said {word}")))
    }

    async fn swap(&self) -> Result<(), Problem> {
        self.teller.chapter("A policy is swapped while everything runs; its scores show at once").await;
        let before = self.score("hog").await?;
        let set = PolicySet::load(&self.directory.join("demo-strict.toml"))
            .map_err(|error| Problem::new(ErrorClass::Configuration, error.to_string()))?;
        self.daemon
            .policies
            .swap(set)
            .await
            .map_err(|error| Problem::new(ErrorClass::Configuration, error.to_string()))?;
        self.until(
            "the new policy lowers the score of hog",
            |body| matches!(body, EventBody::HealthChanged { who, score, .. } if who.name == "hog" && *score < before),
        )
        .await?;
        let after = self.score_below("hog", before).await?;
        self.teller.note(&format!("registry: hog went from score {before} to {after} without being touched"));
        Ok(())
    }

    /// The registry is told once a tick, after the event: wait for it.
    async fn score_below(&self, name: &str, before: u8) -> Result<u8, Problem> {
        let shown = async {
            loop {
                match self.score(name).await {
                    Ok(score) if score >= before => tokio::time::sleep(Duration::from_millis(20)).await,
                    answer => return answer,
                }
            }
        };
        let failed = |_| broken(format!("the registry never showed a lower score of {name}"));
        tokio::time::timeout(PATIENCE, shown).await.map_err(failed)?
    }

    async fn score(&self, name: &str) -> Result<u8, Problem> {
        let record = self.daemon.registry.find(name).await?;
        record.health_score.ok_or_else(|| broken(format!("{name} has no score yet")))
    }

    async fn leak(&self) -> Result<(), Problem> {
        self.teller.chapter("A leak is forecast, alerted, and ended before it reaches its limit").await;
        let leaky = |who: &Who| who.name == "leaky";
        self.until("leaky runs again", |body| matches!(body, EventBody::Restarted { who, .. } if leaky(who))).await?;
        let record = self.daemon.registry.find("leaky").await?;
        let violations = record.violations.get(&LimitKind::Memory).copied().unwrap_or(0);
        self.teller.note(&format!(
            "registry: leaky peaked at {} of 128MiB, {violations} violations of its limit",
            Bytes(record.peak_memory_bytes)
        ));
        let page = self.daemon.registry.query(Query::default()).await;
        let alive = page.processes.iter().filter(|record| !record.status.is_ended()).count();
        self.teller.note(&format!("registry: {alive} processes alive, {} known", page.total));
        Ok(())
    }

    /// Wait until an event of this story fits, one of the past included.
    async fn until(&self, what: &str, fits: impl Fn(&EventBody) -> bool) -> Result<(), Problem> {
        let (past, mut subscription) = self.teller.events().since(0);
        if past.iter().any(|event| fits(&event.body)) {
            return Ok(());
        }
        let waiting = async {
            loop {
                match subscription.next().await {
                    Received::Event(event) if fits(&event.body) => return Ok(()),
                    Received::Event(_) | Received::Missed(_) => {}
                    Received::Closed => return Err(broken(format!("the supervisor ended before {what}"))),
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .map_err(|_| broken(format!("waited a minute in vain until {what}")))?
    }
}

fn sleeper(name: &str, priority: Priority) -> ProcessSpec {
    let mut spec = ProcessSpec::new(name, ["sleep", "600"]);
    spec.priority = priority;
    spec
}

fn broken(message: String) -> Problem {
    Problem::new(ErrorClass::ProcessFailure, message)
}
