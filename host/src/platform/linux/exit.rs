//! The end of a run: told by its pidfd and taken with the one `wait` that is due, or told by the holder that has it.
//!
//! Owns the right to reap one child, where the child is ours. Whoever holds the run enters.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::SyncSender;

use nix::sys::resource::{UsageWho, getrusage};
use tokio::sync::oneshot;

use super::launch::Job;
use super::sys::{self, Child, Ended, StrangersEnd};
use crate::sample::{ExitStatus, RunExit};
use crate::units::Timestamp;

/// Tells the end of a run, once, by the kernel's notification and without polling.
///
/// For a run of this process it is the sole owner of its `wait`. Dropping it does not end the run. Once that ends, it
/// stays a zombie until this process ends or, after the launcher is gone too, until the future of `become_subreaper`
/// reaps it. A run of a holder is reaped by the holder, whatever becomes of this.
#[derive(Debug)]
pub struct ExitWatch(Watch);

#[derive(Debug)]
enum Watch {
    /// A child of this process.
    Child {
        pid: u32,
        pidfd: OwnedFd,
        /// Keeps the launch thread alive, under which the kernel lists the child (see `launch`).
        _thread: SyncSender<Job>,
    },
    /// A child of a holder, which tells the end as long as it lives. After that the pidfd does.
    Held { told: oneshot::Receiver<RunExit>, pidfd: OwnedFd },
    /// It has ended already.
    Ended(RunExit),
}

impl ExitWatch {
    pub(super) fn new(pid: u32, pidfd: OwnedFd, thread: SyncSender<Job>) -> Self {
        Self(Watch::Child { pid, pidfd, _thread: thread })
    }

    /// A run of a holder; `told` gets its end, or is dropped with the connection to the holder.
    pub(super) fn held(told: oneshot::Receiver<RunExit>, pidfd: OwnedFd) -> Self {
        Self(Watch::Held { told, pidfd })
    }

    /// A run whose end is known.
    pub(super) fn ended(end: RunExit) -> Self {
        Self(Watch::Ended(end))
    }

    /// Wait until the main process has ended and been reaped. Needs a tokio runtime with its I/O driver.
    pub async fn wait(self) -> RunExit {
        match self.0 {
            Watch::Child { pidfd, .. } => wait_for_child(pidfd).await,
            Watch::Held { told, pidfd } => match told.await {
                Ok(end) => end,
                Err(_) => wait_for_stranger(pidfd).await,
            },
            Watch::Ended(end) => end,
        }
    }

    /// Kill and reap a run that nobody will get to know.
    pub(super) fn destroy(self) {
        match self.0 {
            Watch::Child { pid, pidfd, .. } => {
                let _ = sys::signal_process(pidfd.as_fd(), libc::SIGKILL);
                let _ = sys::reap(Child::Pid(pid), true);
            }
            Watch::Held { pidfd, .. } => {
                let _ = sys::signal_process(pidfd.as_fd(), libc::SIGKILL);
            }
            Watch::Ended(_) => {}
        }
    }
}

async fn wait_for_child(pidfd: OwnedFd) -> RunExit {
    let pidfd = match sys::watch(pidfd) {
        Ok(watched) => match watched.readable().await {
            Ok(_) => watched.into_inner(),
            // The runtime is shutting down; the run is found again by its identity in the next life.
            Err(_) => return end_of(None),
        },
        // No room in the poller: spend a thread on a blocking wait rather than lose the end.
        Err(pidfd) => {
            let waited = tokio::task::spawn_blocking(move || sys::reap(Child::Descriptor(pidfd.as_fd()), true));
            return end_of(waited.await.ok().and_then(Result::ok).flatten());
        }
    };
    // Readable means ended, so this does not block; an error means that somebody else has reaped it.
    end_of(sys::reap(Child::Descriptor(pidfd.as_fd()), true).ok().flatten())
}

/// The end of a run whose holder is gone.
async fn wait_for_stranger(pidfd: OwnedFd) -> RunExit {
    let Ok(watched) = sys::watch(pidfd) else { return end_of(None) };
    loop {
        let Ok(mut ready) = watched.readable().await else { return end_of(None) };
        // Asked before the state is cleared: what changes in between is told again.
        let reaped = ready.ready().is_read_closed();
        if let Some(end) = end_of_stranger(watched.get_ref().as_fd()) {
            return end;
        }
        if reaped {
            return end_of(None);
        }
        ready.clear_ready();
    }
}

/// The end of a process that has ended and is not, or not knowingly, our child; `None` when its parent must wait for it
/// first, which its pidfd tells by a hang-up.
pub(super) fn end_of_stranger(pidfd: BorrowedFd<'_>) -> Option<RunExit> {
    // A subreaper inherits the children of a holder that dies.
    if let Ok(Some(ended)) = sys::reap(Child::Descriptor(pidfd), false) {
        return Some(end_of(Some(ended)));
    }
    match sys::strangers_end(pidfd) {
        StrangersEnd::Status(status) => {
            let (signal, code) = (status & 0x7f, (status >> 8) & 0xff);
            let status = if signal == 0 { ExitStatus::Code(code) } else { ExitStatus::Signal(signal) };
            Some(RunExit { status, ..end_of(None) })
        }
        StrangersEnd::NotYet => None,
        StrangersEnd::NeverTold => Some(end_of(None)),
    }
}

/// An end as it was waited for; the unknown end when it could not be.
pub(super) fn end_of(ended: Option<Ended>) -> RunExit {
    let at_ms = Timestamp::now();
    let Some(Ended { code, status, usage, .. }) = ended else {
        let status = ExitStatus::Unknown;
        return RunExit { status, at_ms, user_time_ms: 0, system_time_ms: 0, peak_memory_bytes: 0 };
    };
    let status = if code == libc::CLD_EXITED { ExitStatus::Code(status) } else { ExitStatus::Signal(status) };
    RunExit {
        status,
        at_ms,
        user_time_ms: milliseconds(usage.ru_utime),
        system_time_ms: milliseconds(usage.ru_stime),
        peak_memory_bytes: own_peak(usage.ru_maxrss),
    }
}

/// The peak of a run's memory, or 0 when the kernel cannot tell it.
///
/// A child that was made by `CLONE_VM` inherits the peak of its maker when it executes its program (the kernel's
/// `exec_mmap` keeps the larger of the two), so a figure that is not above our own peak is ours and not the run's.
fn own_peak(max_rss_kib: libc::c_long) -> u64 {
    let ours = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
    if max_rss_kib > ours { u64::try_from(max_rss_kib).unwrap_or(0) * 1024 } else { 0 }
}

fn milliseconds(time: libc::timeval) -> u64 {
    time.tv_sec as u64 * 1000 + time.tv_usec as u64 / 1000
}
