//! The registry on a real database: what is kept, what survives, and what is said when the file cannot be used.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use wasmvisor::health::{Health, HealthStatus, IssueSet, Verdict};
use wasmvisor::record::{MonitorCost, ProcessRecord, Query, Status};
use wasmvisor::registry::{Counter, LastLife, Observation, Registry, RegistryConfig};
use wasmvisor::sample::{RunIdentity, Sample, SystemLoad, Trend};
use wasmvisor::spec::ProcessId;
use wasmvisor::units::Timestamp;

/// A running process of this id, the same for its name.
fn record(id: &str) -> ProcessRecord {
    let trend = serde_json::json!({ "slope_per_second": 0.0, "direction": "unknown", "confidence": 0.0 });
    serde_json::from_value(serde_json::json!({
        "process_id": id, "name": id, "task_id": "", "agent_type": "", "priority": "normal", "command": "/bin/sleep",
        "args": ["1"], "directory": "/", "tags": [], "metadata": {}, "restart": "on-failure", "status": "running",
        "reason": "", "health": "unknown", "issues": [], "run_number": 1, "parent_pid": 1, "child_pids": [],
        "registered_at_ms": 1000, "started_at_ms": 1000, "restarts": 0, "peak_memory_bytes": 0, "cpu_time_ms": 0,
        "memory_trend": trend, "cpu_trend": trend, "responsiveness": 100, "stability": 100, "limits": [],
        "violations": {}, "runs": [],
    }))
    .expect("every field of a record is there")
}

fn with_run(id: &str, pid: u32) -> ProcessRecord {
    let run = RunIdentity { pid, start_ticks: 1, boot_id: "boot".to_owned() };
    ProcessRecord { run: Some(run), ..record(id) }
}

fn end(at: u64) -> impl FnOnce(&mut ProcessRecord) + Send + 'static {
    move |record| (record.status, record.ended_at_ms) = (Status::Stopped, Some(Timestamp(at)))
}

fn open(database: &Path, retention: usize) -> (Registry, LastLife) {
    Registry::open(RegistryConfig { database: database.to_owned(), retention }).expect("the database can be opened")
}

/// What opening this file says.
async fn complaint(database: &Path) -> String {
    let opened = Registry::open(RegistryConfig { database: database.to_owned(), retention: 10 });
    opened.expect_err("the file cannot be used").to_string()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let database = directory.path().join("registry.db");
    (directory, database)
}

async fn ids(registry: &Registry, query: Query) -> Vec<String> {
    let mut ids: Vec<_> =
        registry.query(query).await.processes.iter().map(|record| record.process_id.to_string()).collect();
    ids.sort();
    ids
}

fn with_history() -> Query {
    Query { history: true, ..Query::default() }
}

#[tokio::test]
async fn the_next_life_knows_what_ended_and_what_did_not() {
    let (_directory, database) = place();
    let (registry, last_life) = open(&database, 10);
    assert!(last_life.unfinished.is_empty());
    registry.insert(with_run("live", 4711)).await;
    registry.insert(record("ended")).await;
    registry.amend(&ProcessId::new("ended"), end(2000)).await;
    registry.flush().await;
    drop(registry);

    let (registry, last_life) = open(&database, 10);
    assert_eq!(last_life.unfinished, [with_run("live", 4711)]);
    assert_eq!(ids(&registry, Query::default()).await, ["live"], "the history is shown to those who ask for it");
    assert_eq!(ids(&registry, with_history()).await, ["ended", "live"]);
    assert_eq!(registry.get(&ProcessId::new("ended")).await.unwrap().status, Status::Stopped);
}

#[tokio::test]
async fn a_process_that_ended_in_this_life_is_shown_without_asking_for_history() {
    let (_directory, database) = place();
    let (registry, _) = open(&database, 10);
    registry.insert(record("a")).await;
    registry.amend(&ProcessId::new("a"), end(2000)).await;
    assert_eq!(ids(&registry, Query::default()).await, ["a"]);
}

#[tokio::test]
async fn an_unfinished_record_of_the_last_life_can_be_brought_to_its_end() {
    let (_directory, database) = place();
    let (registry, _) = open(&database, 10);
    registry.insert(with_run("a", 1)).await;
    registry.flush().await;
    drop(registry);
    let (registry, _) = open(&database, 10);
    registry.amend(&ProcessId::new("a"), end(3000)).await;
    registry.flush().await;
    drop(registry);
    assert!(open(&database, 10).1.unfinished.is_empty());
}

#[tokio::test]
async fn ended_records_beyond_the_retention_leave_memory_and_disk_oldest_first() {
    let (_directory, database) = place();
    let (registry, _) = open(&database, 3);
    registry.insert(record("live")).await;
    for (id, at) in [("d", 40), ("a", 10), ("c", 30), ("b", 20), ("e", 50)] {
        registry.insert(record(id)).await;
        registry.amend(&ProcessId::new(id), end(at)).await;
    }
    assert_eq!(ids(&registry, with_history()).await, ["c", "d", "e", "live"]);
    registry.flush().await;
    drop(registry);
    let (registry, _) = open(&database, 100);
    assert_eq!(ids(&registry, with_history()).await, ["c", "d", "e", "live"]);
    registry.flush().await;
    drop(registry);
    let (registry, _) = open(&database, 1);
    assert_eq!(ids(&registry, with_history()).await, ["e", "live"], "a smaller retention counts from the start");
}

#[tokio::test]
async fn four_thousand_processes_are_entered_amended_and_written() {
    let (_directory, database) = place();
    let (registry, _) = open(&database, 10);
    for number in 0..4000 {
        let id = format!("p{number}");
        registry.insert(ProcessRecord { status: Status::Starting, ..record(&id) }).await;
        let run = with_run(&id, number).run;
        registry.amend(&ProcessId::new(&id), move |record| (record.status, record.run) = (Status::Running, run)).await;
    }
    registry.flush().await;
    drop(registry);
    let unfinished = open(&database, 10).1.unfinished;
    assert_eq!(unfinished.len(), 4000);
    assert!(unfinished.iter().all(|record| record.run.is_some()));
}

/// Set for the process that a test starts to kill it.
const VICTIM: &str = "WASMVISOR_TEST_REGISTRY_VICTIM";

#[tokio::test]
#[ignore = "not a test: the process that `what_was_on_disk_survives_a_kill` kills"]
async fn victim() {
    let Some(database) = std::env::var_os(VICTIM) else { return };
    let (registry, _) = open(Path::new(&database), 10);
    for number in 0..300 {
        registry.insert(with_run(&format!("p{number}"), number)).await;
    }
    registry.flush().await;
    println!("written");
    // Be in the middle of writing when the end comes. Without an end from outside this ends by itself.
    for number in 0..1_000_000 {
        registry.insert(with_run(&format!("q{}", number % 500), number)).await;
    }
}

#[tokio::test]
async fn what_was_on_disk_survives_a_kill() {
    let (_directory, database) = place();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "registry::victim", "--ignored", "--nocapture"])
        .env(VICTIM, &database)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(victim.stdout.take().unwrap());
    let written = output.by_ref().lines().any(|line| line.unwrap().contains("written"));
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert!(written, "it must have come so far");
    let unfinished = open(&database, 10).1.unfinished;
    let before: Vec<_> = unfinished.iter().filter(|record| record.name.starts_with('p')).collect();
    assert_eq!(before.len(), 300);
    assert!(before.iter().all(|record| record.run.is_some()));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let (_directory, database) = place();
    let text = "my diary\n".repeat(1000);
    std::fs::write(&database, &text).unwrap();
    let message = complaint(&database).await;
    assert!(message.contains(database.to_str().unwrap()), "{message}");
    assert!(message.contains("is not a database; move it away and start again"), "{message}");
    assert_eq!(std::fs::read_to_string(&database).unwrap(), text);
}

#[tokio::test]
async fn a_damaged_database_is_named_with_what_to_do() {
    let (directory, database) = place();
    let (registry, _) = open(&database, 10);
    for number in 0..500 {
        registry.insert(record(&format!("p{number}"))).await;
    }
    registry.flush().await;
    drop(registry);
    // Bring the log into the file, then spoil all but the first pages of a copy.
    rusqlite::Connection::open(&database)
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .unwrap();
    let mut bytes = std::fs::read(&database).unwrap();
    bytes[8192..].fill(0xa5);
    let database = directory.path().join("damaged.db");
    std::fs::write(&database, bytes).unwrap();
    let message = complaint(&database).await;
    assert!(message.contains(database.to_str().unwrap()), "{message}");
    assert!(message.contains("is damaged") && message.contains("move it away"), "{message}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_both_numbers() {
    let (_directory, database) = place();
    drop(open(&database, 10));
    rusqlite::Connection::open(&database).unwrap().pragma_update(None, "user_version", 77).unwrap();
    let message = complaint(&database).await;
    assert!(message.contains("newer wasmvisor (schema 77, this one knows 2)"), "{message}");
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let (_directory, database) = place();
    rusqlite::Connection::open(&database).unwrap().execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    let before = std::fs::read(&database).unwrap();
    let message = complaint(&database).await;
    assert!(message.contains("another program"), "{message}");
    assert_eq!(std::fs::read(&database).unwrap(), before);
}

#[cfg(unix)]
#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, mut database) = place();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o555)).unwrap();
    if std::fs::write(directory.path().join("probe"), "").is_ok() {
        // Nothing is read-only to this user; nobody can write below what is no directory.
        database = PathBuf::from("/dev/null/registry.db");
    }
    let message = complaint(&database).await;
    assert!(message.starts_with("cannot write the database") && message.contains("make the file"), "{message}");
    assert!(message.contains(database.to_str().unwrap()), "{message}");
}

#[tokio::test]
async fn who_waits_for_an_end_is_told_when_it_comes() {
    let (_directory, database) = place();
    let (registry, _) = open(&database, 0);
    let id = ProcessId::new("a");
    assert!(registry.wait_ended(&id).await.is_none(), "nobody knows it");
    registry.insert(record("a")).await;
    // Both questions are in the inbox before the end is: each future is polled in the order of writing.
    let (one, other, ()) = tokio::join!(biased; registry.wait_ended(&id), registry.wait_ended(&id), async {
        registry.amend(&id, |record| record.reason = "still alive".into()).await;
        registry.amend(&id, end(2000)).await;
    });
    for waited in [one, other] {
        assert_eq!(waited.unwrap().ended_at_ms, Some(Timestamp(2000)));
    }
    assert!(registry.get(&id).await.is_none(), "nothing is kept, and still they were told");
}

#[tokio::test]
async fn waiting_for_what_has_ended_does_not_wait() {
    let (_directory, database) = place();
    let (registry, _) = open(&database, 10);
    registry.insert(record("a")).await;
    registry.amend(&ProcessId::new("a"), end(2000)).await;
    assert_eq!(registry.wait_ended(&ProcessId::new("a")).await.unwrap().status, Status::Stopped);
}

#[tokio::test]
async fn what_the_monitor_sees_is_in_the_record_and_the_figures() {
    let (_directory, database) = place();
    let (registry, _) = open(&database, 10);
    registry.insert(record("a")).await;
    registry.count(Counter::Started).await;
    registry.count(Counter::Orphans(2)).await;
    let seen = Observation {
        process_id: ProcessId::new("a"),
        run_number: 1,
        sample: Sample { at_ms: Timestamp(7), memory_bytes: 4096, ..Sample::default() },
        verdict: Some(Verdict { score: 95, status: HealthStatus::Healthy, issues: IssueSet::default(), memo: 0 }),
        memory_trend: Trend::default(),
        cpu_trend: Trend::default(),
        responsiveness: 100,
        stability: 100,
        active: true,
        child_pids: None,
    };
    let cost = MonitorCost { ticks: 3, ..MonitorCost::default() };
    registry.observe(vec![seen], cost, SystemLoad { cores: 2, ..SystemLoad::default() }).await;
    let found = registry.find("a").await.unwrap();
    assert_eq!((found.health, found.health_score, found.peak_memory_bytes), (Health::Healthy, Some(95), 4096));
    let figures = registry.statistics().await;
    assert_eq!((figures.started, figures.orphans, figures.active), (1, 2, 1));
    assert_eq!((figures.monitor.ticks, figures.system.cores, figures.total_memory_bytes), (3, 2, 4096));
}

#[tokio::test]
async fn a_reader_keeps_the_snapshot_it_got() {
    let (_directory, database) = place();
    let (registry, _) = open(&database, 10);
    registry.insert(record("a")).await;
    let before: Arc<ProcessRecord> = registry.get(&ProcessId::new("a")).await.unwrap();
    registry.amend(&ProcessId::new("a"), end(2000)).await;
    assert_eq!(registry.get(&ProcessId::new("a")).await.unwrap().status, Status::Stopped);
    assert_eq!(before.status, Status::Running);
}
