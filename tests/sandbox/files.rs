//! Which files a run sees: rules of the kernel, and a `/tmp` of its own.

use std::fs;
use std::path::Path;

use nix::unistd::geteuid;
use wasmvisor::platform::{Confinement, LaunchPlan, abilities};
use wasmvisor::sample::ExitStatus;

use super::{Ground, able};

fn private_tmp(privileges: bool) -> Confinement {
    Confinement { private_tmp: true, no_new_privileges: !privileges, ..Confinement::default() }
}

#[tokio::test]
async fn only_what_the_file_rules_name_can_be_read_and_only_write_roots_be_changed() {
    if !able("landlock") {
        return;
    }
    let mut ground = Ground::new();
    for name in ["open", "work", "closed"] {
        fs::create_dir(ground.home.join(name)).unwrap();
        fs::write(ground.home.join(name).join("file"), name).unwrap();
    }
    let script = "cat open/file; echo; echo more >> work/file; mkdir work/new; rm -r work/new; cat work/file; ls / \
                  >/dev/null && echo listed; cat closed/file; echo x > open/file; echo x > open/new; rm open/file; \
                  echo x > closed/new; true";
    let plan = ground.within(script, &["open"], &["work"]);
    let (status, out, err) = ground.ran(plan).await;
    assert_eq!((status, out.as_str()), (ExitStatus::Code(0), "open\nworkmore\n"), "{err}");
    // All seven: listing /, reading, and every change outside of the write root.
    assert_eq!(err.matches("ermission denied").count(), 6, "{err}");
    assert_eq!(fs::read_to_string(ground.home.join("open/file")).unwrap(), "open");
    assert!(!ground.home.join("open/new").exists() && !ground.home.join("closed/new").exists());
}

#[tokio::test]
async fn file_rules_hold_for_descendants_and_cannot_be_left_through_links() {
    if !able("landlock") {
        return;
    }
    let mut ground = Ground::new();
    fs::create_dir(ground.home.join("work")).unwrap();
    fs::write(ground.home.join("secret"), "hidden").unwrap();
    let script = "ln -s ../secret work/link; setsid sh -c 'cat work/link' || echo refused";
    let plan = ground.within(script, &[], &["work"]);
    assert_eq!(ground.told(plan).await, "refused\n");
}

#[tokio::test]
async fn a_file_rule_for_what_does_not_exist_is_named() {
    if !able("landlock") {
        return;
    }
    let mut ground = Ground::new();
    let plan = ground.within("true", &["."], &["missing"]);
    let error = ground.refused(plan).await;
    assert_eq!((error.operation, &error.path), ("make a file rule of the sandbox for", &ground.home.join("missing")));
}

#[tokio::test]
async fn file_rules_on_a_kernel_without_landlock_are_refused() {
    if abilities().iter().any(|ability| ability.name == "landlock" && ability.present) {
        eprintln!("skipped: this kernel has Landlock");
        return;
    }
    let mut ground = Ground::new();
    let plan = ground.within("true", &["."], &[]);
    let error = ground.refused(plan).await.to_string();
    assert!(error.contains("Landlock"), "{error}");
}

#[tokio::test]
async fn a_private_tmp_is_empty_and_what_is_written_there_stays_there() {
    if !able("private tmp") {
        return;
    }
    let mut ground = Ground::new();
    let name = ground.home.file_name().unwrap().to_string_lossy().into_owned();
    let script = format!("ls -A /tmp /var/tmp | grep -c . ; echo x > /tmp/{name}.x && cat /tmp/{name}.x; pwd; id -u");
    let plan = LaunchPlan { directory: "/".into(), ..ground.confined(&script, private_tmp(false)) };
    // Two heads and the empty line between them are all that `ls` prints.
    let told = ground.told(plan).await;
    assert_eq!(told, format!("2\nx\n/\n{}\n", geteuid()));
    assert!(!Path::new("/tmp").join(format!("{name}.x")).exists());
    let directory = fs::read_dir(ground.directory.path()).unwrap();
    assert_eq!(directory.count(), 2, "out and err, seen from outside");
}

#[tokio::test]
async fn a_private_tmp_that_would_hide_the_directory_or_the_program_is_refused() {
    let mut ground = Ground::new();
    let plan = LaunchPlan { directory: "/tmp".into(), ..ground.confined("true", private_tmp(false)) };
    let error = ground.refused(plan).await.to_string();
    assert!(error.contains("hide"), "{error}");
}

#[tokio::test]
async fn a_private_tmp_may_be_written_under_file_rules() {
    if !able("private tmp") || !able("landlock") {
        return;
    }
    let mut ground = Ground::new();
    let plan = LaunchPlan { directory: "/".into(), ..ground.within("echo x > /tmp/x && cat /tmp/x", &[], &[]) };
    let confinement = Confinement { private_tmp: true, ..plan.confinement.clone() };
    assert_eq!(ground.told(LaunchPlan { confinement, ..plan }).await, "x\n");
}
