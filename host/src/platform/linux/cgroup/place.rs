//! Where groups can be kept: finding the hierarchy and our own group, deciding whether it is ours, making it ready.
//!
//! Owns no state. Only `cgroup` enters. A directory counts as ours when
//! it is not the root of the hierarchy (that is everybody's), its files may be written, it holds no processes but ours and
//! our descendants, and, where systemd manages groups, systemd has marked it as delegated (`Delegate=yes`): it is then the
//! only one that may write there, as the kernel's rule of one manager per group wants it (cgroups(7), systemd's
//! CGROUP_DELEGATION). A directory that the configuration names is ours because it says so.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::file::{get, processes, put};
use super::mark;
use crate::platform::{Abilities, GroupsAt};

/// The group that the supervisor itself lives in, beside those of its runs: controllers can only be enabled in a group
/// that has no processes of its own. Named so that `DelegateSubgroup=supervisor` of a systemd unit fits.
pub(super) const OWN_LEAF: &str = "supervisor";
/// Controllers that are used, where they are to be had.
const CONTROLLERS: [&str; 4] = ["memory", "cpu", "pids", "io"];
/// Rounds of moving processes out of a group; they may fork meanwhile.
const MOVES: usize = 16;

/// What the process finds around itself.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    /// Where the hierarchy is mounted.
    pub(super) mount: PathBuf,
    /// The directory of our own group.
    pub(super) own: PathBuf,
    /// Whether systemd manages groups here.
    pub(super) systemd: bool,
}

impl Ground {
    /// Of this process, now.
    pub(super) fn look() -> Result<Self, String> {
        let read = |path: &str| fs::read(path).map_err(|error| format!("cannot read {path}: {error}"));
        let mounts = read("/proc/self/mountinfo")?;
        let (root, mount) = find_mount(&mounts).ok_or("no cgroup v2 is mounted here")?;
        let membership = read("/proc/self/cgroup")?;
        let own = find_own(&membership).ok_or("this process is in no cgroup v2")?;
        let own = own
            .strip_prefix(&root)
            .map_err(|_| format!("our group {} is not below {}", own.display(), root.display()))?;
        Ok(Self { own: mount.join(own), mount, systemd: Path::new("/run/systemd/system").is_dir() })
    }
}

/// Root within the hierarchy and mount point of the first cgroup2 mount, proc_pid_mountinfo(5).
fn find_mount(mountinfo: &[u8]) -> Option<(PathBuf, PathBuf)> {
    mountinfo.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        (kind == b"cgroup2").then(|| (unescape(root), unescape(point)))
    })
}

/// The group of the process in the v2 hierarchy, whose line begins with `0::`, cgroups(7).
fn find_own(membership: &[u8]) -> Option<PathBuf> {
    let line = membership.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    Some(std::ffi::OsString::from_vec(line.to_vec()).into())
}

/// Blanks and backslashes are written as three octal digits after a backslash.
fn unescape(field: &[u8]) -> PathBuf {
    let (mut text, mut rest) = (Vec::new(), field);
    while let [first, more @ ..] = rest {
        let code = more.get(..3).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match (*first, code) {
            (b'\\', Some(byte)) => {
                text.push(byte);
                rest = &more[3..];
            }
            (byte, _) => {
                text.push(byte);
                rest = more;
            }
        }
    }
    std::ffi::OsString::from_vec(text).into()
}

/// The directory that would hold the groups of runs, or why there is none. Changes nothing.
pub(super) fn choose(at: &GroupsAt, ground: &Ground) -> Result<PathBuf, String> {
    match at {
        GroupsAt::Off => Err("turned off by `[supervisor] cgroup`".to_owned()),
        GroupsAt::Directory(directory) => check_named(directory, ground).map(|()| directory.clone()),
        GroupsAt::Auto => {
            let in_leaf = ground.own.file_name().is_some_and(|name| name == OWN_LEAF);
            let base = ground.own.parent().filter(|_| in_leaf).unwrap_or(&ground.own);
            check_own(base, ground).map(|()| base.to_owned())
        }
    }
}

fn check_own(base: &Path, ground: &Ground) -> Result<(), String> {
    let shown = base.display();
    if !base.join("cgroup.events").exists() {
        return Err(format!("our group {shown} is the root of the hierarchy, which is not ours alone"));
    }
    for name in ["cgroup.procs", "cgroup.subtree_control"] {
        may_write(&base.join(name))
            .map_err(|error| format!("our group {shown} is not delegated to us: {name}: {error}"))?;
    }
    if ground.systemd && !mark::is_delegated(base) {
        return Err(format!("our group {shown} is managed by systemd; start with `Delegate=yes` to get one"));
    }
    match processes(base).into_iter().find(|pid| !is_ours(*pid)) {
        Some(pid) => Err(format!("our group {shown} holds processes of others, pid {pid} for one")),
        None => Ok(()),
    }
}

fn check_named(directory: &Path, ground: &Ground) -> Result<(), String> {
    let shown = directory.display();
    if !directory.starts_with(&ground.mount) || directory == ground.mount {
        return Err(format!("{shown} is no directory below {}, where cgroup v2 is mounted", ground.mount.display()));
    }
    // To move a process is to write to the nearest group around both its old and its new one (cgroups(7)).
    let around = ground.own.ancestors().find(|around| directory.starts_with(around)).unwrap_or(&ground.mount);
    may_write(&around.join("cgroup.procs")).map_err(|error| {
        format!("processes cannot be moved to {shown}: {}/cgroup.procs: {error}; start within it", around.display())
    })
}

/// Whether the file may be written; nothing is.
fn may_write(file: &Path) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(file).map(drop)
}

/// Whether the process is this one or descends from it.
fn is_ours(pid: u32) -> bool {
    let mut next = Some(pid);
    while let Some(pid) = next.filter(|pid| *pid > 1 || std::process::id() == 1) {
        if pid == std::process::id() {
            return true;
        }
        next = parent_of(pid);
    }
    false
}

/// Field 4 of proc_pid_stat(5).
fn parent_of(pid: u32) -> Option<u32> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after = text.iter().rposition(|byte| *byte == b')')? + 2;
    let field = text.get(after..)?.split(|byte| *byte == b' ').nth(1)?;
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Make a chosen directory ready: our own leaf in it, its processes in that leaf, its controllers enabled.
pub(super) fn make_ready(base: &Path) -> Result<Abilities, String> {
    let leaf = base.join(OWN_LEAF);
    fs::create_dir_all(&leaf).map_err(|error| format!("cannot make {}: {error}", leaf.display()))?;
    empty_into(base, &leaf)?;
    let offered = get(base, "cgroup.controllers").unwrap_or_default();
    let control = base.join("cgroup.subtree_control");
    let mut missing = Vec::new();
    for controller in CONTROLLERS {
        if !offered.split_whitespace().any(|offer| offer == controller) {
            missing.push(controller.to_owned());
        } else if let Err(error) = put(&control, &format!("+{controller}")) {
            missing.push(format!("{controller} ({error})"));
        }
    }
    let mut abilities = found_in(&leaf);
    abilities.base = Some(base.to_owned());
    if !missing.is_empty() {
        let around = base.parent().unwrap_or(base).join("cgroup.subtree_control");
        abilities.reason = format!("not to be had: {}; see {}", missing.join(", "), around.display());
    }
    Ok(abilities)
}

fn empty_into(base: &Path, leaf: &Path) -> Result<(), String> {
    let target = leaf.join("cgroup.procs");
    for _ in 0..MOVES {
        let mut moved = false;
        for pid in processes(base) {
            moved = true;
            match put(&target, &pid.to_string()) {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                    return Err(format!("cannot move pid {pid} to {}: {error}", leaf.display()));
                }
                _ => {}
            }
        }
        if !moved {
            return Ok(());
        }
    }
    Err(format!("processes keep appearing in {}", base.display()))
}

/// What a group can do, by the files it has. The groups of runs have the same as our own leaf beside them.
pub(super) fn found_in(group: &Path) -> Abilities {
    let has = |name: &str| group.join(name).exists();
    Abilities {
        base: None,
        reason: String::new(),
        memory: has("memory.max"),
        swap: has("memory.swap.max"),
        cpu: has("cpu.max"),
        pids: has("pids.max"),
        io: has("io.weight"),
        kill: has("cgroup.kill"),
        freeze: has("cgroup.freeze"),
        pressure: has("cpu.pressure"),
        exit_info: false,
    }
}

/// What a directory could do that was chosen and is not ready yet.
pub(super) fn could_do(base: &Path) -> Abilities {
    let offered = get(base, "cgroup.controllers").unwrap_or_default();
    let offers = |controller: &str| offered.split_whitespace().any(|offer| offer == controller);
    let (memory, cpu, pids, io) = (offers("memory"), offers("cpu"), offers("pids"), offers("io"));
    let swap = memory && Path::new("/proc/swaps").exists();
    Abilities { base: Some(base.to_owned()), memory, swap, cpu, pids, io, ..found_in(base) }
}

#[cfg(test)]
mod tests;
