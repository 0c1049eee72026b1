//! From text to a checked configuration, with every mistake found on the way.
//!
//! serde stops at its first mistake. So the part that is wrong is taken out of the tree and the rest is read again,
//! until nothing is wrong any more; the values that are left are then checked for what cannot be.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Mistake, Sources, dotted};
use super::{Config, ConfigError, check};

/// After this many mistakes the rest is left for the next time.
const MISTAKES_TOLD: usize = 50;

/// Read the tree of `sources` as a configuration.
pub(super) fn decode(sources: &Sources) -> Result<Config, ConfigError> {
    let (mut root, mut mistakes) = sources.parse();
    if !mistakes.is_empty() {
        return Err(sources.error(mistakes));
    }
    let mut places = BTreeMap::new();
    index(&root, "", &mut places);
    refuse_names(&mut root, &mut mistakes);
    let config = read_all(root, &mut mistakes);
    if let Some(config) = config {
        let written = |key: &str| places.contains_key(key);
        mistakes.extend(check::impossible(&config, written).into_iter().map(|(key, message)| Mistake {
            at: nearest_place(&places, &key),
            key,
            message,
        }));
        if mistakes.is_empty() {
            return Ok(config);
        }
    }
    Err(sources.error(mistakes))
}

/// Where every key stands, by its dotted path.
fn index(table: &DeTable<'_>, path: &str, places: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let here = dotted(path, key.get_ref());
        if let DeValue::Table(inner) = value.get_ref() {
            index(inner, &here, places);
        }
        places.insert(here, key.span().start);
    }
}

/// The place of `key`, or of the nearest table above it that was written.
fn nearest_place(places: &BTreeMap<String, usize>, key: &str) -> Option<usize> {
    let mut key = key;
    loop {
        if let Some(at) = places.get(key) {
            return Some(*at);
        }
        key = key.rsplit_once('.')?.0;
    }
}

/// A process is named by its table; a second name inside could only disagree.
fn refuse_names(root: &mut DeTable<'_>, mistakes: &mut Vec<Mistake>) {
    let Some(DeValue::Table(processes)) = root.get_mut("process").map(Spanned::get_mut) else { return };
    for (process, value) in processes.iter_mut() {
        let DeValue::Table(spec) = value.get_mut() else { continue };
        let Some((key, _)) = spec.remove_entry("name") else { continue };
        mistakes.push(Mistake {
            at: Some(key.span().start),
            key: format!("process.{}.name", process.get_ref()),
            message: "a process is named by its table; remove this key".to_owned(),
        });
    }
}

fn read_all(mut root: DeTable<'_>, mistakes: &mut Vec<Mistake>) -> Option<Config> {
    let mut removed = Vec::new();
    while mistakes.len() < MISTAKES_TOLD {
        let whole = Spanned::new(0..0, root.clone());
        let error = match Config::deserialize(toml::de::Deserializer::from(whole)) {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        let taken = error.span().and_then(|span| take(&mut root, &span).map(|path| (span.start, path)));
        let path = taken.as_ref().map_or("", |(_, path)| path.as_str());
        if let Some(mistake) = explain(error.message(), path, taken.as_ref().map(|(at, _)| *at), &removed) {
            mistakes.push(mistake);
        }
        removed.push(taken?.1);
    }
    None
}

/// Take the smallest part that begins at `span` or holds its beginning out of the tree, and give its path.
fn take(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<String> {
    for (key, value) in table.iter_mut() {
        let inner = match value.get_mut() {
            DeValue::Table(inner) => take(inner, span).map(|path| dotted(key.get_ref(), &path)),
            DeValue::Array(items) => take_from_array(items, span).map(|path| format!("{}{path}", key.get_ref())),
            _ => None,
        };
        if inner.is_some() {
            return inner;
        }
    }
    let holds = |range: Range<usize>| range.contains(&span.start);
    let key = table.iter().find(|(key, value)| holds(key.span()) || holds(value.span()))?.0.get_ref().to_string();
    table.remove(key.as_str());
    Some(key)
}

/// The same for an array whose items are tables; a mistake in an array of values makes the whole array wrong.
fn take_from_array(items: &mut toml::de::DeArray<'_>, span: &Range<usize>) -> Option<String> {
    for (place, item) in items.iter_mut().enumerate() {
        let range = item.span();
        let DeValue::Table(inner) = item.get_mut() else { continue };
        if let Some(path) = take(inner, span) {
            return Some(format!("[{place}].{path}"));
        }
        if range.contains(&span.start) {
            let kept = items.iter().enumerate().filter(|(other, _)| *other != place);
            *items = kept.map(|(_, item)| item.clone()).collect();
            return Some(format!("[{place}]"));
        }
    }
    None
}

/// serde's text as a sentence for a person; none for a field that is missing only because it was taken out before.
fn explain(text: &str, path: &str, at: Option<usize>, removed: &[String]) -> Option<Mistake> {
    let quoted: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    let mistake = |key: String, message: String| Some(Mistake { at, key, message });
    if let (true, Some(field)) = (text.starts_with("missing field"), quoted.first()) {
        let key = dotted(path, field);
        let known_wrong = removed.contains(&key);
        return if known_wrong { None } else { mistake(key, "is missing and has no default".to_owned()) };
    }
    if let (true, Some((unknown, known))) = (text.starts_with("unknown field"), quoted.split_first()) {
        let mut known = known.to_vec();
        if path.starts_with("policies.") && path.matches('.').count() == 1 {
            known.push("set");
        }
        return mistake(path.to_owned(), format!("unknown key; {}", suggestion(unknown, &known)));
    }
    if let (true, Some((unknown, known))) = (text.starts_with("unknown variant"), quoted.split_first()) {
        return mistake(path.to_owned(), format!("`{unknown}` is not known here; {}", suggestion(unknown, known)));
    }
    mistake(path.to_owned(), type_mistake(text, path))
}

fn type_mistake(text: &str, path: &str) -> String {
    // The value may be a secret: say what would be right and not what is there.
    if path.split('.').any(|part| part == "env") {
        return "must be text in quotes".to_owned();
    }
    let text = text.trim().replace('\n', "; ");
    let number = text.starts_with("invalid type: integer") || text.starts_with("invalid type: floating");
    if number && text.ends_with("expected a string") {
        return format!("{text}; write it in quotes with its unit, like \"10s\", \"512MiB\" or \"80%\"");
    }
    text
}

/// The known word most like the unknown one, or all of them when none is like it.
fn suggestion(unknown: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(unknown, word), word))
        .filter(|(distance, word)| *distance <= word.len().max(3) / 2)
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, word)) => format!("did you mean `{word}`?"),
        None => format!("known are {}", known.join(", ")),
    }
}
