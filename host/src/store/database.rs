//! The database file: checked and opened, read whole, written in groups.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};

use super::Change;
use super::error::StoreError;
use super::schema::{APPLICATION_ID, NEWEST, migrate};
use crate::care::Care;
use crate::record::{ProcessRecord, Status};
use crate::units::Timestamp;

/// How long to wait for another program that holds the lock, such as an operator's `sqlite3`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const SAVE: &str = "INSERT OR REPLACE INTO process (process_id, name, task_id, agent_type, priority, status, health, \
                    pid, run_number, restarts, exit, registered_at_ms, started_at_ms, ended_at_ms, record, care) \
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

/// An open database.
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        create_private(path).map_err(|error| StoreError::of_io(path, &error))?;
        let failed = |error: rusqlite::Error| StoreError::of_sqlite(path, "open", &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        let schema = check(&connection, path)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
        // A few pages are enough for writes; SQLite would keep 2 MB.
        connection.pragma_update(None, "cache_size", -256).map_err(failed)?;
        // After a storm the log file gives its room back at the next checkpoint.
        connection.pragma_update(None, "journal_size_limit", 4 << 20).map_err(failed)?;
        migrate(&mut connection, schema).map_err(failed)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Every record. One of the history that cannot be read is left out; one of a live run is not passed over.
    pub(super) fn load(&self) -> Result<Vec<ProcessRecord>, StoreError> {
        let failed = |error: rusqlite::Error| StoreError::of_sqlite(&self.path, "read", &error);
        let mut statement =
            self.connection.prepare("SELECT process_id, status, record, care FROM process").map_err(failed)?;
        let rows = statement.query_map([], Row::read).map_err(failed)?;
        let mut records = Vec::new();
        for row in rows {
            let Row { process_id, status, record, care } = row.map_err(failed)?;
            match serde_json::from_str(&record) {
                Ok(record) => records.push(ProcessRecord { care: read_care(&process_id, care.as_deref()), ..record }),
                Err(error) if status.parse().is_ok_and(Status::is_ended) => {
                    tracing::warn!(process = process_id, %error, "a record of the history cannot be read and is left out");
                }
                Err(error) => {
                    let detail = format!("the record of process {process_id} cannot be read: {error}");
                    return Err(StoreError::Corrupt { path: self.path.clone(), detail });
                }
            }
        }
        Ok(records)
    }

    /// Write all of it or nothing.
    pub(super) fn write(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        write_all(&mut self.connection, changes).map_err(|error| StoreError::of_sqlite(&self.path, "write", &error))
    }
}

/// One row as it is kept.
struct Row {
    process_id: String,
    status: String,
    record: String,
    care: Option<String>,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { process_id: row.get(0)?, status: row.get(1)?, record: row.get(2)?, care: row.get(3)? })
    }
}

/// What goes on with a process. One that cannot be read is told: the process is stopped then, not gone on with.
fn read_care(process_id: &str, text: Option<&str>) -> Option<Arc<Care>> {
    match serde_json::from_str(text?) {
        Ok(care) => Some(Arc::new(care)),
        Err(error) => {
            // The error's own words could quote a secret.
            tracing::error!(process = process_id, line = error.line(), "what it needs to go on cannot be read");
            None
        }
    }
}

fn write_all(connection: &mut Connection, changes: &[Change]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut save = transaction.prepare_cached(SAVE)?;
        let mut delete = transaction.prepare_cached("DELETE FROM process WHERE process_id = ?1")?;
        for change in changes {
            match change {
                Change::Save(record) => save_one(&mut save, record)?,
                Change::Delete(id) => drop(delete.execute([id.as_str()])?),
            }
        }
    }
    transaction.commit()
}

fn save_one(statement: &mut rusqlite::CachedStatement<'_>, record: &ProcessRecord) -> rusqlite::Result<()> {
    let json = serde_json::to_string(record).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let care = record.care.as_deref().map(serde_json::to_string).transpose();
    let care = care.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    // SQLite counts in i64, which holds every moment until the year 292 million.
    let ms = |moment: Option<Timestamp>| moment.map(|moment| moment.ms() as i64);
    statement.execute(params![
        record.process_id.as_str(),
        record.name,
        record.task_id,
        record.agent_type,
        record.priority.as_str(),
        record.status.as_str(),
        record.health.as_str(),
        record.run.as_ref().map(|run| run.pid),
        record.run_number,
        record.restarts,
        record.exit.map(|exit| exit.to_string()),
        record.registered_at_ms.ms() as i64,
        ms(record.started_at_ms),
        ms(record.ended_at_ms),
        json,
        care,
    ])?;
    Ok(())
}

/// Whether the file is ours and sound. Answers its schema, 0 for a new one. Changes nothing in it.
fn check(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::of_sqlite(path, "read", &error);
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed);
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let owner = number("PRAGMA application_id")?;
    let schema = number("PRAGMA user_version")?;
    if tables == 0 && owner == 0 && schema == 0 {
        return Ok(0);
    }
    if owner != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if schema > NEWEST {
        return Err(StoreError::Newer { path: path.to_owned(), found: schema, known: NEWEST });
    }
    let soundness: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if soundness != "ok" {
        return Err(StoreError::Corrupt { path: path.to_owned(), detail: soundness.replace('\n', " ") });
    }
    Ok(schema)
}

/// Make sure the file is there, can be written and is nobody else's business: records name commands and metadata. The
/// files SQLite puts beside it take over its mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    drop(file);
    Ok(())
}
