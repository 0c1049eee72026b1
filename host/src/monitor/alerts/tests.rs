//! Tests of `monitor::alerts`: tables and properties, no processes.

use super::*;
use Severity::{Critical, Emergency, Warning};

const RULES: AlertRules = AlertRules { cooldown: Duration::from_secs(60), escalation: Duration::from_secs(300) };

fn finding(topic: Topic, severity: Severity) -> Finding {
    Finding { subject: 0, topic, severity, value: 91.0, threshold: 80.0 }
}

/// A process whose memory is evaluated each second.
struct Story {
    book: AlertBook,
    start: Instant,
    second: u64,
    told: Vec<(u64, &'static str, Severity)>,
}

impl Story {
    fn new() -> Self {
        Self { book: AlertBook::default(), start: Instant::now(), second: 0, told: Vec::new() }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.second)
    }

    /// The next so many seconds find this.
    fn then(mut self, seconds: u64, severity: Option<Severity>) -> Self {
        for _ in 0..seconds {
            let found: Vec<_> = severity.map(|severity| finding(Topic::Memory, severity)).into_iter().collect();
            let notices = self.book.evaluate(&found, self.now(), Timestamp(self.second * 1000), RULES);
            self.tell(&notices);
            self.second += 1;
        }
        self
    }

    fn run_ends(mut self) -> Self {
        let notices = self.book.run_ended(self.now());
        self.tell(&notices);
        self
    }

    fn tell(&mut self, notices: &[Notice]) {
        for notice in notices {
            let word = match notice.change {
                Change::Raised => "raised",
                Change::Escalated => "escalated",
                Change::Resolved { .. } => "resolved",
            };
            self.told.push((self.second, word, notice.severity));
        }
    }
}

#[test]
fn what_stays_is_told_once() {
    assert_eq!(Story::new().then(200, Some(Warning)).told, [(0, "raised", Warning)]);
}

#[test]
fn what_gets_worse_is_told_at_once() {
    let story = Story::new().then(2, Some(Warning)).then(1, Some(Critical)).then(1, Some(Emergency));
    assert_eq!(story.told, [(0, "raised", Warning), (2, "escalated", Critical), (3, "escalated", Emergency)]);
}

#[test]
fn what_gets_better_but_not_good_is_not_told() {
    let story = Story::new().then(2, Some(Emergency)).then(50, Some(Warning));
    assert_eq!(story.told, [(0, "raised", Emergency)]);
}

#[test]
fn what_persists_is_raised_step_by_step_up_to_emergency() {
    let story = Story::new().then(1000, Some(Warning));
    assert_eq!(story.told, [(0, "raised", Warning), (300, "escalated", Critical), (600, "escalated", Emergency)]);
}

#[test]
fn what_eases_is_not_raised_for_lasting() {
    let story = Story::new().then(2, Some(Critical)).then(1000, Some(Warning));
    assert_eq!(story.told, [(0, "raised", Critical)]);
}

#[test]
fn what_is_absent_three_times_is_resolved() {
    let story = Story::new().then(5, Some(Warning)).then(2, None).then(1, Some(Warning)).then(3, None);
    assert_eq!(story.told, [(0, "raised", Warning), (10, "resolved", Warning)]);
}

#[test]
fn a_resolved_alert_says_how_long_it_lasted_and_since_when() {
    let (mut book, start) = (AlertBook::default(), Instant::now());
    book.evaluate(&[finding(Topic::Cpu, Warning)], start, Timestamp(7), RULES);
    let lasted = Duration::from_secs(5);
    for absent in 1..=3 {
        let notices = book.evaluate(&[], start + lasted, Timestamp(9), RULES);
        assert_eq!(notices.len(), usize::from(absent == 3));
        if let [notice] = notices[..] {
            assert_eq!(notice.change, Change::Resolved { lasted, cause: Cause::Cleared });
            assert_eq!((notice.since, notice.topic), (Timestamp(7), Topic::Cpu));
        }
    }
}

#[test]
fn what_comes_back_within_the_cooldown_is_hushed_until_it_is_over() {
    let story = Story::new().then(1, Some(Warning)).then(9, None).then(70, Some(Warning));
    assert_eq!(story.told, [(0, "raised", Warning), (3, "resolved", Warning), (60, "raised", Warning)]);
}

#[test]
fn what_comes_back_worse_within_the_cooldown_is_told_at_once() {
    let story = Story::new().then(1, Some(Warning)).then(9, None).then(1, Some(Critical));
    assert_eq!(story.told, [(0, "raised", Warning), (3, "resolved", Warning), (10, "raised", Critical)]);
}

#[test]
fn what_was_hushed_and_went_away_is_not_told_to_be_over() {
    let story = Story::new().then(1, Some(Warning)).then(9, None).then(5, Some(Warning)).then(9, None);
    assert_eq!(story.told, [(0, "raised", Warning), (3, "resolved", Warning)]);
}

#[test]
fn topics_do_not_disturb_each_other() {
    let (mut book, now) = (AlertBook::default(), Instant::now());
    let both = [finding(Topic::Memory, Warning), finding(Topic::Cpu, Critical)];
    assert_eq!(book.evaluate(&both, now, Timestamp(0), RULES).len(), 2);
    assert!(book.evaluate(&both, now, Timestamp(0), RULES).is_empty());
}

#[test]
fn the_end_of_a_run_resolves_what_was_about_it() {
    let story = Story::new().then(2, Some(Critical)).run_ends();
    assert_eq!(story.told, [(0, "raised", Critical), (2, "resolved", Critical)]);
    assert!(story.run_ends().told.len() == 2, "it is resolved once");
}

#[test]
fn an_alert_about_restarts_survives_the_end_of_a_run_and_ends_with_the_process() {
    let (mut book, now) = (AlertBook::default(), Instant::now());
    book.evaluate(&[finding(Topic::Restarts, Warning)], now, Timestamp(0), RULES);
    assert_eq!(book.run_ended(now), []);
    let causes: Vec<_> = book.forget(now).iter().map(|notice| notice.change).collect();
    assert_eq!(causes, [Change::Resolved { lasted: Duration::ZERO, cause: Cause::Forgotten }]);
}

#[test]
fn a_leak_that_returns_with_each_run_is_not_told_with_each_run() {
    let mut story = Story::new();
    for _ in 0..5 {
        story = story.then(5, Some(Critical)).run_ends();
    }
    assert_eq!(story.told, [(0, "raised", Critical), (5, "resolved", Critical)]);
}

#[test]
fn nothing_is_kept_after_the_cooldown() {
    let story = Story::new().then(1, Some(Warning)).then(61, None);
    assert!(story.book.is_empty());
}
