//! An independent search of /proc for whatever is left of a fleet. It shares no code with the product, and knows a
//! process by four marks, so that one that has wiped its environment, changed its name, its directory or its program is
//! still known by another.

use std::path::{Path, PathBuf};

use super::Fleet;

/// A living process that bears a mark.
#[derive(Debug, Clone)]
#[expect(dead_code, reason = "read in the messages of failed tests")]
pub(crate) struct Found {
    pub(crate) pid: u64,
    /// Which marks.
    marks: Vec<&'static str>,
    /// Its command line, as it wants to be seen.
    words: String,
    /// State, parent, group and session, as /proc has them.
    stat: String,
}

/// Pids of all processes.
fn everybody() -> Vec<u64> {
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted");
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn holds(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}

/// Pids of living processes of the product whose command line has each of these words, as they are written.
pub(crate) fn with_arguments(wanted: &[&str]) -> Vec<u64> {
    let fits = |pid: &u64| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        wanted.iter().all(|word| words.contains(&word.as_bytes())) && executes_the_product(*pid) && super::lives(*pid)
    };
    everybody().into_iter().filter(fits).collect()
}

fn executed_file(pid: u64) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

fn executes_the_product(pid: u64) -> bool {
    executed_file(pid).is_some_and(|file| file == Path::new(env!("CARGO_BIN_EXE_wasmvisor")))
}

/// Every living process that bears a mark of this fleet and is neither its supervisor nor its holder.
pub(crate) fn left_of(fleet: &Fleet) -> Vec<Found> {
    left_below(fleet.path(), fleet.marker())
}

/// Every living process that works in this directory, executes a file of it, or has this word in its environment or
/// command line.
pub(crate) fn left_below(home: &Path, word: &str) -> Vec<Found> {
    let home = home.canonicalize().expect("the directory exists");
    everybody().into_iter().filter_map(|pid| examine(pid, &home, word)).collect()
}

fn examine(pid: u64, home: &Path, word: &str) -> Option<Found> {
    if executes_the_product(pid) {
        return None;
    }
    let below = |path: PathBuf| path.starts_with(home);
    let file = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let words = file("cmdline");
    let directory = std::fs::read_link(format!("/proc/{pid}/cwd")).ok();
    let marks: Vec<_> = [
        ("environment", holds(&file("environ"), word)),
        ("command line", holds(&words, word)),
        ("directory", directory.is_some_and(below)),
        ("executed file", executed_file(pid).is_some_and(below)),
    ]
    .into_iter()
    .filter_map(|(mark, there)| there.then_some(mark))
    .collect();
    // Last, so that one that ended while it was being looked at is not told as alive.
    if marks.is_empty() || !super::lives(pid) {
        return None;
    }
    let stat = String::from_utf8_lossy(&file("stat")).rsplit(')').next().unwrap_or_default().trim_start().to_owned();
    let stat = stat.split(' ').take(4).collect::<Vec<_>>().join(" ");
    Some(Found { pid, marks, words: String::from_utf8_lossy(&words).replace('\0', " "), stat })
}
