//! Tests of `monitor::watchlist`: tables and properties, no processes.

use super::*;
use crate::alert::{Severity, Topic};
use crate::health::HealthStatus;
use crate::monitor::watched::tests::{began, sample, verdict};

struct Scene {
    list: Watchlist,
    start: Instant,
    out: Outcome,
}

impl Scene {
    fn new() -> Self {
        Self { list: Watchlist::new(MonitorConfig::default()), start: Instant::now(), out: Outcome::default() }
    }

    fn at(&self, second: u64) -> Instant {
        self.start + Duration::from_secs(second)
    }

    fn begin(&mut self, name: &str, run: u32, second: u64) -> u64 {
        self.list.began(began(name, run, self.at(second)), self.at(second))
    }

    fn end(&mut self, name: &str, run: u32, how: (bool, bool), second: u64) -> Option<u64> {
        let (id, now) = (ProcessId::new(format!("p-{name}")), self.at(second));
        self.list.ended(&id, run, how, now, &mut self.out)
    }

    fn read(&mut self, keys: &[u64], mib: u64, second: u64) -> Round {
        let readings: Vec<_> =
            keys.iter().map(|key| Reading { key: *key, sample: Some(sample(mib, second)) }).collect();
        self.list.take_readings(&readings, self.at(second), Timestamp(second * 1000), &mut self.out)
    }

    /// A tick in which each run has this memory and each process that finding.
    fn tick(&mut self, keys: &[u64], mib: u64, finding: Option<(Topic, Severity)>, second: u64) {
        let mut round = self.read(keys, mib, second);
        let verdicts = vec![Some(verdict(90, HealthStatus::Healthy)); round.len()];
        self.list.take_verdicts(&round, verdicts, &mut self.out);
        let subjects = self.list.alert_batch(&mut round).len();
        let findings = finding.map_or(Vec::new(), |(topic, severity)| {
            (0..subjects).map(|subject| Finding { subject, topic, severity, value: 91.0, threshold: 90.0 }).collect()
        });
        let answer = AlertAnswer { findings, memos: vec![second; subjects] };
        self.list.take_findings(&round, answer, &mut self.out);
    }

    /// Alerts told so far: whose, and what happened.
    fn alerts(&self) -> Vec<(&str, &str)> {
        let told = self.out.tells.iter().filter_map(|tell| match tell {
            Tell::Alert(tell) => Some(tell),
            Tell::Health(_) => None,
        });
        told.map(|tell| {
            let word = match tell.notice.change {
                super::super::alerts::Change::Raised => "raised",
                super::super::alerts::Change::Escalated => "escalated",
                super::super::alerts::Change::Resolved { .. } => "resolved",
            };
            (tell.identity.name.as_str(), word)
        })
        .collect()
    }
}

#[test]
fn answers_find_their_run_by_position() {
    let mut scene = Scene::new();
    let keys = [scene.begin("a", 1, 0), scene.begin("b", 1, 0), scene.begin("c", 1, 0)];
    let mut round = scene.read(&keys, 10, 1);
    let (subjects, history) = scene.list.health_batch(&mut round);
    let names: Vec<_> = subjects.iter().map(|subject| subject.identity.name.clone()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(history.len(), 3 * HISTORY_LENGTH);
    let verdicts = [90, 70, 40].map(|score| Some(verdict(score, HealthStatus::Healthy)));
    scene.list.take_verdicts(&round, verdicts, &mut scene.out);
    let scores: Vec<_> = scene
        .list
        .observations(&round, HashMap::new())
        .iter()
        .map(|seen| (seen.process_id.as_str().to_owned(), seen.verdict.unwrap().score))
        .collect();
    assert_eq!(scores, [("p-a".to_owned(), 90), ("p-b".to_owned(), 70), ("p-c".to_owned(), 40)]);
}

#[test]
fn a_run_that_ends_between_two_stages_moves_nobody_elses_answer() {
    let mut scene = Scene::new();
    let keys = [scene.begin("a", 1, 0), scene.begin("b", 1, 0)];
    let mut round = scene.read(&keys, 10, 1);
    scene.list.health_batch(&mut round);
    scene.end("a", 1, (false, false), 1);
    let verdicts = [Some(verdict(10, HealthStatus::Failing)), Some(verdict(70, HealthStatus::Warning))];
    scene.list.take_verdicts(&round, verdicts, &mut scene.out);
    let seen = scene.list.observations(&round, HashMap::new());
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].process_id.as_str(), seen[0].verdict.unwrap().score), ("p-b", 70));
}

#[test]
fn findings_in_any_order_reach_their_process() {
    let mut scene = Scene::new();
    let keys = [scene.begin("a", 1, 0), scene.begin("b", 1, 0), scene.begin("c", 1, 0)];
    let mut round = scene.read(&keys, 10, 1);
    scene.list.alert_batch(&mut round);
    let found =
        |subject| Finding { subject, topic: Topic::Cpu, severity: Severity::Warning, value: 1.0, threshold: 1.0 };
    let answer = AlertAnswer { findings: vec![found(2), found(0), found(99)], memos: Vec::new() };
    scene.list.take_findings(&round, answer, &mut scene.out);
    assert_eq!(scene.alerts(), [("a", "raised"), ("c", "raised")]);
}

#[test]
fn memos_come_back_to_their_process_in_the_next_round() {
    let mut scene = Scene::new();
    let keys = [scene.begin("a", 1, 0)];
    scene.tick(&keys, 10, None, 7);
    let mut round = scene.read(&keys, 10, 8);
    assert_eq!(scene.list.alert_batch(&mut round)[0].reading.memo, 7);
    assert_eq!(scene.list.health_batch(&mut round).0[0].reading.memo, 90);
}

#[test]
fn a_restarted_process_remembers_its_failures_and_restarts() {
    let mut scene = Scene::new();
    for run in 1..=3 {
        let second = u64::from(run);
        let key = scene.begin("a", run, second);
        let mut round = scene.read(&[key], 10, second);
        let reading = scene.list.alert_batch(&mut round)[0].reading;
        assert_eq!(reading.recent_restarts, run - 1);
        let seen = scene.list.observations(&round, HashMap::new());
        assert_eq!(u32::from(seen[0].stability), 100 - 25 * (run - 1));
        scene.end("a", run, (true, run > 1), second);
    }
}

#[test]
fn a_restart_after_success_is_counted_once() {
    let mut scene = Scene::new();
    scene.begin("a", 1, 0);
    scene.end("a", 1, (false, false), 1);
    scene.begin("a", 2, 2);
    scene.end("a", 2, (false, true), 3);
    let key = scene.begin("a", 3, 4);
    let mut round = scene.read(&[key], 10, 5);
    assert_eq!(scene.list.alert_batch(&mut round)[0].reading.recent_restarts, 1);
}

#[test]
fn news_of_an_older_run_does_not_end_a_younger_one() {
    let mut scene = Scene::new();
    let key = scene.begin("a", 2, 0);
    assert_eq!(scene.end("a", 1, (true, false), 1), None);
    assert_eq!(scene.end("a", 2, (true, false), 1), Some(key));
    assert!(scene.list.is_empty());
}

#[test]
fn an_alert_is_told_once_and_resolved_when_the_run_ends() {
    let mut scene = Scene::new();
    let keys = [scene.begin("a", 1, 0)];
    for second in 1..10 {
        scene.tick(&keys, 10, Some((Topic::Memory, Severity::Warning)), second);
    }
    scene.end("a", 1, (true, false), 10);
    assert_eq!(scene.alerts(), [("a", "raised"), ("a", "resolved")]);
}

#[test]
fn an_alert_about_restarts_is_resolved_when_the_process_stays_away() {
    let mut scene = Scene::new();
    let keys = [scene.begin("a", 1, 0)];
    scene.tick(&keys, 10, Some((Topic::Restarts, Severity::Warning)), 1);
    scene.end("a", 1, (true, false), 2);
    let fades = scene.list.next_fading().unwrap();
    scene.list.fade(fades - Duration::from_millis(1), &mut scene.out);
    assert_eq!(scene.alerts(), [("a", "raised")]);
    scene.list.fade(fades, &mut scene.out);
    assert_eq!(scene.alerts(), [("a", "raised"), ("a", "resolved")]);
    assert_eq!(scene.list.next_fading(), None);
}

#[test]
fn the_past_is_bounded() {
    let mut scene = Scene::new();
    for number in 0..MOST_PAST + 100 {
        let name = format!("n{number}");
        scene.begin(&name, 1, 0);
        scene.end(&name, 1, (false, false), number as u64);
    }
    assert_eq!((scene.list.past.len(), scene.list.fading.len()), (MOST_PAST, MOST_PAST));
    assert!(!scene.list.past.contains_key(&ProcessId::new("p-n0")), "the oldest went first");
}

#[test]
fn a_crash_loop_keeps_one_memory_of_its_process() {
    let mut scene = Scene::new();
    for run in 1..500 {
        scene.begin("a", run, run.into());
        scene.end("a", run, (true, run > 1), run.into());
    }
    assert_eq!((scene.list.past.len(), scene.list.fading.len()), (1, 1));
}

#[test]
fn a_broken_limit_is_told_counted_and_asked_about() {
    let mut scene = Scene::new();
    let keys = [scene.begin("a", 1, 0)];
    scene.tick(&keys, 120, None, 1);
    assert_eq!(scene.out.violations, [(ProcessId::new("p-a"), LimitKind::Memory)]);
    let told = scene
        .out
        .events
        .iter()
        .any(|event| matches!(event, EventBody::LimitViolated { count: 1, action, .. } if action == "restart"));
    assert!(told, "{:?}", scene.out.events);
    let mut asked = Vec::new();
    let now = scene.at(1);
    scene.list.ask(now, |request| {
        asked.push(request);
        true
    });
    assert!(matches!(asked[..], [Enforcement::LimitBroken { limit: LimitKind::Memory, .. }]), "{asked:?}");
}

#[test]
fn a_changed_interval_forgets_samples_that_no_longer_fit() {
    let mut scene = Scene::new();
    let keys = [scene.begin("a", 1, 0)];
    scene.tick(&keys, 10, None, 1);
    let mut config = MonitorConfig { idle_after: crate::units::Span::seconds(5), ..MonitorConfig::default() };
    scene.list.reconfigure(config.clone());
    assert!(!scene.list.run_of(&ProcessId::new("p-a")).unwrap().1.history()[HISTORY_LENGTH - 1].is_nan());
    config.interval = crate::units::Span::seconds(2);
    scene.list.reconfigure(config);
    assert!(scene.list.run_of(&ProcessId::new("p-a")).unwrap().1.history()[HISTORY_LENGTH - 1].is_nan());
}
