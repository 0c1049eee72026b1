//! The text of a configuration: one file or many fragments, merged into one tree whose every part knows its place.
//!
//! Places are byte offsets into all files laid end to end, so that a merged tree still says which file a key is from.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;

/// One file of a configuration.
pub(super) struct Source {
    path: PathBuf,
    text: String,
    /// Where it begins among all files.
    start: usize,
}

/// The files of a configuration, in order.
pub(super) struct Sources(Vec<Source>);

/// Something wrong at a place.
pub(super) struct Mistake {
    /// Offset among all files; none when it is nowhere.
    pub(super) at: Option<usize>,
    /// Dotted path of the key; empty when it has none.
    pub(super) key: String,
    /// What is wrong and what would be right.
    pub(super) message: String,
}

/// Read a file, or every `*.toml` of a directory in order of name.
pub(super) fn read(path: &Path) -> Result<Sources, ConfigError> {
    let cannot = |path: &Path, error: std::io::Error| {
        ConfigError::new(format!("cannot read configuration {}: {error}", path.display()))
    };
    let files = if path.is_dir() { fragments(path).map_err(|error| cannot(path, error))? } else { vec![path.into()] };
    if files.is_empty() {
        return Err(ConfigError::new(format!(
            "{} holds no *.toml file; write one, or start from `wasmvisor config default`",
            path.display()
        )));
    }
    let mut start = 0;
    let mut sources = Vec::with_capacity(files.len());
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|error| cannot(&path, error))?;
        let length = text.len();
        sources.push(Source { path, text, start });
        // One more, so that the end of one file is not the beginning of the next.
        start += length + 1;
    }
    Ok(Sources(sources))
}

fn fragments(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

impl Sources {
    /// All files as one tree, and what is wrong with their syntax or between them.
    pub(super) fn parse(&self) -> (DeTable<'_>, Vec<Mistake>) {
        let mut root = DeTable::new();
        let mut mistakes = Vec::new();
        for source in &self.0 {
            let (table, errors) = DeTable::parse_recoverable(&source.text);
            mistakes.extend(errors.iter().map(|error| Mistake {
                at: error.span().map(|span| span.start + source.start),
                key: String::new(),
                message: error.message().trim().to_lowercase().replace('\n', "; "),
            }));
            self.merge(&mut root, shifted_table(table.into_inner(), source.start), "", &mut mistakes);
        }
        (root, mistakes)
    }

    fn merge<'i>(&self, into: &mut DeTable<'i>, from: DeTable<'i>, path: &str, mistakes: &mut Vec<Mistake>) {
        for (key, value) in from {
            let here = dotted(path, key.get_ref());
            let Some(present) = into.get_key_value(key.get_ref().as_ref()) else {
                into.insert(key, value);
                continue;
            };
            let first = self.place(present.0.span().start);
            let present = into.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut);
            match (present, value.into_inner()) {
                (Some(DeValue::Table(present)), DeValue::Table(value)) => self.merge(present, value, &here, mistakes),
                _ => mistakes.push(Mistake {
                    at: Some(key.span().start),
                    key: here,
                    message: format!("written twice; the first is at {first}, keep one"),
                }),
            }
        }
    }

    /// `file:line:column` of an offset, both counted from 1.
    fn place(&self, at: usize) -> String {
        let Some(source) = self.0.iter().rev().find(|source| source.start <= at) else {
            return String::new();
        };
        let end = source.text.floor_char_boundary(at - source.start);
        let before = &source.text[..end];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        format!("{}:{line}:{column}", source.path.display())
    }

    /// All mistakes as one error, in the order of the files.
    pub(super) fn error(&self, mut mistakes: Vec<Mistake>) -> ConfigError {
        mistakes.sort_by_key(|mistake| mistake.at.unwrap_or(0));
        let lines: Vec<_> = mistakes.iter().map(|mistake| self.line(mistake)).collect();
        ConfigError::new(lines.join("\n"))
    }

    fn line(&self, mistake: &Mistake) -> String {
        let place = match mistake.at {
            Some(at) => self.place(at),
            None => self.0.first().map_or_else(String::new, |source| source.path.display().to_string()),
        };
        if mistake.key.is_empty() {
            format!("{place}: {}", mistake.message)
        } else {
            format!("{place}: {}: {}", mistake.key, mistake.message)
        }
    }
}

/// `path.key`, or `key` at the top.
pub(super) fn dotted(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn shifted<T>(range: Range<usize>, by: usize, value: T) -> Spanned<T> {
    Spanned::new(range.start + by..range.end + by, value)
}

fn shifted_table(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    table
        .into_iter()
        .map(|(key, value)| {
            let key = shifted(key.span(), by, Cow::clone(key.get_ref()));
            (key, shifted_value(value, by))
        })
        .collect()
}

fn shifted_value(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(shifted_table(table, by)),
        DeValue::Array(items) => DeValue::Array(items.iter().map(|item| shifted_value(item.clone(), by)).collect()),
        other => other,
    };
    shifted(span, by, value)
}
