//! The monitor over real processes, the real registry and the embedded policies.

use super::*;
use crate::alert::Severity;
use crate::decision::LimitKind;
use crate::event::{EventBody, Received, Subscription};
use crate::link::{Action, RunBegan};
use crate::monitor::watched::tests::began;
use crate::platform::{ExitWatch, InProcessLauncher, LaunchPlan, Launcher};
use crate::policy::{PolicyHostConfig, PolicySet};
use crate::registry::{RegistryConfig, fixture};
use crate::units::Bytes;
use std::time::{Duration, Instant};

/// No test waits as long as this unless something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

struct Scene {
    monitor: Monitor,
    registry: Registry,
    events: Subscription,
    news: mpsc::Sender<RunNews>,
    enforcement: mpsc::Receiver<Enforcement>,
    _state: tempfile::TempDir,
    launcher: InProcessLauncher,
}

impl Scene {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let events = Arc::new(EventBus::default());
        let subscription = events.subscribe();
        let database = state.path().join("registry.db");
        let (registry, _) = Registry::open(RegistryConfig { database, retention: 10 }).unwrap();
        // Shared between tests and test runs: compiling four plugins for each test takes most of its time.
        let cache_dir = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/test-policy-cache").into());
        let policies =
            PolicyHost::start(PolicyHostConfig { cache_dir }, PolicySet::default(), Arc::clone(&events)).unwrap();
        let (news, news_inbox) = mpsc::channel(16);
        let (enforcement_outbox, enforcement) = mpsc::channel(16);
        let config = MonitorConfig { interval: Span(Duration::from_millis(100)), ..MonitorConfig::default() };
        let launcher = InProcessLauncher::default();
        let monitor = Monitor::launch(MonitorParts {
            config,
            registry: registry.clone(),
            policies,
            events,
            news: news_inbox,
            enforcement: enforcement_outbox,
        });
        Self { monitor, registry, events: subscription, news, enforcement, _state: state, launcher }
    }

    /// A real run under watch; it is killed with what is given back.
    async fn begin(&mut self, name: &str, change: impl FnOnce(&mut RunBegan)) -> Killed {
        let mut run = began(name, 1, Instant::now());
        run.health_check = None;
        change(&mut run);
        let id = run.identity.process_id.clone();
        let argv = vec!["sleep".to_owned(), "1000".to_owned()];
        let plan = LaunchPlan::new(id.clone(), "/bin/sleep".into(), argv, "/".into());
        let launched = self.launcher.launch(plan).outcome().await.unwrap();
        let tree = crate::platform::Tree::of(&launched, id);
        run.run = launched.identity;
        self.registry.insert(fixture::record(run.identity.process_id.as_str())).await;
        self.news.send(RunNews::Began(run)).await.unwrap();
        Killed { tree, exit: Some(launched.exit) }
    }

    async fn event(&mut self, wanted: impl Fn(&EventBody) -> bool) -> EventBody {
        let found = async {
            loop {
                match self.events.next().await {
                    Received::Event(event) if wanted(&event.body) => return event.body.clone(),
                    Received::Closed => panic!("the bus is gone"),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("an event that never came")
    }

    async fn record(&self, id: &str, wanted: impl Fn(&crate::record::ProcessRecord) -> bool) {
        let found = async {
            while !self.registry.get(&ProcessId::new(id)).await.is_some_and(|record| wanted(&record)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("a record that never came about");
    }

    async fn enforced(&mut self) -> Enforcement {
        tokio::time::timeout(PATIENCE, self.enforcement.recv()).await.expect("a request that never came").unwrap()
    }
}

/// Kills a run when the test is over.
struct Killed {
    tree: crate::platform::Tree,
    exit: Option<ExitWatch>,
}

impl Killed {
    async fn now(mut self) {
        self.tree.signal(crate::spec::StopSignal::KILL).unwrap();
        self.exit.take().unwrap().wait().await;
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.tree.signal(crate::spec::StopSignal::KILL);
    }
}

#[tokio::test]
async fn a_run_is_measured_judged_and_recorded() {
    let mut scene = Scene::new();
    let run = scene.begin("web", |_| {}).await;
    scene
        .record("p-web", |record| {
            record.health_score == Some(100) && record.usage.is_some_and(|usage| usage.memory_bytes > 0)
        })
        .await;
    let cost = scene.registry.statistics().await.monitor;
    assert!(cost.ticks > 0 && cost.samples > 0, "{cost:?}");
    run.now().await;
}

#[tokio::test]
async fn a_run_over_its_memory_is_told_of_in_words_counted_and_to_be_restarted() {
    let mut scene = Scene::new();
    let run = scene.begin("web", |run| run.limits.memory = Some(Bytes(4096))).await;
    let violated = scene.event(|event| matches!(event, EventBody::LimitViolated { .. })).await;
    assert!(matches!(violated, EventBody::LimitViolated { limit: LimitKind::Memory, count: 1, .. }), "{violated:?}");
    let changed = scene.event(|event| matches!(event, EventBody::HealthChanged { .. })).await;
    let EventBody::HealthChanged { score, previous_score, descriptions, .. } = changed else { unreachable!() };
    assert_eq!((score, previous_score), (75, 100));
    assert!(descriptions[0].contains("memory"), "{descriptions:?}");
    let raised = scene.event(|event| matches!(event, EventBody::AlertRaised { .. })).await;
    let EventBody::AlertRaised { alert } = raised else { unreachable!() };
    assert_eq!((alert.name.as_str(), alert.severity), ("web", Severity::Emergency));
    assert!(!alert.message.is_empty());
    let limit = LimitKind::Memory;
    let wanted =
        Enforcement::LimitBroken { process_id: ProcessId::new("p-web"), run_number: 1, limit, action: Action::Restart };
    assert_eq!(scene.enforced().await, wanted);
    scene.record("p-web", |record| record.violations.get(&limit) == Some(&1)).await;
    run.now().await;
}

#[tokio::test]
async fn an_alert_is_resolved_when_its_run_has_ended() {
    let mut scene = Scene::new();
    let run = scene.begin("web", |run| run.limits.memory = Some(Bytes(4096))).await;
    scene.event(|event| matches!(event, EventBody::AlertRaised { .. })).await;
    run.now().await;
    let process_id = ProcessId::new("p-web");
    let ended = RunNews::Ended { process_id, run_number: 1, failed: true, restarted: false };
    scene.news.send(ended).await.unwrap();
    let resolved = scene.event(|event| matches!(event, EventBody::AlertResolved { .. })).await;
    assert!(matches!(resolved, EventBody::AlertResolved { alert, .. } if alert.name == "web"));
}

#[tokio::test]
async fn a_run_that_fails_its_health_check_for_good_is_to_be_restarted() {
    let mut scene = Scene::new();
    let run = scene
        .begin("web", |run| {
            let mut check = began("web", 1, Instant::now()).health_check.unwrap();
            check.command = vec!["false".to_owned()];
            check.interval = Some(Span(Duration::from_millis(20)));
            check.start_period = Span::default();
            run.health_check = Some(check);
        })
        .await;
    let told = scene.event(|event| matches!(event, EventBody::HealthCheck { .. })).await;
    assert!(matches!(told, EventBody::HealthCheck { passed: false, failures: 3, .. }), "{told:?}");
    assert!(matches!(scene.enforced().await, Enforcement::Unhealthy { run_number: 1, .. }));
    run.now().await;
}

#[tokio::test]
async fn a_live_run_can_be_explained_and_no_other() {
    let mut scene = Scene::new();
    let id = ProcessId::new("p-web");
    assert_eq!(scene.monitor.explain(&id).await.unwrap_err().class, ErrorClass::NotFound);
    let run = scene.begin("web", |_| {}).await;
    scene.record("p-web", |record| record.health_score.is_some()).await;
    let report = scene.monitor.explain(&id).await.unwrap();
    assert_eq!((report.verdict.score, report.explained.len()), (100, 0));
    run.now().await;
}

#[tokio::test]
async fn without_runs_nothing_ticks() {
    let scene = Scene::new();
    // The monitor answers, so it works; an hour later it has still not ticked.
    scene.monitor.explain(&ProcessId::new("p-web")).await.unwrap_err();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3600)).await;
    scene.monitor.explain(&ProcessId::new("p-web")).await.unwrap_err();
    assert_eq!(scene.registry.statistics().await.monitor.ticks, 0);
}

#[tokio::test]
async fn the_monitor_ends_with_its_supervisor() {
    let Scene { monitor, news, .. } = Scene::new();
    drop(news);
    let id = ProcessId::new("p-web");
    let ended =
        async { while monitor.explain(&id).await.is_err_and(|problem| problem.class != ErrorClass::Unavailable) {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("the monitor goes on without news");
}
