//! Paths that change between judgement and launch: what was judged is what runs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use wasmvisor::platform::{LaunchPlan, Launcher, PathRules};

use super::Ground;

/// A plan that was judged by its resolved paths: `tool`, a shell, in `real`.
fn pinned(ground: &Ground, script: &str) -> LaunchPlan {
    let real = ground.home.join("real");
    fs::create_dir(&real).unwrap();
    fs::copy(fs::canonicalize("/bin/sh").unwrap(), real.join("tool")).unwrap();
    let paths = PathRules { pinned: true, ..PathRules::default() };
    LaunchPlan { program: real.join("tool"), directory: real, paths, ..ground.plan(script) }
}

#[tokio::test]
async fn a_pinned_plan_runs_as_it_was_judged() {
    let mut ground = Ground::new();
    let plan = pinned(&ground, "pwd; cat /proc/$$/comm");
    assert_eq!(ground.told(plan).await, format!("{}\ntool\n", ground.home.join("real").display()));
}

#[tokio::test]
async fn a_directory_swapped_for_a_link_since_it_was_judged_is_not_entered() {
    let mut ground = Ground::new();
    let plan = LaunchPlan { program: fs::canonicalize("/bin/sh").unwrap(), ..pinned(&ground, "pwd") };
    ground.told(plan.clone()).await;
    fs::rename(ground.home.join("real"), ground.home.join("away")).unwrap();
    symlink("/etc", ground.home.join("real")).unwrap();
    let error = ground.refused(plan).await;
    assert_eq!(error.source.raw_os_error(), Some(nix::libc::ELOOP));
    assert!(error.to_string().contains("symbolic link"), "{error}");
}

#[tokio::test]
async fn a_program_swapped_for_a_link_since_it_was_judged_is_not_run() {
    let mut ground = Ground::new();
    let plan = LaunchPlan { directory: "/".into(), ..pinned(&ground, "echo ran") };
    assert_eq!(ground.told(plan.clone()).await, "ran\n");
    let (real, tool) = (ground.home.join("real"), ground.home.join("real/tool"));
    // The file itself.
    fs::rename(&tool, ground.home.join("real/other")).unwrap();
    symlink("other", &tool).unwrap();
    assert!(ground.refused(plan.clone()).await.to_string().contains("symbolic link"));
    // A directory above it.
    fs::remove_file(&tool).unwrap();
    fs::rename(ground.home.join("real/other"), &tool).unwrap();
    fs::rename(&real, ground.home.join("away")).unwrap();
    symlink("away", &real).unwrap();
    assert!(ground.refused(plan).await.to_string().contains("symbolic link"));
}

#[tokio::test]
async fn a_pinned_script_is_run_by_its_interpreter_and_not_through_a_link() {
    let mut ground = Ground::new();
    let script = ground.home.join("script");
    fs::write(&script, "#!/bin/sh\necho \"$0 $1\"\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let plan = LaunchPlan {
        program: script.clone(),
        argv: vec!["script".to_owned(), "word".to_owned()],
        paths: PathRules { pinned: true, ..PathRules::default() },
        ..ground.plan("")
    };
    assert_eq!(ground.told(plan.clone()).await, format!("{} word\n", script.display()));
    fs::rename(&script, ground.home.join("other")).unwrap();
    symlink("other", &script).unwrap();
    assert!(ground.refused(plan).await.to_string().contains("symbolic link"));
}

#[tokio::test]
async fn an_argument_that_leads_into_a_restricted_path_by_now_is_not_handed_over() {
    let mut ground = Ground::new();
    fs::create_dir(ground.home.join("secret")).unwrap();
    fs::write(ground.home.join("input"), "harmless").unwrap();
    let argument = ground.home.join("input");
    let paths = PathRules {
        restricted: vec![ground.home.join("secret")],
        arguments: vec![ground.home.join("out"), argument.clone()],
        ..PathRules::default()
    };
    let plan = LaunchPlan { paths, ..ground.plan("cat input") };
    assert_eq!(ground.told(plan.clone()).await, "harmless");
    fs::remove_file(&argument).unwrap();
    symlink("secret/key", &argument).unwrap();
    let error = ground.refused(plan).await;
    assert_eq!(error.path, argument, "{error}");
    assert!(error.to_string().contains("sandbox"), "{error}");
}

#[tokio::test]
async fn a_restricted_path_that_is_a_link_restricts_where_it_leads_by_now() {
    let mut ground = Ground::new();
    fs::create_dir(ground.home.join("work")).unwrap();
    let paths = PathRules { pinned: true, restricted: vec![ground.home.join("closed")], ..PathRules::default() };
    let plan = LaunchPlan { paths, directory: ground.home.join("work"), ..ground.plan("pwd") };
    ground.told(plan.clone()).await;
    symlink("work", ground.home.join("closed")).unwrap();
    let error = ground.refused(plan).await;
    assert_eq!((error.operation, error.path), ("work in what is a restricted path by now:", ground.home.join("work")));
}

/// A directory `secret`, beside what was judged, in which everything has the same name.
fn impostor(ground: &Ground) {
    let secret = ground.home.join("secret");
    fs::create_dir(&secret).unwrap();
    fs::copy("/bin/echo", secret.join("tool")).unwrap();
    fs::write(secret.join("name"), "secret").unwrap();
    symlink("secret", ground.home.join("link")).unwrap();
}

#[tokio::test]
async fn whoever_swaps_paths_while_runs_are_made_never_has_another_program_or_directory_used() {
    let mut ground = Ground::new();
    let plan = pinned(&ground, "printf judged; cat name");
    fs::write(ground.home.join("real/name"), "real").unwrap();
    impostor(&ground);
    let (real, link) = (ground.home.join("real"), ground.home.join("link"));
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let swapper = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            renameat2(AT_FDCWD, &real, AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE).unwrap();
        }
    });
    let (mut runs, mut refusals) = (0, 0);
    while runs < 30 || refusals < 30 {
        for file in [&plan.stdout, &plan.stderr] {
            fs::write(file, "").unwrap();
        }
        match ground.launcher.launch(plan.clone()).outcome().await {
            Ok(launched) => {
                launched.exit.wait().await;
                let told = fs::read_to_string(&plan.stdout).unwrap();
                assert_eq!(told, "judgedreal");
                runs += 1;
            }
            Err(error) => {
                assert_eq!(error.source.raw_os_error(), Some(nix::libc::ELOOP), "{error}");
                refusals += 1;
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
}
