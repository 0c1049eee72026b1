//! Deaths: of the daemon, of the holder, of both.

use super::*;

fn only(mut survivors: Vec<Survivor>) -> Survivor {
    assert_eq!(survivors.len(), 1);
    survivors.remove(0)
}

#[tokio::test]
async fn a_run_outlives_its_daemon_and_is_given_to_the_next_one() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let script = "while [ ! -e go ]; do sleep 0.01; done; echo done; exit 5";
    let run = ground.run(&mut launcher, "worker", script);
    drop(launcher);
    let survivor = only(ground.attach_and_list());
    assert_eq!((&survivor.process_id, survivor.run), (&ground.id("worker"), 1));
    assert_eq!(survivor.launched.identity, run.identity);
    assert!(is_alive(&run.identity));
}

#[tokio::test]
async fn an_end_that_nobody_heard_is_told_to_the_next_daemon_with_code_and_time() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let run = ground.run(&mut launcher, "worker", "while [ ! -e go ]; do sleep 0.01; done; echo done; exit 5");
    drop(launcher);
    let before = wasmvisor::units::Timestamp::now();
    fs::write(ground.path("go"), "").unwrap();
    until("the run to end", || (!is_alive(&run.identity)).then_some(())).await;
    let after = wasmvisor::units::Timestamp::now();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut launcher = ground.attach();
    let survivor = only(launcher.survivors());
    let end = survivor.launched.exit.wait().await;
    assert_eq!(end.status, ExitStatus::Code(5));
    assert!(end.at_ms >= before && end.at_ms.ms() <= after.ms() + 40, "{before} {} {after}", end.at_ms);
    assert_eq!(ground.text("worker.out"), "done\n");
}

#[tokio::test]
async fn an_end_is_told_again_until_it_is_settled() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    assert_eq!(ground.run(&mut launcher, "worker", "exit 9").exit.wait().await.status, ExitStatus::Code(9));
    drop(launcher);
    let mut launcher = ground.attach();
    let survivor = only(launcher.survivors());
    assert_eq!(survivor.launched.exit.wait().await.status, ExitStatus::Code(9));
    launcher.settle(&survivor.process_id, survivor.run);
    // Settled in the order of asking: this run is made after it.
    ground.run(&mut launcher, "other", "sleep 1000");
    drop(launcher);
    assert_eq!(only(ground.attach_and_list()).process_id, ground.id("other"));
}

#[tokio::test]
async fn the_holder_ends_when_it_holds_nothing_and_its_daemon_is_gone() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    ground.run(&mut launcher, "worker", "exit 0").exit.wait().await;
    launcher.settle(&ground.id("worker"), 1);
    assert!(ground.holder().is_some());
    launcher.end();
    drop(launcher);
    ground.until_holder_is_gone().await;
    assert!(!ground.path("holder.sock").exists());
}

#[tokio::test]
async fn the_death_of_the_holder_leaves_runs_watched_and_new_ones_possible() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let mut notices = launcher.notices().unwrap();
    let run = ground.run(&mut launcher, "worker", "while [ ! -e go ]; do sleep 0.01; done; exit 5");
    let holder = ground.holder().unwrap();
    assert_eq!(notices.recv().await, Some(Notice::HolderStarted { pid: holder }));
    signal("KILL", holder);
    let lost = notices.recv().await.unwrap();
    assert!(matches!(&lost, Notice::HolderLost { pid, .. } if *pid == holder), "{lost:?}");
    assert!(is_alive(&run.identity));
    let next = ground.run(&mut launcher, "next", "exit 3");
    let started = notices.recv().await.unwrap();
    assert!(matches!(&started, Notice::HolderStarted { pid } if *pid == next.keeper), "{started:?}");
    assert_eq!(next.exit.wait().await.status, ExitStatus::Code(3));
    fs::write(ground.path("go"), "").unwrap();
    let status = run.exit.wait().await.status;
    if kernel_tells_exits_of_strangers() {
        assert_eq!(status, ExitStatus::Code(5));
    } else {
        println!("this kernel tells nobody but the parent how a process ended");
        assert_eq!(status, ExitStatus::Unknown);
    }
}

#[tokio::test]
async fn the_death_of_both_loses_no_run_and_no_exit_code_that_was_seen() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let alive = ground.run(&mut launcher, "alive", "while [ ! -e go ]; do sleep 0.01; done; exit 5");
    ground.run(&mut launcher, "ended", "exit 4").exit.wait().await;
    let holder = ground.holder().unwrap();
    signal("STOP", holder);
    drop(launcher);
    signal("KILL", holder);
    ground.until_holder_is_gone().await;
    let mut launcher = ground.attach();
    let mut survivors = launcher.survivors();
    survivors.sort_by(|a, b| a.process_id.cmp(&b.process_id));
    let [first, second] = <[Survivor; 2]>::try_from(survivors).unwrap();
    assert_eq!(first.launched.identity, alive.identity);
    assert_eq!(second.launched.exit.wait().await.status, ExitStatus::Code(4));
    assert!(is_alive(&alive.identity));
    fs::write(ground.path("go"), "").unwrap();
    let status = first.launched.exit.wait().await.status;
    assert!(status == ExitStatus::Code(5) || !kernel_tells_exits_of_strangers(), "{status}");
}

#[tokio::test]
async fn a_stopped_holder_is_noticed_and_so_is_its_return() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let mut notices = launcher.notices().unwrap();
    let holder = ground.holder().unwrap();
    assert_eq!(notices.recv().await, Some(Notice::HolderStarted { pid: holder }));
    signal("STOP", holder);
    let pending = launcher.launch(ground.plan("late", "exit 2"));
    assert_eq!(notices.recv().await, Some(Notice::HolderSilent { pid: holder, silent: true }));
    signal("CONT", holder);
    let run = pending.outcome().await.unwrap();
    ground.trees.push(Tree::of(&run, ground.id("late")));
    assert_eq!(notices.recv().await, Some(Notice::HolderSilent { pid: holder, silent: false }));
    assert_eq!(run.exit.wait().await.status, ExitStatus::Code(2));
}

/// Linux 6.15 and later (`PIDFD_GET_INFO` with the exit status).
fn kernel_tells_exits_of_strangers() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

impl Ground {
    fn attach_and_list(&self) -> Vec<Survivor> {
        self.attach().survivors()
    }
}

#[tokio::test]
async fn a_launch_under_way_when_the_holder_dies_is_made_by_the_next_one() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let holder = ground.holder().unwrap();
    signal("STOP", holder);
    let pending: Vec<_> = ["first", "second"].map(|id| launcher.launch(ground.plan(id, "echo once; exit 2"))).into();
    signal("KILL", holder);
    for (pending, id) in pending.into_iter().zip(["first", "second"]) {
        let run = pending.outcome().await.unwrap();
        ground.trees.push(Tree::of(&run, ground.id(id)));
        assert_ne!(run.keeper, holder);
        assert_eq!(run.exit.wait().await.status, ExitStatus::Code(2));
        assert_eq!(ground.text(&format!("{id}.out")), "once\n");
    }
}

/// A run that writes numbered lines until it is told to end, faster than a pipe would hold for long.
const COUNTER: &str = "i=0; while [ ! -e go ]; do i=$((i+1)); echo $i; done; echo end $i; exit 5";

/// Whether these are the lines of `COUNTER`, each once and in order.
fn assert_whole(text: &str) {
    let lines: Vec<_> = text.lines().collect();
    let (last, numbers) = lines.split_last().unwrap();
    for (index, line) in numbers.iter().enumerate() {
        assert_eq!(*line, (index + 1).to_string(), "of {} lines", numbers.len());
    }
    assert_eq!(*last, format!("end {}", numbers.len()));
}

#[tokio::test]
async fn the_death_of_a_holder_kills_no_writer_and_loses_no_line() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let run = ground.run(&mut launcher, "writer", COUNTER);
    for round in 0..4 {
        let written = ground.text("writer.out").len();
        until("more lines", || (ground.text("writer.out").len() > written).then_some(())).await;
        signal("KILL", ground.holder().unwrap());
        ground.until_holder_is_gone().await;
        // Whoever wants a run gets a new holder; so does a daemon that begins after the death of both.
        if round % 2 == 0 {
            ground.run(&mut launcher, &format!("next{round}"), "exit 0").exit.wait().await;
        } else {
            drop(launcher);
            launcher = ground.attach();
        }
    }
    assert!(is_alive(&run.identity), "it writes on");
    let written = ground.text("writer.out").len();
    until("more lines", || (ground.text("writer.out").len() > written).then_some(())).await;
    fs::write(ground.path("go"), "").unwrap();
    let status = run.exit.wait().await.status;
    assert!(status == ExitStatus::Code(5) || !kernel_tells_exits_of_strangers(), "{status}");
    until("the last line", || ground.text("writer.out").contains("end").then_some(())).await;
    assert_whole(&ground.text("writer.out"));
}

#[tokio::test]
async fn a_holder_that_dies_with_runs_is_replaced_though_nobody_wants_another() {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    let mut notices = launcher.notices().unwrap();
    let run = ground.run(&mut launcher, "writer", COUNTER);
    let mut holder = ground.holder().unwrap();
    // One that dies at once, again and again, is not replaced for ever: let each have lived a while.
    for _ in 0..2 {
        until("it to be older than a second", || (age_of(holder) > 1.1).then_some(())).await;
        signal("KILL", holder);
        let next = until("another holder", || ground.holder().filter(|next| *next != holder)).await;
        holder = next;
    }
    fs::write(ground.path("go"), "").unwrap();
    run.exit.wait().await;
    until("the last line", || ground.text("writer.out").contains("end").then_some(())).await;
    assert_whole(&ground.text("writer.out"));
    let mut started = 0;
    while let Ok(notice) = notices.try_recv() {
        started += usize::from(matches!(notice, Notice::HolderStarted { .. }));
    }
    assert_eq!(started, 3);
}

/// Seconds since a process began.
fn age_of(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks: f64 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
    let up = fs::read_to_string("/proc/uptime").unwrap();
    up.split(' ').next().unwrap().parse::<f64>().unwrap() - ticks / 100.0
}
