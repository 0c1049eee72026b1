//! What the processes of one tree add up to, in one sample and over all of them.
//!
//! Pure arithmetic. Only the sampler enters.

use super::files::Figures;
use crate::sample::ProcessState;

/// What the members of one tree add up to in one sample.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) used: Used,
    /// The part of `used` that is older than the sample before.
    pub(super) overlooked: Used,
    pub(super) resident_pages: u64,
    /// Of the member that has most.
    pub(super) largest_pages: u64,
    pub(super) handles: u32,
    pub(super) threads: u32,
    pub(super) processes: u32,
    pub(super) state: ProcessState,
}

/// What only ever grows.
#[derive(Debug, Default)]
pub(super) struct Used {
    pub(super) cpu_ticks: u64,
    pub(super) disk_read: u64,
    pub(super) disk_written: u64,
}

impl Used {
    pub(super) fn add(&mut self, figures: &Figures) {
        self.cpu_ticks += figures.stat.cpu_ticks;
        self.disk_read += figures.disk_read;
        self.disk_written += figures.disk_written;
    }
}

impl Sums {
    pub(super) fn add(&mut self, figures: &Figures, is_leader: bool) {
        self.used.add(figures);
        if is_leader {
            self.state = figures.stat.process_state();
        }
        if is_leader || figures.stat.lives() {
            self.resident_pages += figures.stat.resident_pages;
            self.largest_pages = self.largest_pages.max(figures.stat.resident_pages);
            self.handles += figures.handles;
            self.threads += figures.stat.threads;
            self.processes += 1;
        }
    }
}

/// A total that never falls, made of the rises of a sum that may.
#[derive(Debug, Default)]
pub(super) struct Meter {
    before: u64,
    pub(super) total: u64,
}

impl Meter {
    /// Take the sum of now, of which `overlooked` was there before but not counted. Returns the rise.
    pub(super) fn advance(&mut self, sum: u64, overlooked: u64) -> u64 {
        let rise = sum.saturating_sub(self.before + overlooked);
        self.before = sum;
        self.total += rise;
        rise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_never_falls_when_a_member_takes_its_figures_along() {
        let mut meter = Meter::default();
        assert_eq!(meter.advance(100, 0), 100);
        assert_eq!(meter.advance(30, 0), 0);
        assert_eq!(meter.advance(50, 0), 20);
        assert_eq!(meter.total, 120);
    }

    #[test]
    fn what_was_overlooked_is_not_of_this_interval() {
        let mut meter = Meter::default();
        meter.advance(100, 0);
        assert_eq!(meter.advance(170, 60), 10);
    }
}
