//! Tests of `trend`: tables and properties, no processes.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ring_of(samples: impl IntoIterator<Item = f64>) -> Ring {
    let mut ring = Ring::new(300);
    samples.into_iter().for_each(|sample| ring.push(sample as f32));
    ring
}

/// -1 to 1, the same each time; no two neighbours alike.
fn noise(place: usize) -> f64 {
    let mixed =
        (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

#[test]
fn each_shape_has_its_direction() {
    let of = |count: usize, shape: &dyn Fn(usize) -> f64| ring_of((0..count).map(shape));
    let shapes: [(&str, Ring, Direction); 14] = [
        ("rising line", of(60, &|i| 100.0 + i as f64), Direction::Deteriorating),
        ("rising line in few samples", of(8, &|i| 100.0 + i as f64), Direction::Deteriorating),
        ("too few samples", of(7, &|i| 100.0 + i as f64), Direction::Unknown),
        ("noisy rise", of(60, &|i| 100.0 + i as f64 + 8.0 * noise(i)), Direction::Deteriorating),
        ("rise in small stairs", of(60, &|i| 100.0 + (i / 6 * 6) as f64), Direction::Deteriorating),
        ("falling line", of(60, &|i| 500.0 - i as f64), Direction::Improving),
        ("flat", of(60, &|_| 3.5e9), Direction::Stable),
        ("zero", of(60, &|_| 0.0), Direction::Stable),
        ("noisy flat", of(60, &|i| 100.0 + 20.0 * noise(i)), Direction::Stable),
        ("sawtooth", of(60, &|i| 100.0 + (i % 10) as f64 * 10.0), Direction::Stable),
        ("a line within the noise floor", of(60, &|i| 1e6 + i as f64), Direction::Stable),
        ("one spike", of(60, &|i| if i == 50 { 900.0 } else { 100.0 }), Direction::Stable),
        ("filled at the start, then at rest", of(60, &|i| (20.0 * i as f64).min(200.0)), Direction::Stable),
        ("zero, then a rise", of(60, &|i| (i as f64 - 30.0).max(0.0)), Direction::Deteriorating),
    ];
    for (shape, ring, direction) in shapes {
        assert_eq!(trend(&ring, SECOND, None).direction, direction, "{shape}");
    }
}

#[test]
fn a_step_is_no_trend_wherever_it_stands() {
    for place in 1..60 {
        let ring = ring_of((0..60).map(|i| if i < place { 100.0 } else { 400.0 } + noise(i)));
        let found = trend(&ring, SECOND, Some(1000.0));
        assert_eq!((found.direction, found.limit_in_ms), (Direction::Stable, None), "step at {place}");
    }
}

#[test]
fn a_slope_is_per_second_whatever_the_interval() {
    let ring = ring_of((0..20).map(|i| 100.0 + 10.0 * f64::from(i)));
    let slope = |ms| trend(&ring, Duration::from_millis(ms), None).slope_per_second;
    assert_eq!((slope(1000), slope(100), slope(5000)), (10.0, 100.0, 2.0));
}

#[test]
fn only_the_newest_samples_count() {
    let fell_then_rose = (0..200).map(|i| 10_000.0 - f64::from(i)).chain((0..60).map(|i| 100.0 + f64::from(i)));
    assert_eq!(trend(&ring_of(fell_then_rose), SECOND, None).direction, Direction::Deteriorating);
}

#[test]
fn a_forecast_needs_a_limit_and_a_rise_and_a_line_and_an_end_within_a_day() {
    let ramp = || ring_of((0..60).map(|i| 100.0 + f64::from(i)));
    let ms = |ring: &Ring, limit| trend(ring, SECOND, limit).limit_in_ms;
    assert_eq!(ms(&ramp(), Some(259.0)), Some(100_000));
    assert_eq!(ms(&ramp(), None), None, "no limit");
    assert_eq!(ms(&ramp(), Some(200_000.0)), None, "beyond a day");
    assert_eq!(ms(&ramp(), Some(120.0)), Some(1), "already over it");
    assert_eq!(ms(&ring_of((0..60).map(|i| 200.0 - f64::from(i))), Some(259.0)), None, "falling");
    let rough = ring_of((0..60).map(|i| 100.0 + i as f64 + 28.0 * noise(i)));
    assert!(trend(&rough, SECOND, None).confidence < 0.7, "the sample must be rough to show anything");
    assert_eq!(ms(&rough, Some(259.0)), None, "rough");
}

#[test]
fn a_full_ring_forgets_the_oldest_and_needs_no_more_than_its_capacity() {
    let mut ring = Ring::new(20);
    (0..50).for_each(|i| ring.push(i as f32));
    assert_eq!(ring.iter().collect::<Vec<_>>(), (30..50).map(|i| i as f32).collect::<Vec<_>>());
    assert_eq!((ring.len(), ring.values.capacity()), (20, 20));
}

#[test]
fn the_last_samples_come_oldest_first_with_nan_in_front_where_there_are_fewer() {
    let mut ring = Ring::new(4);
    let mut out = [0.0; 6];
    for (pushed, expected) in [(0, vec![]), (3, vec![0.0, 1.0, 2.0]), (6, vec![2.0, 3.0, 4.0, 5.0])] {
        (ring.newest().map_or(0, |newest| newest as usize + 1)..pushed).for_each(|i| ring.push(i as f32));
        ring.last(&mut out);
        let missing = 6 - expected.len();
        assert!(out[..missing].iter().all(|value| value.is_nan()));
        assert_eq!(out[missing..], expected);
    }
    let mut two = [0.0; 2];
    ring.last(&mut two);
    assert_eq!(two, [4.0, 5.0]);
}

#[test]
fn a_reading_that_is_no_number_repeats_the_one_before() {
    let mut ring = Ring::new(16);
    [f32::NAN, 5.0, f32::INFINITY, f32::NAN].into_iter().for_each(|value| ring.push(value));
    assert_eq!(ring.iter().collect::<Vec<_>>(), [0.0, 5.0, 5.0, 5.0]);
}

proptest! {
    #[test]
    fn the_forecast_of_a_line_is_within_one_percent(
        start in 1e6..1e9f64, growth in 0.03..2.0f64, count in 8usize..120, left in 0.01..50.0f64, ms in 100u64..5000,
    ) {
        let per_sample = start * growth / 59.0;
        let end = start + per_sample * (count - 1) as f64;
        let limit = end + start * left;
        let truth_ms = start * left / per_sample * ms as f64;
        prop_assume!(truth_ms < 86_000_000.0 && per_sample * (count.min(WINDOW) - 1) as f64 > 0.015 * end);
        let ring = ring_of((0..count).map(|i| start + per_sample * i as f64));
        let found = trend(&ring, Duration::from_millis(ms), Some(limit)).limit_in_ms.map(|ms| ms as f64);
        prop_assert!(found.is_some_and(|found| (found - truth_ms).abs() <= 0.01 * truth_ms + 1.0), "{found:?}, truth {truth_ms}");
    }

    #[test]
    fn a_trend_is_always_made_of_numbers(samples in prop::collection::vec(prop::num::f32::ANY, 0..120), limit in prop::num::f64::ANY) {
        let found = trend(&ring_of(samples.into_iter().map(f64::from)), SECOND, Some(limit));
        prop_assert!(found.slope_per_second.is_finite() && (0.0..=1.0).contains(&found.confidence), "{found:?}");
    }
}
