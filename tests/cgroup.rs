//! Control groups on the real thing: whatever the cgroup v2 hierarchy of this machine allows.
//!
//! Without controllers, without permission or without the hierarchy a test says what is missing and skips; limits are
//! tested under a kernel of our own choosing, see `tests/qemu`.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wasmvisor::platform::{
    Abilities, Cgroup, Cgroups, GroupLimits, GroupsAt, InProcessLauncher, LaunchPlan, Launcher, Sampler, Tree,
    is_alive, signal_all,
};
use wasmvisor::spec::{ProcessId, StopSignal};

use crate::support::{eventually, lives};

/// A directory for groups in the real hierarchy, which goes with it.
struct Ground {
    groups: Cgroups,
    base: PathBuf,
    directory: tempfile::TempDir,
    launcher: InProcessLauncher,
}

impl Ground {
    /// `None` when there is no cgroup v2 here that we may write to.
    fn new() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = mounts.lines().find(|line| line.contains(" - cgroup2 "));
        let Some(mount) = line.and_then(|line| line.split(' ').nth(4)) else {
            eprintln!("skipped: no cgroup v2 is mounted here");
            return None;
        };
        let directory = tempfile::Builder::new().prefix("wasmvisor-test-").tempdir().unwrap();
        let base = Path::new(mount).join(directory.path().file_name().unwrap());
        let groups = Cgroups::set_up(&GroupsAt::Directory(base.clone()));
        if groups.abilities().base.is_none() {
            eprintln!("skipped: {}", groups.abilities().reason);
            return None;
        }
        Some(Self { groups, base, directory, launcher: InProcessLauncher::default() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A run of this script, born in a group of its own.
    fn run(&mut self, name: &str, script: &str) -> Tree {
        let id = self.id(name);
        let group = self.groups.create(&id, 1, &GroupLimits::default()).unwrap().unwrap();
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        let plan = LaunchPlan {
            env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            cgroup: Some(group.clone()),
            ..LaunchPlan::new(id.clone(), "/bin/sh".into(), argv, self.directory.path().to_owned())
        };
        // Its end is nobody's business here: the test ends soon.
        let launched = self.launcher.launch(plan).wait().unwrap();
        Tree { cgroup: Some(group), ..Tree::of(&launched, id) }
    }

    /// An id that nobody else on this machine has: a run is known by it.
    fn id(&self, name: &str) -> ProcessId {
        ProcessId::new(format!("{}-{name}", self.directory.path().file_name().unwrap().display()))
    }

    fn pid_in(&self, name: &str) -> u32 {
        let file = self.path(name);
        eventually("a worker writes its pid", || fs::read_to_string(&file).ok()?.strip_suffix('\n')?.parse().ok())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for entry in fs::read_dir(&self.base).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                let _ = Cgroup::at(&path).kill();
                let _ = Cgroup::at(&path).wait_empty(Duration::from_secs(10));
                let _ = Cgroup::at(&path).remove();
            }
        }
        let _ = fs::remove_dir(&self.base);
    }
}

/// A worker whose child has left its session, its group and its environment, and was forked twice.
const FUGITIVE: &str = "(setsid env -i PATH=/usr/bin:/bin sh -c 'sh -c \"echo \\$\\$ > fugitive.new; \
    mv fugitive.new fugitive; exec sleep 1000\" & exit' &) ; sleep 1000";

#[test]
fn a_group_holds_all_of_its_run_whatever_it_changes_and_is_killed_at_once() {
    let Some(mut ground) = Ground::new() else { return };
    let tree = ground.run("fugitive-run", FUGITIVE);
    let fugitive = ground.pid_in("fugitive");
    assert!(tree.members().contains(&fugitive));
    tree.signal(StopSignal::KILL).unwrap();
    let group = tree.cgroup.as_deref().unwrap();
    assert!(Cgroup::at(group).wait_empty(Duration::from_secs(60)).unwrap());
    assert!(!lives(fugitive.into()) && !is_alive(&tree.leader));
    Cgroup::at(group).remove().unwrap();
    assert!(!group.exists());
}

#[test]
fn a_kernel_that_cannot_kill_groups_has_their_members_killed_one_by_one() {
    let Some(mut ground) = Ground::new() else { return };
    let tree = ground.run("storm", "echo $$ > storm; while :; do setsid sleep 1000 & done");
    ground.pid_in("storm");
    let group = Cgroup::at(tree.cgroup.as_deref().unwrap());
    eventually("some children", || (group.members().len() > 20).then_some(()));
    group.kill_one_by_one().unwrap();
    assert!(group.wait_empty(Duration::from_secs(60)).unwrap());
}

#[test]
fn a_paused_group_stands_still_without_noticing_and_goes_on() {
    let Some(mut ground) = Ground::new() else { return };
    let tree = ground.run("paused", "trap 'echo noticed > noticed' CONT TSTP; while :; do :; done");
    if !ground.groups.abilities().freeze {
        eprintln!("skipped: this kernel cannot freeze groups");
        return;
    }
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", tree.leader.pid)).unwrap();
        stat.split(' ').nth(13).unwrap().parse::<u64>().unwrap()
    };
    eventually("the loop to run", || (ticks() > 5).then_some(()));
    tree.signal(StopSignal::STOP).unwrap();
    let events = tree.cgroup.as_ref().unwrap().join("cgroup.events");
    let frozen = || fs::read_to_string(&events).unwrap().contains("frozen 1");
    eventually("it to freeze", || frozen().then_some(()));
    let before = ticks();
    assert!(!fs::read_to_string(format!("/proc/{}/status", tree.leader.pid)).unwrap().contains("T (stopped)"));
    assert_eq!(ticks(), before);
    tree.signal(StopSignal::CONT).unwrap();
    eventually("it to go on", || (ticks() > before).then_some(()));
    tree.signal(StopSignal::STOP).unwrap();
    // Frozen or not, it can be killed.
    tree.signal(StopSignal::KILL).unwrap();
    assert!(Cgroup::at(tree.cgroup.as_deref().unwrap()).wait_empty(Duration::from_secs(60)).unwrap());
}

#[test]
fn one_order_serves_many_trees() {
    let Some(mut ground) = Ground::new() else { return };
    let trees: Vec<_> = (0..20).map(|n| ground.run(&format!("many{n}"), "sleep 1000 & wait")).collect();
    eventually("all to have their child", || trees.iter().all(|tree| tree.members().len() == 2).then_some(()));
    let orders: Vec<_> = trees.iter().map(|tree| (tree.clone(), StopSignal::KILL)).collect();
    assert!(signal_all(&orders).into_iter().all(|reached| reached.unwrap() == 2));
    for tree in &trees {
        assert!(Cgroup::at(tree.cgroup.as_deref().unwrap()).wait_empty(Duration::from_secs(60)).unwrap());
    }
}

#[test]
fn the_next_life_finds_the_groups_that_are_in_use_and_removes_the_others() {
    let Some(mut ground) = Ground::new() else { return };
    let tree = ground.run("used", "sleep 1000");
    let unused = ground.groups.create(&ground.id("unused"), 3, &GroupLimits::default()).unwrap().unwrap();
    let next = Cgroups::set_up(&GroupsAt::Directory(ground.base.clone()));
    assert!(!unused.exists());
    assert_eq!(next.existing(&ground.id("used"), 1), tree.cgroup);
    assert_eq!(next.existing(&ground.id("unused"), 3), None);
}

#[test]
fn a_member_of_the_group_is_measured_whatever_became_of_its_parent() {
    let Some(mut ground) = Ground::new() else { return };
    let tree = ground.run("measured", FUGITIVE);
    let fugitive = ground.pid_in("fugitive");
    let mut sampler = Sampler::default();
    sampler.track_group(1, tree.leader.clone(), tree.cgroup.as_deref());
    let mut readings = Vec::new();
    sampler.sample(&mut readings);
    assert!(sampler.descendants(1).contains(&fugitive), "{readings:?}");
    tree.signal(StopSignal::KILL).unwrap();
}

#[test]
fn what_the_kernel_can_do_here_is_known_before_anything_is_made() {
    let Some(ground) = Ground::new() else { return };
    let looked = Cgroups::look(&GroupsAt::Directory(ground.base.clone()));
    let Abilities { kill, freeze, base, .. } = ground.groups.abilities().clone();
    assert_eq!((looked.kill, looked.freeze, looked.base), (kill, freeze, base));
}
