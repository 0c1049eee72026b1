//! What texts of the kernel mean. Pure, but for the cgroup directory that it is told to look at.
//!
//! Only `abilities` enters.

use std::path::Path;

use super::{ability, essential};
use crate::platform::Ability;
use crate::platform::linux::capabilities::{self, SETGID, SETUID, SYS_NICE, SYS_RESOURCE};

/// Oldest kernel with everything that a run needs: `close_range` came last.
const OLDEST_KERNEL: (u32, u32) = (5, 9);
/// Below this many descriptors a fleet of a few hundred comes to its limit: each run that is measured holds some open.
const FEW_DESCRIPTORS: u64 = 4096;

pub(super) fn kernel(release: &str) -> Ability {
    let release = release.trim();
    let (major, minor) = OLDEST_KERNEL;
    let outcome = match version(release) {
        Some(version) if version >= OLDEST_KERNEL => Ok(release.to_owned()),
        Some(_) => Err(format!("{release} is too old: {major}.{minor} or newer is needed")),
        None => Err("/proc does not tell a Linux kernel's version".to_owned()),
    };
    essential("kernel", outcome, "nothing can be run")
}

/// `6.18.44-generic` as (6, 18).
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

pub(super) fn descriptors(limits: &str) -> Ability {
    let costs = "a large fleet needs more, see `ulimit -Hn` or LimitNOFILE= of systemd";
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let mut figures = line.unwrap_or_default().split_whitespace();
    let (Some(soft), Some(hard)) = (figures.next(), figures.next()) else {
        return ability("descriptors", false, "unknown: /proc/self/limits does not tell", costs);
    };
    // Unlimited is no number and more than enough.
    let few = hard.parse::<u64>().is_ok_and(|hard| hard < FEW_DESCRIPTORS);
    ability("descriptors", !few, format!("{soft} may be open, {hard} at most (RLIMIT_NOFILE)"), costs)
}

/// Whether priorities above normal can be given to the kernel as well.
pub(super) fn favour(held: Option<u64>) -> Ability {
    let favours = [
        (SYS_NICE, "more processor (CAP_SYS_NICE)"),
        (SYS_RESOURCE, "mercy when memory ends, nor more than our own hard limits (CAP_SYS_RESOURCE)"),
    ];
    let held = held.unwrap_or(0);
    let missing: Vec<_> =
        favours.iter().filter(|(bit, _)| !capabilities::has(held, *bit)).map(|(_, favour)| *favour).collect();
    let detail = if missing.is_empty() {
        "the kernel favours high and critical ones".to_owned()
    } else {
        format!("none can get {}", missing.join(", or "))
    };
    ability(
        "priorities",
        missing.is_empty(),
        detail,
        "they order the queue, but above normal they mean little to the kernel",
    )
}

pub(super) fn user_switch(held: Option<u64>) -> Ability {
    let held = held.unwrap_or(0);
    let present = [SETUID, SETGID].iter().all(|bit| capabilities::has(held, *bit));
    let detail = if present {
        "runs can be other users (CAP_SETUID, CAP_SETGID)"
    } else {
        "neither root nor CAP_SETUID and CAP_SETGID"
    };
    ability("user switch", present, detail, "processes with sandbox user, group or groups of others are refused")
}

/// A delegated cgroup is where the kernel can hold limits on whole trees.
pub(super) fn cgroup(membership: &str, root: &Path) -> Ability {
    let costs = "memory, CPU and threads of a tree are limited by the monitor, and file handles by the kernel";
    let own = membership.lines().find_map(|line| line.strip_prefix("0::"));
    let (present, detail) = match own {
        None => (false, "no cgroup v2 here".to_owned()),
        Some(_) if !root.join("cgroup.controllers").is_file() => {
            (false, format!("cgroup v2 is not mounted at {}", root.display()))
        }
        Some(own) => {
            let directory = root.join(own.trim_start_matches('/'));
            // Opened and not written to: whether that is allowed is all we ask.
            let delegated = std::fs::OpenOptions::new().write(true).open(directory.join("cgroup.procs")).is_ok();
            let word = if delegated { "is delegated to us" } else { "is not delegated to us" };
            let controllers = std::fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default();
            (delegated, format!("cgroup v2 {own} {word}, with controllers: {}", named(controllers.trim())))
        }
    };
    ability("cgroup", present, detail, costs)
}

fn named(controllers: &str) -> &str {
    if controllers.is_empty() { "none" } else { controllers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_what_a_run_needs_is_too_old() {
        for (release, good) in
            [("6.18.44-generic\n", true), ("5.9.0", true), ("5.4.18-lp", false), ("4.18", false), ("", false)]
        {
            assert_eq!(kernel(release).present, good, "{release}");
        }
    }

    #[test]
    fn few_descriptors_are_told_with_advice() {
        let limits =
            |hard: &str| format!("Limit  Soft  Hard  Units\nMax open files            1024    {hard}    files\n");
        let few = descriptors(&limits("1024"));
        assert!(!few.present && few.costs.contains("LimitNOFILE"), "{few:?}");
        assert!(descriptors(&limits("524288")).present && descriptors(&limits("unlimited")).present);
        assert!(!descriptors("").present);
    }

    #[test]
    fn missing_capabilities_are_named() {
        let with = |bits: u64| favour(Some(bits));
        assert!(with(1 << SYS_NICE | 1 << SYS_RESOURCE).present);
        assert!(with(1 << SYS_RESOURCE).detail.contains("CAP_SYS_NICE"));
        assert!(with(1 << SYS_NICE).detail.contains("CAP_SYS_RESOURCE"));
        assert!(["CAP_SYS_NICE", "CAP_SYS_RESOURCE"].iter().all(|name| with(0).detail.contains(name)));
        assert!(user_switch(Some(1 << SETUID | 1 << SETGID)).present);
        assert!(!user_switch(Some(1 << SETUID)).present && !user_switch(None).present);
    }

    #[test]
    fn a_cgroup_is_delegated_when_we_may_write_to_it() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("user.slice");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(root.path().join("cgroup.controllers"), "cpu memory").unwrap();
        assert!(cgroup("0::/user.slice\n", root.path()).detail.contains("not delegated"));
        std::fs::write(own.join("cgroup.procs"), "").unwrap();
        std::fs::write(own.join("cgroup.controllers"), "memory pids\n").unwrap();
        let delegated = cgroup("0::/user.slice\n", root.path());
        assert!(delegated.present && delegated.detail.contains("memory pids"), "{delegated:?}");
        assert!(cgroup("4:memory:/x\n", root.path()).detail.contains("no cgroup v2"));
    }
}
