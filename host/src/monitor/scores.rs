//! Responsiveness and stability: two scores from 0 to 100 that the monitor hands to the health policy.
//!
//! Pure: no clock, no I/O. Only the monitor enters.
//!
//! # Responsiveness
//! Without a health check a process answers as far as anybody can tell: 100. With one, the last latency rules: up to
//! a tenth of the timeout is 100, from there it falls on a straight line to 60 at the whole timeout. Each failure in a
//! row takes 25 off that, and as many failures as there are retries make it 0. A main process that has been waiting
//! uninterruptibly for [`STUCK_TICKS`] ticks, or that somebody else has stopped, has at most [`STUCK`].
//!
//! # Stability
//! 100 less a penalty for each failed run, restart and broken limit of the last [`WINDOW`]. A penalty fades on a
//! straight line to nothing at the end of the window.

use std::time::Duration;

use crate::sample::ProcessState;

/// How far back stability and `recent_restarts` look. Source: `recent-restarts` in wit/0.1/alert.wit.
pub(super) const WINDOW: Duration = Duration::from_secs(600);

/// Share of the timeout up to which an answer counts as immediate.
const AT_ONCE: f64 = 0.1;
/// What an answer in the last moment is worth.
const IN_THE_LAST_MOMENT: f64 = 60.0;
/// What a failure takes off.
const FAILURE_COST: f64 = 25.0;
/// At most this for a process that the scheduler shows as stuck.
const STUCK: u8 = 20;
/// Ticks in a row of uninterruptible waiting that count as stuck; one or two are a slow disk.
const STUCK_TICKS: u32 = 3;

/// What the health check of one run has said so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CheckFacts {
    /// How long one check may take.
    pub(super) timeout: Duration,
    /// Failures in a row that make the process count as not responding.
    pub(super) retries: u32,
    /// How long the last success took; none before the first.
    pub(super) latency: Option<Duration>,
    /// Failures in a row.
    pub(super) failures: u32,
}

impl CheckFacts {
    /// Whether it has failed for good.
    pub(super) const fn has_failed(&self) -> bool {
        self.failures >= self.retries
    }
}

/// Responsiveness by the formula of the module's header.
pub(super) fn responsiveness(check: Option<&CheckFacts>, stuck: bool) -> u8 {
    let answered = match check {
        None => 100,
        Some(check) if check.has_failed() => 0,
        Some(check) => {
            let base = check.latency.map_or(100.0, |latency| latency_score(latency, check.timeout));
            (base - FAILURE_COST * f64::from(check.failures)).clamp(0.0, 100.0).round() as u8
        }
    };
    if stuck { answered.min(STUCK) } else { answered }
}

fn latency_score(latency: Duration, timeout: Duration) -> f64 {
    let share = latency.as_secs_f64() / timeout.as_secs_f64().max(f64::MIN_POSITIVE);
    let late = ((share - AT_ONCE) / (1.0 - AT_ONCE)).clamp(0.0, 1.0);
    100.0 - late * (100.0 - IN_THE_LAST_MOMENT)
}

/// Ticks in a row in which the main process could not be interrupted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StuckWatch {
    ticks: u32,
}

impl StuckWatch {
    /// Take in the state of this tick; whether the process counts as stuck. One that we paused is not blamed.
    pub(super) fn see(&mut self, state: ProcessState, paused: bool) -> bool {
        self.ticks = if state == ProcessState::Uninterruptible { self.ticks.saturating_add(1) } else { 0 };
        self.ticks >= STUCK_TICKS || (state == ProcessState::Stopped && !paused)
    }
}

/// Something that makes a process less stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// A run ended by failure.
    Failure,
    /// A run that began was a restart.
    Restart,
    /// A limit was broken.
    Violation,
}

impl Mark {
    const fn penalty(self) -> f64 {
        match self {
            Self::Failure => 20.0,
            Self::Restart | Self::Violation => 5.0,
        }
    }
}

/// Stability by the formula of the module's header, from marks and their ages.
pub(super) fn stability(marks: impl Iterator<Item = (Mark, Duration)>) -> u8 {
    let lost: f64 =
        marks.map(|(mark, age)| mark.penalty() * (1.0 - age.as_secs_f64() / WINDOW.as_secs_f64()).max(0.0)).sum();
    (100.0 - lost).max(0.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(latency_ms: Option<u64>, failures: u32) -> CheckFacts {
        let latency = latency_ms.map(Duration::from_millis);
        CheckFacts { timeout: Duration::from_secs(1), retries: 3, latency, failures }
    }

    #[test]
    fn responsiveness_follows_latency_and_failures() {
        for (latency_ms, failures, score) in [
            (None, 0, 100),
            (Some(0), 0, 100),
            (Some(100), 0, 100),
            (Some(550), 0, 80),
            (Some(1000), 0, 60),
            (Some(9000), 0, 60),
            (Some(50), 1, 75),
            (Some(50), 2, 50),
            (Some(1000), 2, 10),
            (None, 1, 75),
            (Some(50), 3, 0),
            (Some(50), 7, 0),
        ] {
            assert_eq!(responsiveness(Some(&facts(latency_ms, failures)), false), score, "{latency_ms:?}, {failures}");
        }
    }

    #[test]
    fn a_process_without_a_health_check_answers_unless_it_is_stuck() {
        assert_eq!(responsiveness(None, false), 100);
        assert_eq!(responsiveness(None, true), 20);
        assert_eq!(responsiveness(Some(&facts(None, 3)), true), 0);
    }

    #[test]
    fn only_the_third_tick_of_uninterruptible_waiting_counts_as_stuck() {
        let mut watch = StuckWatch::default();
        let states = [ProcessState::Uninterruptible; 3].map(|state| watch.see(state, false));
        assert_eq!(states, [false, false, true]);
        assert!(!watch.see(ProcessState::Running, false));
        assert!(!watch.see(ProcessState::Uninterruptible, false), "the count starts anew");
    }

    #[test]
    fn a_stopped_process_is_stuck_unless_we_paused_it() {
        assert!(StuckWatch::default().see(ProcessState::Stopped, false));
        assert!(!StuckWatch::default().see(ProcessState::Stopped, true));
    }

    #[test]
    fn stability_falls_with_each_mark_and_comes_back_with_time() {
        let at = Duration::from_secs;
        for (marks, score) in [
            (vec![], 100),
            (vec![(Mark::Failure, at(0))], 80),
            (vec![(Mark::Failure, at(300))], 90),
            (vec![(Mark::Failure, at(600))], 100),
            (vec![(Mark::Failure, at(9000))], 100),
            (vec![(Mark::Failure, at(0)), (Mark::Restart, at(0))], 75),
            (vec![(Mark::Violation, at(0)); 3], 85),
            (vec![(Mark::Failure, at(0)); 9], 0),
        ] {
            assert_eq!(stability(marks.iter().copied()), score, "{marks:?}");
        }
    }
}
