//! The launcher that has its runs made by a holder: a handle, and one thread that talks.
//!
//! ```text
//!  supervisor ── commands ──▶ thread ══ socket ══ holder
//!             ◀── oneshots ── (talk)
//! ```
//!
//! Owns the queue of commands. The thread owns the connection and all that is waited for. `platform` enters.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use std::{io, thread};

use tokio::sync::{mpsc, oneshot};

use super::super::exit::ExitWatch;
use super::super::prepare::Preparer;
use super::super::stat;
use super::sys;
use super::wire::{ID_BYTES, Key, MESSAGE_BYTES, Request};
use crate::platform::{LaunchError, LaunchPlan, Launched, Launcher, Notice, PendingLaunch, Survivor};
use crate::sample::{RunExit, RunIdentity};
use crate::spec::ProcessId;
use connection::{Connection, HeldRun};
use talk::Talk;

mod connection;
mod talk;
mod words;

/// Commands that may wait for the thread.
const COMMANDS: usize = 4096;
/// Notices that may wait for their reader.
const NOTICES: usize = 256;
/// How long an upgrade may take before the caller is told that it cannot be known.
const UPGRADE_PATIENCE: Duration = Duration::from_secs(10);

/// Where a holder works and what it is made of.
#[derive(Debug, Clone)]
pub struct HolderSettings {
    /// Directory of its socket, journal and log; it exists and is its owner's only.
    pub state_dir: PathBuf,
    /// The program, which must be `wasmvisor`; usually the one that runs now.
    pub program: PathBuf,
}

/// What the thread is told to do.
enum Command {
    Launch {
        key: Key,
        packet: Vec<u8>,
        program: PathBuf,
        reply: oneshot::Sender<Result<Launched, LaunchError>>,
    },
    Settle(Key),
    /// The holder may end once it holds nothing.
    End,
    Upgrade {
        program: PathBuf,
        reply: SyncSender<io::Result<()>>,
    },
}

/// Has runs made by a holder, a process of its own that outlives this one. Runs of the life before are in `survivors`.
///
/// Dropping it leaves every run alone; a holder that holds nothing waits for another daemon for five seconds.
#[derive(Debug)]
pub struct HolderLauncher {
    /// To the thread. Full (`COMMANDS` wait): a launch is refused as one that the system has no room for; a settlement
    /// is left out, and the run's end is then told again in the next life.
    commands: Option<SyncSender<Command>>,
    waker: Arc<OwnedFd>,
    thread: Option<thread::JoinHandle<()>>,
    survivors: Vec<Survivor>,
    notices: Option<mpsc::Receiver<Notice>>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A packet holds the environment, which is secret.
        f.write_str("Command")
    }
}

impl HolderLauncher {
    /// Connect to the holder of this state directory, or start one. Waits for its answer, five seconds at most; a
    /// holder that works answers within a millisecond.
    ///
    /// # Errors
    /// When no holder can be started, the one at work does not answer or speaks another major version, or another
    /// supervisor is attached to it.
    pub fn attach(settings: HolderSettings) -> Result<Self, LaunchError> {
        let fail = |operation, source| LaunchError { operation, path: settings.state_dir.clone(), source };
        let preparer = Preparer::default();
        let boot_id = stat::boot_id().map_err(|source| fail("read the boot id from /proc for", source))?;
        let waker = sys::waker().map(Arc::new).map_err(|source| fail("make a waker for the holder of", source))?;
        let (connection, held) = Connection::attach(&settings, &preparer)?;
        let (commands, queue) = sync_channel(COMMANDS);
        // Full (nobody reads them): the notice is left out; they tell of troubles and nothing is decided by them alone.
        let (notices, told) = mpsc::channel(NOTICES);
        let _ = notices.try_send(Notice::HolderStarted { pid: connection.holder });
        let mut watches = HashMap::new();
        let survivors = adopt(held, &connection, &boot_id, &mut watches);
        let talk = Talk::new(settings.clone(), preparer, boot_id, connection, watches, notices);
        let thread = Self::spawn(talk, queue, Arc::clone(&waker))
            .map_err(|source| fail("start a thread for the holder of", source))?;
        Ok(Self { commands: Some(commands), waker, thread: Some(thread), survivors, notices: Some(told) })
    }

    fn spawn(mut talk: Talk, queue: Receiver<Command>, waker: Arc<OwnedFd>) -> io::Result<thread::JoinHandle<()>> {
        let talking = move || talk.go_on(&queue, waker.as_fd());
        thread::Builder::new().name("holder".to_owned()).stack_size(256 * 1024).spawn(talking)
    }

    fn tell(&self, command: Command) -> Result<(), TrySendError<Command>> {
        let Some(commands) = &self.commands else { return Err(TrySendError::Disconnected(command)) };
        commands.try_send(command)?;
        sys::wake(self.waker.as_fd());
        Ok(())
    }
}

/// What is held for an earlier life, in the order of the holder's table.
fn adopt(
    held: Vec<HeldRun>,
    connection: &Connection,
    boot_id: &str,
    watches: &mut HashMap<Key, oneshot::Sender<RunExit>>,
) -> Vec<Survivor> {
    held.into_iter()
        .map(|run| {
            let identity = RunIdentity { pid: run.pid, start_ticks: run.start_ticks, boot_id: boot_id.to_owned() };
            let exit = match (run.end, run.pidfd) {
                (None, Some(pidfd)) => {
                    let (tell, told) = oneshot::channel();
                    watches.insert(run.key.clone(), tell);
                    ExitWatch::held(told, pidfd)
                }
                (end, _) => ExitWatch::ended(end.unwrap_or(super::super::exit::end_of(None))),
            };
            let keeper = if run.adopts { connection.holder } else { 0 };
            let Key { process_id, run } = run.key;
            Survivor { process_id, run, launched: Launched { identity, exit, keeper } }
        })
        .collect()
}

impl Launcher for HolderLauncher {
    fn launch(&mut self, plan: LaunchPlan) -> PendingLaunch {
        let (reply, outcome) = oneshot::channel();
        let program = plan.program.clone();
        let key = Key { process_id: plan.process_id.clone(), run: plan.run };
        let is_long = key.process_id.as_str().len() > ID_BYTES;
        let packet = Request::Launch { plan: Box::new(plan) }.packet(0);
        let refused = if is_long || packet.len() > MESSAGE_BYTES {
            let what = if is_long { "a process id of more than 64 bytes" } else { "more than 4 MiB of arguments" };
            Some((io::Error::new(io::ErrorKind::InvalidInput, what), reply))
        } else {
            match self.tell(Command::Launch { key, packet, program: program.clone(), reply }) {
                Err(TrySendError::Full(Command::Launch { reply, .. })) => {
                    Some((io::ErrorKind::WouldBlock.into(), reply))
                }
                Err(TrySendError::Disconnected(Command::Launch { reply, .. })) => {
                    Some((io::ErrorKind::BrokenPipe.into(), reply))
                }
                _ => None,
            }
        };
        if let Some((source, reply)) = refused {
            // The receiver is right below.
            let _ = reply.send(Err(LaunchError { operation: "ask the holder for a run of", path: program, source }));
        }
        PendingLaunch::new(outcome)
    }

    fn survivors(&mut self) -> Vec<Survivor> {
        std::mem::take(&mut self.survivors)
    }

    fn settle(&mut self, process_id: &ProcessId, run: u32) {
        let _ = self.tell(Command::Settle(Key { process_id: process_id.clone(), run }));
    }

    fn notices(&mut self) -> Option<mpsc::Receiver<Notice>> {
        self.notices.take()
    }

    fn end(&mut self) {
        let _ = self.tell(Command::End);
    }

    /// Waits for the new program, ten seconds at most.
    fn upgrade(&mut self, program: &Path) -> io::Result<()> {
        let (reply, outcome) = sync_channel(1);
        let program = program.to_owned();
        self.tell(Command::Upgrade { program, reply }).map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
        let silent = || io::Error::new(io::ErrorKind::TimedOut, "the holder did not say whether it has gone over");
        outcome.recv_timeout(UPGRADE_PATIENCE).map_err(|_| silent())?
    }
}

impl Drop for HolderLauncher {
    fn drop(&mut self) {
        // The thread ends when nobody can send it a command.
        self.commands = None;
        sys::wake(self.waker.as_fd());
        if let Some(thread) = self.thread.take() {
            // A panic in it would have been told where it happened.
            let _ = thread.join();
        }
    }
}
