//! What the daemon asks, and what it is told: requests first, then ends and losses.

use std::time::Instant;

use super::super::super::{exit, sys as calls};
use super::super::journal::Entry;
use super::super::runs::RunState;
use super::super::say;
use super::super::sys::Interest;
use super::super::wire::{Answer, Key, MAJOR, MINOR, Request};
use super::peer::{Heard, Peer};
use super::{GRACE, Server, token};

/// Requests answered in a turn at most.
const REQUESTS: usize = 64;

impl Server {
    /// Send what waits, tell what is new, answer what is asked.
    pub(super) fn converse(&mut self) {
        let mut left = REQUESTS;
        loop {
            if !self.flush() {
                return;
            }
            let Some(peer) = &mut self.peer else { return };
            if !peer.is_clear() {
                break;
            }
            peer.leave_more(left == 0);
            // The daemon learns of all runs before it learns what became of one of them.
            if self.tell_next() {
                continue;
            }
            let Some(peer) = &mut self.peer else { return };
            if left == 0 {
                break;
            }
            left -= 1;
            match peer.hear() {
                Heard::Request(about, request) => self.answer(about, request),
                Heard::Unknown(about, number) => peer.answer(about, &Answer::Unsupported { number }, None),
                Heard::Nothing => break,
                Heard::Gone(reason) => return self.lose_peer(reason),
            }
        }
        self.ask_for_room();
    }

    /// Whether the daemon is still there after sending.
    fn flush(&mut self) -> bool {
        let Some(peer) = &mut self.peer else { return false };
        if peer.flush().is_ok() {
            return true;
        }
        self.hear_last_words();
        self.lose_peer(None);
        false
    }

    /// The daemon takes nothing any more, but what it said before it went is still in the socket.
    fn hear_last_words(&mut self) {
        while let Some(Heard::Request(_, request)) = self.peer.as_mut().map(Peer::hear) {
            match request {
                Request::Settle { key } => self.settle(&key),
                Request::End {} => self.peer.iter_mut().for_each(Peer::leave_for_good),
                Request::Hello { .. } | Request::Launch { .. } | Request::Ping {} | Request::Upgrade { .. } => {}
            }
        }
    }

    fn lose_peer(&mut self, reason: Option<&'static str>) {
        if let Some(reason) = reason {
            say(format_args!("the daemon was cut off: it sent {reason}"));
        }
        self.part(Instant::now() + GRACE);
    }

    /// Have the kernel tell when there is room to send, as long as something waits.
    fn ask_for_room(&mut self) {
        let Some(peer) = &mut self.peer else { return };
        let wanted = !peer.is_clear();
        if wanted != peer.awaits_room {
            let interest = if wanted { Interest::ReadableOrWritable } else { Interest::Readable };
            if self.epoll.change(peer.socket(), interest, token::PEER).is_ok() {
                peer.awaits_room = wanted;
            }
        }
    }

    /// Put the next piece of news into the outbox; whether there was one.
    fn tell_next(&mut self) -> bool {
        let Some(peer) = &mut self.peer else { return false };
        if !peer.greeted {
            return false;
        }
        if let Some((place, about)) = peer.listing {
            self.list(place, about);
            return true;
        }
        let Some((key, end)) = self.runs.next_news() else { return false };
        peer.answer(0, &Answer::Ended { key, end }, None);
        true
    }

    /// Tell of the next run from this place on, or that these were all.
    fn list(&mut self, place: usize, about: u32) {
        let next = (place..self.runs.extent()).find_map(|place| Some((place, self.runs.at(place)?)));
        let Some(peer) = &mut self.peer else { return };
        let Some((place, run)) = next else {
            peer.listing = None;
            peer.answer(about, &Answer::Listed {}, None);
            return;
        };
        peer.listing = Some((place + 1, about));
        let (end, adopts, pidfd) = match &run.state {
            // A child that has not been waited for keeps its pid.
            RunState::Child => (None, true, calls::pidfd_open(run.pid).ok()),
            RunState::Foreign(pidfd) => (None, false, pidfd.try_clone().ok()),
            RunState::Ended { end, .. } => (Some(*end), true, None),
            RunState::Lost => (Some(exit::end_of(None)), true, None),
        };
        let held = Answer::Held { key: run.key.clone(), pid: run.pid, start_ticks: run.start_ticks, adopts, end };
        peer.answer(about, &held, pidfd);
        self.runs.mark_told(place);
    }

    fn answer(&mut self, about: u32, request: Request) {
        let Some(peer) = &mut self.peer else { return };
        if !peer.greeted && !matches!(request, Request::Hello { .. }) {
            return self.lose_peer(Some("a request before its version"));
        }
        match request {
            Request::Hello { major, .. } => greet(peer, about, major),
            Request::Launch { plan } => self.launch(about, &plan),
            Request::Settle { key } => self.settle(&key),
            Request::Ping {} => peer.answer(about, &Answer::Pong {}, None),
            Request::Upgrade { program } => self.upgrade(about, &program),
            Request::End {} => peer.leave_for_good(),
        }
    }

    /// The end of this run is on record elsewhere.
    pub(super) fn settle(&mut self, key: &Key) {
        if self.runs.settle(key) {
            self.record(&Entry::Settled { key: key.clone() });
            if self.runs.is_empty() && self.ground.journal.is_worth_emptying() {
                self.compact();
            }
        }
    }

    /// Tell what output was lost.
    pub(super) fn converse_losses(&mut self) {
        while let Some(peer) = self.peer.as_mut().filter(|peer| peer.greeted && peer.is_clear()) {
            let Some((process_id, loss)) = self.streams.next_loss() else { return };
            let (lost_bytes, archives_removed, errno) = (loss.lost_bytes, loss.archives_removed, loss.errno);
            peer.answer(0, &Answer::OutputLost { process_id, lost_bytes, archives_removed, errno }, None);
            if !self.flush() {
                return;
            }
        }
        self.ask_for_room();
    }
}

fn greet(peer: &mut Peer, about: u32, major: u16) {
    if major != MAJOR {
        peer.answer(about, &Answer::Incompatible { major: MAJOR, minor: MINOR }, None);
        return;
    }
    let version = env!("CARGO_PKG_VERSION").to_owned();
    peer.greeted = true;
    peer.listing = Some((0, about));
    peer.answer(about, &Answer::Welcome { major: MAJOR, minor: MINOR, pid: std::process::id(), version }, None);
}
