//! What outlives a run: failures, restarts and violations of a process, and its alerts.
//!
//! Pure: the present moment is passed in. Only the monitor enters. Bounded: [`MOST_MARKS`] marks, the oldest go first.

use std::collections::VecDeque;
use std::time::Instant;

use super::alerts::AlertBook;
use super::scores::{self, Mark, WINDOW};
use crate::decision::LimitKind;

/// More marks than this change no score: stability is 0 long before.
const MOST_MARKS: usize = 64;

/// The memory of one process over its runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Chronicle {
    marks: VecDeque<(Instant, Mark)>,
    violations: [u32; LimitKind::ALL.len()],
    /// Whether the last run ended by failure; none before its end.
    pub(super) last_failed: bool,
    /// What was found and told.
    pub(super) alerts: AlertBook,
}

impl Chronicle {
    /// Remember something that makes the process less stable.
    pub(super) fn mark(&mut self, mark: Mark, now: Instant) {
        if self.marks.len() == MOST_MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back((now, mark));
    }

    /// Remember a broken limit; gives how often it was broken so far.
    pub(super) fn violated(&mut self, limit: LimitKind, now: Instant) -> u32 {
        self.mark(Mark::Violation, now);
        let count = &mut self.violations[limit as usize];
        *count = count.saturating_add(1);
        *count
    }

    /// Stability, 0 to 100 (`scores`). Forgets what is older than the window.
    pub(super) fn stability(&mut self, now: Instant) -> u8 {
        while self.marks.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= WINDOW) {
            self.marks.pop_front();
        }
        scores::stability(self.marks.iter().map(|(at, mark)| (*mark, now.saturating_duration_since(*at))))
    }

    /// Restarts within the window.
    pub(super) fn recent_restarts(&self, now: Instant) -> u32 {
        let recent = |at: &Instant| now.saturating_duration_since(*at) < WINDOW;
        self.marks.iter().filter(|(at, mark)| *mark == Mark::Restart && recent(at)).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn restarts_count_for_the_window_and_no_longer() {
        let (mut chronicle, start) = (Chronicle::default(), Instant::now());
        chronicle.mark(Mark::Restart, start);
        chronicle.mark(Mark::Restart, start + Duration::from_secs(60));
        assert_eq!(chronicle.recent_restarts(start + Duration::from_secs(60)), 2);
        assert_eq!(chronicle.recent_restarts(start + WINDOW), 1);
        assert_eq!(chronicle.stability(start + WINDOW + Duration::from_secs(60)), 100);
    }

    #[test]
    fn a_crash_storm_costs_no_more_memory_than_a_few_crashes() {
        let (mut chronicle, now) = (Chronicle::default(), Instant::now());
        for _ in 0..10_000 {
            chronicle.mark(Mark::Failure, now);
        }
        assert_eq!(chronicle.marks.len(), MOST_MARKS);
        assert_eq!(chronicle.stability(now), 0);
    }

    #[test]
    fn violations_are_counted_by_limit() {
        let (mut chronicle, now) = (Chronicle::default(), Instant::now());
        assert_eq!(chronicle.violated(LimitKind::Memory, now), 1);
        assert_eq!(chronicle.violated(LimitKind::Memory, now), 2);
        assert_eq!(chronicle.violated(LimitKind::Cpu, now), 1);
    }
}
