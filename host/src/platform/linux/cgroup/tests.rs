//! What is written to and read from a group, on directories of plain files. The real thing is in `tests/cgroup.rs`.

use super::*;
use crate::platform::OutOfMemory;

fn with_everything() -> Cgroups {
    let abilities = Abilities {
        base: Some("/nowhere".into()),
        memory: true,
        swap: true,
        cpu: true,
        pids: true,
        io: true,
        ..Abilities::default()
    };
    Cgroups { abilities: abilities.into() }
}

fn group(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| fs::write(directory.path().join(name), text).unwrap());
    directory
}

const LIMIT_FILES: [&str; 8] = [
    "memory.high",
    "memory.max",
    "memory.oom.group",
    "memory.swap.max",
    "cpu.max",
    "cpu.weight",
    "pids.max",
    "io.weight",
];

#[test]
fn limits_are_written_as_the_kernel_reads_them() {
    let directory = group(&LIMIT_FILES.map(|name| (name, "")));
    let limits = GroupLimits {
        memory_max: Some(64 << 20),
        cpu_percent: Some(80.0),
        cpu_weight: Some(400),
        pids: Some(12),
        ..GroupLimits::default()
    };
    with_everything().limit(directory.path(), &limits).unwrap();
    let written = LIMIT_FILES.map(|name| get(directory.path(), name).unwrap());
    assert_eq!(written, ["max", "67108864", "1", "0", "80000 100000", "400", "12", "100"]);
}

#[test]
fn no_limit_is_written_as_max_and_lets_a_tree_be_killed_one_by_one() {
    let directory = group(&LIMIT_FILES.map(|name| (name, "")));
    with_everything().limit(directory.path(), &GroupLimits::default()).unwrap();
    let written = LIMIT_FILES.map(|name| get(directory.path(), name).unwrap());
    assert_eq!(written, ["max", "max", "0", "max", "max 100000", "100", "max", "100"]);
}

#[test]
fn what_the_kernel_cannot_do_is_not_tried() {
    let directory = group(&[("pids.max", "")]);
    let abilities = Abilities { pids: true, ..Abilities::default() };
    let groups = Cgroups { abilities: abilities.into() };
    let limits = GroupLimits { memory_max: Some(1), pids: Some(3), ..GroupLimits::default() };
    groups.limit(directory.path(), &limits).unwrap();
    assert_eq!(get(directory.path(), "pids.max").unwrap(), "3");
    assert!(!directory.path().join("memory.max").exists());
}

#[test]
fn a_limit_that_the_kernel_refuses_is_named_with_its_file() {
    let directory = group(&[]);
    let error = with_everything().limit(directory.path(), &GroupLimits::default()).unwrap_err();
    assert!(error.to_string().starts_with("cannot slow down for memory in /"), "{error}");
    assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
}

#[test]
fn the_least_share_of_processor_time_is_what_the_kernel_takes() {
    assert_eq!(cpu_max(Some(250.0)), "250000 100000");
    assert_eq!(cpu_max(Some(0.1)), "1000 100000");
    assert_eq!(cpu_max(None), "max 100000");
}

#[test]
fn figures_are_read_by_their_whole_names() {
    let directory = group(&[
        ("memory.current", "1000\n"),
        ("memory.peak", "2000\n"),
        ("cpu.stat", "usage_usec 5\nuser_usec 3\nnr_periods 9\nnr_throttled 4\n"),
        ("pids.current", "3\n"),
        ("pids.events", "max 2\n"),
        ("memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 1\n"),
        ("io.stat", "8:0 rbytes=10 wbytes=20 rios=1 wios=1\n8:16 rbytes=1 wbytes=2\n"),
    ]);
    let usage = Cgroup::at(directory.path()).usage();
    let expected = GroupUsage {
        memory_bytes: Some(1000),
        memory_peak_bytes: Some(2000),
        cpu_us: Some(5),
        cpu_throttled: 4,
        pids: Some(3),
        pids_refused: 2,
        disk_read_bytes: Some(11),
        disk_written_bytes: Some(22),
        out_of_memory: 1,
        oom_kills: 2,
    };
    assert_eq!(usage, expected);
    assert_eq!(usage.killed_for_memory(), Some(OutOfMemory::Limit));
}

#[test]
fn a_group_that_is_gone_has_nobody_and_has_used_nothing() {
    let gone = Cgroup::at(Path::new("/nowhere/run-x-1"));
    assert_eq!(gone.usage(), GroupUsage::default());
    assert!(gone.members().is_empty() && !gone.is_populated());
    assert!(gone.wait_empty(Duration::from_secs(60)).unwrap());
    gone.kill().unwrap();
    gone.remove().unwrap();
}

#[test]
fn a_populated_group_is_waited_for_no_longer_than_asked() {
    let directory = group(&[("cgroup.events", "populated 1\nfrozen 0\n")]);
    assert!(Cgroup::at(directory.path()).is_populated());
    assert!(!Cgroup::at(directory.path()).wait_empty(Duration::from_millis(1)).unwrap());
    fs::write(directory.path().join("cgroup.events"), "populated 0\nfrozen 0\n").unwrap();
    assert!(Cgroup::at(directory.path()).wait_empty(Duration::from_secs(60)).unwrap());
}

#[test]
fn members_of_inner_groups_are_members() {
    let directory = group(&[("cgroup.procs", "10\n0\n")]);
    let inner = directory.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("cgroup.procs"), "11\n").unwrap();
    assert_eq!(Cgroup::at(directory.path()).members(), [10, 11]);
}

#[test]
fn without_groups_a_run_gets_none_and_the_reason_is_known() {
    let groups = Cgroups::set_up(&GroupsAt::Off);
    assert!(groups.abilities().reason.contains("turned off"));
    assert_eq!(groups.create(&ProcessId::new("web"), 1, &GroupLimits::default()).unwrap(), None);
    assert_eq!(groups.existing(&ProcessId::new("web"), 1), None);
}

#[test]
fn a_group_that_cannot_be_limited_leaves_no_directory() {
    let base = tempfile::tempdir().unwrap();
    let abilities = Abilities { base: Some(base.path().to_owned()), pids: true, ..Abilities::default() };
    let groups = Cgroups { abilities: abilities.into() };
    // Plain directories have no `pids.max`.
    groups.create(&ProcessId::new("web"), 1, &GroupLimits::default()).unwrap_err();
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
}
