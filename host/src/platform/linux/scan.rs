//! Processes of the whole machine, recognised by their tag or by the marker in their environment.
//!
//! Owns no state. Costs some ten microseconds a process, so it is for start-up and for what cannot be found otherwise.

use std::collections::HashMap;
use std::time::Duration;

use super::{stat, tag};
use crate::platform::PROCESS_ID_VARIABLE;
use crate::spec::ProcessId;

/// Every living process of this machine that carries the marker of a supervised process, with its pid. Those whose
/// environment may not be read by this user are left out, and so are those that have cleaned it.
///
/// One look serves any number of ids: for the clean-up of what a supervisor's last life has left. The marker is
/// inherited and proves nothing about age: check the identity, or signal through a `Tree`.
pub fn scan_marked() -> Vec<(ProcessId, u32)> {
    young(0).filter_map(|pid| marker_of(pid).map(|id| (id, pid))).collect()
}

/// The living processes of this machine that belong to one of these, with its id: those with its tag, whatever they have
/// made of their environment, and those with its marker. As `scan_marked` otherwise.
pub fn scan_for<'a>(ids: impl IntoIterator<Item = &'a ProcessId>) -> Vec<(ProcessId, u32)> {
    let tags: HashMap<u64, &ProcessId> = ids.into_iter().map(|id| (tag::of(id), id)).collect();
    let owner = |pid: u32| match tag::read(pid) {
        Some(tag) => tags.get(&tag).map(|id| (*id).clone()),
        None => marker_of(pid).filter(|id| tags.contains_key(&tag::of(id))),
    };
    young(0).filter_map(|pid| owner(pid).map(|id| (id, pid))).collect()
}

/// Living processes that are not older than this moment (clock ticks since boot).
pub(super) fn young(oldest: u64) -> impl Iterator<Item = u32> {
    let pids = stat::numeric_names("/proc").into_iter();
    pids.filter(move |pid| stat::read_stat(*pid).is_ok_and(|stat| stat.start_ticks >= oldest && stat.lives()))
}

/// While a program is being executed its environment reads as empty: how often to look again, and how long to leave it
/// the processor in between. The kernel tells nobody when that moment, well below a millisecond, is over.
const LOOKS: u32 = 50;
const BETWEEN_LOOKS: Duration = Duration::from_micros(200);

/// The id in the marker of the process.
pub(super) fn marker_of(pid: u32) -> Option<ProcessId> {
    for _ in 0..LOOKS {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        if !environment.is_empty() || !is_executing(pid) {
            return find_marker(&environment).map(ProcessId::new);
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    None
}

/// Whether the process has memory (field 23; kernel threads and zombies have none) but no place for an environment in it
/// yet (field 51), proc_pid_stat(5).
fn is_executing(pid: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let fields = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let field = |number: usize| fields.split_whitespace().nth(number - 3);
    field(23).is_some_and(|size| size != "0") && field(51) == Some("0")
}

/// The marker's value among variables that end in NUL, as proc_pid_environ(5) gives them.
fn find_marker(environment: &[u8]) -> Option<&str> {
    let value = environment.split(|byte| *byte == 0).find_map(|variable| {
        variable.strip_prefix(PROCESS_ID_VARIABLE.as_bytes()).and_then(|rest| rest.strip_prefix(b"="))
    })?;
    std::str::from_utf8(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_found_by_its_whole_name() {
        assert_eq!(find_marker(b"A=1\0WASMVISOR_PROCESS_ID=web-1\0B=2\0"), Some("web-1"));
        assert_eq!(find_marker(b"MY_WASMVISOR_PROCESS_ID=web-1\0WASMVISOR_PROCESS_IDS=x\0"), None);
        assert_eq!(find_marker(b""), None);
    }
}
