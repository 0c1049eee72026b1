//! Whose directory is whose, on a hierarchy of plain files.

use super::*;

/// A hierarchy in a temporary directory: files of the kernel's names that keep what is written to them.
struct Fake(tempfile::TempDir);

impl Fake {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A group with these files, empty where nothing is said.
    fn group(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let group = self.0.path().join(name);
        fs::create_dir_all(&group).unwrap();
        for file in ["cgroup.procs", "cgroup.subtree_control", "cgroup.controllers", "cgroup.events"] {
            fs::write(group.join(file), "").unwrap();
        }
        for (file, text) in files {
            fs::write(group.join(file), text).unwrap();
        }
        group
    }

    fn ground(&self, own: &Path) -> Ground {
        Ground { mount: self.0.path().to_owned(), own: own.to_owned(), systemd: false }
    }
}

fn refusal(at: &GroupsAt, ground: &Ground) -> String {
    choose(at, ground).unwrap_err()
}

#[test]
fn the_mount_is_found_among_those_of_version_one_and_with_blanks_in_its_path() {
    let text = b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
        41 31 0:38 /jobs /sys/fs/my\\040groups rw shared:9 - cgroup2 cgroup2 rw\n";
    assert_eq!(find_mount(text), Some(("/jobs".into(), "/sys/fs/my groups".into())));
    assert_eq!(find_mount(b"32 31 0:29 / /x rw - cgroup cgroup rw\n"), None);
    assert_eq!(find_own(b"4:memory:/a\n0::/user.slice/x\n"), Some("/user.slice/x".into()));
    assert_eq!(find_own(b"4:memory:/a\n"), None);
}

#[test]
fn this_process_is_found_in_its_group() {
    match Ground::look() {
        Ok(ground) => assert!(processes(&ground.own).contains(&std::process::id()), "{ground:?}"),
        Err(reason) => eprintln!("skipped: {reason}"),
    }
}

#[test]
fn our_own_group_is_used_when_nobody_else_is_in_it() {
    let fake = Fake::new();
    let own = fake.group("jobs", &[("cgroup.procs", &std::process::id().to_string())]);
    assert_eq!(choose(&GroupsAt::Auto, &fake.ground(&own)), Ok(own.clone()));
    // After a restart we are in the leaf of the life before.
    let leaf = fake.group("jobs/supervisor", &[]);
    assert_eq!(choose(&GroupsAt::Auto, &fake.ground(&leaf)), Ok(own));
}

#[test]
fn a_group_with_other_peoples_processes_is_left_alone() {
    let fake = Fake::new();
    let own = fake.group("session", &[("cgroup.procs", "1\n")]);
    let reason = refusal(&GroupsAt::Auto, &fake.ground(&own));
    assert!(reason.contains("processes of others, pid 1"), "{reason}");
}

#[test]
fn the_root_of_the_hierarchy_is_never_ours() {
    let fake = Fake::new();
    let root = fake.group("", &[]);
    fs::remove_file(root.join("cgroup.events")).unwrap();
    let reason = refusal(&GroupsAt::Auto, &fake.ground(&root));
    assert!(reason.contains("root of the hierarchy"), "{reason}");
}

#[test]
fn a_group_that_systemd_has_not_delegated_is_left_alone() {
    let fake = Fake::new();
    let own = fake.group("unit.service", &[]);
    let reason = refusal(&GroupsAt::Auto, &Ground { systemd: true, ..fake.ground(&own) });
    assert!(reason.contains("Delegate=yes"), "{reason}");
}

#[test]
fn a_named_directory_must_be_in_the_hierarchy() {
    let fake = Fake::new();
    let own = fake.group("own", &[]);
    let ground = fake.ground(&own);
    let outside = refusal(&GroupsAt::Directory("/nowhere".into()), &ground);
    assert!(outside.contains("is no directory below"), "{outside}");
    fake.group("", &[]);
    let wanted = fake.0.path().join("runs");
    assert_eq!(choose(&GroupsAt::Directory(wanted.clone()), &ground), Ok(wanted));
    assert!(refusal(&GroupsAt::Off, &ground).contains("turned off"));
}

#[test]
fn making_ready_enables_what_is_offered_and_names_what_is_not() {
    let fake = Fake::new();
    let base = fake.group("jobs", &[("cgroup.controllers", "cpuset cpu memory")]);
    fake.group("jobs/supervisor", &[("memory.max", "max"), ("cpu.max", "max 100000"), ("cgroup.kill", "")]);
    let abilities = make_ready(&base).unwrap();
    assert!(abilities.memory && abilities.cpu && abilities.kill && !abilities.pids && !abilities.swap);
    assert_eq!(abilities.base, Some(base));
    assert!(abilities.reason.starts_with("not to be had: pids, io;"), "{}", abilities.reason);
}

#[test]
fn processes_that_cannot_be_moved_out_of_the_way_make_the_group_unusable() {
    let fake = Fake::new();
    // A file that never becomes empty, as if somebody forked into it without end.
    let base = fake.group("jobs", &[("cgroup.procs", "4000000\n")]);
    fake.group("jobs/supervisor", &[]);
    assert!(make_ready(&base).unwrap_err().contains("keep appearing"));
}
