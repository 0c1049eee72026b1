//! The circuit of a binding: after failures in a row it is not asked for a while, so that a broken plugin costs its
//! deadline now and then instead of every time.
//!
//! ```text
//! closed --5 failures in a row--> open --30 s--> half open --answer--> closed
//!                                   ^----------failure----------'
//! ```
//!
//! Pure: time is an argument.

use std::time::{Duration, Instant};

/// Failures in a row that open the circuit.
const FAILURES: u32 = 5;
/// How long it stays open.
const PAUSE: Duration = Duration::from_secs(30);

/// State of a binding's circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breaker {
    /// It is asked; that many failures in a row so far.
    Closed { failures: u32 },
    /// It is not asked before that moment; the first call after it decides.
    Open { until: Instant },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// How long it will not be asked; none when it may be. `now` is only called when it matters.
    pub(super) fn closed_for(self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { until } => Some(until.saturating_duration_since(now())).filter(|left| !left.is_zero()),
        }
    }

    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, now: Instant) {
        *self = match *self {
            Self::Closed { failures } if failures + 1 < FAILURES => Self::Closed { failures: failures + 1 },
            Self::Closed { .. } | Self::Open { .. } => Self::Open { until: now + PAUSE },
        };
    }

    /// `closed`, `open` or `half-open`.
    pub(super) fn as_str(self, now: Instant) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { until } if now < until => "open",
            Self::Open { .. } => "half-open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_failures(count: u32, now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        (0..count).for_each(|_| breaker.failed(now));
        breaker
    }

    #[test]
    fn it_opens_after_five_failures_in_a_row_and_not_before() {
        let now = Instant::now();
        assert_eq!(after_failures(4, now).closed_for(|| now), None);
        assert_eq!(after_failures(5, now).closed_for(|| now), Some(PAUSE));
    }

    #[test]
    fn an_answer_forgives_everything() {
        let now = Instant::now();
        let mut breaker = after_failures(4, now);
        breaker.answered();
        breaker.failed(now);
        assert_eq!(breaker, Breaker::Closed { failures: 1 });
    }

    #[test]
    fn after_the_pause_one_failure_opens_it_again() {
        let now = Instant::now();
        let mut breaker = after_failures(5, now);
        let later = now + PAUSE;
        assert_eq!((breaker.closed_for(|| later), breaker.as_str(later)), (None, "half-open"));
        breaker.failed(later);
        assert_eq!(breaker.as_str(later), "open");
    }
}
