//! The platform on real processes: how a run begins and ends, who belongs to it, and what it is measured to use.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wasmvisor::platform::{
    InProcessLauncher, LaunchError, LaunchPlan, Launched, Launcher, ProcessLimits, Reading, Sampler, SystemProbe, Tree,
    become_subreaper, is_alive, scan_for, scan_marked, signal_all,
};
use wasmvisor::sample::{ExitStatus, ProcessState, RunIdentity, Sample};
use wasmvisor::spec::{ProcessId, StopSignal};

/// A directory, a launcher and the trees it has started, which end with it.
struct Ground {
    directory: tempfile::TempDir,
    launcher: InProcessLauncher,
    trees: Vec<Tree>,
}

impl Ground {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, launcher: InProcessLauncher::default(), trees: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A plan for `/bin/sh -c script` in the directory.
    fn plan(&self, script: &str) -> LaunchPlan {
        let name = self.directory.path().file_name().unwrap().to_string_lossy().into_owned();
        let id = ProcessId::new(format!("test{name}-{}", self.trees.len()));
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        LaunchPlan {
            env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            stdout: self.path("out"),
            stderr: self.path("err"),
            rlimits: ProcessLimits { file_handles: Some(64), ..ProcessLimits::default() },
            ..LaunchPlan::new(id, "/bin/sh".into(), argv, self.directory.path().to_owned())
        }
    }

    fn launch(&mut self, plan: &LaunchPlan) -> Launched {
        let launched = self.launcher.launch(plan.clone()).wait().unwrap();
        self.trees.push(Tree::of(&launched, plan.process_id.clone()));
        launched
    }

    fn run(&mut self, script: &str) -> (Launched, Tree) {
        let launched = self.launch(&self.plan(script));
        (launched, self.trees.last().unwrap().clone())
    }

    /// The number that a worker writes into this file, once it has.
    async fn pid_in(&self, name: &str) -> u32 {
        let file = self.path(name);
        until("a worker to write its pid", || fs::read_to_string(&file).ok()?.strip_suffix('\n')?.parse().ok()).await
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for tree in &self.trees {
            let _ = tree.signal(StopSignal::KILL);
        }
    }
}

/// Wait for a condition; gives up after a time no healthy machine needs.
async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A field of `/proc/PID/status`.
fn status_of(pid: u32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Field `index` of `/proc/PID/stat`, counted as proc_pid_stat(5) does, from the third on.
fn stat_field(pid: u32, index: usize) -> Option<i64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.split(' ').nth(index - 3)?.parse().ok()
}

fn has_program(pid: u32, name: &str) -> Option<()> {
    (fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim() == name).then_some(())
}

fn lives(pid: u32) -> bool {
    status_of(pid, "State").is_some_and(|state| !state.starts_with('Z'))
}

/// Run the named test again in a process of its own, for what changes the whole process. True there.
fn is_alone(test: &str) -> bool {
    if std::env::var_os("WASMVISOR_TEST_ALONE").is_some() {
        return true;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("platform::{test}"), "--nocapture"])
        .env("WASMVISOR_TEST_ALONE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "the test was not found again: {text}");
    false
}

#[tokio::test]
async fn exit_codes_and_signals_are_told() {
    let mut ground = Ground::new();
    let (coded, _) = ground.run("exit 7");
    assert_eq!(coded.exit.wait().await.status, ExitStatus::Code(7));
    let (signalled, _) = ground.run("kill -USR1 $$");
    assert_eq!(signalled.exit.wait().await.status, ExitStatus::Signal(10));
}

#[tokio::test]
async fn the_end_tells_what_the_run_has_used() {
    let mut ground = Ground::new();
    let (run, _) = ground.run("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    let end = run.exit.wait().await;
    assert!(end.user_time_ms + end.system_time_ms > 10, "{end:?}");
}

#[tokio::test]
async fn the_peak_of_a_run_is_told_when_it_is_above_the_supervisors_own() {
    let mut ground = Ground::new();
    // Far above what this test binary ever uses.
    let (run, _) = ground.run("x=$(head -c 600000000 /dev/zero | tr '\\0' x); echo ${#x}");
    let end = run.exit.wait().await;
    assert!(end.peak_memory_bytes >= 600_000_000, "{end:?}");
}

#[tokio::test]
async fn the_supervisors_own_peak_is_never_taken_for_that_of_a_run() {
    let mut ground = Ground::new();
    let ballast = vec![1u8; 64 << 20];
    let (run, _) = ground.run("exit 0");
    assert_eq!(run.exit.wait().await.peak_memory_bytes, 0);
    assert_eq!(ballast[ballast.len() - 1], 1);
}

#[test]
fn a_launch_that_fails_names_the_step_and_leaves_nothing_to_reap() {
    if !is_alone("a_launch_that_fails_names_the_step_and_leaves_nothing_to_reap") {
        return;
    }
    let mut ground = Ground::new();
    let good = ground.plan("true");
    let mut refused = |plan: LaunchPlan| -> LaunchError { ground.launcher.launch(plan).wait().unwrap_err() };
    let missing = PathBuf::from("/nowhere/at/all");

    let error = refused(LaunchPlan { program: missing.clone(), ..good.clone() });
    assert_eq!(error.to_string(), "cannot execute /nowhere/at/all: No such file or directory (os error 2)");
    let error = refused(LaunchPlan { directory: missing.clone(), ..good.clone() });
    assert_eq!((error.operation, &error.path), ("change to directory", &missing));
    let error = refused(LaunchPlan { stderr: missing.clone(), ..good.clone() });
    assert_eq!((error.operation, &error.path), ("open output file", &missing));
    let error = refused(LaunchPlan { program: "/etc/passwd".into(), ..good.clone() });
    assert_eq!((error.operation, error.source.kind()), ("execute", std::io::ErrorKind::PermissionDenied));
    let error = refused(LaunchPlan { argv: vec!["a\0b".to_owned()], ..good });
    assert_eq!(error.source.kind(), std::io::ErrorKind::InvalidInput);

    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let children = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap());
    assert_eq!(children.collect::<String>(), "");
}

#[tokio::test]
async fn a_run_starts_with_a_session_three_descriptors_and_default_signals() {
    let mut ground = Ground::new();
    // A descriptor without the close-on-exec flag, as a careless library leaves them.
    let careless = fs::File::open("/dev/null").unwrap();
    nix::fcntl::fcntl(&careless, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let plan = LaunchPlan { niceness: 5, oom_score_adjustment: 200, ..ground.plan("exec sleep 1000") };
    let pid = ground.launch(&plan).identity.pid;
    until("the program", || has_program(pid, "sleep")).await;

    assert_eq!((stat_field(pid, 5), stat_field(pid, 6)), (Some(pid.into()), Some(pid.into())));
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|fd| fs::read_link(fd.unwrap().path()).unwrap());
    let expected = HashSet::from([PathBuf::from("/dev/null"), ground.path("out"), ground.path("err")]);
    assert_eq!(fds.collect::<Vec<_>>().len(), 3);
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|fd| fs::read_link(fd.unwrap().path()).unwrap());
    assert_eq!(fds.collect::<HashSet<_>>(), expected);
    for signals in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(status_of(pid, signals).unwrap(), "0000000000000000", "{signals}");
    }
    assert_eq!(status_of(pid, "NoNewPrivs").unwrap(), "1");
    assert_eq!(stat_field(pid, 19), Some(5), "niceness");
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim(), "200");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let handles = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(handles.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["64", "64"]);
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), ground.directory.path());
    drop(careless);
}

#[tokio::test]
async fn a_run_sees_the_planned_environment_and_its_marker_only() {
    let mut ground = Ground::new();
    let plan = LaunchPlan { program: "/usr/bin/env".into(), argv: vec!["env".to_owned()], ..ground.plan("") };
    let run = ground.launch(&plan);
    assert_eq!(run.exit.wait().await.status, ExitStatus::Code(0));
    let expected = format!("PATH=/usr/bin:/bin\nWASMVISOR_PROCESS_ID={}\n", plan.process_id);
    assert_eq!(fs::read_to_string(ground.path("out")).unwrap(), expected);
}

#[tokio::test]
async fn output_is_appended_to_files_that_only_the_owner_may_read() {
    let mut ground = Ground::new();
    for script in ["echo one; echo oops >&2", "echo two"] {
        let (run, _) = ground.run(script);
        run.exit.wait().await;
    }
    assert_eq!(fs::read_to_string(ground.path("out")).unwrap(), "one\ntwo\n");
    assert_eq!(fs::read_to_string(ground.path("err")).unwrap(), "oops\n");
    assert_eq!(fs::metadata(ground.path("out")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn the_daemons_raised_descriptor_limit_is_not_passed_on() {
    if !is_alone("the_daemons_raised_descriptor_limit_is_not_passed_on") {
        return;
    }
    use nix::sys::resource::{Resource, setrlimit};
    setrlimit(Resource::RLIMIT_NOFILE, 200, 400).unwrap();
    let mut ground = Ground::new();
    let sampler = Sampler::default();
    assert_eq!(nix::sys::resource::getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (400, 400));
    let plan = LaunchPlan { rlimits: ProcessLimits::default(), ..ground.plan("ulimit -Sn; ulimit -Hn") };
    ground.launch(&plan).exit.wait().await;
    assert_eq!(fs::read_to_string(ground.path("out")).unwrap(), "200\n400\n");
    drop(sampler);
}

#[test]
fn environment_values_are_not_in_the_debug_form() {
    let ground = Ground::new();
    let plan = LaunchPlan { env: vec![("TOKEN".to_owned(), "hunter2".to_owned())], ..ground.plan("true") };
    let text = format!("{plan:?}");
    assert!(text.contains("TOKEN") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_run_is_alive_until_it_has_ended() {
    let mut ground = Ground::new();
    let (run, tree) = ground.run("exec sleep 1000");
    assert!(is_alive(&run.identity));
    assert_eq!(tree.signal(StopSignal::TERM).unwrap(), 1);
    let identity = run.identity.clone();
    assert_eq!(run.exit.wait().await.status, ExitStatus::Signal(15));
    assert!(!is_alive(&identity));
}

/// A worker with a child in its session, one in a session of its own, and one that was forked twice as daemons are.
const FAMILY: &str = "sleep 1000 & setsid sleep 1000 & (setsid sleep 1000 & echo $! > daemon)
    echo $! > child; wait";

#[tokio::test]
async fn descendants_in_other_sessions_are_members() {
    let mut ground = Ground::new();
    let (run, tree) = ground.run(FAMILY);
    let child = ground.pid_in("child").await;
    let members = until("three members", || Some(tree.members()).filter(|members| members.len() >= 3)).await;
    assert_eq!(members[0], run.identity.pid);
    assert!(members.contains(&child), "{members:?}");
}

#[tokio::test]
async fn orphans_are_found_by_their_marker_when_nobody_adopts_them() {
    let mut ground = Ground::new();
    let (run, tree) = ground.run(FAMILY);
    let (child, daemon) = (ground.pid_in("child").await, ground.pid_in("daemon").await);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(run.identity.pid as i32), nix::sys::signal::SIGKILL).unwrap();
    run.exit.wait().await;
    let members = tree.members();
    assert!(members.contains(&child) && members.contains(&daemon), "{members:?}");
    assert_eq!(members.len(), 3, "{members:?}");
    assert!(scan_marked().contains(&(tree.process_id.clone(), daemon)));
}

#[tokio::test]
async fn killing_a_tree_leaves_nothing_of_it() {
    let mut ground = Ground::new();
    let (run, tree) = ground.run(FAMILY);
    let (child, daemon) = (ground.pid_in("child").await, ground.pid_in("daemon").await);
    tree.signal(StopSignal::KILL).unwrap();
    assert_eq!(run.exit.wait().await.status, ExitStatus::Signal(9));
    until("the end of all", || tree.members().is_empty().then_some(())).await;
    assert!(!lives(child) && !lives(daemon));
}

/// A worker whose grandchild has left its session, its group and its environment, and was forked twice.
const FUGITIVE: &str = "setsid env -i PATH=/usr/bin:/bin sh -c 'sh -c \"setsid sleep 1000 & echo \\$! > fugitive\" &' &
    exec sleep 1000";

#[tokio::test]
async fn an_orphan_that_left_session_group_and_environment_dies_with_its_tree() {
    let mut ground = Ground::new();
    let (run, tree) = ground.run(FUGITIVE);
    let fugitive = ground.pid_in("fugitive").await;
    until("its program", || has_program(fugitive, "sleep")).await;
    assert!(!fs::read_to_string(format!("/proc/{fugitive}/environ")).unwrap().contains("WASMVISOR"));
    assert_ne!(stat_field(fugitive, 6), Some(run.identity.pid.into()), "session");
    tree.signal(StopSignal::KILL).unwrap();
    run.exit.wait().await;
    until("the end of all", || tree.members().is_empty().then_some(())).await;
    assert!(!lives(fugitive));
}

#[tokio::test]
async fn an_orphan_that_left_everything_is_found_after_its_leaders_death() {
    let mut ground = Ground::new();
    let (run, tree) = ground.run(FUGITIVE);
    let fugitive = ground.pid_in("fugitive").await;
    tree.signal_leader(StopSignal::KILL).unwrap();
    run.exit.wait().await;
    until("the fugitive to be alone", || (tree.members() == [fugitive]).then_some(())).await;
    assert_eq!(scan_for([&tree.process_id]), [(tree.process_id.clone(), fugitive)]);
}

#[tokio::test]
async fn a_keeper_is_asked_for_its_orphans_and_no_one_elses_run_is_touched() {
    if !is_alone("a_keeper_is_asked_for_its_orphans_and_no_one_elses_run_is_touched") {
        return;
    }
    let reaper = tokio::spawn(become_subreaper().unwrap());
    let mut ground = Ground::new();
    let (run, tree) = ground.run(FUGITIVE);
    let (other, _) = ground.run("exec sleep 1000");
    let fugitive = ground.pid_in("fugitive").await;
    until("adoption", || (stat_field(fugitive, 4) == Some(std::process::id().into())).then_some(())).await;
    until("members", || (tree.members() == [run.identity.pid, fugitive]).then_some(())).await;
    tree.signal(StopSignal::KILL).unwrap();
    until("the end of all", || tree.members().is_empty().then_some(())).await;
    assert!(!lives(fugitive) && is_alive(&other.identity));
    reaper.abort();
}

#[tokio::test]
async fn one_order_reaches_many_trees_in_turn() {
    let mut ground = Ground::new();
    let runs: Vec<_> = (0..20).map(|_| ground.run("sleep 1000 & echo $$ > up-$$; wait")).collect();
    for (run, _) in &runs {
        ground.pid_in(&format!("up-{}", run.identity.pid)).await;
    }
    let (stop, go_on, end) = (StopSignal::STOP, StopSignal::CONT, StopSignal::KILL);
    let orders: Vec<_> =
        runs.iter().flat_map(|(_, tree)| [stop, go_on, end].map(|signal| (tree.clone(), signal))).collect();
    assert!(signal_all(&orders).into_iter().all(|reached| reached.is_ok()));
    for (run, tree) in runs {
        assert_eq!(run.exit.wait().await.status, ExitStatus::Signal(9));
        until("the end of all", || tree.members().is_empty().then_some(())).await;
    }
}

#[tokio::test]
async fn a_tree_that_forks_without_end_can_be_killed() {
    let mut ground = Ground::new();
    let (run, tree) = ground.run("while :; do setsid sleep 1000 & /bin/true; done");
    until("some children", || (tree.members().len() > 5).then_some(())).await;
    tree.signal(StopSignal::KILL).unwrap();
    run.exit.wait().await;
    until("the end of all", || {
        tree.signal(StopSignal::KILL).unwrap();
        tree.members().is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stranger_with_the_same_pid_gets_no_signal() {
    let mut ground = Ground::new();
    let (run, tree) = ground.run("exec sleep 1000");
    let other = ProcessId::new("somebody-else");
    for leader in [
        RunIdentity { start_ticks: run.identity.start_ticks - 1, ..run.identity.clone() },
        RunIdentity { start_ticks: run.identity.start_ticks + 1, ..run.identity.clone() },
        RunIdentity { boot_id: "another boot".to_owned(), ..run.identity.clone() },
    ] {
        let stranger = Tree { leader, process_id: other.clone(), ..tree.clone() };
        assert_eq!(stranger.signal(StopSignal::KILL).unwrap(), 0, "{stranger:?}");
        assert!(stranger.members().is_empty());
    }
    assert_eq!(tree.members(), [run.identity.pid]);
}

#[tokio::test]
async fn throttling_reaches_every_member() {
    let mut ground = Ground::new();
    let (_run, tree) = ground.run("sleep 1000 & echo $! > child; wait");
    let child = ground.pid_in("child").await;
    until("both members", || (tree.members().len() == 2).then_some(())).await;
    assert_eq!(tree.throttle().unwrap(), 2);
    assert_eq!(stat_field(child, 19), Some(19));
}

#[tokio::test]
async fn a_subreaper_finds_orphans_of_living_and_dead_leaders_and_reaps_them() {
    if !is_alone("a_subreaper_finds_orphans_of_living_and_dead_leaders_and_reaps_them") {
        return;
    }
    let reaper = tokio::spawn(become_subreaper().unwrap());
    // A run that begins in the very clock tick of this process would be looked for everywhere.
    let own = stat_field(std::process::id(), 22);
    let mut ground = Ground::new();
    until("the next clock tick", || {
        let (run, _) = ground.run("exec sleep 1000");
        (stat_field(run.identity.pid, 22) > own).then_some(())
    })
    .await;
    let (run, tree) = ground.run(FAMILY);
    let daemon = ground.pid_in("daemon").await;
    until("adoption", || (stat_field(daemon, 4) == Some(std::process::id().into())).then_some(())).await;
    assert!(tree.members().contains(&daemon), "under a living leader");

    nix::sys::signal::kill(nix::unistd::Pid::from_raw(run.identity.pid as i32), nix::sys::signal::SIGKILL).unwrap();
    assert_eq!(run.exit.wait().await.status, ExitStatus::Signal(9));
    assert_eq!(tree.members().len(), 3, "under a dead leader");
    assert_eq!(tree.signal(StopSignal::KILL).unwrap(), 3);
    until("the orphan to be reaped", || (!Path::new(&format!("/proc/{daemon}")).exists()).then_some(())).await;
    until("the end of all", || tree.members().is_empty().then_some(())).await;
    reaper.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subreaper_leaves_the_ends_of_runs_and_of_plain_commands_to_their_owners() {
    if !is_alone("a_subreaper_leaves_the_ends_of_runs_and_of_plain_commands_to_their_owners") {
        return;
    }
    let reaper = tokio::spawn(become_subreaper().unwrap());
    let mut ground = Ground::new();
    for _ in 0..50 {
        let (run, _) = ground.run("exit 3");
        let mut plain = std::process::Command::new("/bin/true").spawn().unwrap();
        assert_eq!(run.exit.wait().await.status, ExitStatus::Code(3));
        assert!(plain.wait().unwrap().success());
    }
    reaper.abort();
}

/// One reading of a run.
fn read(sampler: &mut Sampler, key: u64) -> Option<Sample> {
    let mut readings: Vec<Reading> = Vec::new();
    sampler.sample(&mut readings);
    readings.iter().find(|reading| reading.key == key).expect("a tracked run has a reading").sample
}

#[tokio::test]
async fn memory_threads_and_descriptors_are_those_of_the_process() {
    let mut ground = Ground::new();
    let script = "big=$(head -c 32000000 /dev/zero | tr '\\0' x); exec 3</dev/null 4</dev/null 5</dev/null
        echo $$ > ready; kill -STOP $$";
    let (run, _) = ground.run(script);
    let pid = ground.pid_in("ready").await;
    until("the worker to stand still", || status_of(pid, "State")?.starts_with('T').then_some(())).await;
    let mut sampler = Sampler::default();
    sampler.track(1, run.identity);
    let sample = read(&mut sampler, 1).unwrap();
    let resident: u64 = status_of(pid, "VmRSS").unwrap().trim_end_matches(" kB").parse().unwrap();
    assert!(sample.memory_bytes.abs_diff(resident * 1024) <= 1 << 20, "{sample:?}, resident {resident} kB");
    assert!(sample.memory_bytes >= 32_000_000, "{sample:?}");
    assert_eq!((sample.file_handles, sample.threads, sample.processes), (6, 1, 1));
    assert_eq!(sample.state, ProcessState::Stopped);
}

#[tokio::test]
async fn memory_that_a_fork_shares_with_its_parent_is_counted_once() {
    let mut ground = Ground::new();
    // The subshell executes no other program: all its pages are its parent's.
    let script = "big=$(head -c 64000000 /dev/zero | tr '\\0' x); (read never < fifo) & echo $$ > ready
        wait";
    std::process::Command::new("mkfifo").arg(ground.path("fifo")).status().unwrap();
    let (run, _) = ground.run(script);
    ground.pid_in("ready").await;
    let mut sampler = Sampler::default();
    sampler.track(1, run.identity);
    let sample = until("both to be seen", || read(&mut sampler, 1).filter(|sample| sample.processes == 2)).await;
    assert!((64_000_000..110_000_000).contains(&sample.memory_bytes), "{sample:?}");
}

#[tokio::test]
async fn memory_is_counted_once_while_children_come_and_go() {
    let mut ground = Ground::new();
    // Children are made by vfork or fork, as the shell likes, hundreds a second.
    let script = "big=$(head -c 64000000 /dev/zero | tr '\\0' x); echo $$ > ready; while :; do sleep 0.001; done";
    let (run, _) = ground.run(script);
    ground.pid_in("ready").await;
    let mut sampler = Sampler::default();
    sampler.track(1, run.identity);
    let mut with_children = 0;
    let largest = until("many samples with children", || {
        let sample = read(&mut sampler, 1)?;
        with_children += u32::from(sample.processes > 1);
        assert!(sample.memory_bytes < 110_000_000, "{sample:?}");
        (with_children >= 300).then_some(sample.memory_bytes)
    })
    .await;
    assert!(largest >= 64_000_000);
}

#[tokio::test]
async fn descendants_are_part_of_the_sample_while_they_live() {
    let mut ground = Ground::new();
    let (run, _) = ground.run("setsid sleep 1000 & echo $! > child; wait; exec sleep 1000");
    let child = ground.pid_in("child").await;
    until("the child's program", || has_program(child, "sleep")).await;
    let mut sampler = Sampler::default();
    sampler.track(1, run.identity);
    let sample = read(&mut sampler, 1).unwrap();
    assert_eq!((sample.processes, sample.threads, sample.file_handles), (2, 2, 6));
    assert_eq!(sampler.descendants(1), [child]);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child as i32), nix::sys::signal::SIGKILL).unwrap();
    until("the child to leave", || (read(&mut sampler, 1).unwrap().processes == 1).then_some(())).await;
    until("its pid to leave", || {
        read(&mut sampler, 1);
        sampler.descendants(1).is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_run_that_has_ended_reads_as_gone_and_the_others_go_on() {
    let mut ground = Ground::new();
    let (first, tree) = ground.run("exec sleep 1000");
    let (second, _) = ground.run("exec sleep 1000");
    let mut sampler = Sampler::default();
    sampler.track(1, first.identity.clone());
    sampler.track(2, second.identity.clone());
    assert!(read(&mut sampler, 1).is_some());
    tree.signal(StopSignal::KILL).unwrap();
    first.exit.wait().await;
    assert_eq!(read(&mut sampler, 1), None);
    sampler.untrack(1);
    assert!(read(&mut sampler, 2).is_some());
    sampler.track(3, first.identity);
    assert_eq!(read(&mut sampler, 3), None);
}

#[tokio::test]
async fn processor_percent_is_processor_time_over_time() {
    let mut ground = Ground::new();
    let (run, _) = ground.run("while :; do :; done");
    let mut sampler = Sampler::default();
    let pid = run.identity.pid;
    sampler.track(1, run.identity);
    let used = || (stat_field(pid, 14).unwrap() + stat_field(pid, 15).unwrap()) * 10;
    until("the loop to run", || (used() >= 50).then_some(())).await;
    let before = read(&mut sampler, 1).unwrap();
    assert_eq!(before.cpu_percent, 0.0, "a first sample has no interval");
    let (started, used_before) = (Instant::now(), used());
    until("a second of processor time", || (used() - used_before >= 1000).then_some(())).await;
    let after = read(&mut sampler, 1).unwrap();
    let expected = (after.cpu_time_ms - before.cpu_time_ms) as f64 / started.elapsed().as_secs_f64() / 10.0;
    assert!((f64::from(after.cpu_percent) / expected - 1.0).abs() < 0.1, "{} is not {expected}", after.cpu_percent);
    assert!(after.cpu_percent <= 110.0, "one loop uses one core at most: {after:?}");
    assert!(after.cpu_time_ms - before.cpu_time_ms >= 990, "{before:?} {after:?}");
}

#[tokio::test]
async fn processor_time_of_children_that_came_and_went_is_counted() {
    let mut ground = Ground::new();
    let script = "true; echo $$ > ready; while [ ! -e go ]; do sleep 0.01; done
        sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; echo $$ > done; sleep 1000";
    let (run, _) = ground.run(script);
    ground.pid_in("ready").await;
    let mut sampler = Sampler::default();
    sampler.track(1, run.identity);
    let before = read(&mut sampler, 1).unwrap();
    fs::write(ground.path("go"), "").unwrap();
    ground.pid_in("done").await;
    let after = read(&mut sampler, 1).unwrap();
    assert!(after.cpu_time_ms >= before.cpu_time_ms + 50, "{before:?} {after:?}");
}

#[tokio::test]
async fn written_bytes_are_counted() {
    let mut ground = Ground::new();
    let script = "dd if=/dev/zero of=data bs=1M count=4 conv=fsync 2>/dev/null; echo $$ > done
        sleep 1000";
    let (run, _) = ground.run(script);
    ground.pid_in("done").await;
    let mut sampler = Sampler::default();
    sampler.track(1, run.identity);
    let sample = read(&mut sampler, 1).unwrap();
    if !Path::new("/proc/self/io").exists() || is_on_memory(ground.directory.path()) {
        eprintln!(
            "skipped: the kernel does not count storage here (no /proc/self/io, or a temporary directory in memory)"
        );
        return;
    }
    assert!(sample.disk_written_bytes >= 4 << 20, "{sample:?}");
}

fn is_on_memory(path: &Path) -> bool {
    nix::sys::statfs::statfs(path).is_ok_and(|fs| fs.filesystem_type() == nix::sys::statfs::TMPFS_MAGIC)
}

#[tokio::test]
async fn a_sampler_without_descriptors_to_keep_still_reads() {
    if !is_alone("a_sampler_without_descriptors_to_keep_still_reads") {
        return;
    }
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    let mut ground = Ground::new();
    let mut sampler = Sampler::default();
    let mut runs = Vec::new();
    for key in 0..12 {
        let (run, _) = ground.run("exec sleep 1000");
        sampler.track(key, run.identity.clone());
        runs.push(run);
    }
    let mut readings = Vec::new();
    for _ in 0..2 {
        sampler.sample(&mut readings);
        assert_eq!(readings.iter().filter(|reading| reading.sample.is_some()).count(), 12);
    }
}

#[test]
fn the_machine_has_memory_and_cores() {
    let load = SystemProbe::default().read();
    assert!(load.cores >= 1 && load.memory_total_bytes > 1 << 20, "{load:?}");
    assert!(load.memory_in_use_percent > 0.0 && load.memory_in_use_percent < 100.0, "{load:?}");
}
