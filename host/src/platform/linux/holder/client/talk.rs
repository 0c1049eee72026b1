//! The thread that talks to the holder: passes commands on, and tells whoever waits what came of them.
//!
//! Nothing here waits for the holder but `poll`. Commands are taken only while nothing waits to be sent. A holder that is
//! lost is replaced at once when it had runs, whose output it must go on with, else when the next run is wanted.
//!
//! Owns the connection, the launches under way and the watches of all runs. Only `client` enters.

mod answers;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::super::super::prepare::Preparer;
use super::super::sys;
use super::super::wire::{Key, Request, set_number};
use super::connection::{Connection, HeldRun};
use super::words::Words;
use super::{Command, HolderSettings};
use crate::platform::{LaunchError, Launched, Notice};
use crate::sample::RunExit;

/// A holder that owes an answer for so long is silent.
const SILENT: Duration = Duration::from_secs(5);
/// A holder that did not live longer than this is replaced only when a run is wanted: it may not be able to live here.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// A launch that a silent holder owes for so long has failed.
const HOPELESS: Duration = Duration::from_secs(30);

/// A request that has not been answered.
struct Waiting {
    since: Instant,
    what: Wanted,
}

enum Wanted {
    Launch(Box<Wish>),
    Upgrade { program: PathBuf, reply: SyncSender<io::Result<()>> },
}

/// A run that is wanted.
struct Wish {
    key: Key,
    program: PathBuf,
    /// The request, for another holder if this one is lost.
    packet: Vec<u8>,
    reply: oneshot::Sender<Result<Launched, LaunchError>>,
    /// Whether a holder was lost over it before.
    again: bool,
}

/// All that the thread knows.
pub(super) struct Talk {
    settings: HolderSettings,
    preparer: Preparer,
    boot_id: String,
    connection: Option<Connection>,
    /// The last request's number.
    number: u32,
    /// By number, so the oldest comes first. Bounded by what the holder lets wait in its socket and in our outbox.
    waiting: BTreeMap<u32, Waiting>,
    /// A message that found no room in the socket.
    outbox: Option<Vec<u8>>,
    /// Whether to have a new holder now, because runs of the last one write into pipes that nobody reads.
    needed: bool,
    /// Whether the holder at work has runs of the one before.
    inherited_runs: bool,
    /// When the holder at work was connected to.
    attached_at: Instant,
    /// Launches that were under way when their holder was lost, for the next one. Bounded as `waiting` was.
    again: VecDeque<Box<Wish>>,
    watches: HashMap<Key, oneshot::Sender<RunExit>>,
    /// Runs that nobody waits for any more though they may exist: they are killed and settled when they show.
    unwanted: HashSet<Key>,
    /// Settlements to be sent; they wait for the next holder when there is none, one for each run at most.
    unsettled: Vec<Key>,
    heard_at: Instant,
    silent: bool,
    notices: mpsc::Sender<Notice>,
    words: Words,
}

impl Talk {
    pub(super) fn new(
        settings: HolderSettings,
        preparer: Preparer,
        boot_id: String,
        connection: Connection,
        watches: HashMap<Key, oneshot::Sender<RunExit>>,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        Self {
            settings,
            preparer,
            boot_id,
            connection: Some(connection),
            number: 1,
            waiting: BTreeMap::new(),
            outbox: None,
            needed: false,
            inherited_runs: false,
            attached_at: Instant::now(),
            again: VecDeque::new(),
            watches,
            unwanted: HashSet::new(),
            unsettled: Vec::new(),
            heard_at: Instant::now(),
            silent: false,
            notices,
            words: Words::default(),
        }
    }

    /// Serve until nobody can send a command.
    pub(super) fn go_on(&mut self, queue: &Receiver<Command>, waker: BorrowedFd<'_>) {
        loop {
            self.flush();
            while self.outbox.is_none() {
                if self.catch_up() {
                    continue;
                }
                match queue.try_recv() {
                    Ok(command) => self.obey(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            let socket = self.connection.as_ref().map(Connection::socket);
            let wait = self.next_deadline().map(milliseconds_until);
            let Ok([_, called]) = sys::poll([(socket, self.outbox.is_some()), (Some(waker), false)], wait) else {
                // Only lack of memory fails here; without a socket to watch there is nothing to do but to look again.
                self.lose("it could not be watched");
                continue;
            };
            if called {
                sys::hear(waker);
            }
            self.hear();
            self.judge_silence();
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Launch { key, packet, program, reply } => {
                self.wish(Box::new(Wish { key, program, packet, reply, again: false }));
            }
            // Sent next, or to the next holder.
            Command::Settle(key) => self.unsettled.push(key),
            Command::End => self.send(&Request::End {}.packet(0)),
            Command::Upgrade { program, reply } => {
                if self.connection.is_none() {
                    // The next holder is made of the new program anyway.
                    self.settings.program = program;
                    let _ = reply.send(Ok(()));
                    return;
                }
                let number = self.expect(Wanted::Upgrade { program: program.clone(), reply });
                self.send(&Request::Upgrade { program }.packet(number));
            }
        }
    }

    /// Do one thing that was left undone; whether there was one.
    fn catch_up(&mut self) -> bool {
        if let Some(wish) = self.again.pop_front() {
            self.wish(wish);
            return true;
        }
        if std::mem::take(&mut self.needed) && self.connection.is_none() {
            // One that cannot be had now is tried for again when a run is wanted, and who wants it is told why.
            let _ = self.start_over();
            return true;
        }
        if self.connection.is_none() {
            return false;
        }
        let Some(key) = self.unsettled.pop() else { return false };
        self.send(&Request::Settle { key }.packet(0));
        true
    }

    /// Ask for a run.
    fn wish(&mut self, mut wish: Box<Wish>) {
        if self.connection.is_none() {
            // It looks for those that were under way among the runs of the holder that was lost.
            self.again.push_front(wish);
            if let Err(error) = self.start_over()
                && let Some(wish) = self.again.pop_front()
            {
                let _ = wish.reply.send(Err(error));
            }
            return;
        }
        let number = self.number.wrapping_add(1);
        set_number(&mut wish.packet, number);
        // Sent before it is entered, so that the bytes need not be copied; nothing is heard in between.
        let sent = self.connection.as_ref().map(|connection| connection.send(&wish.packet));
        let left = matches!(&sent, Some(Err(error)) if is_for_later(error)).then(|| wish.packet.clone());
        self.expect(Wanted::Launch(wish));
        match sent {
            Some(Err(error)) if !is_for_later(&error) => self.lose_after_hearing(),
            _ => self.outbox = left,
        }
    }

    /// Enter a request that will be answered; its number.
    fn expect(&mut self, what: Wanted) -> u32 {
        self.number = self.number.wrapping_add(1);
        self.waiting.insert(self.number, Waiting { since: Instant::now(), what });
        self.number
    }

    fn send(&mut self, packet: &[u8]) {
        let Some(connection) = &self.connection else { return };
        match connection.send(packet) {
            Ok(()) => {}
            Err(error) if is_for_later(&error) => self.outbox = Some(packet.to_vec()),
            Err(_) => self.lose_after_hearing(),
        }
    }

    /// It takes nothing any more. What it still said is heard before it is given up.
    fn lose_after_hearing(&mut self) {
        self.outbox = None;
        self.hear();
        self.lose("its socket is closed");
    }

    fn flush(&mut self) {
        if let Some(packet) = self.outbox.take() {
            self.send(&packet);
        }
    }

    fn hear(&mut self) {
        while let Some(connection) = &mut self.connection {
            match connection.hear() {
                Ok(Some(heard)) => self.take(heard),
                Ok(None) => return,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return self.lose("it has ended"),
                Err(error) => return self.lose(&error.to_string()),
            }
        }
    }

    /// The holder is gone. Its runs are watched by their pidfds from here on, each by whoever waits for its end.
    fn lose(&mut self, reason: &str) {
        let Some(connection) = self.connection.take() else { return };
        (self.outbox, self.silent) = (None, false);
        let had_runs = self.inherited_runs || !self.watches.is_empty();
        self.needed = had_runs && self.attached_at.elapsed() > SHORT_LIFE;
        self.watches.clear();
        for (_, Waiting { what, .. }) in std::mem::take(&mut self.waiting) {
            match what {
                Wanted::Launch(wish) if !wish.again => self.again.push_back(Box::new(Wish { again: true, ..*wish })),
                what => self.give_up(what, io::ErrorKind::BrokenPipe, "the holder was lost, and the next one too"),
            }
        }
        self.notice(Notice::HolderLost { pid: connection.holder, reason: reason.to_owned() });
    }

    /// Tell whoever waits that nothing will come of it. A run that was made all the same is ended when it shows.
    fn give_up(&mut self, what: Wanted, kind: io::ErrorKind, reason: &'static str) {
        let source = io::Error::new(kind, reason);
        match what {
            Wanted::Launch(wish) => {
                let Wish { key, program, reply, .. } = *wish;
                self.unwanted.insert(key);
                let _ = reply.send(Err(LaunchError { operation: "have a run made of", path: program, source }));
            }
            Wanted::Upgrade { reply, .. } => {
                let _ = reply.send(Err(source));
            }
        }
    }

    /// Have a new holder, which finds in the journal what the last one knew. A launch that was under way has come
    /// about if its run is there.
    fn start_over(&mut self) -> Result<(), LaunchError> {
        let (connection, held) = Connection::attach(&self.settings, &self.preparer)?;
        let pid = connection.holder;
        (self.connection, self.heard_at, self.attached_at) = (Some(connection), Instant::now(), Instant::now());
        self.notice(Notice::HolderStarted { pid });
        self.inherited_runs = held.iter().any(|run| run.pidfd.is_some());
        for HeldRun { key, pid, start_ticks, end, pidfd, .. } in held {
            if let Some(place) = self.again.iter().position(|wish| wish.key == key) {
                if let Some(wish) = self.again.remove(place) {
                    // Its orphans go to whoever adopted those of the holder that is gone.
                    self.grant(*wish, (pid, start_ticks, 0), pidfd.ok_or(end));
                }
            } else if self.unwanted.contains(&key) {
                self.discard(key.clone(), pidfd);
                if let Some(end) = end {
                    self.ended(key, end);
                }
            }
            // All others are of this life, and watched already.
        }
        Ok(())
    }

    fn next_deadline(&self) -> Option<Instant> {
        let oldest = self.waiting.first_key_value()?.1.since;
        Some(if self.silent { oldest + HOPELESS } else { oldest.max(self.heard_at) + SILENT })
    }

    fn judge_silence(&mut self) {
        let now = Instant::now();
        if self.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        if !std::mem::replace(&mut self.silent, true) {
            self.notice_silence(true);
        }
        while let Some(oldest) = self.waiting.first_entry().filter(|oldest| oldest.get().since + HOPELESS <= now) {
            let what = oldest.remove().what;
            self.give_up(what, io::ErrorKind::TimedOut, "the holder does not answer; is it stopped?");
        }
    }

    fn notice_silence(&self, silent: bool) {
        if let Some(connection) = &self.connection {
            self.notice(Notice::HolderSilent { pid: connection.holder, silent });
        }
    }

    fn notice(&self, notice: Notice) {
        let _ = self.notices.try_send(notice);
    }
}

/// Whether a packet could not be sent now and can be sent later.
fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn milliseconds_until(at: Instant) -> u64 {
    at.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000) as u64
}
