//! Durations as people write them: one or more of number and unit, as in `1m30s` or `5 min`. The units are those of the
//! host's own configuration, from milliseconds to days.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Setting, problem};
use crate::SettingsProblem;

/// Units, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

fn size_of_unit(unit: &str) -> Option<u64> {
    let short = match unit {
        "msec" | "millisecond" | "milliseconds" => "ms",
        "sec" | "second" | "seconds" => "s",
        "min" | "minute" | "minutes" => "m",
        "hr" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        other => other,
    };
    UNITS.iter().find(|(known, _)| *known == short).map(|(_, size)| *size)
}

/// A duration as people write it; `0s` for none. Below a millisecond nothing is shown.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, size) in UNITS {
        if rest >= size {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let size = size_of_unit(&rest[..letters])?;
        total = total.checked_add(number.checked_mul(size)?)?;
        rest = rest[letters..].trim_start();
    }
    Some(Duration::from_millis(total))
}

impl Setting for Duration {
    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": r"^(\s*[0-9]+\s*[a-z]+)+\s*$" })
    }

    fn to_json(&self) -> Value {
        show_duration(*self).into()
    }

    fn read(&self, value: &Value) -> Result<Self, Vec<SettingsProblem>> {
        let read = value.as_str().and_then(parse);
        read.ok_or_else(|| vec![problem("", "must be a duration such as \"500ms\", \"5s\" or \"1m30s\"")])
    }

    fn magnitude(&self) -> Option<f64> {
        Some(self.as_secs_f64())
    }

    fn show_bound(bound: f64) -> String {
        show_duration(Self::from_secs_f64(bound.clamp(0.0, 1e9)))
    }
}
