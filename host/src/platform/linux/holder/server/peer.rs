//! The connection to the daemon: what waits to be sent, and what was heard.
//!
//! Nothing piles up here. Requests are read only while nothing waits to be sent, ends and losses are fetched from where
//! they are kept when there is room, and so is the list of runs.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::super::sys;
use super::super::wire::{Answer, MESSAGE_BYTES, Message, PACKET_BYTES, Request, Unreadable};

/// One packet on its way.
struct Outgoing {
    packet: Vec<u8>,
    beside: Option<OwnedFd>,
}

/// What came of looking for a request.
pub(super) enum Heard {
    /// A request, and its number.
    Request(u32, Request),
    /// One that is not known: the daemon is newer.
    Unknown(u32, u16),
    /// Nothing waits.
    Nothing,
    /// The daemon is gone, or what it sent is no message of ours.
    Gone(Option<&'static str>),
}

/// A daemon that has connected.
pub(super) struct Peer {
    socket: OwnedFd,
    pid: u32,
    /// Bounded: filled only by the answer to one request, or by one piece of news at a time.
    outbox: VecDeque<Outgoing>,
    /// Whether it has said its version.
    pub(super) greeted: bool,
    /// The next place in the table of runs to tell of, while the list is being told, and the request that asked.
    pub(super) listing: Option<(usize, u32)>,
    /// Whether the kernel is asked to tell when there is room to send.
    pub(super) awaits_room: bool,
    for_good: bool,
    more: bool,
    buffer: Vec<u8>,
}

impl Peer {
    pub(super) fn new(socket: OwnedFd) -> Self {
        let pid = sys::peer(socket.as_fd()).map_or(0, |(_, pid)| pid);
        Self {
            socket,
            pid,
            outbox: VecDeque::new(),
            greeted: false,
            listing: None,
            awaits_room: false,
            for_good: false,
            more: false,
            buffer: vec![0; PACKET_BYTES],
        }
    }

    /// The daemon that the program before this one was connected to.
    pub(super) fn resume(socket: OwnedFd) -> Self {
        Self { greeted: true, ..Self::new(socket) }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// It has said that it will not come back.
    pub(super) fn leave_for_good(&mut self) {
        self.for_good = true;
    }

    pub(super) fn leaves_for_good(&self) -> bool {
        self.for_good
    }

    /// Whether requests were left for the next turn.
    pub(super) fn has_more(&self) -> bool {
        self.more && self.outbox.is_empty()
    }

    pub(super) fn leave_more(&mut self, more: bool) {
        self.more = more;
    }

    pub(super) fn is_clear(&self) -> bool {
        self.outbox.is_empty()
    }

    pub(super) fn answer(&mut self, about: u32, answer: &Answer, beside: Option<OwnedFd>) {
        self.outbox.push_back(Outgoing { packet: answer.packet(about), beside });
    }

    /// Send what waits, as far as there is room; an error means that the daemon is gone.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while let Some(next) = self.outbox.front() {
            match sys::send(self.socket.as_fd(), &next.packet, next.beside.as_ref().map(AsFd::as_fd)) {
                Ok(()) => {
                    self.outbox.pop_front();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Too many descriptors under way between users of this machine: try again when it has taken some.
                Err(error) if error.raw_os_error() == Some(libc::ETOOMANYREFS) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next request.
    pub(super) fn hear(&mut self) -> Heard {
        let received = match sys::receive(self.socket.as_fd(), &mut self.buffer) {
            // It died before it had read all; what it had asked is still there to be heard. Told once.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                sys::receive(self.socket.as_fd(), &mut self.buffer)
            }
            other => other,
        };
        let received = match received {
            Ok(received) => received,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Heard::Nothing;
            }
            Err(_) => return Heard::Gone(None),
        };
        if received.cut {
            return Heard::Gone(Some("a packet too large"));
        }
        let packet = self.buffer.get(..received.length).unwrap_or_default();
        let (about, request) = match (received.length, received.beside) {
            (0, None) => return Heard::Gone(None),
            (0, Some(carrier)) => match sys::memory_content(carrier, MESSAGE_BYTES) {
                Ok(content) => Request::read(&content),
                Err(_) => return Heard::Gone(Some("a message too large, or not sealed")),
            },
            _ => Request::read(packet),
        };
        match request {
            Ok(request) => Heard::Request(about, request),
            Err(Unreadable::Unknown(number)) => Heard::Unknown(about, number),
            Err(Unreadable::Malformed) => Heard::Gone(Some("no message of this protocol")),
        }
    }
}

/// Another daemon is attached and lives.
pub(super) fn refuse_second(socket: &OwnedFd, pid: u32) {
    let _ = sys::send(socket.as_fd(), &Answer::Busy { pid }.packet(0), None);
}
