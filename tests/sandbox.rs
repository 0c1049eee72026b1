//! What a run may not do or see, proven from inside the run: limits, users, files, mounts, and paths that change between
//! judgement and launch.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod files;
mod paths;
mod users;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use wasmvisor::platform::{
    Confinement, FileRules, InProcessLauncher, IoPriority, LaunchError, LaunchPlan, Launcher, ProcessLimits, UserIds,
    abilities,
};
use wasmvisor::sample::ExitStatus;
use wasmvisor::spec::ProcessId;

/// A resolved directory that everybody may enter, and a launcher.
struct Ground {
    directory: tempfile::TempDir,
    home: PathBuf,
    launcher: InProcessLauncher,
}

impl Ground {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().canonicalize().unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
        Self { directory, home, launcher: InProcessLauncher::default() }
    }

    /// A plan for `/bin/sh -c script` in the directory.
    fn plan(&self, script: &str) -> LaunchPlan {
        let name = self.home.file_name().unwrap().to_string_lossy().into_owned();
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        let shell = fs::canonicalize("/bin/sh").unwrap();
        LaunchPlan {
            env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            stdout: self.home.join("out"),
            stderr: self.home.join("err"),
            ..LaunchPlan::new(ProcessId::new(format!("test{name}")), shell, argv, self.home.clone())
        }
    }

    /// What a run of this plan prints; it must end well.
    async fn told(&mut self, plan: LaunchPlan) -> String {
        let (status, out, err) = self.ran(plan).await;
        assert_eq!(status, ExitStatus::Code(0), "{out}{err}");
        out
    }

    async fn ran(&mut self, plan: LaunchPlan) -> (ExitStatus, String, String) {
        for file in [&plan.stdout, &plan.stderr] {
            fs::write(file, "").unwrap();
        }
        let (out, err) = (plan.stdout.clone(), plan.stderr.clone());
        let launched = self.launcher.launch(plan).outcome().await.unwrap();
        let exit = launched.exit.wait().await;
        (exit.status, fs::read_to_string(out).unwrap(), fs::read_to_string(err).unwrap())
    }

    async fn refused(&mut self, plan: LaunchPlan) -> LaunchError {
        self.launcher.launch(plan).outcome().await.unwrap_err()
    }

    fn confined(&self, script: &str, confinement: Confinement) -> LaunchPlan {
        LaunchPlan { confinement, ..self.plan(script) }
    }

    /// A plan whose run may read and write these below the directory.
    fn within(&self, script: &str, read: &[&str], write: &[&str]) -> LaunchPlan {
        let below = |names: &[&str]| names.iter().map(|name| self.home.join(name)).collect();
        let files = Some(FileRules { read: below(read), write: below(write) });
        self.confined(script, Confinement { files, no_new_privileges: true, ..Confinement::default() })
    }
}

/// Whether this machine has an ability; when not, the test says that it is skipped.
fn able(name: &str) -> bool {
    let all = abilities();
    let ability = all.iter().find(|ability| ability.name == name).expect("an ability of this name");
    if !ability.present {
        eprintln!("skipped: {name} is missing here: {}", ability.detail);
    }
    ability.present
}

#[tokio::test]
async fn the_umask_is_that_of_the_plan_and_spares_the_output_files() {
    let mut ground = Ground::new();
    let plan = ground.confined("umask; touch made", Confinement { umask: Some(0o377), ..Confinement::default() });
    assert_eq!(ground.told(plan).await, "0377\n");
    assert_eq!(fs::metadata(ground.home.join("made")).unwrap().mode() & 0o777, 0o400);
}

#[tokio::test]
async fn rlimits_are_soft_and_hard_and_none_is_above_our_own() {
    let mut ground = Ground::new();
    let rlimits = ProcessLimits {
        file_handles: Some(17),
        core_bytes: Some(0),
        file_size_bytes: Some(4096),
        ..ProcessLimits::default()
    };
    let plan = LaunchPlan { rlimits, ..ground.plan("cat /proc/self/limits") };
    let limits = ground.told(plan).await;
    let of = |name: &str| -> Vec<String> {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().take(2).map(str::to_owned).collect()
    };
    assert_eq!(of("Max open files"), ["17", "17"]);
    assert_eq!(of("Max core file size"), ["0", "0"]);
    assert_eq!(of("Max file size"), ["4096", "4096"]);
}

#[tokio::test]
async fn a_file_above_its_limit_is_not_written() {
    let mut ground = Ground::new();
    let rlimits = ProcessLimits { file_size_bytes: Some(4096), ..ProcessLimits::default() };
    let plan = LaunchPlan { rlimits, ..ground.plan("exec dd if=/dev/zero of=big bs=8192 count=1") };
    let (status, ..) = ground.ran(plan).await;
    assert_ne!(status, ExitStatus::Code(0));
    assert!(fs::metadata(ground.home.join("big")).unwrap().len() <= 4096);
}

#[tokio::test]
async fn the_order_at_the_disk_is_that_of_the_plan() {
    if !Path::new("/usr/bin/ionice").exists() {
        eprintln!("skipped: /usr/bin/ionice, which reads it, is not installed");
        return;
    }
    let mut ground = Ground::new();
    for (priority, told) in [(IoPriority::Idle, "idle\n"), (IoPriority::BestEffort(6), "best-effort: prio 6\n")] {
        let rlimits = ProcessLimits { io_priority: Some(priority), ..ProcessLimits::default() };
        let plan = LaunchPlan { rlimits, ..ground.plan("ionice -p $$") };
        assert_eq!(ground.told(plan).await, told);
    }
}

#[tokio::test]
async fn everything_at_once_leaves_three_descriptors_and_an_executable_that_knows_where_it_is() {
    if !able("private tmp") || !able("landlock") {
        return;
    }
    let mut ground = Ground::new();
    let script = "ls /proc/self/fd | wc -l; readlink /proc/self/exe; grep -c NoNewPrivs:.1 /proc/self/status; pwd";
    let mut plan = LaunchPlan { directory: "/usr".into(), ..ground.within(script, &[], &[]) };
    plan.paths.pinned = true;
    plan.confinement.private_tmp = true;
    plan.confinement.umask = Some(0o077);
    plan.confinement.files.as_mut().unwrap().read = vec!["/proc".into()];
    if able("user switch") {
        plan.confinement.user = Some(UserIds { uid: 12_345, gid: 12_345, groups: Vec::new() });
    }
    let told = ground.told(plan).await;
    let exe = fs::canonicalize("/usr/bin/readlink").unwrap();
    // `ls` has its directory open beside its own three.
    assert_eq!(told.split_whitespace().collect::<Vec<_>>(), ["4", &exe.to_string_lossy(), "1", "/usr"]);
}
