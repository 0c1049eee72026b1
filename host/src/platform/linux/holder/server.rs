//! The holder: parent of every run, keeper of their output and of how they ended.
//!
//! ```text
//!   daemon ──requests──▶ ┌────────┐ ──clone──▶ runs      order of a turn: signals and ends,
//!          ◀──answers─── │ holder │ ◀──pipes── runs      requests, then a piece of each stream
//!                        └────────┘ ──▶ log files, holder.journal
//! ```
//!
//! One thread, one loop, no lock. What a turn does is bounded: so many requests, so many ends, so many bytes of output.
//! Nothing here waits for the daemon: what it has not taken stays in the table of runs until it does. It ends when it
//! holds nothing and nobody is there.
//!
//! Owns the runs, their streams, the journal and the connection. Entered by `start` and `upgrade`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::super::child::Stack;
use super::super::exit;
use super::super::prepare::Preparer;
use super::journal::{Entry, Journal};
use super::runs::{RunState, Runs};
use super::say;
use super::streams::Streams;
use super::sys::{self, Epoll, Interest};
use peer::Peer;

mod ending;
mod launching;
mod peer;
mod requests;
pub(super) mod upgrade;

/// How long an idle holder waits for a daemon that is being started again.
const GRACE: Duration = Duration::from_secs(5);
/// How long the first daemon may take to connect.
const FIRST_GRACE: Duration = Duration::from_secs(30);

/// What the kernel tells, by the token given to epoll; places in the table of runs stand above these.
mod token {
    pub(super) const SIGNALS: u64 = 0;
    pub(super) const LISTENER: u64 = 1;
    pub(super) const PEER: u64 = 2;
    pub(super) const STREAMS: u64 = 3;
    pub(super) const FIRST_RUN: u64 = 16;
}

/// What the holder works with from its first moment.
pub(super) struct Ground {
    /// State directory, absolute.
    pub(super) directory: PathBuf,
    pub(super) listener: OwnedFd,
    pub(super) journal: Journal,
    pub(super) boot_id: String,
    /// Knows what this process was given and its children are given again.
    pub(super) preparer: Preparer,
    /// The descriptor limit, soft and hard, that was found at the start.
    pub(super) handles: Option<(u64, u64)>,
}

/// The holder's whole state.
pub(super) struct Server {
    ground: Ground,
    epoll: Epoll,
    signals: OwnedFd,
    peer: Option<Peer>,
    runs: Runs,
    streams: Streams,
    stack: Stack,
    /// When an idle holder ends; meaningless while somebody is connected or something is held.
    ends_at: Instant,
    /// Whether there may be ended children that were not looked at in the last turn.
    more_ends: bool,
}

impl Server {
    /// A holder on this ground. All signals must be blocked.
    ///
    /// # Errors
    /// When the kernel has no descriptors left.
    pub(super) fn new(ground: Ground) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let signals = sys::signal_descriptor(&[libc::SIGCHLD, libc::SIGTERM])?;
        let streams = Streams::new()?;
        epoll.add(signals.as_fd(), Interest::Readable, token::SIGNALS)?;
        epoll.add(ground.listener.as_fd(), Interest::Readable, token::LISTENER)?;
        epoll.add(streams.epoll(), Interest::Readable, token::STREAMS)?;
        let ends_at = Instant::now() + FIRST_GRACE;
        let stack = Stack::default();
        // Ends that came before the descriptor was there are looked for once.
        let more_ends = true;
        Ok(Self { ground, epoll, signals, peer: None, runs: Runs::new(), streams, stack, ends_at, more_ends })
    }

    /// Serve until nothing is held and nobody is there.
    pub(super) fn serve(&mut self) {
        while !self.is_done() {
            self.turn();
        }
        // What is left behind must not look like a holder's death.
        self.compact();
        let _ = std::fs::remove_file(self.ground.directory.join(super::SOCKET));
    }

    fn turn(&mut self) {
        for token in self.epoll.wait(self.patience()) {
            match token {
                token::SIGNALS => self.hear_signals(),
                token::LISTENER => self.meet(),
                // Requests are read below, whatever woke us.
                token::PEER | token::STREAMS => {}
                run => self.look_at_foreign(run.saturating_sub(token::FIRST_RUN)),
            }
        }
        if self.more_ends {
            self.reap();
        }
        self.converse();
        self.streams.turn();
        self.converse_losses();
        if self.ground.journal.is_large() {
            self.compact();
        }
    }

    /// How long to wait at most, milliseconds.
    fn patience(&self) -> Option<u64> {
        if self.more_ends || self.peer.as_ref().is_some_and(Peer::has_more) {
            return Some(0);
        }
        let idle = self.is_idle().then_some(self.ends_at);
        let due = [idle, self.streams.due()].into_iter().flatten().min()?;
        let left = due.saturating_duration_since(Instant::now());
        // Rounded up: waking a moment early would only mean waiting again.
        Some(left.as_micros().div_ceil(1000) as u64)
    }

    fn holds_nothing(&self) -> bool {
        self.runs.is_empty() && self.streams.is_empty()
    }

    fn is_idle(&self) -> bool {
        self.peer.is_none() && self.holds_nothing()
    }

    fn is_done(&self) -> bool {
        self.is_idle() && self.ends_at <= Instant::now()
    }

    fn hear_signals(&mut self) {
        while let Some(signal) = sys::next_signal(self.signals.as_fd()) {
            if signal == libc::SIGCHLD as u32 {
                self.more_ends = true;
            } else if self.is_idle() {
                self.ends_at = Instant::now();
            }
        }
    }

    /// A daemon connects.
    fn meet(&mut self) {
        let Ok(socket) = sys::accept(self.ground.listener.as_fd()) else { return };
        if !sys::peer(socket.as_fd()).is_ok_and(|(user, _)| user == sys::own_user() || user == 0) {
            return;
        }
        // The one before may be dead, and its end not yet noticed. What it still had to say is heard first.
        if let Some(before) = &self.peer {
            if !sys::is_closed(before.socket()) {
                peer::refuse_second(&socket, before.pid());
                return;
            }
            self.converse();
            self.part(Instant::now() + GRACE);
        }
        if let Err(error) = self.epoll.add(socket.as_fd(), Interest::Readable, token::PEER) {
            say(format_args!("a daemon could not be watched: {error}"));
            return;
        }
        self.peer = Some(Peer::new(socket));
    }

    /// The daemon is gone. `until`: how long to wait for the next one when nothing is held.
    fn part(&mut self, until: Instant) {
        if let Some(peer) = self.peer.take() {
            self.epoll.remove(peer.socket());
            self.ends_at = if peer.leaves_for_good() { Instant::now() } else { until };
        }
    }

    /// Write a record; a journal that cannot be written costs what it is for and nothing else.
    fn record(&mut self, entry: &Entry) {
        if let Err(error) = self.ground.journal.write(entry) {
            say(format_args!("cannot write {}: {error}", self.ground.journal.path().display()));
        }
    }

    /// Write the journal anew, with what is not settled.
    fn compact(&mut self) {
        let entries = self.runs.all().flat_map(|run| {
            let (key, outputs) = (run.key.clone(), run.outputs.clone());
            let born = Entry::Born { key, pid: run.pid, start_ticks: run.start_ticks, outputs };
            let ended = match &run.state {
                RunState::Ended { end, .. } => Some(Entry::Ended { key: run.key.clone(), end: *end }),
                RunState::Child | RunState::Foreign(_) | RunState::Lost => None,
            };
            std::iter::once(born).chain(ended)
        });
        if let Err(error) = self.ground.journal.rewrite(entries) {
            say(format_args!("cannot write {} anew: {error}", self.ground.journal.path().display()));
        }
    }
}
