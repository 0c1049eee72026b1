//! One stream as lines with the moments when they were first seen.

use std::io;
use std::path::{Path, PathBuf};

use super::reader::{Read, Reader};
use super::stamps::StampTable;
use super::tail;
use crate::units::Timestamp;

/// Bytes read at once.
const BLOCK: usize = 128 << 10;
/// A line without an end is told in pieces of this size.
const LONGEST_LINE: usize = 1 << 20;
/// Bytes that nobody has stamped yet have the time of the file; it is theirs when the file is no older than this.
const FRESH_MS: u64 = 1000;

/// Which part of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// Only this many lines at the end.
    pub last: Option<u64>,
    /// Only lines first seen at this moment or later.
    pub since: Option<Timestamp>,
    /// Only lines first seen at this moment or earlier.
    pub until: Option<Timestamp>,
}

/// The line that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    begin: usize,
    end: usize,
    pub(super) at: Timestamp,
    pub(super) approximate: bool,
}

/// Reads a stream line by line; what it holds in memory is a block and at most one line.
#[derive(Debug)]
pub struct Lines {
    current: PathBuf,
    range: Range,
    /// Found at the first look, which may be long after `new`.
    reader: Option<Reader>,
    stamps: StampTable,
    /// Stamp of the line before.
    hint: usize,
    buffer: Vec<u8>,
    /// Offset of the buffer's first byte in the stream.
    start: u64,
    /// Where the next line begins in the buffer, and up to where no end of a line was found.
    begin: usize,
    searched: usize,
    /// The rest of a line that began before the range.
    skips: bool,
    head: Option<Head>,
    /// Whether new stamps were looked for since the last block was read, and the moment of those without any.
    refreshed: bool,
    unstamped: Option<(Timestamp, bool)>,
}

impl Lines {
    /// The lines of the stream whose current file this is. Nothing is read yet, and nothing needs to be there.
    ///
    /// # Errors
    /// When stamps are there and cannot be read.
    pub fn new(current: &Path, range: Range) -> io::Result<Self> {
        Ok(Self {
            current: current.to_owned(),
            range,
            reader: None,
            stamps: StampTable::load(current)?,
            hint: 0,
            buffer: Vec::new(),
            start: 0,
            begin: 0,
            searched: 0,
            skips: false,
            head: None,
            refreshed: false,
            unstamped: None,
        })
    }

    /// The next line, if one is there; with `finish` also a last one without an end. It stays the next until `take`.
    pub(super) fn head(&mut self, finish: bool) -> io::Result<Option<Head>> {
        while self.head.is_none() {
            let Some((end, next)) = self.next_line(finish)? else { return Ok(None) };
            let (begin, offset) = (self.begin, self.start + self.begin as u64);
            (self.begin, self.searched) = (next, next);
            if std::mem::take(&mut self.skips) {
                continue;
            }
            let (at, approximate) = self.moment(offset)?;
            if self.range.until.is_some_and(|until| at > until) {
                // Times only grow: nothing after it is wanted either.
                (self.begin, self.searched) = (begin, begin);
                return Ok(None);
            }
            if self.range.since.is_none_or(|since| at >= since) {
                self.head = Some(Head { begin, end, at, approximate });
            }
        }
        Ok(self.head)
    }

    /// The line that `head` told of, without its end.
    pub(super) fn take(&mut self) -> &[u8] {
        let Some(head) = self.head.take() else { return &[] };
        self.buffer.get(head.begin..head.end).unwrap_or_default()
    }

    /// Where the line at `begin` ends, and where the next begins.
    fn next_line(&mut self, finish: bool) -> io::Result<Option<(usize, usize)>> {
        loop {
            let unseen = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(place) = memchr::memchr(b'\n', unseen) {
                let end = self.searched + place;
                return Ok(Some((end, end + 1)));
            }
            self.searched = self.buffer.len();
            let length = self.buffer.len() - self.begin;
            if length >= LONGEST_LINE || !self.fill()? && finish && length > 0 {
                return Ok(Some((self.searched, self.searched)));
            }
            if self.searched == self.buffer.len() {
                return Ok(None);
            }
        }
    }

    /// Read another block; whether there was any.
    fn fill(&mut self) -> io::Result<bool> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.first()?,
        };
        self.buffer.drain(..self.begin);
        self.start += self.begin as u64;
        self.searched -= self.begin;
        self.begin = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + BLOCK, 0);
        let read = reader.read(self.buffer.get_mut(length..).unwrap_or_default());
        let count = if let Ok(Read::Bytes(count)) = read { count } else { 0 };
        self.buffer.truncate(length + count);
        if length == 0 && count > 0 {
            // Reading may begin later than asked for, where older files are gone.
            self.start = reader.position() - count as u64;
        }
        (self.refreshed, self.unstamped) = (false, None);
        if let Ok(Read::Missing(bytes)) = read {
            self.tell_missing(bytes, reader.position());
        }
        self.reader = Some(reader);
        Ok(read? != Read::Nothing)
    }

    /// A reader at the beginning of the range.
    fn first(&mut self) -> io::Result<Reader> {
        let mut position = self.range.last.map(|lines| tail::start_of_last(&self.current, lines)).transpose()?;
        if let Some(since) = self.range.since.map(|since| self.stamps.since(since)).filter(|since| *since > 0)
            && position.is_none_or(|position| position < since)
        {
            // One byte earlier, so that the end of the line before shows whether a line begins here.
            position = Some(since - 1);
            self.skips = true;
        }
        let position = position.unwrap_or(0);
        let reader = Reader::new(self.current.clone(), position);
        self.start = position;
        Ok(reader)
    }

    /// A line in place of those that were removed before anybody read them.
    fn tell_missing(&mut self, bytes: u64, position: u64) {
        let text = format!("[wasmvisor: {bytes} bytes of output were removed before they were read]\n");
        if !self.buffer.is_empty() {
            self.buffer.push(b'\n');
        }
        self.buffer.extend_from_slice(text.as_bytes());
        self.start = position.saturating_sub(self.buffer.len() as u64);
    }

    /// When the byte at `offset` was first seen.
    fn moment(&mut self, offset: u64) -> io::Result<(Timestamp, bool)> {
        let mut known = self.stamps.at(offset, &mut self.hint);
        if known.is_none() && !std::mem::replace(&mut self.refreshed, true) {
            self.stamps.refresh()?;
            known = self.stamps.at(offset, &mut self.hint);
        }
        if let Some(stamp) = known {
            return Ok((stamp.at, stamp.approximate));
        }
        let reader = self.reader.as_ref();
        Ok(*self.unstamped.get_or_insert_with(|| {
            let now = Timestamp::now();
            let at = reader.and_then(Reader::written_at).unwrap_or(now);
            (at, now.ms().saturating_sub(at.ms()) > FRESH_MS)
        }))
    }
}

#[cfg(test)]
mod tests;
