//! The connection to a holder: made, greeted, and then packets both ways.
//!
//! Owns the socket. `client` and `talk` enter.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::super::prepare::Preparer;
use super::super::wire::{Answer, Key, MAJOR, MINOR, Message, PACKET_BYTES, Request, Unreadable};
use super::super::{SOCKET, start, sys};
use super::HolderSettings;
use crate::platform::LaunchError;
use crate::sample::RunExit;

/// How long a holder may take to tell its version and its runs.
const PATIENCE: Duration = Duration::from_secs(5);
/// Holders that may end just while they are connected to.
const ATTEMPTS: usize = 3;

/// A run that the holder had when it was connected to.
pub(super) struct HeldRun {
    pub(super) key: Key,
    pub(super) pid: u32,
    pub(super) start_ticks: u64,
    pub(super) adopts: bool,
    pub(super) end: Option<RunExit>,
    pub(super) pidfd: Option<OwnedFd>,
}

/// Why there is no connection.
enum Failed {
    /// Nobody listens, or it ended at that moment.
    Nobody,
    /// Somebody does, and it will not do.
    Unfit(io::Error),
}

/// An answer with the request that it belongs to, and what came beside it.
pub(super) type Heard = (u32, Answer, Option<OwnedFd>);

/// A connection to a holder.
pub(super) struct Connection {
    socket: OwnedFd,
    /// Its pid.
    pub(super) holder: u32,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connect to the holder of this directory, or to one that is started now; with what it holds.
    pub(super) fn attach(settings: &HolderSettings, preparer: &Preparer) -> Result<(Self, Vec<HeldRun>), LaunchError> {
        let fail = |source| LaunchError {
            operation: "attach to the holder at",
            path: settings.state_dir.join(SOCKET),
            source,
        };
        for _ in 0..ATTEMPTS {
            match Self::greet(&settings.state_dir) {
                Ok(attached) => return Ok(attached),
                Err(Failed::Unfit(source)) => return Err(fail(source)),
                Err(Failed::Nobody) => start::start_holder(&settings.program, &settings.state_dir, preparer)?,
            }
        }
        Self::greet(&settings.state_dir).map_err(|failed| match failed {
            Failed::Nobody => fail(io::Error::other("every holder that was started ended at once")),
            Failed::Unfit(source) => fail(source),
        })
    }

    fn greet(directory: &Path) -> Result<(Self, Vec<HeldRun>), Failed> {
        let mut connection = Self::connect(directory).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Failed::Nobody,
            _ => Failed::Unfit(error),
        })?;
        let hello = Request::Hello { major: MAJOR, minor: MINOR }.packet(1);
        match connection.send(&hello) {
            // It has hung up, and may have said why.
            Err(error) if !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                return Err(Failed::Unfit(error));
            }
            _ => {}
        }
        let deadline = Instant::now() + PATIENCE;
        let mut held = Vec::new();
        loop {
            match connection.hear_before(deadline)? {
                (_, Answer::Welcome { pid, .. }, _) => connection.holder = pid,
                (_, Answer::Held { key, pid, start_ticks, adopts, end }, pidfd) => {
                    held.push(HeldRun { key, pid, start_ticks, adopts, end, pidfd });
                }
                (_, Answer::Listed {}, _) => return Ok((connection, held)),
                (_, Answer::Incompatible { major, minor }, _) => return Err(incompatible(major, minor)),
                (_, Answer::Busy { pid }, _) => {
                    let busy = format!("another supervisor is attached to it (pid {pid}); end that one first");
                    return Err(Failed::Unfit(io::Error::new(io::ErrorKind::AddrInUse, busy)));
                }
                _ => {}
            }
        }
    }

    fn connect(directory: &Path) -> io::Result<Self> {
        // By way of the open directory: the whole path may be longer than an address can be.
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let directory = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(directory)?;
        let path = CString::new(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()))?;
        let socket = sys::connect(&path)?;
        let (user, _) = sys::peer(socket.as_fd())?;
        if user != sys::own_user() && user != 0 {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
        }
        Ok(Self { socket, holder: 0, buffer: vec![0; PACKET_BYTES] })
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Send a message, in a memory file if it is large. Never waits: `WouldBlock`.
    pub(super) fn send(&self, message: &[u8]) -> io::Result<()> {
        if message.len() <= PACKET_BYTES {
            return sys::send(self.socket.as_fd(), message, None);
        }
        let carrier = sys::memory_file(message)?;
        sys::send(self.socket.as_fd(), &[], Some(carrier.as_fd()))
    }

    /// The next answer; `None` when none waits now. What a newer holder says beyond our words is passed over.
    ///
    /// # Errors
    /// `UnexpectedEof` when the holder is gone, `InvalidData` when what it says is no message of ours.
    pub(super) fn hear(&mut self) -> io::Result<Option<Heard>> {
        loop {
            let received = match sys::receive(self.socket.as_fd(), &mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // It left something of ours unread when it hung up; what it had said before is still there to be heard.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => continue,
                Err(error) => return Err(error),
            };
            if received.length == 0 && received.beside.is_none() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match Answer::read(self.buffer.get(..received.length).unwrap_or_default()) {
                (about, Ok(answer)) => return Ok(Some((about, answer, received.beside))),
                (_, Err(Unreadable::Unknown(_))) => {}
                (_, Err(Unreadable::Malformed)) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// The next answer, waited for.
    fn hear_before(&mut self, deadline: Instant) -> Result<Heard, Failed> {
        loop {
            match self.hear() {
                Ok(Some(heard)) => return Ok(heard),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Failed::Nobody),
                Err(error) => return Err(Failed::Unfit(error)),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let pid = sys::peer(self.socket.as_fd()).map_or(0, |(_, pid)| pid);
                let silent = format!("the holder (pid {pid}) does not answer; is it stopped?");
                return Err(Failed::Unfit(io::Error::new(io::ErrorKind::TimedOut, silent)));
            }
            let milliseconds = left.as_micros().div_ceil(1000) as u64;
            sys::poll([(Some(self.socket.as_fd()), false)], Some(milliseconds)).map_err(Failed::Unfit)?;
        }
    }
}

fn incompatible(major: u16, minor: u16) -> Failed {
    let what = format!(
        "the holder at work speaks version {major}.{minor} of the protocol, this program {MAJOR}.{MINOR}; \
         stop its runs with the program that started it, or go over with that program's `upgrade`"
    );
    Failed::Unfit(io::Error::new(io::ErrorKind::Unsupported, what))
}
