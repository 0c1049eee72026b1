//! Tests of `store`: tables and properties, no processes.

use std::path::PathBuf;

use super::*;
use crate::record::Status;
use crate::registry::fixture::record;
use crate::sample::RunIdentity;
use crate::units::Timestamp;

/// How long a test waits for something that must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

struct Place {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    Place { path: directory.path().join("registry.db"), _directory: directory }
}

fn save(store: &Store, id: &str, urgency: Urgency) {
    store.post(Change::Save(Arc::new(record(id))), urgency);
}

fn flush(store: &Store) {
    let (done, finished) = oneshot::channel();
    store.flush(done);
    finished.blocking_recv().unwrap();
}

fn reopened_ids(path: &Path) -> Vec<String> {
    let (_, records) = Store::open(path).unwrap();
    let mut ids: Vec<_> = records.iter().map(|record| record.process_id.to_string()).collect();
    ids.sort();
    ids
}

/// What another program sees, without going through the store.
fn visible_ids(path: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT process_id FROM process ORDER BY process_id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "it has not happened");
        std::thread::yield_now();
    }
}

#[test]
fn a_record_comes_back_as_it_was() {
    let place = place();
    let mut saved = record("a");
    saved.run = Some(RunIdentity { pid: 4711, start_ticks: 99, boot_id: "b".into() });
    saved.args = vec!["with \"quotes\"".into(), "und Umlaute äöü\n".into()];
    saved.usage = Some(crate::sample::Sample { cpu_percent: 12.34, memory_bytes: u64::MAX, ..Default::default() });
    let (store, records) = Store::open(&place.path).unwrap();
    assert!(records.is_empty());
    store.post(Change::Save(Arc::new(saved.clone())), Urgency::Soon);
    drop(store);
    assert_eq!(Store::open(&place.path).unwrap().1, [saved]);
}

#[test]
fn the_last_change_of_a_record_is_the_one_on_disk() {
    let place = place();
    let (store, _) = Store::open(&place.path).unwrap();
    for id in ["a", "b", "c"] {
        save(&store, id, Urgency::Soon);
    }
    store.post(Change::Delete(crate::spec::ProcessId::new("b")), Urgency::Soon);
    store.post(Change::Delete(crate::spec::ProcessId::new("c")), Urgency::Soon);
    save(&store, "c", Urgency::Now);
    flush(&store);
    store.post(Change::Delete(crate::spec::ProcessId::new("a")), Urgency::Soon);
    drop(store);
    assert_eq!(reopened_ids(&place.path), ["c"]);
}

#[test]
fn columns_in_clear_tell_an_operator_what_the_record_says() {
    let place = place();
    let (store, _) = Store::open(&place.path).unwrap();
    let mut ended = record("a");
    (ended.status, ended.ended_at_ms) = (Status::Crashed, Some(Timestamp(2000)));
    ended.exit = Some(crate::sample::ExitStatus::Signal(9));
    store.post(Change::Save(Arc::new(ended)), Urgency::Soon);
    flush(&store);
    let connection = rusqlite::Connection::open(&place.path).unwrap();
    let row = "SELECT name, status, priority, exit, ended_at_ms FROM process";
    let found: (String, String, String, String, i64) = connection
        .query_row(row, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .unwrap();
    assert_eq!(found, ("a".into(), "crashed".into(), "normal".into(), "SIGKILL".into(), 2000));
}

#[test]
fn changes_are_written_though_nobody_flushes_or_closes() {
    let place = place();
    let (store, _) = Store::open(&place.path).unwrap();
    save(&store, "soon", Urgency::Soon);
    wait_until(|| visible_ids(&place.path) == ["soon"]);
    save(&store, "now", Urgency::Now);
    wait_until(|| visible_ids(&place.path) == ["now", "soon"]);
}

#[test]
fn a_refused_write_is_made_again_until_the_disk_takes_it() {
    let place = place();
    let (store, _) = Store::open(&place.path).unwrap();
    let other = rusqlite::Connection::open(&place.path).unwrap();
    other.execute_batch("ALTER TABLE process RENAME TO away").unwrap();
    save(&store, "a", Urgency::Now);
    wait_until(|| store.failures() > 0);
    flush(&store);
    assert!(store.failures() > 1, "a flush is an attempt of its own");
    other.execute_batch("ALTER TABLE away RENAME TO process").unwrap();
    wait_until(|| visible_ids(&place.path) == ["a"]);
}

#[test]
fn a_killed_program_leaves_all_that_was_committed() {
    let (place, after) = (place(), place());
    let (store, _) = Store::open(&place.path).unwrap();
    for number in 0..200 {
        save(&store, &format!("{number:03}"), Urgency::Now);
    }
    wait_until(|| visible_ids(&place.path).len() == 200);
    // What `kill -9` leaves is the files as they are: nobody has closed them, and the log is not yet in the database.
    for suffix in ["", "-wal"] {
        let of = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(of(&place.path), of(&after.path)).unwrap();
    }
    assert_eq!(reopened_ids(&after.path).len(), 200);
}

#[test]
fn a_record_of_the_history_that_cannot_be_read_is_left_out() {
    let place = place();
    let (store, _) = Store::open(&place.path).unwrap();
    let mut ended = record("ended");
    ended.status = Status::Stopped;
    store.post(Change::Save(Arc::new(ended)), Urgency::Soon);
    save(&store, "live", Urgency::Soon);
    drop(store);
    let spoil = |id: &str| {
        let connection = rusqlite::Connection::open(&place.path).unwrap();
        connection.execute("UPDATE process SET record = '{}' WHERE process_id = ?1", [id]).unwrap();
    };
    spoil("ended");
    assert_eq!(reopened_ids(&place.path), ["live"]);
    spoil("live");
    let error = Store::open(&place.path).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { detail, .. } if detail.contains("process live")), "{error}");
}

#[cfg(unix)]
#[test]
fn the_files_are_their_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    std::fs::write(&place.path, "").unwrap();
    std::fs::set_permissions(&place.path, PermissionsExt::from_mode(0o644)).unwrap();
    let (store, _) = Store::open(&place.path).unwrap();
    save(&store, "a", Urgency::Soon);
    flush(&store);
    for entry in std::fs::read_dir(place.path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}
