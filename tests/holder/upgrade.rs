//! Going over to another program in place.

use super::*;

#[tokio::test]
async fn an_upgrade_in_place_keeps_runs_output_and_ends_that_were_not_settled() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let script = "i=0; while [ ! -e go ]; do i=$((i+1)); echo $i; done; echo end $i; exit 6";
    let speaker = ground.run(&mut launcher, "speaker", script);
    ground.run(&mut launcher, "ended", "exit 4").exit.wait().await;
    let holder = ground.holder().unwrap();
    for number in 0..3 {
        // Each a program of its own name: the very file is seen to change.
        let program = ground.path(&format!("wasmvisor-{number}"));
        // Not by this process: another test's child would hold the file open for writing for a moment.
        let copied = Command::new("cp").arg(ground.settings().program).arg(&program).status();
        assert!(copied.is_ok_and(|status| status.success()));
        launcher.upgrade(&program).unwrap();
        assert_eq!(fs::read_link(format!("/proc/{holder}/exe")).unwrap(), program);
    }
    assert_eq!(ground.holder(), Some(holder));
    let next = ground.run(&mut launcher, "next", "exit 3");
    assert_eq!(next.exit.wait().await.status, ExitStatus::Code(3));
    fs::write(ground.path("go"), "").unwrap();
    assert_eq!(speaker.exit.wait().await.status, ExitStatus::Code(6));
    let text = ground.text("speaker.out");
    let lines: Vec<_> = text.lines().collect();
    let (last, numbers) = lines.split_last().unwrap();
    assert!(numbers.iter().enumerate().all(|(index, line)| *line == (index + 1).to_string()), "a line is lost");
    assert_eq!(*last, format!("end {}", numbers.len()));
    drop(launcher);
    let mut launcher = ground.attach();
    let mut survivors: Vec<_> = launcher.survivors().into_iter().map(|run| run.process_id).collect();
    survivors.sort();
    assert_eq!(survivors, ["ended", "next", "speaker"].map(|name| ground.id(name)));
}

#[tokio::test]
async fn a_program_that_cannot_hold_is_refused_and_nothing_changes() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let run = ground.run(&mut launcher, "worker", "while [ ! -e go ]; do sleep 0.01; done; exit 5");
    let holder = ground.holder().unwrap();
    let exe = fs::read_link(format!("/proc/{holder}/exe")).unwrap();
    for program in ["/bin/true", "/bin/cat", "/nonexistent"] {
        let error = launcher.upgrade(program.as_ref()).unwrap_err();
        println!("{program}: {error}");
        assert_eq!(fs::read_link(format!("/proc/{holder}/exe")).unwrap(), exe);
    }
    fs::write(ground.path("go"), "").unwrap();
    assert_eq!(run.exit.wait().await.status, ExitStatus::Code(5));
    // The next holder, should there be one, is made of the program that works.
    signal("KILL", holder);
    assert_eq!(ground.run(&mut launcher, "next", "exit 1").exit.wait().await.status, ExitStatus::Code(1));
}

#[tokio::test]
async fn children_get_the_descriptor_limit_of_the_daemon_before_and_after_an_upgrade() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let mut limits = Vec::new();
    for id in ["before", "after"] {
        ground.run(&mut launcher, id, "ulimit -Sn; ulimit -Hn").exit.wait().await;
        limits.push(ground.text(&format!("{id}.out")));
        launcher.upgrade(&ground.settings().program).unwrap();
    }
    assert_eq!(limits[0], limits[1]);
    let (soft, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    let holder = fs::read_to_string(format!("/proc/{}/limits", ground.holder().unwrap())).unwrap();
    let line = holder.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().nth(3), Some(hard.to_string().as_str()), "its own is raised");
    assert!(limits[0].starts_with(&format!("{soft}\n")) || soft == hard, "{limits:?}");
}
