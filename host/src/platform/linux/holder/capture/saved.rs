//! A capture in words, so that a holder that executes its next version hands it on.

use std::fs::File;
use std::io::{self, PipeReader};
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::losing::{Losing, Loss};
use super::{Capture, calls};
use crate::platform::Rotation;

/// A capture without its descriptors, which keep their numbers across execve(2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Saved {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
    pipe: RawFd,
    file: RawFd,
    start: u64,
    /// Bytes of the file that are known.
    length: u64,
    /// Bytes lost so far, of them since the last end of a line, and why; while output is being lost.
    losing: Option<(u64, u64, i32)>,
}

impl Saved {
    /// The descriptors that must stay open (clear their close-on-exec flags right before).
    pub(in super::super) const fn descriptors(&self) -> [RawFd; 2] {
        [self.pipe, self.file]
    }

    /// Take over the descriptors in a new program; call it once.
    ///
    /// # Errors
    /// When one of them is not open.
    pub(in super::super) fn restore(self) -> io::Result<Capture> {
        let file = File::from(calls::take_over(self.file)?);
        let pipe = PipeReader::from(calls::take_over(self.pipe)?);
        Ok(Capture {
            path: self.path,
            rotation: Rotation { max_bytes: self.max_bytes, keep: self.keep },
            pipe,
            file,
            start: self.start,
            length: self.length,
            burst: 0,
            grown: false,
            copies: false,
            losing: self.losing.map(|(bytes, since_line, errno)| Losing { bytes, since_line, errno }),
            loss: Loss::default(),
        })
    }
}

impl Capture {
    /// Its form for the next program. Take its losses first: they are not handed on.
    pub(in super::super) fn save(&self) -> Saved {
        Saved {
            path: self.path.clone(),
            max_bytes: self.rotation.max_bytes,
            keep: self.rotation.keep,
            pipe: self.pipe.as_raw_fd(),
            file: self.file.as_raw_fd(),
            start: self.start,
            length: self.length,
            losing: self.losing.map(|losing| (losing.bytes, losing.since_line, losing.errno)),
        }
    }
}
