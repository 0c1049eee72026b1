//! What the kernel lets us do, read from its own files (proc(5), cgroups(7)). Changes nothing.

use std::path::Path;

use super::{Finding, State};

/// Oldest kernel with everything that a run needs: `CLONE_PIDFD` (5.2), `pidfd_open` (5.3), `waitid(P_PIDFD)` (5.4).
const OLDEST_KERNEL: (u32, u32) = (5, 4);
/// Below this many descriptors a fleet of a few hundred comes to its limit: each run that is measured holds some open.
const FEW_DESCRIPTORS: u64 = 4096;
/// Bits of the effective capabilities, capabilities(7).
const CAP_SYS_NICE: u32 = 23;
const CAP_SYS_RESOURCE: u32 = 24;

/// Everything there is to say about the kernel. On a system without its files it says so.
pub(super) fn findings() -> Vec<Finding> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    vec![
        kernel(&read("/proc/sys/kernel/osrelease")),
        descriptors(&read("/proc/self/limits")),
        favour(&read("/proc/self/status")),
        cgroup(&read("/proc/self/cgroup"), Path::new("/sys/fs/cgroup")),
    ]
}

fn kernel(release: &str) -> Finding {
    let release = release.trim();
    let (major, minor) = OLDEST_KERNEL;
    match version(release) {
        Some(version) if version >= OLDEST_KERNEL => Finding::new(
            "kernel",
            State::Good,
            format!("{release}: tells the end of runs (pidfd), lets us adopt orphans"),
        ),
        Some(_) => {
            Finding::new("kernel", State::Bad, format!("{release} is too old: {major}.{minor} or newer is needed"))
        }
        None => Finding::new("kernel", State::Bad, "unsupported: /proc does not tell a Linux kernel's version"),
    }
}

/// `6.18.44-generic` as (6, 18).
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn descriptors(limits: &str) -> Finding {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let mut figures = line.unwrap_or_default().split_whitespace();
    let (Some(soft), Some(hard)) = (figures.next(), figures.next()) else {
        return Finding::new("descriptors", State::Limited, "unknown: /proc/self/limits does not tell");
    };
    // Unlimited is no number and more than enough.
    let few = hard.parse::<u64>().is_ok_and(|hard| hard < FEW_DESCRIPTORS);
    let detail = format!("{soft} may be open, {hard} at most (RLIMIT_NOFILE)");
    if few {
        let advice = "a large fleet needs more, see `ulimit -Hn` or LimitNOFILE= of systemd";
        return Finding::new("descriptors", State::Limited, format!("{detail}; {advice}"));
    }
    Finding::new("descriptors", State::Good, detail)
}

/// Whether priorities above normal can be given to the kernel as well.
fn favour(status: &str) -> Finding {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(effective) = effective.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()) else {
        return Finding::new("priorities", State::Limited, "unknown: /proc/self/status tells no capabilities");
    };
    let favours = [
        (CAP_SYS_NICE, "more processor (CAP_SYS_NICE)"),
        (CAP_SYS_RESOURCE, "mercy when memory ends (CAP_SYS_RESOURCE)"),
    ];
    let missing: Vec<_> =
        favours.iter().filter(|(bit, _)| effective & (1 << bit) == 0).map(|(_, favour)| *favour).collect();
    if missing.is_empty() {
        return Finding::new("priorities", State::Good, "the kernel favours high and critical ones");
    }
    let detail = format!("they order the queue, but none can get {}", missing.join(", or "));
    Finding::new("priorities", State::Limited, detail)
}

/// This version's monitor holds the limits on memory, CPU and threads; a delegated cgroup is where the kernel could.
fn cgroup(membership: &str, root: &Path) -> Finding {
    let held = "memory, CPU and threads are limited by the monitor, file handles by the kernel";
    let detail = match membership.lines().find_map(|line| line.strip_prefix("0::")) {
        None => format!("no cgroup v2 here: {held}"),
        Some(_) if !root.join("cgroup.controllers").is_file() => {
            format!("cgroup v2 is not mounted at {}: {held}", root.display())
        }
        Some(own) => {
            let directory = root.join(own.trim_start_matches('/'));
            // Opened and not written to: whether that is allowed is all we ask.
            let delegated = std::fs::OpenOptions::new().write(true).open(directory.join("cgroup.procs")).is_ok();
            let word = if delegated { "is delegated to us" } else { "is not delegated to us" };
            format!("cgroup v2 {own} {word}; not used by this version: {held}")
        }
    };
    Finding::new("cgroup", State::Limited, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_pidfds_is_too_old() {
        for (release, state) in [
            ("6.18.44-generic\n", State::Good),
            ("5.4.0", State::Good),
            ("5.3.18-lp", State::Bad),
            ("4.18", State::Bad),
            ("", State::Bad),
        ] {
            assert_eq!(kernel(release).state, state, "{release}");
        }
    }

    #[test]
    fn few_descriptors_are_told_with_advice() {
        let limits =
            |hard: &str| format!("Limit  Soft  Hard  Units\nMax open files            1024    {hard}    files\n");
        let finding = descriptors(&limits("1024"));
        assert!(finding.state == State::Limited && finding.detail.contains("LimitNOFILE"), "{finding:?}");
        assert_eq!(descriptors(&limits("524288")).state, State::Good);
        assert_eq!(descriptors(&limits("unlimited")).state, State::Good);
        assert_eq!(descriptors("").state, State::Limited);
    }

    #[test]
    fn missing_capabilities_are_named() {
        let with = |bits: u64| favour(&format!("Name:\tx\nCapEff:\t{bits:016x}\n"));
        assert_eq!(with(1 << CAP_SYS_NICE | 1 << CAP_SYS_RESOURCE).state, State::Good);
        assert!(with(1 << CAP_SYS_RESOURCE).detail.contains("CAP_SYS_NICE"));
        assert!(with(1 << CAP_SYS_NICE).detail.contains("CAP_SYS_RESOURCE"));
        assert!(["CAP_SYS_NICE", "CAP_SYS_RESOURCE"].iter().all(|name| with(0).detail.contains(name)));
    }

    #[test]
    fn a_cgroup_is_delegated_when_we_may_write_to_it() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("user.slice");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(root.path().join("cgroup.controllers"), "cpu memory").unwrap();
        assert!(cgroup("0::/user.slice\n", root.path()).detail.contains("not delegated"));
        std::fs::write(own.join("cgroup.procs"), "").unwrap();
        assert!(cgroup("0::/user.slice\n", root.path()).detail.contains("is delegated"));
        assert!(cgroup("4:memory:/x\n", root.path()).detail.contains("no cgroup v2"));
    }
}
