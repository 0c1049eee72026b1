//! A look at what is in the pipe without taking it.

use std::io::{self, Read};
use std::os::fd::AsFd;

use super::{BLOCK, Capture, calls};

/// What a look showed.
pub(super) enum Look {
    /// This many bytes are there; the line that the first of them belongs to ends within them at this place, and the
    /// last end of a line is at that one.
    Bytes { count: usize, first_end: Option<usize>, last_end: Option<usize> },
    /// Nothing now.
    Empty,
    /// Nothing any more.
    Ended,
    /// There was no way to look.
    Blind,
}

impl Capture {
    /// Look at the next bytes, a block at most. They are copied into a pipe made for it, so that a holder that is killed
    /// here has taken nothing.
    pub(super) fn look(&self) -> Look {
        let Ok((mut reader, writer)) = io::pipe() else { return Look::Blind };
        match calls::tee(self.pipe.as_fd(), writer.as_fd(), BLOCK) {
            Ok(0) => return Look::Ended,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Look::Empty,
            Err(_) => return Look::Blind,
        }
        let mut block = [0; BLOCK];
        let Ok(count) = reader.read(&mut block) else { return Look::Blind };
        let seen = block.get(..count).unwrap_or_default();
        let is_end = |byte: &u8| *byte == b'\n';
        Look::Bytes { count, first_end: seen.iter().position(is_end), last_end: seen.iter().rposition(is_end) }
    }
}
