//! Putting the current file aside at the end of a line, and removing the oldest.

use std::io;
use std::os::unix::fs::FileExt;

use super::peek::Look;
use super::{BLOCK, CHUNK, Capture, LONGEST_LINE, Step, open_file};
use crate::logs::archives;

/// Name, beside the current file, of the one that will follow it.
const NEXT: &str = "next";

impl Capture {
    /// The file is full: complete its last line, then put it aside. Not before something follows, so that the plain
    /// name is never left empty for long.
    pub(super) fn finish_line(&mut self) -> Step {
        let complete = self.ends_with_a_line() || self.length >= self.rotation.max_bytes.saturating_add(LONGEST_LINE);
        let rest_of_line = match self.look() {
            Look::Empty => return Step::Empty,
            Look::Ended => return Step::Ended,
            Look::Bytes { first_end: Some(place), .. } => place + 1,
            Look::Bytes { count, first_end: None, .. } => count,
            Look::Blind => BLOCK,
        };
        if !complete {
            return self.transfer(rest_of_line);
        }
        match self.rotate() {
            Ok(()) => Step::Moved(0),
            // Too large a file is better than a lost line; the next turn tries again.
            Err(_) => self.transfer(CHUNK),
        }
    }

    /// Whether the file's last byte ends a line; so does no byte at all.
    pub(super) fn ends_with_a_line(&self) -> bool {
        let Some(last) = self.length.checked_sub(1) else { return true };
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, last).is_ok() && byte == *b"\n"
    }

    /// Begin a new file. The next one is made first, so that a disk without room for it changes nothing. For a moment
    /// no file has the plain name; a holder that is killed there makes it at the next start.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        let next = archives::beside(&self.path, NEXT);
        let file = open_file(&next, true)?;
        match std::fs::rename(&self.path, archives::name(&self.path, self.start)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::rename(&next, &self.path)?;
        self.file = file;
        self.start += self.length;
        self.length = 0;
        self.prune();
        Ok(())
    }

    /// Remove archives beyond those that are kept.
    fn prune(&self) {
        let Ok(mut archives) = archives::list(&self.path) else { return };
        let full = archives.iter().filter(|archive| archive.bytes > 0).count();
        for _ in (self.rotation.keep as usize)..full {
            // What cannot be removed now is tried again at the next rotation.
            let Ok(Some(_)) = archives::remove_oldest(&self.path, &archives) else { return };
            let Some(place) = archives.iter().position(|archive| archive.bytes > 0) else { return };
            archives.drain(..=place);
        }
    }

    /// Remove the oldest archive because the disk is full; whether there was one.
    pub(super) fn remove_oldest(&self) -> bool {
        archives::list(&self.path)
            .and_then(|archives| archives::remove_oldest(&self.path, &archives))
            .is_ok_and(|removed| removed.is_some())
    }
}
