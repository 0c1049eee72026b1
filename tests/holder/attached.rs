//! What a holder does for a daemon that is there.

use super::*;

#[tokio::test]
async fn exit_codes_and_signals_are_told() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let coded = ground.run(&mut launcher, "coded", "exit 7");
    assert_eq!(coded.exit.wait().await.status, ExitStatus::Code(7));
    let signalled = ground.run(&mut launcher, "signalled", "kill -USR1 $$");
    assert_eq!(signalled.exit.wait().await.status, ExitStatus::Signal(10));
}

#[tokio::test]
async fn the_end_tells_what_the_run_has_used_and_when() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let before = wasmvisor::units::Timestamp::now();
    let run = ground.run(&mut launcher, "busy", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    let end = run.exit.wait().await;
    assert!(end.user_time_ms + end.system_time_ms > 10, "{end:?}");
    assert!(end.at_ms >= before && end.at_ms <= wasmvisor::units::Timestamp::now(), "{end:?}");
}

#[tokio::test]
async fn a_run_is_the_holders_child_in_a_session_of_its_own() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let run = ground.run(&mut launcher, "child", "sleep 1000");
    let holder = ground.holder().unwrap();
    assert_eq!(run.keeper, holder);
    let (pid, text) = (run.identity.pid, holder.to_string());
    assert_eq!(status_of(pid, "PPid").as_deref(), Some(text.as_str()));
    assert!(is_alive(&run.identity));
    assert_eq!(status_of(pid, "NSsid"), status_of(pid, "NSpid"));
    assert_eq!(fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(), 3, "0, 1 and 2 and no other");
}

#[tokio::test]
async fn output_is_in_the_files_when_the_end_is_told() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let run = ground.run(&mut launcher, "speaker", "echo out; echo err >&2; seq 20000");
    run.exit.wait().await;
    assert_eq!(ground.text("speaker.err"), "err\n");
    let text = ground.text("speaker.out");
    assert!(text.starts_with("out\n1\n") && text.ends_with("\n20000\n"), "{} bytes", text.len());
}

#[tokio::test]
async fn both_streams_may_go_to_one_file_and_a_second_run_appends_to_it() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    for run in 1..=2 {
        let mut plan = ground.plan("one", "echo a; echo b >&2; echo c");
        (plan.stderr, plan.run) = (plan.stdout.clone(), run);
        ground.launch(&mut launcher, plan).exit.wait().await;
    }
    assert_eq!(ground.text("one.out"), "a\nb\nc\na\nb\nc\n");
}

#[tokio::test]
async fn a_descendant_that_outlives_its_run_keeps_its_output() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let script = "(while [ ! -e go ]; do sleep 0.01; done; echo late) & echo early";
    let run = ground.run(&mut launcher, "parent", script);
    run.exit.wait().await;
    assert_eq!(ground.text("parent.out"), "early\n");
    // The next run writes into the same file meanwhile.
    let mut plan = ground.plan("parent", "echo second");
    plan.run = 2;
    ground.launch(&mut launcher, plan).exit.wait().await;
    fs::write(ground.path("go"), "").unwrap();
    until("the last line", || (ground.text("parent.out") == "early\nsecond\nlate\n").then_some(())).await;
}

#[tokio::test]
async fn a_program_that_cannot_be_executed_is_refused_with_the_step_and_the_reason() {
    let ground = Ground::new();
    let mut launcher = ground.attach();
    let refused = |launcher: &mut HolderLauncher, plan: LaunchPlan| -> LaunchError {
        launcher.launch(plan).wait().map(|run| run.identity).unwrap_err()
    };
    let mut plan = ground.plan("absent", "true");
    plan.program = "/nonexistent/program".into();
    let error = refused(&mut launcher, plan);
    assert_eq!(error.to_string(), "cannot execute /nonexistent/program: No such file or directory (os error 2)");
    assert_eq!(error.source.kind(), std::io::ErrorKind::NotFound);
    let mut plan = ground.plan("nowhere", "true");
    plan.directory = "/nonexistent".into();
    assert_eq!(refused(&mut launcher, plan).operation, "change to directory");
    let mut plan = ground.plan("mute", "true");
    plan.stdout = "/nonexistent/out".into();
    assert_eq!(refused(&mut launcher, plan).operation, "open output file");
    assert_eq!(
        refused(&mut launcher, ground.plan(&"x".repeat(65), "true")).source.kind(),
        std::io::ErrorKind::InvalidInput
    );
}

#[tokio::test]
async fn launches_are_answered_in_the_order_of_asking_though_nobody_waits_for_one_before_the_next() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let plans: Vec<_> = (0..100).map(|number| ground.plan(&format!("n{number}"), &format!("exit {number}"))).collect();
    let pending: Vec<_> = plans.into_iter().map(|plan| launcher.launch(plan)).collect();
    for (number, pending) in pending.into_iter().enumerate() {
        let run = pending.outcome().await.unwrap();
        ground.trees.push(Tree::of(&run, ground.id(&format!("n{number}"))));
        assert_eq!(run.exit.wait().await.status, ExitStatus::Code(number as i32));
    }
}

#[tokio::test]
async fn an_environment_of_a_megabyte_arrives_whole() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let mut plan = ground.plan("heavy", "env | wc -c");
    plan.env.extend((0..10).map(|number| (format!("LARGE_{number}"), "x".repeat(100_000))));
    ground.launch(&mut launcher, plan).exit.wait().await;
    let count: usize = ground.text("heavy.out").trim().parse().unwrap();
    assert!(count > 1_000_000, "{count}");
}

#[tokio::test]
async fn a_thousand_runs_leave_no_descriptor_and_little_memory_behind() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    ground.run(&mut launcher, "first", "exit 0").exit.wait().await;
    launcher.settle(&ground.id("first"), 1);
    let holder = ground.holder().unwrap();
    // The streams of the first run are closed a moment after its end.
    let before = until("the streams to close", || Some(descriptors_of(holder)).filter(|count| *count <= 12)).await;
    for _ in 0..10 {
        let pending: Vec<_> = (0..100)
            .map(|number| {
                let mut plan = ground.plan(&format!("n{number}"), "");
                plan.program = "/bin/true".into();
                launcher.launch(plan)
            })
            .collect();
        for (number, pending) in pending.into_iter().enumerate() {
            assert_eq!(pending.outcome().await.unwrap().exit.wait().await.status, ExitStatus::Code(0));
            launcher.settle(&ground.id(&format!("n{number}")), 1);
        }
    }
    until("the streams to close", || (descriptors_of(holder) <= before).then_some(())).await;
    let (relocated, own) = dirty_kib(holder);
    println!("holder after 1000 runs: {own} KiB of its own, and {relocated} KiB of the program's relocations");
    assert!(own < 1024, "{own} KiB:\n{}", fs::read_to_string(format!("/proc/{holder}/smaps")).unwrap());
}

/// Memory of a process that is no copy of a file, KiB: what the loader wrote into the program's
/// constants, which depends on how it was built, and all the rest.
fn dirty_kib(pid: u32) -> (u64, u64) {
    let (mut relocated, mut own, mut is_constant) = (0, 0, false);
    for line in fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap().lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [range, rights, _, _, _, rest @ ..] if range.contains('-') => {
                is_constant = *rights == "r--p" && !rest.is_empty();
            }
            ["Anonymous:", kib, "kB"] => {
                *(if is_constant { &mut relocated } else { &mut own }) += kib.parse::<u64>().unwrap();
            }
            _ => {}
        }
    }
    (relocated, own)
}

/// A cgroup (v2) of one's own, if this machine lets us have one.
fn own_group(name: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        (words.nth(2) == Some("cgroup2")).then(|| line.split(' ').nth(1).unwrap().to_owned())
    })?;
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?.to_owned();
    let group = PathBuf::from(format!("{mount}{own}/{name}"));
    fs::create_dir(&group).is_ok().then_some(group)
}

#[tokio::test]
async fn a_run_with_a_group_is_born_in_it() {
    let mut ground = Ground::new();
    let Some(group) = own_group(ground.id("group").as_str()) else {
        println!("skipped: no cgroup (v2) can be made here");
        return;
    };
    let mut launcher = ground.attach();
    let mut plan = ground.plan("grouped", "cat /proc/self/cgroup; exit 3");
    plan.cgroup = Some(group.clone());
    assert_eq!(ground.launch(&mut launcher, plan).exit.wait().await.status, ExitStatus::Code(3));
    let name = group.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(ground.text("grouped.out").lines().any(|line| line.starts_with("0::") && line.ends_with(&name)));
    let mut plan = ground.plan("absent", "true");
    (plan.cgroup, plan.program) = (Some(group.clone()), "/nonexistent".into());
    let error = launcher.launch(plan).wait().map(|run| run.identity).unwrap_err();
    assert_eq!(error.operation, "execute", "{error}");
    fs::remove_dir(&group).unwrap();
    let mut plan = ground.plan("groupless", "true");
    plan.cgroup = Some(group);
    let error = launcher.launch(plan).wait().map(|run| run.identity).unwrap_err();
    assert_eq!(error.operation, "join the cgroup", "{error}");
}
