//! The files of a group: a value in, a few figures out.
//!
//! Owns no state. Only this folder enters.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::platform::GroupError;

/// Turn what the system said into an error that names the deed and the path.
pub(super) fn cannot(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> GroupError {
    let path = path.to_owned();
    move |source| GroupError { operation, path, source }
}

/// Write a value in one call, as the kernel wants it. The file is never made: a missing one is an error.
pub(super) fn put(file: &Path, value: &str) -> io::Result<()> {
    File::options().write(true).open(file)?.write_all(value.as_bytes())
}

/// The text of a file of the group; `None` when there is no such file, or no such group any more.
pub(super) fn get(group: &Path, name: &str) -> Option<String> {
    fs::read_to_string(group.join(name)).ok()
}

/// A file that holds one number. `max` is no number.
pub(super) fn number(group: &Path, name: &str) -> Option<u64> {
    get(group, name)?.trim().parse().ok()
}

/// The number after `key` in a file of `key number` lines.
pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The sum of `key=number` over all lines, one of which is about one device.
pub(super) fn summed(text: &str, key: &str) -> u64 {
    let values =
        text.split_whitespace().filter_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse::<u64>().ok());
    values.sum()
}

/// Processes that are in this group itself. Those of other pid namespaces read as 0 and are left out.
pub(super) fn processes(group: &Path) -> Vec<u32> {
    let text = get(group, "cgroup.procs").unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).filter(|pid| *pid != 0).collect()
}

/// Groups within this one.
pub(super) fn groups_in(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}
