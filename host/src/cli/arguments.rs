//! Values on the command line that several verbs read the same way. Pure.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::error::{ErrorClass, Problem};
use crate::units::{Timestamp, UnitError, parse_duration};

/// One of a fixed set of words.
pub(super) fn words<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    word: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let known = PossibleValuesParser::new(all.iter().map(|value| word(*value)));
    known.try_map(move |text| {
        all.iter().copied().find(|value| word(*value) == text).ok_or_else(|| format!("`{text}` is not known"))
    })
}

/// A duration such as `5m`.
pub(super) fn duration(text: &str) -> Result<Duration, UnitError> {
    parse_duration(text)
}

/// A moment: so long ago (`5m`), or a date and time (`2026-01-31T12:00:00Z`).
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = humantime::parse_rfc3339_weak(text) {
        let since = moment.duration_since(std::time::UNIX_EPOCH).map_err(|_| "is before 1970".to_owned())?;
        return Ok(Timestamp(since.as_millis() as u64));
    }
    let before = parse_duration(text).map_err(|_| {
        format!("`{text}` is not a moment; write how long ago (`5m`) or a date and time (`2026-01-31T12:00:00Z`)")
    })?;
    Ok(Timestamp(Timestamp::now().ms().saturating_sub(before.as_millis() as u64)))
}

/// `KEY=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it like KEY=VALUE".to_owned()),
    }
}

/// An object of JSON.
pub(super) fn object(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("is not a JSON object like {{\"key\": 1}}: {error}"))
}

/// `path` seen from the current directory: the supervisor has another.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path).map_err(|error| {
        Problem::new(ErrorClass::Configuration, format!("cannot find out where {} is: {error}", path.display()))
    })
}

/// A plugin reference seen from the current directory: `builtin:NAME` and URLs stay as they are.
pub(super) fn plugin(reference: &str) -> Result<String, Problem> {
    if reference.starts_with("builtin:") || reference.contains("://") {
        return Ok(reference.to_owned());
    }
    Ok(absolute(Path::new(reference))?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_an_age_or_a_date() {
        assert_eq!(moment("1970-01-01T00:00:01Z"), Ok(Timestamp(1000)));
        let ago = Timestamp::now().since(moment("5m").unwrap());
        assert!(ago >= Duration::from_secs(300), "{ago:?}");
        assert!(moment("yesterday").unwrap_err().contains("5m"));
    }

    #[test]
    fn a_pair_needs_a_key() {
        assert_eq!(pair("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert!(pair("=b").is_err() && pair("A").is_err());
    }

    #[test]
    fn builtin_plugins_are_no_paths() {
        assert_eq!(plugin("builtin:health-score").unwrap(), "builtin:health-score");
        assert!(plugin("a.wasm").unwrap().starts_with('/'));
    }
}
