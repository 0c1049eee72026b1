//! The end of a group: killing all of it, waiting until nobody is left, taking it away.
//!
//! Owns no state. Only `cgroup` enters. Nothing here sleeps: the kernel tells when a group has become empty.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::sys;
use super::file::{cannot, groups_in, keyed, processes, put};
use crate::platform::GroupError;

/// Rounds of killing one by one where the kernel cannot kill a group: each reaches what was born during the one before.
const KILL_ROUNDS: usize = 64;

/// Processes of the group and of all groups within it.
pub(super) fn members(group: &Path) -> Vec<u32> {
    let mut all = processes(group);
    groups_in(group).iter().for_each(|inner| all.extend(members(inner)));
    all
}

/// Kill every process of the group and of those within. Returns when the signals are sent, not when all have ended.
pub(super) fn kill(group: &Path) -> Result<(), GroupError> {
    match put(&group.join("cgroup.kill"), "1") {
        // A group that is gone has nobody to kill.
        Err(_) if !group.exists() => Ok(()),
        // Linux before 5.14, or a group of threads only.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EOPNOTSUPP)) => kill_one_by_one(group),
        other => other.map_err(cannot("kill the group", group)),
    }
}

/// Freeze, so that nobody can fork away from us, and kill each; SIGKILL reaches a frozen process.
pub(super) fn kill_one_by_one(group: &Path) -> Result<(), GroupError> {
    let freezes = freeze(group, true).is_ok();
    let mut outcome = Ok(());
    let mut signalled = std::collections::HashSet::new();
    for _ in 0..KILL_ROUNDS {
        let fresh: Vec<u32> = members(group).into_iter().filter(|pid| !signalled.contains(pid)).collect();
        if fresh.is_empty() {
            break;
        }
        for pid in fresh {
            signalled.insert(pid);
            if let Err(error) = kill_process(pid, group) {
                outcome = Err(cannot("kill every process of", group)(error));
            }
        }
    }
    if freezes {
        // One that was told to freeze before it dies is let go, so that it can.
        let _ = freeze(group, false);
    }
    outcome
}

fn kill_process(pid: u32, group: &Path) -> io::Result<()> {
    let gone = |error: &io::Error| error.raw_os_error() == Some(libc::ESRCH);
    let pidfd = match sys::pidfd_open(pid) {
        Err(error) if gone(&error) => return Ok(()),
        other => other?,
    };
    // The descriptor is bound to whoever had the pid when it was opened: membership is checked after that.
    if !members(group).contains(&pid) {
        return Ok(());
    }
    match sys::signal_process(pidfd.as_fd(), libc::SIGKILL) {
        Err(error) if gone(&error) => Ok(()),
        other => other,
    }
}

/// Stop every process of the group, or let all go on.
pub(super) fn freeze(group: &Path, frozen: bool) -> Result<(), GroupError> {
    put(&group.join("cgroup.freeze"), if frozen { "1" } else { "0" }).map_err(cannot("freeze or thaw", group))
}

/// Whether somebody lives in the group or one within. Zombies do not count. A group that is gone has nobody.
pub(super) fn is_populated(group: &Path) -> bool {
    fs::read_to_string(group.join("cgroup.events")).is_ok_and(|text| keyed(&text, "populated") == Some(1))
}

/// Wait until nobody lives in the group, at most this long; whether that came true. The kernel notifies of each change
/// (POLLPRI, cgroups(7)).
pub(super) fn wait_empty(group: &Path, patience: Duration) -> io::Result<bool> {
    let mut events = match File::open(group.join("cgroup.events")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        other => other?,
    };
    let until = Instant::now() + patience;
    loop {
        let mut text = String::new();
        events.rewind()?;
        match events.read_to_string(&mut text) {
            // The group has been taken away meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(true),
            other => other?,
        };
        if keyed(&text, "populated") == Some(0) {
            return Ok(true);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        // Rounded up, so that the last wait is not a busy one.
        let milliseconds = u16::try_from(left.as_millis().saturating_add(1)).unwrap_or(u16::MAX);
        let mut watched = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
        match poll(&mut watched, PollTimeout::from(milliseconds)) {
            Err(nix::errno::Errno::EINTR) => {}
            other => drop(other?),
        }
    }
}

/// Take an empty group away, with all within it. One that is gone already is no error.
pub(super) fn remove(group: &Path) -> Result<(), GroupError> {
    for inner in groups_in(group) {
        remove(&inner)?;
    }
    match fs::remove_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(cannot("remove", group)),
    }
}
