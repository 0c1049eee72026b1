//! Tests of `monitor::probe`: tables and properties, no processes.

use super::*;
use crate::monitor::watched::tests::began;
use crate::platform::InProcessLauncher;
use crate::units::Span;

/// Soon enough that a test does not wait for it.
const SOON: Duration = Duration::from_millis(1);

fn prober() -> Prober {
    Prober::new(Box::new(InProcessLauncher::default()))
}

fn checked_by(command: &[&str], timeout: Duration) -> Box<RunBegan> {
    let mut began = began("web", 1, std::time::Instant::now());
    let check = began.health_check.as_mut().unwrap();
    check.command = command.iter().map(|word| (*word).to_owned()).collect();
    check.timeout = Span(timeout);
    began
}

async fn answer_of(command: &[&str], timeout: Duration) -> Answer {
    let mut prober = prober();
    prober.watch(3, &checked_by(command, timeout), SOON);
    let answer = prober.next().await;
    assert_eq!(answer.key, 3);
    prober.shut_down().await;
    answer
}

/// Whether a process lives; a zombie does not.
fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

#[tokio::test]
async fn a_check_that_exits_with_zero_passes() {
    let answer = answer_of(&["sh", "-c", "exit 0"], Duration::from_secs(60)).await;
    assert!(answer.passed, "{answer:?}");
    assert!(answer.latency > Duration::ZERO);
}

#[tokio::test]
async fn a_check_that_fails_says_how() {
    let answer = answer_of(&["sh", "-c", "exit 3"], Duration::from_secs(60)).await;
    assert_eq!((answer.passed, answer.detail.as_str()), (false, "exit code 3"));
}

#[tokio::test]
async fn a_check_that_cannot_be_found_fails_and_names_it() {
    let answer = answer_of(&["no-such-check"], Duration::from_secs(60)).await;
    assert!(!answer.passed);
    assert!(answer.detail.contains("`no-such-check`"), "{answer:?}");
}

#[tokio::test]
async fn a_check_runs_in_the_directory_and_environment_of_its_process() {
    let directory = tempfile::tempdir().unwrap();
    let mut began = checked_by(&["sh", "-c", "test \"$SECRET\" = s && test -e here"], Duration::from_secs(60));
    std::fs::write(directory.path().join("here"), "").unwrap();
    began.directory = directory.path().to_owned();
    began.env = Arc::new([("SECRET".to_owned(), "s".to_owned())].into());
    let mut prober = prober();
    prober.watch(1, &began, SOON);
    let answer = prober.next().await;
    assert!(answer.passed, "{answer:?}");
}

#[tokio::test]
async fn a_check_that_does_not_answer_is_killed_with_its_children() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("child");
    let script = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
    let mut prober = prober();
    prober.watch(1, &checked_by(&["sh", "-c", &script], Duration::from_secs(1000)), SOON);
    let plan = &prober.checks[&1].plan;
    let launched = launch(prober.launcher.as_mut(), plan).unwrap();
    let tree = Tree::of(&launched, plan.tree_id.clone());
    while !file.exists() {
        tokio::task::yield_now().await;
    }
    let answer = run(1, launched, tree, SOON).await;
    assert_eq!((answer.passed, answer.detail.as_str()), (false, "no answer within 1ms"));
    let child: u32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
    while lives(child) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn checks_go_on_after_each_answer() {
    let mut prober = prober();
    prober.watch(1, &checked_by(&["sh", "-c", "exit 0"], Duration::from_secs(60)), SOON);
    for _ in 0..3 {
        assert!(prober.next().await.passed);
    }
}

#[tokio::test]
async fn no_more_than_eight_checks_run_at_once() {
    let mut prober = prober();
    for key in 0..12 {
        prober.watch(key, &checked_by(&["sleep", "1000"], Duration::from_secs(1000)), SOON);
    }
    while prober.running.len() < MOST_AT_ONCE {
        tokio::time::timeout(SOON, prober.next()).await.unwrap_err();
    }
    for _ in 0..20 {
        tokio::time::timeout(SOON, prober.next()).await.unwrap_err();
    }
    assert_eq!((prober.running.len(), prober.due.len()), (MOST_AT_ONCE, 4));
    prober.shut_down().await;
    assert!(prober.running.is_empty() && prober.due.is_empty());
}

#[tokio::test]
async fn a_paused_run_is_not_asked() {
    let mut prober = prober();
    prober.watch(1, &checked_by(&["sleep", "1000"], Duration::from_secs(1000)), SOON);
    prober.pause(1, true);
    assert_eq!(prober.begin_first(), None);
    assert_eq!((prober.running.len(), prober.due.len()), (0, 1), "it is due again later");
    prober.pause(1, false);
    assert_eq!(prober.begin_first(), None);
    assert_eq!((prober.running.len(), prober.due.len()), (1, 0));
    prober.shut_down().await;
}

#[tokio::test]
async fn the_check_of_a_run_that_has_ended_is_ended_and_its_answer_dropped() {
    let mut prober = prober();
    prober.watch(1, &checked_by(&["sleep", "1000"], Duration::from_secs(1000)), SOON);
    assert_eq!(prober.begin_first(), None);
    prober.forget(1);
    let ended = prober.running.join_next().await.unwrap();
    assert_eq!(prober.ended(ended), None);
    assert!(prober.due.is_empty());
}

#[test]
fn a_run_without_a_health_check_is_not_checked() {
    let mut began = began("web", 1, std::time::Instant::now());
    began.health_check = None;
    let mut prober = prober();
    prober.watch(1, &began, SOON);
    assert!(prober.checks.is_empty() && prober.due.is_empty());
}
