//! What the holder answers and tells, and who is waiting for it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;

use tokio::sync::oneshot;

use super::super::super::super::exit::ExitWatch;
use super::super::super::super::sys as calls;
use super::super::super::wire::{Answer, Key};
use super::super::connection::Heard;
use super::{Talk, Waiting, Wanted, Wish};
use crate::platform::{LaunchError, Launched, Notice};
use crate::sample::{RunExit, RunIdentity};

impl Talk {
    pub(super) fn take(&mut self, (about, answer, beside): Heard) {
        self.heard_at = Instant::now();
        if std::mem::take(&mut self.silent) {
            self.notice_silence(false);
        }
        match answer {
            Answer::Launched { key, pid, start_ticks } => self.launched(about, key, (pid, start_ticks), beside),
            Answer::Refused { operation, path, errno, reason } => self.refused(about, &operation, path, errno, reason),
            Answer::Ended { key, end } => self.ended(key, end),
            Answer::OutputLost { process_id, lost_bytes, archives_removed, errno } => {
                let reason = io::Error::from_raw_os_error(errno).to_string();
                self.notice(Notice::OutputLost { process_id, lost_bytes, archives_removed, reason });
            }
            Answer::Upgraded { .. } => self.upgraded(about, Ok(())),
            Answer::Unsupported { .. } => {
                let old = "the holder at work is too old for that; it goes over when its last run has ended";
                self.upgraded(about, Err(io::Error::new(io::ErrorKind::Unsupported, old)));
            }
            Answer::Welcome { .. }
            | Answer::Held { .. }
            | Answer::Listed {}
            | Answer::Pong {}
            | Answer::Busy { .. }
            | Answer::Incompatible { .. } => {}
        }
    }

    fn launched(&mut self, about: u32, key: Key, (pid, start_ticks): (u32, u64), beside: Option<OwnedFd>) {
        // It comes without when we have no descriptor free: then a number may be free now.
        let pidfd = beside.or_else(|| calls::pidfd_open(pid).ok());
        let wanted = self.waiting.remove(&about);
        let (Some(Waiting { what: Wanted::Launch(wish), .. }), Some(keeper)) =
            (wanted, self.connection.as_ref().map(|connection| connection.holder))
        else {
            return self.discard(key, pidfd);
        };
        self.grant(*wish, (pid, start_ticks, keeper), pidfd.ok_or(None));
    }

    /// The run exists. Without a descriptor its end must be known.
    pub(super) fn grant(
        &mut self,
        Wish { key, program, reply, .. }: Wish,
        (pid, start_ticks, keeper): (u32, u64, u32),
        pidfd: Result<OwnedFd, Option<RunExit>>,
    ) {
        let exit = match pidfd {
            Ok(pidfd) => {
                let (tell, told) = oneshot::channel();
                self.watches.insert(key.clone(), tell);
                ExitWatch::held(told, pidfd)
            }
            Err(Some(end)) => ExitWatch::ended(end),
            Err(None) => {
                let source = io::Error::from_raw_os_error(libc::EMFILE);
                let operation = "get a descriptor of the run of";
                let _ = reply.send(Err(LaunchError { operation, path: program, source }));
                return self.discard(key, None);
            }
        };
        let identity = RunIdentity { pid, start_ticks, boot_id: self.boot_id.clone() };
        if let Err(Ok(unwanted)) = reply.send(Ok(Launched { identity, exit, keeper })) {
            // Whoever asked no longer listens: nobody would ever know of this run.
            unwanted.exit.destroy();
            self.watches.remove(&key);
            self.unwanted.insert(key);
        }
    }

    /// Nobody waits for this run.
    pub(super) fn discard(&mut self, key: Key, pidfd: Option<OwnedFd>) {
        if let Some(pidfd) = pidfd {
            let _ = calls::signal_process(pidfd.as_fd(), libc::SIGKILL);
        }
        self.unwanted.insert(key);
    }

    fn refused(&mut self, about: u32, operation: &str, path: PathBuf, errno: i32, reason: String) {
        let source = match errno {
            0 => io::Error::new(io::ErrorKind::InvalidInput, reason),
            errno => io::Error::from_raw_os_error(errno),
        };
        match self.waiting.remove(&about).map(|waiting| waiting.what) {
            Some(Wanted::Launch(wish)) => {
                let operation = self.words.lasting(operation);
                let _ = wish.reply.send(Err(LaunchError { operation, path, source }));
            }
            Some(Wanted::Upgrade { reply, .. }) => {
                let _ = reply.send(Err(source));
            }
            None => {}
        }
    }

    pub(super) fn ended(&mut self, key: Key, end: RunExit) {
        if self.unwanted.remove(&key) {
            return self.unsettled.push(key);
        }
        if let Some(tell) = self.watches.remove(&key) {
            // Nobody listens: the end stays with the holder until it is settled.
            let _ = tell.send(end);
        }
    }

    fn upgraded(&mut self, about: u32, outcome: io::Result<()>) {
        if let Some(Waiting { what: Wanted::Upgrade { program, reply }, .. }) = self.waiting.remove(&about) {
            if outcome.is_ok() {
                // Should there be a next holder, it is made of the same.
                self.settings.program = program;
            }
            let _ = reply.send(outcome);
        }
    }
}
