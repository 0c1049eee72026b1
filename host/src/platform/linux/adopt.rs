//! Orphans of our runs, which the kernel hands to this process once it is a subreaper (prctl(2)).
//!
//! Owns no state. The kernel lists an adopted orphan under the main thread and a launched run under the launch thread,
//! so the two are told apart by where they are listed (see `launch`).

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use super::stat;
use super::sys::{self, Child};

/// Become the parent of orphaned descendants, so that a tree can be found after its leader's death. Returns a future
/// that reaps them for ever; the supervisor's own runs are left to their `ExitWatch`. For the daemon; a library user's
/// process is not changed without being asked.
///
/// Children that the main thread makes by other means stay with their maker as long as they keep this process's
/// session. Call it before the first launch, within a tokio runtime that has its I/O driver.
///
/// # Errors
/// When the kernel refuses, or there is no runtime.
pub fn become_subreaper() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    let mut ended = signal(SignalKind::child())?;
    nix::sys::prctl::set_child_subreaper(true)?;
    Ok(async move {
        // Once before the first signal, for what ended before it could be heard.
        reap_adopted();
        while ended.recv().await.is_some() {
            reap_adopted();
        }
    })
}

pub(super) fn is_subreaper() -> bool {
    nix::sys::prctl::get_child_subreaper().unwrap_or(false)
}

/// Children that this process has not made itself.
pub(super) fn adopted_children() -> Vec<u32> {
    let own = std::process::id();
    let mut children = Vec::new();
    stat::children_of_thread(own, own, &mut children);
    children
}

fn reap_adopted() {
    let Ok(own) = stat::read_stat(std::process::id()) else { return };
    for pid in adopted_children() {
        // A run has a session of its own and so has all that descends from it; what shares ours was made by a plain
        // command of this process and is its maker's to wait for.
        if stat::read_stat(pid).is_ok_and(|stat| stat.is_zombie() && stat.session != own.session) {
            let _ = sys::reap(Child::Pid(pid), false);
        }
    }
}
