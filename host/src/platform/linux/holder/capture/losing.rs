//! What happens when output cannot be kept: room is made, then output is thrown away and counted, until it works again.

use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;

use super::peek::Look;
use super::{BLOCK, Capture, LONGEST_LINE, Step, idle};

/// Output that could not be kept, and what was done about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Loss {
    /// Bytes thrown away.
    pub(in super::super) lost_bytes: u64,
    /// Archives removed early, to make room.
    pub(in super::super) archives_removed: u32,
    /// What the system said last, an errno; 0 when it said nothing.
    pub(in super::super) errno: i32,
}

/// Output is being thrown away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Losing {
    /// Bytes thrown away so far.
    pub(super) bytes: u64,
    /// Bytes thrown away since the last end of a line.
    pub(super) since_line: u64,
    /// What the system said.
    pub(super) errno: i32,
}

impl Capture {
    /// The file takes no more, and `unwritten` bytes in our hands go with it.
    pub(super) fn refused(&mut self, error: &io::Error, unwritten: usize) -> Step {
        if unwritten == 0 && self.make_room(error) {
            return Step::Moved(0);
        }
        let unwritten = unwritten as u64;
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        // Not at the end of a line until one has been seen: what comes next may be the rest of a line.
        self.losing = Some(Losing { bytes: unwritten, since_line: unwritten.max(1), errno });
        self.loss.lost_bytes += unwritten;
        self.loss.errno = errno;
        if self.ends_with_a_line() && unwritten == 0 {
            self.losing = Some(Losing { errno, ..Losing::default() });
            // Or the next step would try, and fail, in vain.
            return self.throw_away();
        }
        Step::Moved(0)
    }

    /// Make room for more if that may help; whether it was done.
    pub(super) fn make_room(&mut self, error: &io::Error) -> bool {
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => {
                let removed = self.remove_oldest();
                self.loss.archives_removed += u32::from(removed);
                self.loss.errno = error.raw_os_error().unwrap_or_default();
                removed
            }
            // A limit on the size of files: an empty one may take more.
            Some(libc::EFBIG) => self.length > 0 && self.rotate().is_ok(),
            _ => false,
        }
    }

    /// One step of a time when nothing can be kept.
    pub(super) fn lose(&mut self) -> Step {
        let at_line = self.losing.is_some_and(|losing| losing.since_line == 0 || losing.since_line >= LONGEST_LINE);
        if at_line && self.resume() {
            return Step::Moved(0);
        }
        self.throw_away()
    }

    /// Take a block from the pipe and forget it, up to the last end of a line in it.
    fn throw_away(&mut self) -> Step {
        let wanted = match self.look() {
            Look::Bytes { last_end: Some(place), .. } => place + 1,
            Look::Bytes { count, last_end: None, .. } => count,
            Look::Blind => BLOCK,
            Look::Empty => return Step::Empty,
            Look::Ended => return Step::Ended,
        };
        let mut block = [0; BLOCK];
        let room = block.get_mut(..wanted).unwrap_or_default();
        let count = match self.pipe.read(room) {
            Ok(0) => return Step::Ended,
            Ok(count) => count,
            Err(error) => return idle(&error),
        };
        let ended = block.get(..count).is_some_and(|taken| taken.ends_with(b"\n"));
        self.loss.lost_bytes += count as u64;
        if let Some(losing) = &mut self.losing {
            losing.bytes += count as u64;
            losing.since_line = if ended { 0 } else { losing.since_line + count as u64 };
        }
        Step::Moved(count)
    }

    /// Write how much is missing, and go on if that worked. Also when there was nothing to resume from.
    pub(super) fn resume(&mut self) -> bool {
        let Some(losing) = self.losing else { return true };
        if losing.bytes == 0 || self.write_marker(losing) {
            self.losing = None;
        }
        self.losing.is_none()
    }

    /// A line that says what is missing, or nothing at all.
    fn write_marker(&mut self, losing: Losing) -> bool {
        let mut text = [0; 256];
        let mut rest = text.as_mut_slice();
        let newline = if self.ends_with_a_line() { "" } else { "\n" };
        let reason = io::Error::from_raw_os_error(losing.errno);
        let formatted =
            writeln!(rest, "{newline}[wasmvisor: {} bytes of output are missing here: {reason}]", losing.bytes);
        let left = rest.len();
        let line = text.get(..text.len() - left).unwrap_or_default();
        if formatted.is_err() || self.file.write_all_at(line, self.length).is_err() {
            // Half a marker would be taken for output.
            let _ = self.file.set_len(self.length);
            return false;
        }
        self.length += line.len() as u64;
        true
    }
}
