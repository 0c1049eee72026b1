//! Who a run becomes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nix::unistd::{getegid, geteuid, getgroups};
use wasmvisor::platform::{Confinement, LaunchPlan, PathRules, UserIds, abilities};
use wasmvisor::sample::ExitStatus;

use super::{Ground, able};

#[tokio::test]
async fn a_run_becomes_the_user_and_groups_of_its_plan_and_nothing_of_ours() {
    if !able("user switch") {
        return;
    }
    let mut ground = Ground::new();
    let user = UserIds { uid: 12_345, gid: 23_456, groups: vec![34_567, 45_678] };
    let script = "id -u; id -g; id -G; grep -E '^(Uid|Gid|CapEff|CapPrm)' /proc/self/status";
    let plan = ground.confined(script, Confinement { user: Some(user), ..Confinement::default() });
    let told = ground.told(plan).await;
    assert_eq!(
        told.split_whitespace().collect::<Vec<_>>().join(" "),
        "12345 23456 23456 34567 45678 Uid: 12345 12345 12345 12345 Gid: 23456 23456 23456 23456 \
         CapPrm: 0000000000000000 CapEff: 0000000000000000"
    );
}

#[tokio::test]
async fn a_switched_user_needs_no_right_on_its_output_files() {
    if !able("user switch") {
        return;
    }
    let mut ground = Ground::new();
    let logs = ground.home.join("logs");
    fs::create_dir(&logs).unwrap();
    fs::set_permissions(&logs, fs::Permissions::from_mode(0o700)).unwrap();
    let user = Some(UserIds { uid: 12_345, gid: 12_345, groups: Vec::new() });
    let plan = ground.confined("echo written; cat logs/out", Confinement { user, ..Confinement::default() });
    let plan = LaunchPlan { stdout: logs.join("out"), ..plan };
    let (status, out, err) = ground.ran(plan).await;
    assert_ne!(status, ExitStatus::Code(0));
    assert_eq!(out, "written\n");
    assert!(err.contains("Permission denied"), "{err}");
    assert_eq!(fs::metadata(logs.join("out")).unwrap().uid(), geteuid().as_raw());
}

#[tokio::test]
async fn a_switched_user_is_not_put_where_it_may_not_go_and_runs_nothing_it_may_not() {
    if !able("user switch") {
        return;
    }
    let mut ground = Ground::new();
    let closed = ground.home.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::copy("/bin/true", closed.join("tool")).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let user = Some(UserIds { uid: 12_345, gid: 12_345, groups: Vec::new() });
    let plan = ground.confined("true", Confinement { user, ..Confinement::default() });
    let error = ground.refused(LaunchPlan { directory: closed.clone(), ..plan.clone() }).await;
    assert_eq!((error.operation, &error.path), ("change, as the user of the sandbox, to directory", &closed));
    for pinned in [false, true] {
        let paths = PathRules { pinned, ..PathRules::default() };
        let error = ground.refused(LaunchPlan { program: closed.join("tool"), paths, ..plan.clone() }).await;
        assert_eq!((error.operation, error.source.kind()), ("execute", std::io::ErrorKind::PermissionDenied));
    }
}

#[tokio::test]
async fn to_stay_who_we_are_needs_no_right() {
    let mut ground = Ground::new();
    let groups = getgroups().unwrap().into_iter().map(|group| group.as_raw()).collect();
    let user = UserIds { uid: geteuid().as_raw(), gid: getegid().as_raw(), groups };
    let plan = ground.confined("id -u", Confinement { user: Some(user), ..Confinement::default() });
    assert_eq!(ground.told(plan).await.trim(), geteuid().to_string());
}

#[tokio::test]
async fn a_user_switch_without_the_right_names_what_is_missing() {
    if abilities().iter().any(|ability| ability.name == "user switch" && ability.present) {
        eprintln!("skipped: this user may become others");
        return;
    }
    let mut ground = Ground::new();
    let user = Some(UserIds { uid: 0, gid: 0, groups: Vec::new() });
    let plan = ground.confined("true", Confinement { user, ..Confinement::default() });
    let error = ground.refused(plan).await.to_string();
    assert!(error.contains("CAP_SETGID"), "{error}");
}

#[tokio::test]
async fn a_user_switch_of_a_run_leaves_this_process_as_it_was() {
    if !able("user switch") {
        return;
    }
    let ids = || {
        let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
        let status = threads.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
        let uids = status.map(|text| text.lines().find(|line| line.starts_with("Uid")).unwrap().to_owned());
        uids.collect::<std::collections::BTreeSet<_>>()
    };
    let before = (ids(), nix::sys::prctl::get_dumpable().unwrap());
    let mut ground = Ground::new();
    let user = Some(UserIds { uid: 12_345, gid: 12_345, groups: Vec::new() });
    let plan = ground.confined("true", Confinement { user, ..Confinement::default() });
    ground.told(plan).await;
    assert_eq!((ids(), nix::sys::prctl::get_dumpable().unwrap()), before);
}
