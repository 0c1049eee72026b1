//! The schema and how older ones become it.

use rusqlite::{Connection, Transaction};

/// Marks the file as ours in its header (`PRAGMA application_id`): "wavi" in ASCII.
pub(super) const APPLICATION_ID: i64 = 0x7761_7669;

/// Step n leads from schema n to schema n + 1. A released step is never changed.
const STEPS: &[&str] = &[
    "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE process (
        process_id       TEXT PRIMARY KEY,
        name             TEXT NOT NULL,
        task_id          TEXT NOT NULL,
        agent_type       TEXT NOT NULL,
        priority         TEXT NOT NULL,
        status           TEXT NOT NULL,
        health           TEXT NOT NULL,
        pid              INTEGER,
        run_number       INTEGER NOT NULL,
        restarts         INTEGER NOT NULL,
        exit             TEXT,
        registered_at_ms INTEGER NOT NULL,
        started_at_ms    INTEGER,
        ended_at_ms      INTEGER,
        record           TEXT NOT NULL
    ) STRICT;
",
    "
    ALTER TABLE process ADD COLUMN care TEXT;
",
];

/// The newest schema.
pub(super) const NEWEST: i64 = STEPS.len() as i64;

/// Bring a database of schema `found`, at most [`NEWEST`], up to date, all or nothing.
pub(super) fn migrate(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for step in &STEPS[usize::try_from(found).unwrap_or(0)..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", NEWEST)?;
    note_opening(&transaction)?;
    transaction.commit()
}

/// Also the proof, at each start, that the database can be written.
fn note_opening(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let now = crate::units::Timestamp::now().to_string();
    transaction.execute("INSERT OR IGNORE INTO meta VALUES ('created_at', ?1)", [&now])?;
    for (key, value) in [("opened_at", now.as_str()), ("opened_by", env!("CARGO_PKG_VERSION"))] {
        transaction.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", [key, value])?;
    }
    Ok(())
}
