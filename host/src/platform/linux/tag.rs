//! The tag on every process of a run, which it can neither leave behind by changing session, group and environment nor
//! by being forked twice: a resource limit that means nothing.
//!
//! `RLIMIT_LOCKS` has limited nothing since Linux 2.4.25, yet every process inherits it and keeps it when it executes
//! another program (getrlimit(2)). So a run's limit is a number made of its process id. Reading it takes one system
//! call, where the marker in the environment takes a file and is the process's own to wipe. What loses the tag: a program
//! that sets this very limit, as logins through `pam_limits` do, and one whose hard limit was lower before. The marker
//! serves those.
//!
//! Owns no state. The launchers put it on (in `child`), `tree` and `scan` read it.
#![allow(unsafe_code)]

use crate::spec::ProcessId;

/// What every tag begins with, so that a limit somebody else has set is not taken for one: `WV` in ASCII.
const PREFIX: u64 = 0x5756 << 48;
const HASH_BITS: u64 = (1 << 48) - 1;

/// The tag of a process: the prefix and 48 bits of its id's FNV-1a hash. The same in every life and version.
pub(super) fn of(id: &ProcessId) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let hash = id.as_str().bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    PREFIX | ((hash ^ (hash >> 48)) & HASH_BITS)
}

/// Put a tag on the calling process and whatever will descend from it. Only makes one system call, so it may be called
/// between clone and exec. Without effect where the hard limit is lower already: within another supervisor's run.
pub(super) fn put_on(tag: u64) {
    let limit = libc::rlimit { rlim_cur: tag, rlim_max: tag };
    // SAFETY: the pointer is valid for the structure.
    unsafe { libc::setrlimit(libc::RLIMIT_LOCKS, &raw const limit) };
}

/// The tag on a process; `None` when it has none, is gone, or may not be asked.
pub(super) fn read(pid: u32) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let none = std::ptr::null::<libc::rlimit>();
    // SAFETY: a null new limit changes nothing; the old one is written to a structure of ours.
    let result = unsafe { libc::prlimit(pid as libc::pid_t, libc::RLIMIT_LOCKS, none, &raw mut limit) };
    let hard = if result == 0 { Some(limit.rlim_max) } else { read_file(pid) };
    hard.filter(|hard| hard & !HASH_BITS == PREFIX)
}

/// The same from `/proc`, which needs no permission: for processes that have become somebody else.
fn read_file(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max file locks"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_differ_between_processes_and_never_change() {
        let web = of(&ProcessId::new("web"));
        assert_eq!(web, of(&ProcessId::new("web")));
        assert_ne!(web, of(&ProcessId::new("web2")));
        // Written down: the next version must find the runs of this one.
        assert_eq!(of(&ProcessId::new("")), PREFIX | (0xcbf2_9ce4_8422_2325 ^ 0xcbf2) & HASH_BITS);
    }

    #[test]
    fn a_process_that_nobody_tagged_has_no_tag() {
        assert_eq!(read(std::process::id()), None);
        assert_eq!(read(4_000_000), None);
    }
}
