//! Trends: the slope of a metric, which way it goes, and when it will cross its limit.
//!
//! Owns the ring of samples and the arithmetic over it. Pure: no clock, no I/O. Only the monitor has use for it.
//!
//! # How a trend is found
//! A straight line is fitted by least squares to the newest [`WINDOW`] samples (fewer when there are fewer). It counts
//! as a direction only when all of these hold; otherwise the metric is stable:
//! - **it is no accident**: Student's t of the slope, `t² = r²(n-2)/(1-r²)`, is above 3.707, the two-sided 1 % point
//!   for the 6 degrees of freedom of the smallest window (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2);
//!   larger windows are thereby judged more strictly. Samples that follow each other are not independent, which is
//!   what the next three rules are for;
//! - **it is large enough to matter**: the line rises or falls by more than 1 % of the mean over the window;
//! - **it is no step**: no two neighbours differ by more than 0.6 of the fitted change. A single step gives at least
//!   0.667 wherever it stands: the fitted change of a unit step at share p of the window is `6p(1-p)`, at most 1.5;
//! - **it goes on**: the slope of the newer half has at least a quarter of the whole slope. A process that fills its
//!   memory at its start and then rests is not leaking.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sample::{Direction, Trend};

/// How many of the newest samples a trend looks at; a minute at one sample a second. A longer window would tell of a
/// new leak later, a shorter one takes noise for trends.
pub const WINDOW: usize = 60;

/// Fewer samples than this say nothing.
const LEAST_SAMPLES: usize = 8;
/// Square of the two-sided 1 % point of Student's t with 6 degrees of freedom, 3.707.
const T_SQUARED: f64 = 3.707 * 3.707;
/// Share of the mean that a change over the window must exceed.
const NOISE_FLOOR: f64 = 0.01;
/// Share of the fitted change that one step between two samples may have.
const LARGEST_STEP: f64 = 0.6;
/// Share of the whole slope that the newer half must still have.
const STILL_GOING: f64 = 0.25;
/// A forecast needs a line that explains at least this share of the variation.
const FORECAST_CONFIDENCE: f64 = 0.7;
/// Nothing is forecast beyond this.
const HORIZON: Duration = Duration::from_secs(24 * 3600);

/// The newest samples of one metric, taken at a fixed interval. Memory grows with the samples up to 4 bytes for each
/// of `capacity`.
#[derive(Debug, Clone)]
pub struct Ring {
    values: VecDeque<f32>,
    capacity: usize,
}

impl Ring {
    /// An empty ring for that many samples; at least one.
    pub const fn new(capacity: usize) -> Self {
        Self { values: VecDeque::new(), capacity: if capacity == 0 { 1 } else { capacity } }
    }

    /// Add the newest sample; the oldest goes when the ring is full. A value that is not finite repeats the one
    /// before it (0 when there is none), so that one bad reading does not spoil a whole window.
    pub fn push(&mut self, value: f32) {
        let value = if value.is_finite() { value } else { self.newest().unwrap_or(0.0) };
        let len = self.values.len();
        if len == self.capacity {
            self.values.pop_front();
        } else if len == self.values.capacity() {
            // Doubling by ourselves: `push_back` alone would grow beyond what is ever needed.
            self.values.reserve_exact(len.max(16).min(self.capacity - len));
        }
        self.values.push_back(value);
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many samples it keeps.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// The newest sample.
    pub fn newest(&self) -> Option<f32> {
        self.values.back().copied()
    }

    /// Every sample, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = f32> + '_ {
        self.values.iter().copied()
    }

    /// Fill `out` with the newest `out.len()` samples, oldest first; NaN stands in front where there are fewer.
    pub fn last(&self, out: &mut [f32]) {
        let len = self.values.len();
        let count = len.min(out.len());
        let (missing, place) = out.split_at_mut(out.len() - count);
        missing.fill(f32::NAN);
        let (older, newer) = self.values.as_slices();
        let skipped = len - count;
        let older = &older[skipped.min(older.len())..];
        let newer = &newer[skipped.saturating_sub(len - newer.len())..];
        place[..older.len()].copy_from_slice(older);
        place[older.len()..].copy_from_slice(newer);
    }
}

/// The trend of a metric of which less is better, sampled every `interval`. `limit` is in the unit of the metric;
/// without one there is no forecast.
///
/// A forecast is the time until the fitted line meets the limit, at least 1 ms. It is given only for a deteriorating
/// metric whose line explains at least 0.7 of the variation, and only up to 24 hours ahead.
pub fn trend(ring: &Ring, interval: Duration, limit: Option<f64>) -> Trend {
    let count = ring.len().min(WINDOW);
    if count < LEAST_SAMPLES || interval.is_zero() {
        return Trend::default();
    }
    let mut window = [0.0; WINDOW];
    ring.last(&mut window[..count]);
    let line = Line::through(&window[..count]);
    let seconds = interval.as_secs_f64();
    let direction = line.direction();
    Trend {
        slope_per_second: (line.slope / seconds).clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32,
        direction,
        limit_in_ms: limit
            .filter(|_| direction == Direction::Deteriorating && line.r_squared >= FORECAST_CONFIDENCE)
            .and_then(|limit| forecast_ms((limit - line.end) / line.slope * seconds)),
        confidence: line.r_squared as f32,
    }
}

fn forecast_ms(seconds: f64) -> Option<u64> {
    (seconds <= HORIZON.as_secs_f64()).then(|| ((seconds * 1000.0) as u64).max(1))
}

/// A least-squares line through samples at 0, 1, 2, …
struct Line {
    /// Per sample.
    slope: f64,
    /// Slope of the newer half alone.
    newer_slope: f64,
    /// Its value at the newest sample.
    end: f64,
    mean: f64,
    r_squared: f64,
    largest_step: f64,
    count: f64,
}

impl Line {
    fn through(samples: &[f32]) -> Self {
        let origin = f64::from(samples[0]);
        let (older, newer) = samples.split_at(samples.len() / 2);
        let late = Sums::of(newer, origin, older.len());
        let all = Sums::of(older, origin, 0).with(&late);
        let slope = all.slope();
        let mean = all.y / all.count;
        let variation = all.yy - mean * all.y;
        // Rounding may leave a flat series with a variation of about 0 or a hair below it.
        let r_squared = if variation > 0.0 { (slope * all.covariation() / variation).clamp(0.0, 1.0) } else { 0.0 };
        let largest_step =
            samples.windows(2).map(|pair| (f64::from(pair[1]) - f64::from(pair[0])).abs()).fold(0.0, f64::max);
        Self {
            slope,
            newer_slope: late.slope(),
            end: origin + mean + slope * (all.count - 1.0) / 2.0,
            mean: origin + mean,
            r_squared,
            largest_step,
            count: all.count,
        }
    }

    fn direction(&self) -> Direction {
        let change = (self.slope * (self.count - 1.0)).abs();
        let significant = self.r_squared * (self.count - 2.0) > T_SQUARED * (1.0 - self.r_squared);
        let matters = change > NOISE_FLOOR * self.mean.abs();
        let steady = self.largest_step <= LARGEST_STEP * change;
        let goes_on = self.newer_slope * self.slope.signum() >= STILL_GOING * self.slope.abs();
        match significant && matters && steady && goes_on {
            false => Direction::Stable,
            true if self.slope > 0.0 => Direction::Deteriorating,
            true => Direction::Improving,
        }
    }
}

/// Sums over samples at consecutive places. Values are taken relative to an origin near them: sums of squares of
/// large, nearly equal numbers would lose the digits that matter.
struct Sums {
    count: f64,
    x: f64,
    y: f64,
    xy: f64,
    yy: f64,
}

impl Sums {
    fn of(samples: &[f32], origin: f64, first_place: usize) -> Self {
        let (mut x, mut sum_x, mut y, mut xy, mut yy) = (first_place as f64, 0.0, 0.0, 0.0, 0.0);
        for sample in samples {
            let value = f64::from(*sample) - origin;
            sum_x += x;
            y += value;
            xy += x * value;
            yy += value * value;
            x += 1.0;
        }
        Self { count: samples.len() as f64, x: sum_x, y, xy, yy }
    }

    fn with(self, other: &Self) -> Self {
        Self {
            count: self.count + other.count,
            x: self.x + other.x,
            y: self.y + other.y,
            xy: self.xy + other.xy,
            yy: self.yy + other.yy,
        }
    }

    fn covariation(&self) -> f64 {
        self.xy - self.x * self.y / self.count
    }

    fn slope(&self) -> f64 {
        // The variation of consecutive whole numbers needs no sum: n(n²-1)/12.
        self.covariation() / (self.count * (self.count * self.count - 1.0) / 12.0)
    }
}

#[cfg(test)]
mod tests;
