//! The output of a process as a stream of lines: the end of its files, and what is added to them.
//!
//! Files are read where blocking is allowed, a piece at a time and only as fast as the client takes them, so that a
//! large or fast log is never in memory as a whole. A follower sleeps until its files grow.

use std::path::{Path, PathBuf};

use futures_util::stream::{self, Stream};
use serde::Serialize;
use tokio::sync::watch;

use super::types::{LogQuery, LogStream};
use crate::error::{ErrorClass, Problem};
use crate::logs::{Entry, Growth, Lines, Logs, Merge, Range};
use crate::record::ProcessRecord;
use crate::registry::Registry;
use crate::spec::ProcessId;

/// Bytes of JSON that are made at once.
const PIECE: usize = 128 << 10;

/// Whose output, and where it is.
#[derive(Debug)]
pub(super) struct Output {
    /// Who may add to it; nobody when only its files are left.
    process: Option<ProcessId>,
    files: Vec<(LogStream, PathBuf)>,
}

impl Output {
    /// That of a known process.
    pub(super) fn of(record: &ProcessRecord) -> Self {
        let files = [(LogStream::Stdout, &record.stdout_path), (LogStream::Stderr, &record.stderr_path)];
        let files = files.into_iter().filter_map(|(stream, path)| Some((stream, PathBuf::from(path.as_ref()?))));
        Self { process: Some(record.process_id.clone()), files: files.collect() }
    }

    /// That of a process which the history has forgotten, as long as its files are there: found by its whole id.
    pub(super) fn of_forgotten(logs: &Path, id: &str) -> Option<Self> {
        let ending = format!("-{id}");
        let is_its =
            |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| !id.is_empty() && name.ends_with(&ending));
        let mut folders = std::fs::read_dir(logs).ok()?.flatten();
        let folder = folders.find(|entry| is_its(&entry.file_name()))?.path();
        let files = [(LogStream::Stdout, "stdout.log"), (LogStream::Stderr, "stderr.log")];
        Some(Self { process: None, files: files.map(|(stream, name)| (stream, folder.join(name))).into() })
    }

    fn folder(&self) -> Option<&Path> {
        self.files.first()?.1.parent()
    }
}

/// The lines that `query` asks for, each as one line of JSON.
///
/// # Errors
/// When the query cannot be meant, or what is known of the lines cannot be read.
pub(super) async fn stream(
    logs: &Logs,
    registry: Registry,
    output: Output,
    query: LogQuery,
    ending: watch::Receiver<bool>,
) -> Result<impl Stream<Item = std::io::Result<Vec<u8>>> + use<>, Problem> {
    if let (Some(since), Some(until)) = (query.since_ms, query.until_ms)
        && since > until
    {
        let message = format!("nothing is both since {since} and until {until}; the earlier moment belongs to `since`");
        return Err(Problem::new(ErrorClass::Configuration, message));
    }
    // Before anything is read, or what is added meanwhile would not be told.
    let growth = match output.folder() {
        Some(folder) if query.follow && output.process.is_some() => Some(logs.follow(folder).await),
        _ => None,
    };
    let range = Range { last: query.lines, since: query.since_ms, until: query.until_ms };
    let sources = output
        .files
        .iter()
        .filter(|(stream, _)| query.stream.is_none_or(|wanted| wanted == *stream))
        .map(|(stream, path)| Ok((*stream, Lines::new(path, range)?)))
        .collect::<std::io::Result<_>>()
        .map_err(|error| Problem::new(ErrorClass::Unavailable, format!("cannot read the logs: {error}")))?;
    let last = growth.is_none();
    let reader = Reader { lines: Merge::new(sources), registry, process: output.process, growth, ending, last };
    Ok(stream::try_unfold(reader, Reader::next))
}

struct Reader {
    lines: Merge,
    registry: Registry,
    process: Option<ProcessId>,
    growth: Option<Growth>,
    ending: watch::Receiver<bool>,
    /// Nothing will be added any more: one last look.
    last: bool,
}

impl Reader {
    /// The next piece; none when there will be no more.
    async fn next(mut self) -> std::io::Result<Option<(Vec<u8>, Self)>> {
        loop {
            let last = self.last;
            let read = tokio::task::spawn_blocking(move || {
                let bytes = piece(&mut self.lines, last);
                (bytes, self)
            });
            let (bytes, reader) = read.await.map_err(std::io::Error::other)?;
            self = reader;
            let bytes = bytes?;
            if !bytes.is_empty() {
                return Ok(Some((bytes, self)));
            }
            if self.last {
                return Ok(None);
            }
            self.wait().await;
        }
    }

    /// Until something was added, or nothing will be any more.
    async fn wait(&mut self) {
        let (Some(growth), Some(process)) = (&mut self.growth, &self.process) else {
            self.last = true;
            return;
        };
        self.last = tokio::select! {
            () = growth.changed() => false,
            _ = self.registry.wait_ended(process) => true,
            _ = self.ending.wait_for(|ending| *ending) => true,
        };
    }
}

/// A line as it is written for the client.
#[derive(Serialize)]
struct Line<'a> {
    stream: LogStream,
    at_ms: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    approximate: bool,
    text: &'a str,
}

/// As many of the lines that are there as fit in a piece.
fn piece(lines: &mut Merge, last: bool) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < PIECE {
        let Some(Entry { stream, text, at, approximate }) = lines.next(last)? else { break };
        let text = String::from_utf8_lossy(text);
        serde_json::to_writer(&mut bytes, &Line { stream, at_ms: at.ms(), approximate, text: &text })?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
