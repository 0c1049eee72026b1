//! Limits that the monitor enforces: what a sample breaks, and what should follow.
//!
//! Pure: no clock, no I/O. Only the monitor enters. Execution time and timeout are the supervisor's own timers; what the
//! kernel keeps for a run (`KernelHolds`) cannot be broken and is left to it.
//!
//! A breach climbs a ladder while it lasts: *warn* (it is told), *throttle* (the tree gives way to everybody else, once in
//! a run), *restart* (the run is ended and its restart policy asked), *stop* (the same for one that is not wanted back; a
//! restart policy that gives up comes to it as well). How far it climbs, in samples in a row over the limit:
//!
//! | limit | warn | throttle | restart or stop |
//! | --- | --- | --- | --- |
//! | memory | 1st | 2nd | 3rd, and at once from 110 % on: it cannot be waited out |
//! | CPU | - | 3rd: one is a burst | never: whoever gives way harms nobody |
//! | file handles | 1st | never | never: the kernel refuses more |
//! | threads and processes | 1st | 10th | 30th |
//!
//! Each rung is told once, and a limit that stays broken is counted again every [`COUNT_AGAIN`].

use std::time::{Duration, Instant};

use crate::decision::LimitKind;
use crate::link::{Action, KernelHolds};
use crate::sample::Sample;
use crate::spec::Limits;

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
            Some(Action::Stop) => "stop",
            Some(Action::Restart) => "restart",
            Some(Action::Throttle) => "throttle",
            None => "warn",
        }
    }
}

/// How far a breach has climbed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Rung {
    #[default]
    Ground,
    Warn,
    Throttle,
    End,
}

/// Samples in a row over the limit that lead to each rung; 0 for never.
struct Ladder {
    warn: u32,
    throttle: u32,
    end: u32,
    /// From this many times the limit on it is ended at once.
    far: f64,
}

const MEMORY: Ladder = Ladder { warn: 1, throttle: 2, end: 3, far: 1.1 };
const CPU: Ladder = Ladder { warn: 0, throttle: 3, end: 0, far: f64::INFINITY };
const HANDLES: Ladder = Ladder { warn: 1, throttle: 0, end: 0, far: f64::INFINITY };
const PIDS: Ladder = Ladder { warn: 1, throttle: 10, end: 30, far: f64::INFINITY };

impl Ladder {
    /// The highest rung of a breach of so many samples, at so many times the limit.
    fn rung(&self, ticks: u32, times: f64) -> Rung {
        let reached = |rung: u32| rung > 0 && ticks >= rung;
        if reached(self.end) || times >= self.far {
            Rung::End
        } else if reached(self.throttle) {
            Rung::Throttle
        } else if reached(self.warn) {
            Rung::Warn
        } else {
            Rung::Ground
        }
    }
}

/// What was seen so far of one limit.
#[derive(Debug, Clone, Copy, Default)]
struct Breach {
    ticks: u32,
    highest: Rung,
    counted: Option<Instant>,
}

impl Breach {
    /// Take in one measurement; gives the action when it is due to be told: one of none is a warning.
    fn see(&mut self, measured: Option<(f64, f64)>, ladder: &Ladder, now: Instant) -> Option<Rung> {
        let Some((value, threshold)) = measured.filter(|pair| is_over(*pair)) else {
            self.ticks = 0;
            return None;
        };
        self.ticks = self.ticks.saturating_add(1);
        let rung = ladder.rung(self.ticks, value / threshold.max(f64::MIN_POSITIVE));
        let climbed = rung > self.highest;
        let recently = self.counted.is_some_and(|last| now.saturating_duration_since(last) < COUNT_AGAIN);
        if rung == Rung::Ground || (recently && !climbed) {
            return None;
        }
        self.counted = Some(now);
        self.highest = self.highest.max(rung);
        Some(if climbed { rung } else { Rung::Warn })
    }
}

/// What was seen so far of one run's limits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LimitWatch {
    memory: Breach,
    cpu: Breach,
    handles: Breach,
    pids: Breach,
}

impl LimitWatch {
    /// Compare a sample with the limits that the kernel does not keep; tells each violation that is due. `comes_back`:
    /// whether a run that is ended for a limit is wanted back.
    pub(super) fn see(
        &mut self,
        sample: &Sample,
        (limits, kernel): (&Limits, KernelHolds),
        comes_back: bool,
        now: Instant,
        mut tell: impl FnMut(Violation),
    ) {
        let memory = limits.memory.filter(|_| !kernel.memory);
        let memory = memory.map(|limit| (sample.memory_bytes as f64, limit.get() as f64));
        let cpu = limits.cpu.filter(|_| !kernel.cpu).map(|limit| (f64::from(sample.cpu_percent), limit.get()));
        let handles = limits.file_handles.map(|limit| (f64::from(sample.file_handles), f64::from(limit)));
        let pids = limits.pids.filter(|_| !kernel.pids).map(|limit| (f64::from(sample.threads), f64::from(limit)));
        for (limit, breach, measured, ladder) in [
            (LimitKind::Memory, &mut self.memory, memory, &MEMORY),
            (LimitKind::Cpu, &mut self.cpu, cpu, &CPU),
            (LimitKind::FileHandles, &mut self.handles, handles, &HANDLES),
            (LimitKind::Pids, &mut self.pids, pids, &PIDS),
        ] {
            let (Some(rung), Some((value, threshold))) = (breach.see(measured, ladder, now), measured) else {
                continue;
            };
            let action = match rung {
                Rung::Ground | Rung::Warn => None,
                Rung::Throttle => Some(Action::Throttle),
                Rung::End if comes_back => Some(Action::Restart),
                Rung::End => Some(Action::Stop),
            };
            tell(Violation { limit, value, threshold, action });
        }
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
            let limits = (limits, KernelHolds::default());
            watch.see(sample, limits, true, now, |found| tick.push((found.limit, found.action_word())));
            told.push(tick);
        }
        told
    }

    #[test]
    fn a_sample_at_the_limit_breaks_nothing() {
        assert_eq!(run(&[sample(100, 80.0, 10, 4); 4], &limits()), vec![vec![]; 4]);
    }

    #[test]
    fn memory_over_its_limit_climbs_from_a_warning_to_a_restart() {
        let told: Vec<_> = run(&[sample(101, 0.0, 1, 1); 5], &limits()).concat();
        let expected = ["warn", "throttle", "restart"].map(|word| (LimitKind::Memory, word));
        assert_eq!(told, expected);
    }

    #[test]
    fn memory_far_over_its_limit_asks_for_a_restart_at_once() {
        assert_eq!(run(&[sample(110, 0.0, 1, 1)], &limits()), [[(LimitKind::Memory, "restart")]]);
    }

    #[test]
    fn a_run_that_is_not_wanted_back_is_stopped() {
        let (mut watch, mut told) = (LimitWatch::default(), Vec::new());
        let limits = (&limits(), KernelHolds::default());
        watch.see(&sample(200, 0.0, 1, 1), limits, false, Instant::now(), |found| told.push(found.action_word()));
        assert_eq!(told, ["stop"]);
    }

    #[test]
    fn what_the_kernel_keeps_is_left_to_it() {
        let (mut watch, mut told) = (LimitWatch::default(), Vec::new());
        let kernel = KernelHolds { memory: true, cpu: true, pids: true };
        for _ in 0..40 {
            let sample = sample(200, 300.0, 11, 99);
            watch.see(&sample, (&limits(), kernel), true, Instant::now(), |found| told.push(found.limit));
        }
        assert_eq!(told, [LimitKind::FileHandles]);
    }

    #[test]
    fn too_many_processes_are_ended_when_a_warning_and_giving_way_have_not_helped() {
        let told: Vec<_> = run(&[sample(1, 0.0, 1, 5); 31], &limits()).concat();
        let words: Vec<_> = told.iter().map(|(_, word)| *word).collect();
        assert_eq!(words, ["warn", "throttle", "warn", "restart"]);
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
