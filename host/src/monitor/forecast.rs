//! Which forecasts are worth telling: one that appears, and one that moved a lot.
//!
//! Pure: no clock, no I/O. Only the monitor enters.

use std::time::{Duration, Instant};

/// A forecast has moved when it differs by more than this share from what the one told before has become by now.
const MOVED: f64 = 0.3;
/// Forecasts of one run are told no more often than this.
const QUIET: Duration = Duration::from_secs(10);

/// What was told of one run's forecast.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum ForecastWatch {
    /// Nothing yet.
    #[default]
    Untold,
    /// The metric would cross its limit at this moment.
    Told {
        /// When it was told.
        at: Instant,
        /// The moment that was told.
        crossing: Instant,
    },
    /// It was told and is gone again.
    Gone {
        /// When it was told.
        at: Instant,
    },
}

impl ForecastWatch {
    /// Take in the forecast of this tick; whether it should be told.
    pub(super) fn see(&mut self, limit_in: Option<Duration>, now: Instant) -> bool {
        let Some(limit_in) = limit_in else {
            if let Self::Told { at, .. } = *self {
                *self = Self::Gone { at };
            }
            return false;
        };
        let due = match *self {
            Self::Untold => true,
            Self::Gone { at } => is_over(at, now),
            Self::Told { at, crossing } => is_over(at, now) && has_moved(limit_in, crossing, now),
        };
        if due {
            *self = Self::Told { at: now, crossing: now + limit_in };
        }
        due
    }
}

fn is_over(told: Instant, now: Instant) -> bool {
    now.saturating_duration_since(told) >= QUIET
}

fn has_moved(limit_in: Duration, crossing: Instant, now: Instant) -> bool {
    let expected = crossing.saturating_duration_since(now).as_secs_f64();
    // Below a second the share means nothing: the limit is as good as reached.
    (limit_in.as_secs_f64() - expected).abs() > MOVED * expected.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these forecasts (second, seconds until the limit) are told.
    fn told(forecasts: &[(u64, Option<u64>)]) -> Vec<u64> {
        let (mut watch, start) = (ForecastWatch::default(), Instant::now());
        let told = |&(at, limit_in): &(u64, Option<u64>)| {
            watch.see(limit_in.map(Duration::from_secs), start + Duration::from_secs(at)).then_some(at)
        };
        forecasts.iter().filter_map(told).collect()
    }

    #[test]
    fn a_forecast_that_appears_is_told_once_while_it_counts_down() {
        let countdown: Vec<_> = (0..60).map(|second| (second, Some(60 - second))).collect();
        assert_eq!(told(&countdown), [0]);
    }

    #[test]
    fn a_forecast_that_moved_by_more_than_a_third_is_told_again() {
        assert_eq!(told(&[(0, Some(100)), (20, Some(78)), (30, Some(20)), (41, Some(9))]), [0, 30]);
    }

    #[test]
    fn a_forecast_that_jumps_about_is_told_every_ten_seconds_at_most() {
        let wild: Vec<_> = (0..25).map(|second| (second, Some(if second % 2 == 0 { 10 } else { 900 }))).collect();
        let seconds = told(&wild);
        assert!(seconds.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{seconds:?}");
        assert!(seconds.len() > 1);
    }

    #[test]
    fn a_forecast_that_comes_back_is_told_again() {
        assert_eq!(told(&[(0, Some(60)), (1, None), (2, Some(58)), (15, None), (16, Some(44))]), [0, 16]);
    }
}
