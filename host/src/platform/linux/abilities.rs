//! What this machine can do: system calls that are there or not, and what the kernel's own files say (proc(5),
//! cgroups(7)). Changes nothing.
//!
//! Owns no state. The doctor enters, and tests that need to know what they may expect.

mod probe;
mod words;

use std::path::Path;

use super::{capabilities, landlock};
use crate::platform::Ability;

/// Everything that is worth knowing, in the order in which a person wants to read it.
pub fn abilities() -> Vec<Ability> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let release = read("/proc/sys/kernel/osrelease");
    let held = capabilities::effective();
    let mut all = vec![words::kernel(&release)];
    all.extend(system_calls(words::version(&release)));
    all.extend([
        landlock_rules(),
        words::user_switch(held),
        private_tmp(held),
        words::cgroup(&read("/proc/self/cgroup"), Path::new("/sys/fs/cgroup")),
        pressure(),
        words::descriptors(&read("/proc/self/limits")),
        words::favour(held),
    ]);
    all
}

fn ability(name: &'static str, present: bool, detail: impl Into<String>, costs: &'static str) -> Ability {
    Ability { name, present, essential: false, detail: detail.into(), costs }
}

fn essential(name: &'static str, outcome: Result<String, String>, costs: &'static str) -> Ability {
    let (present, detail) = outcome.map_or_else(|error| (false, error), |detail| (true, detail));
    Ability { name, present, essential: true, detail, costs }
}

fn system_calls(version: Option<(u32, u32)>) -> Vec<Ability> {
    let pidfd = probe::own_pidfd();
    // Exit codes of strangers came later than the call, and it cannot be asked for them before somebody ends.
    let info = pidfd.as_ref().is_ok_and(probe::tells_info) && version >= Some((6, 15));
    let yes = |detail: &str| detail.to_owned();
    let no = |error: std::io::Error| error.to_string();
    let ranges =
        if probe::closes_ranges() { Ok(yes("descriptors are closed in one call")) } else { Err("missing".into()) };
    let adopts = probe::adopts();
    vec![
        essential(
            "pidfd",
            pidfd.map(|_| yes("the end of a run is told by the kernel, and no stranger gets its signals")).map_err(no),
            "nothing can be run; needs Linux 5.4, or a container that lets pidfd_open(2) through",
        ),
        essential(
            "close_range",
            ranges,
            "nothing can be run; needs Linux 5.9, or a container that lets the call through",
        ),
        essential(
            "openat2",
            probe::opens_without_links()
                .map(|()| yes("what was judged is what runs: no link is followed at a launch"))
                .map_err(no),
            "nothing can be run under a supervisor; needs Linux 5.6, or a container that lets the call through",
        ),
        ability(
            "exit codes of strangers",
            info,
            if info { "PIDFD_GET_INFO tells how a run ended whose holder is gone" } else { "no PIDFD_GET_INFO" },
            "when the holder is killed, the exit codes of its runs are unknown; needs Linux 6.15",
        ),
        into_cgroup(),
        ability(
            "adoption",
            adopts,
            if adopts { "orphans of runs come to us (subreaper)" } else { "no subreaper" },
            "orphans of dead runs are found by their marker only",
        ),
        inotify(),
    ]
}

fn into_cgroup() -> Ability {
    let present = probe::clones_into_cgroups();
    let detail = if present { "a run can be born in its cgroup (clone3)" } else { "no clone3 with CLONE_INTO_CGROUP" };
    ability("birth in a cgroup", present, detail, "a run moves into its cgroup after its birth, which is slower")
}

fn inotify() -> Ability {
    let watched = probe::watches_files();
    let detail = watched.as_ref().map_or_else(|error| format!("inotify: {error}"), |()| "inotify".to_owned());
    ability("file watching", watched.is_ok(), detail, "changed files are noticed by SIGHUP and commands only")
}

fn landlock_rules() -> Ability {
    let version = landlock::version();
    let detail = match version {
        None => "not in force".to_owned(),
        Some(version @ ..=2) => {
            format!("version {version}: sandbox read and write hold, but a file can be cut off (needs 3)")
        }
        Some(version) => format!("version {version}: sandbox read and write hold"),
    };
    let costs =
        "processes with sandbox read or write are refused; needs Linux 5.13 and `landlock` among lsm= of its boot line";
    ability("landlock", version.is_some(), detail, costs)
}

fn private_tmp(held: Option<u64>) -> Ability {
    let mounts = held.is_some_and(|held| capabilities::has(held, capabilities::SYS_ADMIN));
    let says_no = |path: &str, word: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim() == word);
    let closed = !Path::new("/proc/self/ns/user").exists()
        || says_no("/proc/sys/user/max_user_namespaces", "0")
        || says_no("/proc/sys/kernel/unprivileged_userns_clone", "0")
        || says_no("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1");
    let detail = match (mounts, closed) {
        (true, _) => "by mounting (CAP_SYS_ADMIN)",
        (false, false) => "in a user namespace",
        (false, true) => "neither CAP_SYS_ADMIN nor user namespaces for ordinary users",
    };
    let costs = "processes with sandbox private_tmp are refused";
    ability("private tmp", mounts || !closed, detail, costs)
}

fn pressure() -> Ability {
    let present = std::fs::read_to_string("/proc/pressure/memory").is_ok();
    let detail = if present { "the kernel tells how long work waits (PSI)" } else { "no /proc/pressure" };
    ability(
        "pressure",
        present,
        detail,
        "whether the machine is short of something is judged by load and memory in use",
    )
}
