use std::time::Duration;

use wasmvisor_policy_sdk::testing;

use super::RestartBackoff;
use super::backoff::{delay, spread};
use super::settings::{Jitter, Settings};

#[test]
fn the_golden_cases_hold_natively() {
    testing::run_restart::<RestartBackoff>(include_str!("../cases.toml"));
}

#[test]
fn delays_never_shrink_and_never_pass_the_longest() {
    let settings = Settings { factor: 1.7, ..Settings::default() };
    let mut last = 0;
    for attempt in 1..2000 {
        let delay = delay(&settings, attempt);
        assert!(delay >= last && delay <= 300_000, "attempt {attempt}: {delay} after {last}");
        last = delay;
    }
    assert_eq!(last, 300_000);
}

#[test]
fn full_jitter_reaches_both_ends_and_every_part_between() {
    assert_eq!(spread(Jitter::Full, 999, 0), 0);
    assert_eq!(spread(Jitter::Full, 999, u64::MAX), 999);
    for tenth in 0..10_u64 {
        let seed = tenth * (u64::MAX / 10) + 1_000_000;
        assert_eq!(spread(Jitter::Full, 999, seed) / 100, tenth);
    }
}

#[test]
fn equal_jitter_stays_between_half_and_whole() {
    for seed in [0, 1, u64::MAX / 3, u64::MAX] {
        let delay = spread(Jitter::Equal, 1001, seed);
        assert!((501..=1001).contains(&delay), "{delay}");
    }
}

#[test]
fn a_delay_of_nothing_stays_nothing() {
    let settings = Settings { base_delay: Duration::ZERO, ..Settings::default() };
    assert_eq!(delay(&settings, u32::MAX), 0);
}
