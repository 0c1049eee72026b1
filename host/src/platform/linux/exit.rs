//! The end of a run: told by its pidfd, taken with the one `wait` that is due.
//!
//! Owns the right to reap one child. Whoever holds the run enters.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::SyncSender;

use nix::sys::resource::{UsageWho, getrusage};

use super::launch::Job;
use super::sys::{self, Child, Ended};
use crate::sample::{ExitStatus, RunExit};
use crate::units::Timestamp;

/// Tells the end of a run, once, by the kernel's notification and without polling. Sole owner of its `wait`.
///
/// Dropping it does not end the run. Once that ends, it stays a zombie until this process ends or, after the launcher
/// is gone too, until the future of `become_subreaper` reaps it.
#[derive(Debug)]
pub struct ExitWatch {
    pid: u32,
    pidfd: OwnedFd,
    /// Keeps the launch thread alive, under which the kernel lists the child (see `launch`).
    _thread: SyncSender<Job>,
}

impl ExitWatch {
    pub(super) fn new(pid: u32, pidfd: OwnedFd, thread: SyncSender<Job>) -> Self {
        Self { pid, pidfd, _thread: thread }
    }

    /// Wait until the main process has ended and reap it. Needs a tokio runtime with its I/O driver.
    pub async fn wait(self) -> RunExit {
        let pidfd = match sys::watch(self.pidfd) {
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

    /// Kill and reap a run that nobody will get to know.
    pub(super) fn destroy(self) {
        let _ = sys::signal_process(self.pidfd.as_fd(), libc::SIGKILL);
        let _ = sys::reap(Child::Pid(self.pid), true);
    }
}

fn end_of(ended: Option<Ended>) -> RunExit {
    let at_ms = Timestamp::now();
    let Some(Ended { code, status, usage }) = ended else {
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
