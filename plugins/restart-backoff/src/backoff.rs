//! The decision: whether another attempt is due, and after how long.

use wasmvisor_policy_sdk::restart::{Comeback, Decision, Ending, Failure};

use crate::settings::{Jitter, Settings};

/// Judge one end of a run.
///
/// - A task that used its time (`limit("timeout")`) is left down: it would only use it again.
/// - A clean exit (asked about when the process is to run always) is no failure: it comes back after `base_delay`, and
///   the count of attempts starts again at 1.
/// - Anything else is one attempt more, unless the run lasted `reset_after`: then it is the first.
#[must_use]
pub fn decide(settings: &Settings, failure: &Failure) -> Decision {
    if matches!(&failure.ending, Ending::Limit(which) if which == "timeout") {
        return Decision::GiveUp("the task used its time".into());
    }
    let most = failure.max_attempts.or(settings.max_attempts);
    let attempt = attempt(settings, failure);
    if most.is_some_and(|most| attempt > most) {
        return Decision::GiveUp(reason(most.unwrap_or_default(), &failure.ending));
    }
    let delay_ms = match failure.ending {
        Ending::Exited(0) => millis(settings.base_delay),
        _ => spread(settings.jitter, delay(settings, attempt), failure.jitter_seed),
    };
    Decision::RestartAfter(Comeback { delay_ms, attempt })
}

fn attempt(settings: &Settings, failure: &Failure) -> u32 {
    let forgiven = u128::from(failure.lasted_ms) >= settings.reset_after.as_millis();
    if forgiven || matches!(failure.ending, Ending::Exited(0)) { 1 } else { failure.attempts.saturating_add(1) }
}

/// Delay of an attempt before it is spread, in milliseconds: `base × factor^(attempt − 1)`, at most the longest.
#[must_use]
pub fn delay(settings: &Settings, attempt: u32) -> u64 {
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    // Without the bound a power that overflows is infinite, and infinitely often nothing is not a number.
    let grown = millis(settings.base_delay) as f64 * settings.factor.powi(exponent).min(f64::MAX);
    grown.min(millis(settings.max_delay) as f64) as u64
}

/// Spread a delay by a seed that is uniform over 64 bits, as the contract promises.
#[must_use]
pub fn spread(jitter: Jitter, delay: u64, seed: u64) -> u64 {
    match jitter {
        Jitter::None => delay,
        Jitter::Full => up_to(delay, seed),
        Jitter::Equal => delay - delay / 2 + up_to(delay / 2, seed),
    }
}

/// Uniform from 0 to `most`, both included: the high half of a product, so that no value is favoured by a remainder.
fn up_to(most: u64, seed: u64) -> u64 {
    let product = u128::from(seed) * (u128::from(most) + 1);
    (product >> 64) as u64
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn reason(most: u32, ending: &Ending) -> String {
    let tried = match most {
        0 => "no restart is allowed".to_owned(),
        1 => "1 attempt is used up".to_owned(),
        _ => format!("{most} attempts are used up"),
    };
    format!("{tried}; the last run {}", describe(ending))
}

fn describe(ending: &Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("exited with code {code}"),
        Ending::Signalled(signal) => format!("was ended by signal {signal}"),
        Ending::Unhealthy(score) => format!("was ended because its health score was {score}"),
        Ending::Limit(which) => format!("was ended because it broke its {which} limit"),
        Ending::NotStarted(why) => format!("could not be started: {}", clip(why, 512)),
        Ending::Unknown => "ended and nobody can tell how".to_owned(),
    }
}

/// The beginning of a text, at most `most` bytes.
fn clip(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}
