//! One output stream on its way from a run to its file: moved by the kernel, put aside in pieces, never in anybody's
//! way.
//!
//! ```text
//!  run ── pipe ──splice──▶ stdout.log ──full, at the end of a line──▶ stdout.log.<offset of its first byte>
//! ```
//!
//! Bytes go from the pipe to the file within one system call, so a holder that is killed loses none: they are in the
//! one or the other. They are looked at only where a file is to end. A disk that is full or fails never stops a run:
//! first the oldest archive makes room, then output is thrown away and counted until something can be written again.
//!
//! Owns the reading end of the pipe and the current file. Only the holder enters; it ignores SIGXFSZ, which would end
//! it where a limit on the size of files only fails a write.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::logs::archives;
use crate::platform::Rotation;

mod calls;
mod losing;
mod peek;
mod rotate;
mod saved;

pub(super) use losing::Loss;
pub(super) use saved::Saved;

/// How long to leave a pipe alone that was emptied quickly: what comes meanwhile is taken in one go, and a run that
/// writes line by line does not pay for waking the holder each time (it writes twice as much then).
pub(super) const REST: Duration = Duration::from_millis(1);

/// Most that one system call moves.
const CHUNK: usize = 1 << 20;
/// A pipe that gave so much since it was last empty is written in large pieces: resting would only slow its writer.
const BURST: u64 = 512 << 10;
/// What a pipe holds that was found full once: at full speed as much as comes within `REST`.
const LARGE_PIPE: i32 = 1 << 20;
/// A pipe out of which so much came at once was full: the kernel's default size.
const FULL_PIPE: usize = 64 << 10;
/// What is looked at at once; on the stack.
const BLOCK: usize = 16 << 10;
/// A line longer than this is cut, so that no file grows without bound.
const LONGEST_LINE: u64 = 1 << 20;
/// The least that a system call counts for, so that tiny writes do not make a turn long.
const LEAST_COST: usize = 4 << 10;

/// Where the output of a run goes.
#[derive(Debug)]
pub(super) enum Output {
    /// Through a pipe into a file: the capture, and the run's end of the pipe.
    Captured(Capture, OwnedFd),
    /// No regular file (`/dev/null`): the run gets it itself.
    Direct(OwnedFd),
}

/// What a turn of `pump` came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pumped {
    /// Nothing is left; look again when the pipe is readable.
    Empty {
        /// Whether not before `REST` has passed.
        rest: bool,
    },
    /// The turn was used up; there may be more.
    More,
    /// Nobody can write any more, and all is in the file: drop it.
    Ended,
}

/// One step of a turn.
enum Step {
    Moved(usize),
    /// Less than was asked for and little: whatever the run has written since the step before.
    Little(usize),
    Empty,
    Ended,
}

/// Output of a run that is captured.
#[derive(Debug)]
pub(super) struct Capture {
    path: PathBuf,
    rotation: Rotation,
    pipe: PipeReader,
    file: File,
    /// Place in the whole stream of the file's first byte.
    start: u64,
    /// Bytes in the file.
    length: u64,
    /// Bytes taken since the pipe was last empty.
    burst: u64,
    /// Whether the pipe was made larger, or that was refused.
    grown: bool,
    /// Whether the file takes no splice: then bytes are read and written.
    copies: bool,
    losing: Option<losing::Losing>,
    loss: Loss,
}

impl Capture {
    /// Open `path` to append to it, making it for its owner only if need be, and a pipe that leads there.
    ///
    /// Two outputs of a run that go to one file share one capture: give both the same end. A new run whose file still
    /// has a capture, because descendants of an earlier run live on, shares that one (`another_end`).
    ///
    /// # Errors
    /// When the file cannot be opened or no pipe can be made.
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Output> {
        let special = std::fs::metadata(path).is_ok_and(|about| {
            let kind = about.file_type();
            kind.is_char_device() || kind.is_fifo() || kind.is_block_device() || kind.is_socket()
        });
        if special {
            return direct(path).map(Output::Direct);
        }
        let (pipe, writer) = io::pipe()?;
        calls::set_nonblocking(pipe.as_fd(), true)?;
        Ok(Output::Captured(Self::take_up(path, rotation, pipe)?, writer.into()))
    }

    /// Go on with a pipe that does not block and leads to `path`: what is in it belongs at the end of the file.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn take_up(path: &Path, rotation: Rotation, pipe: PipeReader) -> io::Result<Self> {
        let file = open_file(path, false)?;
        let start = archives::start_of_current(&archives::list(path)?);
        Ok(Self {
            path: path.to_owned(),
            rotation,
            pipe,
            file,
            start,
            length: 0,
            burst: 0,
            grown: false,
            copies: false,
            losing: None,
            loss: Loss::default(),
        })
    }

    /// The file it writes.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The end to wait on; readable when there is something to `pump`, or when all writers are gone.
    pub(super) fn pipe(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// An end of the pipe for a run, which writes and also reads. A run that holds it is its own reader: when the holder
    /// dies, nothing it writes kills it, what is in the pipe stays there, and the next holder goes on reading.
    ///
    /// # Errors
    /// When `/proc` is not there or no descriptor is free.
    pub(super) fn another_end(&self) -> io::Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", self.pipe.as_raw_fd());
        OpenOptions::new().read(true).write(true).open(path).map(OwnedFd::from)
    }

    /// Take what is in the pipe, `budget` bytes of it at most (and one system call more). Never waits, never fails.
    pub(super) fn pump(&mut self, budget: usize) -> Pumped {
        self.measure();
        let (mut left, mut chasing) = (budget, false);
        while left > 0 {
            let step = if self.losing.is_some() { self.lose() } else { self.keep(left) };
            match step {
                Step::Moved(count) => {
                    left = left.saturating_sub(count.max(LEAST_COST));
                    self.burst = self.burst.saturating_add(count as u64);
                    chasing = false;
                }
                // Twice in a row: it writes line by line, and we run after it.
                Step::Little(_) if chasing => {
                    self.burst = 0;
                    return Pumped::Empty { rest: true };
                }
                Step::Little(count) => {
                    left = left.saturating_sub(LEAST_COST);
                    self.burst = self.burst.saturating_add(count as u64);
                    chasing = true;
                }
                Step::Empty => return Pumped::Empty { rest: std::mem::take(&mut self.burst) < BURST },
                Step::Ended => {
                    self.resume();
                    return Pumped::Ended;
                }
            }
        }
        Pumped::More
    }

    /// What has been lost since this was last asked; none when nothing was.
    pub(super) fn take_loss(&mut self) -> Option<Loss> {
        let loss = std::mem::take(&mut self.loss);
        (loss != Loss::default()).then_some(loss)
    }

    /// Somebody else may have shortened the file; then the stream goes on behind what it still holds. One that was
    /// removed is made anew.
    fn measure(&mut self) {
        let Ok(about) = self.file.metadata() else { return };
        let known = self.start + self.length;
        if about.nlink() == 0
            && let Ok(file) = open_file(&self.path, false)
        {
            (self.file, self.start, self.length) = (file, known, 0);
            return;
        }
        self.length = about.len();
        self.start = self.start.max(known.saturating_sub(self.length));
    }

    /// Move a piece from the pipe to the file, and put the file aside when it is full.
    fn keep(&mut self, most: usize) -> Step {
        let room = match self.rotation.max_bytes {
            0 => u64::MAX,
            max => max.saturating_sub(self.length),
        };
        if room == 0 {
            return self.finish_line();
        }
        let length = most.min(CHUNK).min(usize::try_from(room).unwrap_or(CHUNK));
        self.transfer(length)
    }

    /// Move up to `length` bytes to the end of the file.
    fn transfer(&mut self, length: usize) -> Step {
        if self.copies {
            return self.copy(length);
        }
        match calls::splice(self.pipe.as_fd(), self.file.as_fd(), self.length, length) {
            Ok(0) => Step::Ended,
            Ok(moved) => {
                self.length += moved as u64;
                if moved >= FULL_PIPE && !self.grown {
                    self.grown = true;
                    // Refused to a user without privileges who has many: then it stays as it is.
                    let _ = calls::resize_pipe(self.pipe.as_fd(), LARGE_PIPE);
                }
                if moved < length && moved < LEAST_COST { Step::Little(moved) } else { Step::Moved(moved) }
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN) => Step::Empty,
                Some(libc::EINTR) => Step::Moved(0),
                Some(libc::EINVAL) => {
                    self.copies = true;
                    Step::Moved(0)
                }
                _ => self.refused(&error, 0),
            },
        }
    }

    /// The same by reading and writing.
    fn copy(&mut self, length: usize) -> Step {
        let mut block = [0; BLOCK];
        let room = block.get_mut(..length.min(BLOCK)).unwrap_or_default();
        let count = match self.pipe.read(room) {
            Ok(0) => return Step::Ended,
            Ok(count) => count,
            Err(error) => return idle(&error),
        };
        let mut rest = block.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            match self.file.write_at(rest, self.length) {
                Ok(written) if written > 0 => {
                    self.length += written as u64;
                    rest = rest.get(written..).unwrap_or_default();
                }
                Ok(_) => return self.refused(&io::ErrorKind::WriteZero.into(), rest.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if !self.make_room(&error) {
                        return self.refused(&error, rest.len());
                    }
                }
            }
        }
        Step::Moved(count)
    }
}

/// What a read that failed means for this turn. A pipe has no other failures that would go away by asking again.
fn idle(error: &io::Error) -> Step {
    if error.kind() == io::ErrorKind::Interrupted { Step::Moved(0) } else { Step::Empty }
}

/// A file to capture into. Not opened to append: splice refuses that.
fn open_file(path: &Path, empty: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(empty).mode(0o600).open(path)
}

/// Something that is no regular file. A FIFO that nobody reads must not hold us up.
fn direct(path: &Path) -> io::Result<OwnedFd> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().append(true).custom_flags(flags).open(path)?;
    calls::set_nonblocking(file.as_fd(), false)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests;
