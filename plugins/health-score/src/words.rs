//! A verdict in words: what is wrong, how far, and what a person can do about it.

use std::cmp::Reverse;
use std::time::Duration;

use wasmvisor_policy_sdk::health::{Explanation, Issue, Reading};
use wasmvisor_policy_sdk::settings::show_duration;
use wasmvisor_policy_sdk::{Issues, Severity};

use crate::rules::{Breach, inspect, judge};
use crate::settings::Settings;

/// Judge one reading and say why.
#[must_use]
pub fn explain(settings: &Settings, reading: &Reading) -> Explanation {
    let mut breaches = Vec::new();
    inspect(settings, reading, &mut |breach| breaches.push(breach));
    // Worst first: the serious ones, and of those what costs most.
    breaches.sort_by_key(|breach| Reverse((breach.severity, breach.cost)));
    Explanation {
        verdict: judge(settings, reading),
        recommendations: breaches.iter().map(|breach| advice(breach).to_owned()).collect(),
        issues: breaches.iter().map(|breach| issue(breach, reading)).collect(),
    }
}

fn issue(breach: &Breach, reading: &Reading) -> Issue {
    Issue {
        kind: breach.kind,
        severity: breach.severity,
        description: describe(breach, reading),
        value: breach.value,
        threshold: breach.threshold,
        trend: breach.trend,
    }
}

fn describe(breach: &Breach, reading: &Reading) -> String {
    let Breach { value, threshold, limit, .. } = *breach;
    let percent = |part: f64| 100.0 * part / limit;
    let level = if breach.severity >= Severity::Critical { "critical" } else { "a warning" };
    let line = Line::default();
    let line = match breach.kind {
        Issues::MEMORY => {
            let line = line.text("memory ").size(value).text(" is ").whole(percent(value));
            line.text(" % of its limit of ").size(limit).level(level, "from").whole(percent(threshold)).text(" %)")
        }
        Issues::CPU => {
            let line = line.text("cpu ").whole(value).text(" % is ").whole(percent(value)).text(" % of its limit of ");
            line.whole(limit).text(" %").level(level, "from").whole(percent(threshold)).text(" %)")
        }
        Issues::EXECUTION_TIME => {
            line.text("the run has lasted ").time(value).text(", longer than its limit of ").time(limit)
        }
        Issues::FILE_HANDLES => {
            line.number(value).text(" file handles are open, more than the limit of ").number(limit)
        }
        Issues::THREADS => line.number(value).text(" threads run, more than the limit of ").number(limit),
        Issues::RESPONSIVENESS => of_100(line.text("responsiveness is "), breach, level),
        Issues::STABILITY => of_100(line.text("stability is "), breach, level),
        _ => {
            let line = line.text("memory rises by ").size(f64::from(reading.memory_slope));
            line.text(" a second and is forecast to cross its limit in ").time(value)
        }
    };
    line.0
}

fn of_100(line: Line, breach: &Breach, level: &str) -> Line {
    line.number(breach.value).text(" of 100").level(level, "under").number(breach.threshold).text(")")
}

fn advice(breach: &Breach) -> &'static str {
    match breach.kind {
        Issues::MEMORY => "find out what holds the memory, or raise the memory limit",
        Issues::CPU => "give the process less to do at once, or raise the cpu limit",
        Issues::EXECUTION_TIME => "see whether the run is stuck, or raise the limit on execution time",
        Issues::FILE_HANDLES => "look for files and sockets that are never closed, or raise the limit on file handles",
        Issues::THREADS => "look for threads that are never joined, or raise the limit on threads",
        Issues::RESPONSIVENESS => "see what the process waits for; its health check says since when",
        Issues::STABILITY => "read the ends of its last runs before it is restarted again",
        _ => "restart the process before its memory runs out, and look for the leak",
    }
}

/// A line that grows from left to right. What `format!` does for a line costs several times as much in a guest, and an
/// explanation has a dozen of them; only numbers that are not whole go through it.
struct Line(String);

impl Default for Line {
    fn default() -> Self {
        Self(String::with_capacity(120))
    }
}

impl Line {
    fn text(mut self, text: &str) -> Self {
        self.0.push_str(text);
        self
    }

    /// How bad it is and since when, up to the threshold.
    fn level(self, level: &str, since: &str) -> Self {
        self.text(" (").text(level).text(" ").text(since).text(" ")
    }

    fn digits(mut self, number: u64) -> Self {
        let mut digits = [0; 20];
        let (mut rest, mut first) = (number, digits.len());
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.0.extend(digits[first..].iter().map(|digit| char::from(*digit)));
        self
    }

    /// As `{}` writes it.
    fn number(self, value: f64) -> Self {
        if is_count(value) { self.digits(value as u64) } else { self.text(&value.to_string()) }
    }

    /// As `{:.0}` writes it.
    fn whole(self, value: f64) -> Self {
        let rounded = value.round_ties_even();
        if is_count(rounded) && value.is_sign_positive() {
            self.digits(rounded as u64)
        } else {
            self.text(&format!("{value:.0}"))
        }
    }

    /// Bytes in the largest binary unit that keeps the number at 1 or more.
    fn size(self, bytes: f64) -> Self {
        const UNITS: [&str; 4] = [" B", " KiB", " MiB", " GiB"];
        let mut value = bytes;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let tenths = unit == 3 || value.fract() != 0.0 && value < 10.0;
        let line = match tenths {
            false => self.whole(value),
            true if is_count(value) => self.digits(value as u64).text(".0"),
            true => self.text(&format!("{value:.1}")),
        };
        line.text(UNITS[unit])
    }

    /// Milliseconds as people write them, whole seconds from one second on.
    fn time(self, ms: f64) -> Self {
        let ms = ms as u64;
        self.text(&show_duration(Duration::from_millis(if ms >= 1000 { ms - ms % 1000 } else { ms })))
    }
}

/// Whether digits alone say it all.
fn is_count(value: f64) -> bool {
    (0.0..=9e15).contains(&value) && value.fract() == 0.0 && value.is_sign_positive()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_the_formatter_writes_them() {
        let values = [0.0, -0.0, 0.4, 0.5, 1.5, 2.0, 49.5, 99.99, 150.0, 1e9, 9e15, 1.8e19, f64::MAX, -3.0, f64::NAN];
        for value in values {
            assert_eq!(Line::default().number(value).0, format!("{value}"));
            assert_eq!(Line::default().whole(value).0, format!("{value:.0}"));
        }
    }

    #[test]
    fn sizes_have_a_tenth_where_it_says_something() {
        let size = |bytes: f64| Line::default().size(bytes).0;
        let told = [1.0, 1536.0, 20480.0, 2147483648.0, 2254857830.0].map(size);
        assert_eq!(told, ["1 B", "1.5 KiB", "20 KiB", "2.0 GiB", "2.1 GiB"]);
    }
}
