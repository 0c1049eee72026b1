//! Limits that the monitor enforces: what a sample breaks, and what should follow.
//!
//! Pure: no clock, no I/O. Only the monitor enters. Execution time and timeout are the supervisor's own timers.
//!
//! | limit | broken when | what follows |
//! | --- | --- | --- |
//! | memory | a sample is over it | the run is ended and the restart policy asked |
//! | CPU | [`CPU_TICKS`] samples in a row are over it | the tree is made less favoured, once in a run |
//! | file handles | a sample is over it | it is told |
//! | threads and processes | a sample is over it | it is told |
//!
//! A limit that stays broken, or breaks again soon, is counted again every [`COUNT_AGAIN`].

use std::time::{Duration, Instant};

use crate::decision::LimitKind;
use crate::link::Action;
use crate::sample::Sample;
use crate::spec::Limits;

/// Samples in a row over the limit that make a CPU hog: one is a burst.
const CPU_TICKS: u32 = 3;
/// How often a limit that stays broken is counted.
const COUNT_AGAIN: Duration = Duration::from_secs(10);

/// A limit was broken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Violation {
    /// Which.
    pub(super) limit: LimitKind,
    /// What was measured, in the unit of the limit.
    pub(super) value: f64,
    /// The limit.
    pub(super) threshold: f64,
    /// What follows; nothing but the telling when absent.
    pub(super) action: Option<Action>,
}

impl Violation {
    /// What follows, in a word.
    pub(super) const fn action_word(&self) -> &'static str {
        match self.action {
            Some(Action::Restart) => "restart",
            Some(Action::Throttle) => "throttle",
            None => "warn",
        }
    }
}

/// What was seen so far of one run's limits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LimitWatch {
    cpu_ticks: u32,
    throttled: bool,
    counted: [Option<Instant>; 4],
}

impl LimitWatch {
    /// Compare a sample with the limits; tells each violation that is due to be counted.
    pub(super) fn see(&mut self, sample: &Sample, limits: &Limits, now: Instant, mut tell: impl FnMut(Violation)) {
        let memory = limits.memory.map(|limit| (sample.memory_bytes as f64, limit.get() as f64));
        let cpu = limits.cpu.map(|limit| (f64::from(sample.cpu_percent), limit.get()));
        let handles = limits.file_handles.map(|limit| (f64::from(sample.file_handles), f64::from(limit)));
        let pids = limits.pids.map(|limit| (f64::from(sample.threads), f64::from(limit)));

        self.count(0, LimitKind::Memory, memory, now, Some(Action::Restart), &mut tell);
        self.cpu_ticks = if cpu.is_some_and(is_over) { self.cpu_ticks.saturating_add(1) } else { 0 };
        if self.cpu_ticks >= CPU_TICKS {
            let action = (!self.throttled).then_some(Action::Throttle);
            self.throttled |= self.count(1, LimitKind::Cpu, cpu, now, action, &mut tell);
        }
        self.count(2, LimitKind::FileHandles, handles, now, None, &mut tell);
        self.count(3, LimitKind::Pids, pids, now, None, &mut tell);
    }

    /// Whether a violation was told.
    fn count(
        &mut self,
        place: usize,
        limit: LimitKind,
        measured: Option<(f64, f64)>,
        now: Instant,
        action: Option<Action>,
        tell: &mut impl FnMut(Violation),
    ) -> bool {
        let Some((value, threshold)) = measured.filter(|pair| is_over(*pair)) else { return false };
        if self.counted[place].is_some_and(|last| now.saturating_duration_since(last) < COUNT_AGAIN) {
            return false;
        }
        self.counted[place] = Some(now);
        tell(Violation { limit, value, threshold, action });
        true
    }
}

fn is_over((value, threshold): (f64, f64)) -> bool {
    value > threshold
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Bytes, Percent};

    fn limits() -> Limits {
        Limits {
            memory: Some(Bytes::mib(100)),
            cpu: Some(Percent(80.0)),
            file_handles: Some(10),
            pids: Some(4),
            ..Limits::default()
        }
    }

    fn sample(mib: u64, cpu: f32, handles: u32, threads: u32) -> Sample {
        Sample { memory_bytes: mib << 20, cpu_percent: cpu, file_handles: handles, threads, ..Sample::default() }
    }

    /// What each of these samples, a second apart, leads to.
    fn run(samples: &[Sample], limits: &Limits) -> Vec<Vec<(LimitKind, &'static str)>> {
        let (mut watch, start) = (LimitWatch::default(), Instant::now());
        let mut told = Vec::new();
        for (second, sample) in samples.iter().enumerate() {
            let mut tick = Vec::new();
            let now = start + Duration::from_secs(second as u64);
            watch.see(sample, limits, now, |found| tick.push((found.limit, found.action_word())));
            told.push(tick);
        }
        told
    }

    #[test]
    fn a_sample_at_the_limit_breaks_nothing() {
        assert_eq!(run(&[sample(100, 80.0, 10, 4); 4], &limits()), vec![vec![]; 4]);
    }

    #[test]
    fn memory_over_its_limit_asks_for_a_restart_at_once() {
        assert_eq!(run(&[sample(101, 0.0, 1, 1)], &limits()), [[(LimitKind::Memory, "restart")]]);
    }

    #[test]
    fn cpu_counts_from_the_third_tick_and_a_pause_starts_the_count_anew() {
        let (hot, cool) = (sample(1, 100.0, 1, 1), sample(1, 10.0, 1, 1));
        let told = run(&[hot, hot, cool, hot, hot, hot, hot], &limits());
        let told: Vec<_> = told.iter().map(Vec::len).collect();
        assert_eq!(told, [0, 0, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn a_cpu_hog_is_throttled_once_and_counted_every_ten_seconds() {
        let told: Vec<_> = run(&[sample(1, 100.0, 1, 1); 24], &limits()).concat();
        assert_eq!(told, [(LimitKind::Cpu, "throttle"), (LimitKind::Cpu, "warn"), (LimitKind::Cpu, "warn")]);
    }

    #[test]
    fn handles_and_threads_are_told_but_nothing_follows() {
        let told = run(&[sample(1, 0.0, 11, 5)], &limits());
        assert_eq!(told, [[(LimitKind::FileHandles, "warn"), (LimitKind::Pids, "warn")]]);
    }

    #[test]
    fn a_limit_that_is_off_cannot_be_broken() {
        let off = Limits { memory: None, cpu: None, file_handles: None, pids: None, ..limits() };
        assert_eq!(run(&[sample(9999, 900.0, 9999, 9999); 5], &off), vec![vec![]; 5]);
    }
}
