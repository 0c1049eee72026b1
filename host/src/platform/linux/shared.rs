//! Memory that several processes of a tree share, counted once.
//!
//! The resident sizes of a parent and the child it has just forked both hold the same pages, so their sum says up to
//! twice what is used, and a limit would be broken by nobody. Two cases: after vfork(2) both are users of one address
//! space, until the child executes its program, and one of them is left out (kcmp(2)). After fork(2) there are two address
//! spaces with common pages, and the proportional size (PSS, proc_pid_smaps(5)) divides each page by its users. The kernel
//! walks page tables for that, some 50 µs for a small process, so all this is done only where it can matter.
//! Owns no state. Only the sampler enters.

use super::sums::Sums;
use super::sys;

/// Members that are compared with each other at most; beyond, those after vfork count twice for a moment.
const COMPARED: usize = 64;

/// Below this many bytes in all members but the largest, sharing changes nothing that anybody would act on.
const WORTH_A_LOOK_BYTES: u64 = 8 << 20;

/// Whether the sum of resident sizes may be far above what the tree really uses.
pub(super) fn may_matter(sums: &Sums, page_size: u64) -> bool {
    let others = sums.resident_pages.saturating_sub(sums.largest_pages);
    others * page_size >= WORTH_A_LOOK_BYTES && others * 8 >= sums.resident_pages
}

/// The proportional size of these processes together, bytes; none when one that lives may not be read.
pub(super) fn proportional_bytes(pids: impl Iterator<Item = u32>) -> Option<u64> {
    let mut total = 0;
    let mut counted: Vec<u32> = Vec::new();
    for pid in pids {
        // Asked first: an address space can only cease to be shared, so what is not shared now is not shared below.
        if counted.iter().any(|other| sys::share_an_address_space(*other, pid)) {
            continue;
        }
        if counted.len() < COMPARED {
            counted.push(pid);
        }
        match std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
            Ok(text) => total += pss_bytes(&text)?,
            // Ended since it was counted.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(_) => return None,
        }
    }
    Some(total)
}

fn pss_bytes(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proportional_size_is_read_by_its_whole_name() {
        let text = "5581-7ffe [rollup]\nRss:  2156 kB\nPss:   801 kB\nPss_Dirty: 100 kB\n";
        assert_eq!(pss_bytes(text), Some(801 * 1024));
        assert_eq!(pss_bytes("Rss: 1 kB\n"), None);
    }

    #[test]
    fn sharing_matters_only_between_processes_of_some_size() {
        let sums = |resident_pages, largest_pages| Sums { resident_pages, largest_pages, ..Sums::default() };
        assert!(!may_matter(&sums(100_000, 100_000), 4096), "one process shares with nobody of the tree");
        assert!(!may_matter(&sums(100_400, 100_000), 4096), "a small child changes nothing");
        assert!(may_matter(&sums(40_000, 20_000), 4096), "a fork of a large process does");
    }
}
