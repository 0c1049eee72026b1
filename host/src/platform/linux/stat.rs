//! `/proc/PID/stat` and its neighbours, parsed by hand: they are read thousands of times a second.
//!
//! Owns no state; every function reads what is true now. Only this folder enters.

use std::fs::File;
use std::io::{self, Read};

use super::sys;
use crate::sample::{ProcessState, RunIdentity};

/// What is needed of one `/proc/PID/stat` (proc_pid_stat(5)). Times are clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) state: u8,
    pub(super) group: u32,
    pub(super) session: u32,
    /// User and kernel time of the process and of the children it has waited for.
    pub(super) cpu_ticks: u64,
    pub(super) threads: u32,
    pub(super) start_ticks: u64,
    pub(super) resident_pages: u64,
}

impl Stat {
    /// Read the text of the file. `None` when it is not of the form proc_pid_stat(5) gives.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        // The name may hold spaces and brackets of its own, and nothing after it does.
        let after_name = text.iter().rposition(|byte| *byte == b')')? + 2;
        let mut fields = text.get(after_name..)?.split(|byte| *byte == b' ');
        let state = *fields.next()?.first()?;
        let mut number = |skip: usize| fields.nth(skip).and_then(decimal);
        let group = number(1)?;
        let session = number(0)?;
        let cpu_ticks = number(7)? + number(0)? + number(0)? + number(0)?;
        let threads = number(2)?;
        let start_ticks = number(1)?;
        let resident_pages = number(1)?;
        Some(Self {
            state,
            group: group as u32,
            session: session as u32,
            cpu_ticks,
            threads: threads as u32,
            start_ticks,
            resident_pages,
        })
    }

    /// Whether the process still does something: a zombie does not.
    pub(super) const fn lives(&self) -> bool {
        !self.is_zombie()
    }

    /// Whether it has ended. One whose first thread alone has ended shows `Z` as well and still has threads.
    pub(super) const fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x') && self.threads <= 1
    }

    /// The scheduler state in the vocabulary's words.
    pub(super) const fn process_state(&self) -> ProcessState {
        match self.state {
            b'R' => ProcessState::Running,
            b'D' => ProcessState::Uninterruptible,
            b'T' | b't' => ProcessState::Stopped,
            b'Z' | b'X' | b'x' => ProcessState::Zombie,
            _ => ProcessState::Sleeping,
        }
    }
}

/// A decimal number; 0 for the negative ones, which proc(5) uses for "none".
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.first() == Some(&b'-') {
        return Some(0);
    }
    let mut value = 0_u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    (!text.is_empty()).then_some(value)
}

/// The state of the process that has this pid now.
pub(super) fn read_stat(pid: u32) -> io::Result<Stat> {
    let mut buffer = [0; 1024];
    let length = File::open(format!("/proc/{pid}/stat"))?.read(&mut buffer)?;
    Stat::parse(&buffer[..length]).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// What tells this boot from every other.
pub(super) fn boot_id() -> io::Result<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned())
}

/// Whether `identity` is of this boot: in another its numbers mean nothing.
pub(super) fn is_of_this_boot(identity: &RunIdentity) -> bool {
    boot_id().is_ok_and(|boot| boot == identity.boot_id)
}

/// Whether exactly this run still lives.
pub(crate) fn is_alive(identity: &RunIdentity) -> bool {
    is_of_this_boot(identity)
        && read_stat(identity.pid).is_ok_and(|stat| stat.start_ticks == identity.start_ticks && stat.lives())
}

/// Whether exactly this run lives and stands still (SIGSTOP).
pub(crate) fn is_stopped(identity: &RunIdentity) -> bool {
    is_of_this_boot(identity)
        && read_stat(identity.pid).is_ok_and(|stat| stat.start_ticks == identity.start_ticks && stat.state == b'T')
}

/// This moment in the unit of start times.
pub(super) fn now_ticks() -> u64 {
    let per_tick = 1_000_000_000 / sys::ticks_per_second();
    sys::since_boot_ns() / per_tick
}

/// Append the pids in the text of a `children` file.
pub(super) fn parse_pids(text: &[u8], pids: &mut Vec<u32>) {
    let words = text.split(|byte| byte.is_ascii_whitespace());
    pids.extend(words.filter_map(|word| decimal(word).and_then(|pid| u32::try_from(pid).ok())));
}

/// Append the children that one thread of a process has; nothing when the thread is gone.
pub(super) fn children_of_thread(pid: u32, thread: u32, children: &mut Vec<u32>) {
    if let Ok(text) = std::fs::read(format!("/proc/{pid}/task/{thread}/children")) {
        parse_pids(&text, children);
    }
}

/// Append the children of a process that has this many threads.
pub(super) fn children_of(pid: u32, threads: u32, children: &mut Vec<u32>) {
    if threads <= 1 {
        children_of_thread(pid, pid, children);
    } else {
        threads_of(pid).into_iter().for_each(|thread| children_of_thread(pid, thread, children));
    }
}

/// Threads of a process; empty when it is gone.
pub(super) fn threads_of(pid: u32) -> Vec<u32> {
    numeric_names(&format!("/proc/{pid}/task"))
}

/// The entries of a directory whose names are numbers.
pub(super) fn numeric_names(directory: &str) -> Vec<u32> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] = b"4242 (a ) b (c) S 17 4242 4240 0 -1 4194560 100 0 0 0 12 3 40 5 20 0 7 0 98765 3000000 512 \
        18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = Stat::parse(LINE).unwrap();
        let expected = Stat {
            state: b'S',
            group: 4242,
            session: 4240,
            cpu_ticks: 60,
            threads: 7,
            start_ticks: 98765,
            resident_pages: 512,
        };
        assert_eq!(stat, expected);
    }

    #[test]
    fn a_cut_line_is_no_stat() {
        for length in [0, 10, 20, 60] {
            assert_eq!(Stat::parse(&LINE[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn this_process_lives_and_started_in_the_past() {
        let own = read_stat(std::process::id()).unwrap();
        assert!(own.lives());
        assert!(own.start_ticks <= now_ticks());
    }

    #[test]
    fn a_run_of_another_boot_or_start_is_not_alive() {
        let own = read_stat(std::process::id()).unwrap();
        let identity =
            RunIdentity { pid: std::process::id(), start_ticks: own.start_ticks, boot_id: boot_id().unwrap() };
        assert!(is_alive(&identity));
        assert!(!is_alive(&RunIdentity { boot_id: "another".into(), ..identity.clone() }));
        assert!(!is_alive(&RunIdentity { start_ticks: own.start_ticks + 1, ..identity }));
    }
}
