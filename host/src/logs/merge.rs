//! Several streams as one: the line that was seen first comes first.

use std::io;

use super::{Lines, LogStream};
use crate::units::Timestamp;

/// A line of one of the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where it was written.
    pub stream: LogStream,
    /// The line without its end, as it was written.
    pub text: &'a [u8],
    /// When it was first seen.
    pub at: Timestamp,
    /// Whether that is only the nearest moment known.
    pub approximate: bool,
}

/// Lines of several streams, those of one stream in their own order. Lines that were seen in one look have one moment;
/// then those of the first stream come first.
#[derive(Debug)]
pub struct Merge {
    sources: Vec<(LogStream, Lines)>,
}

impl Merge {
    /// Of these streams.
    pub const fn new(sources: Vec<(LogStream, Lines)>) -> Self {
        Self { sources }
    }

    /// The next line that is there now; with `finish` also the last ones without an end.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next(&mut self, finish: bool) -> io::Result<Option<Entry<'_>>> {
        let mut earliest = None;
        for (place, (_, lines)) in self.sources.iter_mut().enumerate() {
            if let Some(head) = lines.head(finish)?
                && earliest.is_none_or(|(_, at, _)| head.at < at)
            {
                earliest = Some((place, head.at, head.approximate));
            }
        }
        let Some((place, at, approximate)) = earliest else { return Ok(None) };
        let source = self.sources.get_mut(place);
        Ok(source.map(|(stream, lines)| Entry { stream: *stream, text: lines.take(), at, approximate }))
    }
}
