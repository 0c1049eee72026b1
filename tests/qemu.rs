//! Limits that the kernel keeps, under a kernel that has the controllers: run by `tests/qemu/run` in an emulated machine.
//!
//! Elsewhere these tests say so and skip; in the machine a skip is a failure. Nothing here measures time: an emulated
//! processor is slow and uneven.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use wasmvisor::platform::{
    Cgroup, Cgroups, GroupLimits, GroupUsage, GroupsAt, InProcessLauncher, LaunchPlan, Launcher, OutOfMemory, Tree,
};
use wasmvisor::spec::{ProcessId, StopSignal};

use crate::support::{Fleet, eventually, lives};

const ROOT: &str = "/sys/fs/cgroup";
/// Longer than the machine may run.
const PATIENCE: Duration = Duration::from_secs(600);

/// Whether this is the emulated machine.
fn in_machine() -> bool {
    let here = std::env::var_os("WASMVISOR_QEMU").is_some();
    if !here {
        eprintln!("skipped: needs the machine of tests/qemu/run");
    }
    here
}

/// Groups below a directory of their own, and a run in one of them.
struct Ground {
    groups: Cgroups,
    base: PathBuf,
    directory: tempfile::TempDir,
    trees: Vec<Tree>,
}

impl Ground {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let base = Path::new(ROOT).join(format!("test{}", directory.path().file_name().unwrap().display()));
        Self::with(directory, Cgroups::set_up(&GroupsAt::Directory(base)))
    }

    fn with(directory: tempfile::TempDir, groups: Cgroups) -> Self {
        let able = groups.abilities();
        assert!(able.memory && able.cpu && able.pids && able.kill && able.freeze && able.pressure, "{able:?}");
        let base = able.base.clone().unwrap();
        Self { groups, base, directory, trees: Vec::new() }
    }

    /// A run of this script, born in its group under these limits.
    fn run(&mut self, limits: &GroupLimits, script: &str) -> PathBuf {
        // Its own on this machine: a run is known by its process id, and another test must not end it.
        let name = self.directory.path().file_name().unwrap().display().to_string();
        let id = ProcessId::new(format!("test{name}-{}", self.trees.len()));
        let group = self.groups.create(&id, 1, limits).unwrap().unwrap();
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        let plan = LaunchPlan {
            env: vec![("PATH".to_owned(), "/bin".to_owned())],
            cgroup: Some(group.clone()),
            ..LaunchPlan::new(id.clone(), "/bin/sh".into(), argv, self.directory.path().to_owned())
        };
        let launched = InProcessLauncher::default().launch(plan).wait().unwrap();
        self.trees.push(Tree { cgroup: Some(group.clone()), ..Tree::of(&launched, id) });
        group
    }

    fn pid_in(&self, name: &str) -> u32 {
        let file = self.directory.path().join(name);
        eventually("a worker writes its pid", || fs::read_to_string(&file).ok()?.strip_suffix('\n')?.parse().ok())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for tree in &self.trees {
            let _ = tree.signal(StopSignal::KILL);
            let group = Cgroup::at(tree.cgroup.as_deref().unwrap());
            let _ = group.wait_empty(Duration::from_secs(10));
            let _ = group.remove();
        }
        let _ = fs::remove_dir(&self.base);
    }
}

fn usage(group: &Path) -> GroupUsage {
    Cgroup::at(group).usage()
}

#[test]
fn a_run_over_its_memory_is_killed_with_all_of_its_tree_and_the_cause_is_known() {
    if !in_machine() {
        return;
    }
    let mut ground = Ground::new();
    let limits = GroupLimits { memory_max: Some(32 << 20), ..GroupLimits::default() };
    let greedy = "setsid sleep 1000 & echo $! > bystander.new; mv bystander.new bystander
        dd if=/dev/zero of=/dev/null bs=60000000 count=1; sleep 1000";
    let group = ground.run(&limits, greedy);
    let bystander = ground.pid_in("bystander");
    assert!(Cgroup::at(&group).wait_empty(PATIENCE).unwrap());
    assert!(!lives(bystander.into()));
    let usage = usage(&group);
    assert_eq!(usage.killed_for_memory(), Some(OutOfMemory::Limit), "{usage:?}");
    assert!(usage.memory_peak_bytes.is_some_and(|peak| peak <= 33 << 20), "{usage:?}");
}

#[test]
fn a_run_gets_no_more_processes_than_its_limit() {
    if !in_machine() {
        return;
    }
    let mut ground = Ground::new();
    let limits = GroupLimits { pids: Some(8), ..GroupLimits::default() };
    let group = ground.run(&limits, "while :; do (sleep 1000 &) ; done 2>/dev/null");
    eventually("a fork to be refused", || (usage(&group).pids_refused > 0).then_some(()));
    assert!(usage(&group).pids.is_some_and(|pids| pids <= 8), "{:?}", usage(&group));
}

#[test]
fn a_run_that_wants_more_processor_than_its_share_is_held_back() {
    if !in_machine() {
        return;
    }
    let mut ground = Ground::new();
    let limits = GroupLimits { cpu_percent: Some(20.0), ..GroupLimits::default() };
    let group = ground.run(&limits, "while :; do :; done");
    eventually("some periods in which it was held back", || (usage(&group).cpu_throttled >= 5).then_some(()));
    assert!(usage(&group).cpu_us > Some(0));
}

#[test]
fn a_throttled_run_gives_way_to_everybody_else() {
    if !in_machine() {
        return;
    }
    let mut ground = Ground::new();
    let group = ground.run(&GroupLimits { cpu_weight: Some(400), ..GroupLimits::default() }, "sleep 1000");
    assert_eq!(fs::read_to_string(group.join("cpu.weight")).unwrap().trim(), "400");
    assert_eq!(ground.trees[0].throttle().unwrap(), 1);
    assert_eq!(fs::read_to_string(group.join("cpu.weight")).unwrap().trim(), "1");
}

/// Run the named test again in a group of its own, made by `prepare`, through this shell command around it.
fn again_in(name: &str, owner: u32, wrapper: &str) -> std::process::Output {
    let group = Path::new(ROOT).join(format!("again-{owner}"));
    fs::create_dir(&group).unwrap();
    for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        std::os::unix::fs::chown(group.join(file), Some(owner), Some(owner)).unwrap();
    }
    let test = format!("/tests --exact qemu::{name} --nocapture");
    let script =
        format!("echo $$ > {}/cgroup.procs; export AGAIN=1; exec {}", group.display(), wrapper.replace("{}", &test));
    let output = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    eventually("the group to be left", || (!Cgroup::at(&group).is_populated()).then_some(()));
    Cgroup::at(&group).remove().unwrap();
    output
}

fn assert_passed(output: &std::process::Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

fn limits_hold_in_our_own_group() {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let groups = Cgroups::set_up(&GroupsAt::Auto);
    let base = groups.abilities().base.clone().unwrap_or_else(|| panic!("{own}: {}", groups.abilities().reason));
    assert!(own.trim().ends_with(base.file_name().unwrap().to_str().unwrap()), "{own} is not {base:?}");
    let now = fs::read_to_string("/proc/self/cgroup").unwrap();
    assert!(now.trim().ends_with("/supervisor"), "{now}");
    let mut ground = Ground::with(tempfile::tempdir().unwrap(), groups);
    let limits = GroupLimits { memory_max: Some(16 << 20), pids: Some(5), ..GroupLimits::default() };
    let group = ground.run(&limits, "while :; do (sleep 1000 &) ; done 2>/dev/null");
    eventually("a fork to be refused", || (usage(&group).pids_refused > 0).then_some(()));
    ground.trees[0].signal(StopSignal::KILL).unwrap();
    assert!(Cgroup::at(&group).wait_empty(PATIENCE).unwrap());
}

#[test]
fn our_own_group_is_made_ready_when_nobody_else_is_in_it() {
    if !in_machine() {
        return;
    }
    if std::env::var_os("AGAIN").is_some() {
        return limits_hold_in_our_own_group();
    }
    assert_passed(&again_in("our_own_group_is_made_ready_when_nobody_else_is_in_it", 0, "{}"));
}

#[test]
fn an_ordinary_user_can_limit_runs_in_a_group_that_was_delegated_to_it() {
    if !in_machine() {
        return;
    }
    if std::env::var_os("AGAIN").is_some() {
        return limits_hold_in_our_own_group();
    }
    let name = "an_ordinary_user_can_limit_runs_in_a_group_that_was_delegated_to_it";
    assert_passed(&again_in(name, 1000, "su -s /bin/sh worker -c 'exec {}'"));
}

#[test]
fn a_group_that_belongs_to_somebody_else_is_left_alone() {
    if !in_machine() {
        return;
    }
    let root = Cgroups::set_up(&GroupsAt::Auto);
    assert!(root.abilities().reason.contains("root of the hierarchy"), "{}", root.abilities().reason);
    assert!(!root.abilities().exit_info, "this kernel cannot tell how strangers ended");
}

/// A fleet whose runs have groups below this directory.
fn fleet(name: &str, processes: &str) -> Fleet {
    let head = crate::fleet::HEAD.replace("[supervisor]", &format!("[supervisor]\ncgroup = \"{ROOT}/{name}\""));
    Fleet::start(&format!("{head}\n{processes}"))
}

#[test]
fn the_kernel_ends_a_run_for_its_memory_and_its_ending_says_so() {
    if !in_machine() {
        return;
    }
    let greedy = r#"
[process.greedy]
command = ["sh", "-c", "dd if=/dev/zero of=/dev/null bs=60000000 count=1; sleep 1000"]
restart = "no"
limits = { memory = "24MiB", timeout = "off", execution_time = "off", enforcement = "require" }
"#;
    let fleet = fleet("fleet-memory", greedy);
    let told = fleet.await_event("its end for want of memory", |event| event["type"] == "process.out-of-memory");
    assert_eq!((&told["by"], &told["name"]), (&"limit".into(), &"greedy".into()));
    let record = fleet.await_status("greedy", "crashed");
    assert_eq!(record["reason"], "memory limit broken");
    assert_eq!(record["exit"]["signal"], 9);
    assert_eq!(record["violations"]["memory"], 1);
    let by = |kind: &str| {
        let limits = record["limits"].as_array().unwrap();
        limits.iter().find(|limit| limit["kind"] == kind).unwrap()["enforced_by"].clone()
    };
    assert_eq!((by("memory"), by("cpu"), by("pids")), ("kernel".into(), "kernel".into(), "kernel".into()));
    let groups = fs::read_dir(format!("{ROOT}/fleet-memory")).unwrap().flatten();
    let left = groups.filter(|entry| entry.file_name().to_string_lossy().starts_with("run-")).count();
    assert_eq!(left, 0, "the group of a run goes with it");
}
