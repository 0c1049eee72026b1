//! The output of runs: which streams are open, and whose turn it is.
//!
//! A stream is in one of three places: watched by the kernel (`epoll`, told once), `busy` (there is more in the pipe than
//! one turn takes) or `resting` (just emptied, see `capture::REST`). So a flood on one stream costs the others a turn at
//! most, and a run that writes line by line does not wake the holder for each.
//!
//! Owns the captures. Only `server` enters.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::bytes::fields;
use super::capture::{Capture, Loss, Output, Pumped, REST};
use super::runs::PLACES;
use super::sys::{Epoll, Interest};
use crate::platform::Rotation;
use crate::spec::ProcessId;

/// Bytes taken from one stream in a turn.
const PIECE: usize = 128 << 10;
/// Streams that are looked at in a turn.
const TURNS: usize = 16;
/// What a pipe can hold at most, once it was made larger: so much is taken when its run has ended.
const LAST_PIECE: usize = 1 << 20;

struct Stream {
    capture: Capture,
    process_id: ProcessId,
}

/// A stream of a run, as the next holder finds it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunOutput {
    /// Descriptor of the run: 1 or 2.
    pub(super) number: u8,
    pub(super) path: PathBuf,
    /// Number of the pipe (its inode); a run may have put another file in its place.
    pub(super) pipe: u64,
    pub(super) rotation: Rotation,
}

fields!(RunOutput { number, path, pipe, rotation });

impl RunOutput {
    /// The stream of descriptor `number`; `None` when the run has the file itself.
    pub(super) fn of(opened: &Opened, number: u8, path: &Path, rotation: Rotation) -> Option<Self> {
        opened.stream?;
        let end = File::from(opened.end.try_clone().ok()?);
        Some(Self { number, path: path.to_owned(), pipe: end.metadata().ok()?.ino(), rotation })
    }
}

/// What a child gets, and the stream that it leads to; none when the child has the file itself.
pub(super) struct Opened {
    pub(super) end: OwnedFd,
    pub(super) stream: Option<usize>,
}

/// All streams. Bounded by two for each run in the table.
pub(super) struct Streams {
    epoll: Epoll,
    places: Vec<Option<Stream>>,
    free: Vec<usize>,
    by_path: BTreeMap<PathBuf, usize>,
    busy: VecDeque<usize>,
    resting: VecDeque<(Instant, usize)>,
    /// What has been lost and not told yet, a sum for each process.
    losses: BTreeMap<ProcessId, Loss>,
}

impl Streams {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new()?,
            places: Vec::new(),
            free: Vec::new(),
            by_path: BTreeMap::new(),
            busy: VecDeque::new(),
            resting: VecDeque::new(),
            losses: BTreeMap::new(),
        })
    }

    /// Readable when a stream has something.
    pub(super) fn epoll(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// What the child gets as its output, for this file.
    ///
    /// # Errors
    /// When the file cannot be opened, or there is no room for another stream.
    pub(super) fn open(&mut self, path: &Path, rotation: Rotation, process_id: &ProcessId) -> io::Result<Opened> {
        let known = self.by_path.get(path).and_then(|index| Some((*index, self.places.get(*index)?.as_ref()?)));
        if let Some((index, stream)) = known {
            return Ok(Opened { end: stream.capture.another_end()?, stream: Some(index) });
        }
        if self.free.is_empty() && self.places.len() >= 2 * PLACES {
            return Err(io::Error::other("the holder has no room for another stream"));
        }
        match Capture::open(path, rotation)? {
            Output::Direct(end) => Ok(Opened { end, stream: None }),
            Output::Captured(capture, _write_only) => {
                let end = capture.another_end()?;
                let stream = Some(self.add(capture, process_id.clone())?);
                Ok(Opened { end, stream })
            }
        }
    }

    /// Go on with the output of a run whose holder is gone, out of the pipe that the run itself holds.
    ///
    /// # Errors
    /// When the run holds another file there by now, or may not be looked into, or the file cannot be opened.
    pub(super) fn take_up(
        &mut self,
        run: u32,
        output: &RunOutput,
        process_id: &ProcessId,
    ) -> io::Result<Option<usize>> {
        if let Some(index) = self.by_path.get(&output.path) {
            return Ok(Some(*index));
        }
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        let held = options.open(format!("/proc/{run}/fd/{}", output.number))?;
        if held.metadata()?.ino() != output.pipe {
            return Ok(None);
        }
        let pipe = PipeReader::from(OwnedFd::from(held));
        let capture = Capture::take_up(&output.path, output.rotation, pipe)?;
        self.add(capture, process_id.clone()).map(Some)
    }

    pub(super) fn add(&mut self, capture: Capture, process_id: ProcessId) -> io::Result<usize> {
        let path = capture.path().to_owned();
        let index = self.free.pop().unwrap_or(self.places.len());
        self.epoll.add(capture.pipe(), Interest::Once, index as u64)?;
        let stream = Some(Stream { capture, process_id });
        match self.places.get_mut(index) {
            Some(place) => *place = stream,
            None => self.places.push(stream),
        }
        self.by_path.insert(path, index);
        Ok(index)
    }

    /// Every capture with its place and the process that it belongs to.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, &Capture, &ProcessId)> {
        let placed = self.places.iter().enumerate();
        placed.filter_map(|(place, stream)| stream.as_ref().map(|one| (place, &one.capture, &one.process_id)))
    }

    /// When this must be called again though the kernel tells nothing.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.busy.is_empty() { self.resting.front().map(|(due, _)| *due) } else { Some(Instant::now()) }
    }

    /// One turn: a piece of each stream that has something.
    pub(super) fn turn(&mut self) {
        let now = Instant::now();
        while let Some((due, index)) = self.resting.front().copied() {
            if due > now {
                break;
            }
            self.resting.pop_front();
            self.arm(index);
        }
        if self.busy.len() < TURNS {
            self.busy.extend(self.epoll.wait(Some(0)).filter_map(|token| usize::try_from(token).ok()));
        }
        for _ in 0..self.busy.len().min(TURNS) {
            let Some(index) = self.busy.pop_front() else { break };
            match self.pump(index, PIECE) {
                Some(Pumped::More) => self.busy.push_back(index),
                Some(Pumped::Empty { rest: true }) => self.resting.push_back((now + REST, index)),
                Some(Pumped::Empty { rest: false }) => self.arm(index),
                Some(Pumped::Ended) => self.close(index),
                None => {}
            }
        }
    }

    /// Take what a run that has ended has left in its pipes, so that its output is whole when its end is told.
    pub(super) fn drain(&mut self, streams: [Option<usize>; 2]) {
        for index in streams.into_iter().flatten() {
            // The place may be another's by now, whom it does no harm.
            self.pump(index, LAST_PIECE);
        }
    }

    /// The next loss to tell.
    pub(super) fn next_loss(&mut self) -> Option<(ProcessId, Loss)> {
        self.losses.pop_first()
    }

    fn pump(&mut self, index: usize, budget: usize) -> Option<Pumped> {
        let stream = self.places.get_mut(index)?.as_mut()?;
        let pumped = stream.capture.pump(budget);
        if let Some(loss) = stream.capture.take_loss() {
            let sum = self.losses.entry(stream.process_id.clone()).or_default();
            sum.lost_bytes = sum.lost_bytes.saturating_add(loss.lost_bytes);
            sum.archives_removed = sum.archives_removed.saturating_add(loss.archives_removed);
            sum.errno = loss.errno;
        }
        Some(pumped)
    }

    fn arm(&mut self, index: usize) {
        let Some(Some(stream)) = self.places.get(index) else { return };
        if self.epoll.change(stream.capture.pipe(), Interest::Once, index as u64).is_err() {
            self.busy.push_back(index);
        }
    }

    fn close(&mut self, index: usize) {
        let Some(Some(stream)) = self.places.get_mut(index).map(Option::take) else { return };
        self.epoll.remove(stream.capture.pipe());
        self.by_path.remove(stream.capture.path());
        self.free.push(index);
    }
}
