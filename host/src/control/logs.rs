//! The output of a process as a stream of lines: the end of a file, and what is added to it.
//!
//! New lines are looked for every 200 ms, and only while somebody follows: a file tells nobody that it grew, and the
//! supervisor does not touch the output on its way from the process to the file.

use std::collections::VecDeque;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::sync::watch;

use super::types::{LogLine, LogQuery, LogStream};
use crate::record::ProcessRecord;
use crate::registry::Registry;

const LOOK_EVERY: Duration = Duration::from_millis(200);
const BLOCK: usize = 64 << 10;
/// A line without an end is told in pieces of this size.
const LONGEST_LINE: usize = 1 << 20;

/// The lines that `query` asks for, each as one line of JSON.
pub(super) fn stream(
    registry: Registry,
    record: Arc<ProcessRecord>,
    query: LogQuery,
    ending: watch::Receiver<bool>,
) -> impl Stream<Item = std::io::Result<Vec<u8>>> {
    let files = [(LogStream::Stdout, &record.stdout_path), (LogStream::Stderr, &record.stderr_path)]
        .into_iter()
        .filter(|(stream, _)| query.stream.is_none_or(|wanted| wanted == *stream))
        .filter_map(|(stream, path)| Some(Follower::new(stream, path.as_deref()?, query.lines)))
        .collect();
    let reader = Reader { registry, record, files, follow: query.follow, ending, last: false };
    stream::try_unfold(reader, Reader::next)
}

struct Reader {
    registry: Registry,
    record: Arc<ProcessRecord>,
    files: VecDeque<Follower>,
    follow: bool,
    ending: watch::Receiver<bool>,
    /// Nothing will be added any more: one last look.
    last: bool,
}

impl Reader {
    /// The next piece: at most a block of each turn, so that a large file is never in memory as a whole.
    async fn next(mut self) -> std::io::Result<Option<(Vec<u8>, Self)>> {
        loop {
            let finish = self.last || !self.follow;
            for _ in 0..self.files.len() {
                let Some(mut file) = self.files.pop_front() else { break };
                let read = tokio::task::spawn_blocking(move || {
                    let lines = file.read(finish);
                    (file, lines)
                });
                let (file, lines) = read.await.map_err(std::io::Error::other)?;
                let lines = lines?;
                if lines.is_empty() {
                    self.files.push_back(file);
                    continue;
                }
                // The same file first: its lines stay together.
                self.files.push_front(file);
                return Ok(Some((encode(&lines)?, self)));
            }
            if finish {
                return Ok(None);
            }
            self.wait().await;
        }
    }

    /// Until it is time to look again; finds out whether this was the last time.
    async fn wait(&mut self) {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = self.ending.wait_for(|ending| *ending) => self.last = true,
        }
        let now = self.registry.get(&self.record.process_id).await;
        self.last |= now.is_none_or(|record| record.status.is_ended());
    }
}

fn encode(lines: &[LogLine]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut bytes, line)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// One file and how far it has been read.
#[derive(Debug)]
struct Follower {
    stream: LogStream,
    path: PathBuf,
    /// Lines wanted from the end; taken at the first look.
    from_end: Option<u64>,
    offset: u64,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
}

impl Follower {
    fn new(stream: LogStream, path: &str, lines: Option<u64>) -> Self {
        Self { stream, path: path.into(), from_end: lines, offset: 0, partial: Vec::new() }
    }

    /// The next lines, at most a block of them; with `finish` also a last line that has no end. Nothing when there is
    /// nothing new, or no file.
    fn read(&mut self, finish: bool) -> std::io::Result<Vec<LogLine>> {
        let mut file = match std::fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(at(&self.path, error)),
        };
        if let Some(lines) = self.from_end.take() {
            self.offset = start_of_last(&mut file, lines)?;
        }
        // A file that became shorter was begun anew.
        if file.metadata()?.len() < self.offset {
            self.offset = 0;
            self.partial.clear();
        }
        let mut lines = Vec::new();
        while lines.is_empty() {
            let mut block = vec![0; BLOCK];
            file.seek(SeekFrom::Start(self.offset))?;
            let count = file.read(&mut block)?;
            self.offset += count as u64;
            self.take_in(&block[..count], &mut lines);
            if count == 0 {
                if finish && !self.partial.is_empty() {
                    let last = std::mem::take(&mut self.partial);
                    lines.push(self.line(&last));
                }
                break;
            }
        }
        Ok(lines)
    }

    fn take_in(&mut self, block: &[u8], lines: &mut Vec<LogLine>) {
        for piece in block.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.partial.len() >= LONGEST_LINE {
                let line = std::mem::take(&mut self.partial);
                lines.push(self.line(&line));
            }
        }
    }

    fn line(&self, bytes: &[u8]) -> LogLine {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        LogLine { stream: self.stream, text: String::from_utf8_lossy(bytes).into_owned() }
    }
}

fn at(path: &Path, error: std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))
}

/// Where the last `lines` lines of a file begin, found by reading backwards.
fn start_of_last(file: &mut std::fs::File, lines: u64) -> std::io::Result<u64> {
    let length = file.metadata()?.len();
    if lines == 0 {
        return Ok(length);
    }
    let (mut end, mut seen) = (length, 0);
    let mut block = vec![0; BLOCK];
    while end > 0 {
        let begin = end.saturating_sub(BLOCK as u64);
        let part = &mut block[..(end - begin) as usize];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(part)?;
        for (place, byte) in part.iter().enumerate().rev() {
            let position = begin + place as u64;
            // The end of the last line begins no line after it.
            if *byte == b'\n' && position + 1 < length {
                seen += 1;
                if seen == lines {
                    return Ok(position + 1);
                }
            }
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn texts(lines: Vec<LogLine>) -> Vec<String> {
        lines.into_iter().map(|line| line.text).collect()
    }

    fn follower(text: &str, lines: Option<u64>) -> (tempfile::NamedTempFile, Follower) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let follower = Follower::new(LogStream::Stdout, file.path().to_str().unwrap(), lines);
        (file, follower)
    }

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        let (_file, mut follower) = follower("one\ntwo\nthree\n", Some(2));
        assert_eq!(texts(follower.read(true).unwrap()), ["two", "three"]);
    }

    #[test]
    fn a_last_line_without_an_end_counts_as_a_line() {
        let (_file, mut log) = follower("one\ntwo", Some(1));
        assert_eq!(texts(log.read(true).unwrap()), ["two"]);
        let (_file, mut log) = follower("one\ntwo", Some(5));
        let mut all = texts(log.read(true).unwrap());
        all.extend(texts(log.read(true).unwrap()));
        assert_eq!(all, ["one", "two"]);
    }

    #[test]
    fn the_end_of_a_file_larger_than_a_block_is_found() {
        let text: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
        let (_file, mut log) = follower(&text, Some(15_000));
        let mut all = Vec::new();
        loop {
            let lines = texts(log.read(true).unwrap());
            if lines.is_empty() {
                break;
            }
            all.extend(lines);
        }
        assert_eq!((all.len(), all[0].as_str()), (15_000, "line 5000"));
    }

    #[test]
    fn a_follower_waits_for_the_end_of_a_line() {
        let (mut file, mut log) = follower("one\ntw", None);
        assert_eq!(texts(log.read(false).unwrap()), ["one"]);
        assert_eq!(texts(log.read(false).unwrap()), Vec::<String>::new());
        file.write_all(b"o\n").unwrap();
        assert_eq!(texts(log.read(false).unwrap()), ["two"]);
    }

    #[test]
    fn a_file_begun_anew_is_read_from_its_beginning() {
        let (file, mut log) = follower("one\ntwo\n", None);
        assert_eq!(texts(log.read(false).unwrap()).len(), 2);
        std::fs::write(file.path(), "new\n").unwrap();
        assert_eq!(texts(log.read(false).unwrap()), ["new"]);
    }

    #[test]
    fn no_file_yet_is_no_error() {
        let mut log = Follower::new(LogStream::Stderr, "/nonexistent/err.log", Some(3));
        assert_eq!(log.read(false).unwrap(), []);
    }
}
