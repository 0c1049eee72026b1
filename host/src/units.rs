//! Sizes, shares and moments, written as people write them and carried with their unit.
//!
//! Owns every conversion between text and a quantity. Any room may enter; it does no I/O.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text that is not a quantity of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct UnitError {
    text: String,
    wanted: &'static str,
}

impl UnitError {
    fn new(text: &str, wanted: &'static str) -> Self {
        Self { text: text.to_owned(), wanted }
    }
}

const BYTES_WANTED: &str = "a size; write it like `512MiB`, `2GiB`, `64KiB` or `4096B`";
const PERCENT_WANTED: &str = "a percentage above 0; write it like `80%` (100% is one whole core)";
const DURATION_WANTED: &str = "a duration; write it like `10s`, `5m`, `250ms` or `1h 30m`";

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

const BINARY_UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const DECIMAL_UNITS: [(&str, u64); 4] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];

impl Bytes {
    /// That many mebibytes (2^20 bytes).
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = || UnitError::new(text, BYTES_WANTED);
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(fail)?;
        let (number, unit) = trimmed.split_at(split);
        let factor = BINARY_UNITS
            .iter()
            .chain(DECIMAL_UNITS.iter())
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| *factor)
            .ok_or_else(fail)?;
        let number: f64 = number.trim().parse().map_err(|_| fail())?;
        let bytes = number * factor as f64;
        if !(0.0..9.0e18).contains(&bytes) {
            return Err(fail());
        }
        Ok(Self(bytes as u64))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = BINARY_UNITS.iter().find(|(_, factor)| self.0 >= *factor).copied().unwrap_or(("B", 1));
        let value = self.0 as f64 / factor as f64;
        let text = if factor == 1 || value.fract() == 0.0 || value >= 100.0 {
            format!("{value:.0}{unit}")
        } else {
            format!("{value:.1}{unit}")
        };
        f.pad(&text)
    }
}

/// A share of processor time in percent of one core, above 0; more than 100 is several cores.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percent(pub f64);

impl Percent {
    /// The number of percent.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Percent {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = || UnitError::new(text, PERCENT_WANTED);
        let number = text.trim().strip_suffix('%').ok_or_else(fail)?;
        let value: f64 = number.trim().parse().map_err(|_| fail())?;
        if value > 0.0 && value <= 1_000_000.0 { Ok(Self(value)) } else { Err(fail()) }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.0.fract() == 0.0 { format!("{:.0}%", self.0) } else { format!("{:.1}%", self.0) };
        f.pad(&text)
    }
}

/// Text that is a duration, such as `10s`, `5m` or `1h 30m`.
///
/// # Errors
/// When the text has no unit, an unknown unit or no number.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    humantime::parse_duration(text.trim()).map_err(|_| UnitError::new(text, DURATION_WANTED))
}

/// A duration for people: the two largest units, and no more digits than mean something.
pub fn human_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 if duration.is_zero() => "0s".to_owned(),
        0 => format!("{}µs", duration.as_micros()),
        1..1000 => format!("{ms}ms"),
        1000..10_000 if ms % 1000 >= 50 => format!("{:.1}s", ms as f64 / 1000.0),
        _ => {
            let seconds = duration.as_secs();
            let parts =
                [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
            let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
            parts[first..]
                .iter()
                .take(2)
                .filter(|(count, _)| *count > 0)
                .map(|(count, unit)| format!("{count}{unit}"))
                .collect::<Vec<_>>()
                .join(" ")
        }
    }
}

/// A moment of wall-clock time in milliseconds since the Unix epoch. For stamps only: logic uses monotonic time.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The present moment by the system clock.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(since.as_millis() as u64)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to this; zero when the clock went backwards.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = std::time::UNIX_EPOCH + Duration::from_millis(self.0);
        write!(f, "{}", humantime::format_rfc3339_millis(moment))
    }
}

/// A limit that can be switched off: `"off"` or a quantity.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub enum OrOff<T> {
    /// No limit.
    Off,
    /// This limit.
    Of(T),
}

impl<T> OrOff<T> {
    /// The limit, when there is one.
    pub fn limit(self) -> Option<T> {
        match self {
            Self::Off => None,
            Self::Of(value) => Some(value),
        }
    }
}

impl<T: FromStr> FromStr for OrOff<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text.trim() == "off" { Ok(Self::Off) } else { text.parse().map(Self::Of) }
    }
}

impl<T: fmt::Display> fmt::Display for OrOff<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.pad("off"),
            Self::Of(value) => value.fmt(f),
        }
    }
}

/// A duration that is written and read as people write it (`10s`); for configuration and specifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub Duration);

impl Span {
    /// That many seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse_duration(text).map(Self)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&humantime::format_duration(self.0).to_string())
    }
}

macro_rules! serde_as_text {
    ($type:ty, $pattern:literal, $example:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).replace(['<', '>'], "").into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    };
}

serde_as_text!(Bytes, r"^\s*[0-9.]+\s*(B|[KMGT]iB|kB|[MGT]B)\s*$", "512MiB");
serde_as_text!(Percent, r"^\s*[0-9.]+\s*%\s*$", "80%");
serde_as_text!(Span, r"^\s*[0-9]+\s*[a-z].*$", "10s");
serde_as_text!(OrOff<Bytes>, r"^(off|\s*[0-9.]+\s*(B|[KMGT]iB|kB|[MGT]B)\s*)$", "2GiB");
serde_as_text!(OrOff<Percent>, r"^(off|\s*[0-9.]+\s*%\s*)$", "80%");
serde_as_text!(OrOff<Span>, r"^(off|\s*[0-9]+\s*[a-z].*)$", "10m");

/// A count that can be switched off: `"off"` or a whole number above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "CountText", into = "CountText")]
pub struct CountOrOff(pub Option<u32>);

#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged, expecting = "expected a whole number above 0, or \"off\"")]
enum CountText {
    Count(u32),
    Word(String),
}

impl TryFrom<CountText> for CountOrOff {
    type Error = String;

    fn try_from(text: CountText) -> Result<Self, String> {
        match text {
            CountText::Count(0) => Err("0 is not a limit; write a number above 0, or \"off\"".to_owned()),
            CountText::Count(count) => Ok(Self(Some(count))),
            CountText::Word(word) if word == "off" => Ok(Self(None)),
            CountText::Word(word) => Err(format!("`{word}` is not a limit; write a number above 0, or \"off\"")),
        }
    }
}

impl From<CountOrOff> for CountText {
    fn from(count: CountOrOff) -> Self {
        count.0.map_or_else(|| Self::Word("off".to_owned()), Self::Count)
    }
}

impl fmt::Display for CountOrOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.pad("off"),
            Some(count) => count.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in
            [("2GiB", 2 << 30), ("512 MiB", 512 << 20), ("1.5KiB", 1536), ("10MB", 10_000_000), ("7B", 7)]
        {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn a_size_without_a_unit_is_refused_with_an_example() {
        for text in ["512", "2gib", "-1MiB", "MiB", ""] {
            let error = text.parse::<Bytes>().unwrap_err().to_string();
            assert!(error.contains("512MiB"), "{text}: {error}");
        }
    }

    #[test]
    fn zero_percent_is_no_limit_and_refused() {
        assert!("0%".parse::<Percent>().is_err());
        assert_eq!("250%".parse(), Ok(Percent(250.0)));
    }

    #[test]
    fn off_is_a_limit_of_its_own() {
        assert_eq!("off".parse(), Ok(OrOff::<Bytes>::Off));
        assert_eq!("80%".parse(), Ok(OrOff::Of(Percent(80.0))));
    }

    #[test]
    fn durations_show_their_two_largest_units() {
        for (ms, text) in
            [(0, "0s"), (12, "12ms"), (1500, "1.5s"), (61_000, "1m 1s"), (3_600_000, "1h"), (90_061_000, "1d 1h")]
        {
            assert_eq!(human_duration(Duration::from_millis(ms)), text);
        }
    }
}
