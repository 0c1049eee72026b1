//! The store: what the registry knows, on disk.
//!
//! Owns the SQLite database and the one thread that writes it. Only the registry enters. An operator may read the
//! database at any time with `sqlite3`: the columns of the table `process` are in clear beside the whole record as JSON.
//!
//! # What survives what
//! Changes are written in groups, at most [`GROUP_DELAY`] after they were said; one that the next life of the supervisor
//! must know of (a run, an end, a wish) within [`URGENT_DELAY`]. The database is in WAL mode with `synchronous = NORMAL`: a commit is in the hands of the kernel when it
//! returns, so the death of this program, `kill -9` included, loses nothing that was committed. The loss of power can
//! undo the last commits without harming the database. That is enough even for live runs: no run outlives the machine,
//! so there is no identity left to know. `synchronous = FULL` would wait for the device at each commit (3 to 4 ms
//! instead of 20 µs where it was measured) and save nothing more.

mod database;
mod error;
mod mailbox;
mod schema;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::database::Database;
pub use self::error::StoreError;
use self::mailbox::{Batch, Mailbox};
use crate::record::ProcessRecord;
use crate::spec::ProcessId;

/// How long a change may wait for others to be written with it.
pub const GROUP_DELAY: Duration = Duration::from_millis(50);

/// The same for a change that the next life must know of. In a storm of starts one commit then serves a dozen.
pub const URGENT_DELAY: Duration = Duration::from_millis(2);

/// How long to wait after a refused write before the next attempt.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What is to become of one record.
#[derive(Debug, Clone)]
pub enum Change {
    /// Write it, new or over the one that is there.
    Save(Arc<ProcessRecord>),
    /// Remove it.
    Delete(ProcessId),
}

impl Change {
    fn process_id(&self) -> &ProcessId {
        match self {
            Self::Save(record) => &record.process_id,
            Self::Delete(id) => id,
        }
    }
}

/// When a change is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// With others, within [`GROUP_DELAY`].
    Soon,
    /// With what is waiting, within [`URGENT_DELAY`].
    Now,
}

/// The database and its writer. Dropping it writes what is left and waits for that.
#[derive(Debug)]
pub struct Store {
    mailbox: Arc<Mailbox>,
    failures: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
}

impl Store {
    /// Open or create the database, bring its schema up to date, read every record in it, and start the writer. The
    /// file is readable and writable by its owner only.
    ///
    /// # Errors
    /// When it is not a database of this program, is corrupt, was written by a newer version, or cannot be written.
    pub fn open(path: &Path) -> Result<(Self, Vec<ProcessRecord>), StoreError> {
        let database = Database::open(path)?;
        let records = database.load()?;
        let mailbox = Arc::<Mailbox>::default();
        let failures = Arc::<AtomicU64>::default();
        let writer =
            Writer { database, mailbox: Arc::clone(&mailbox), failures: Arc::clone(&failures), last_failure: None };
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| StoreError::other(path, "start the writer of", &error))?;
        Ok((Self { mailbox, failures, writer: Some(writer) }, records))
    }

    /// Have this written. Never waits: a newer change of the same record takes the place of the one that was waiting.
    pub fn post(&self, change: Change, urgency: Urgency) {
        self.mailbox.post(change, urgency);
    }

    /// Have everything said so far written at once, and be told when the attempt is over and whether it is on disk.
    pub fn flush(&self, done: oneshot::Sender<bool>) {
        self.mailbox.flush(done);
    }

    /// How many writes the disk has refused since the start. They are made again until it takes them.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.mailbox.close();
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the writer of the database died; its last changes are lost");
        }
    }
}

/// The thread that writes. It blocks while there is nothing to write.
struct Writer {
    database: Database,
    mailbox: Arc<Mailbox>,
    failures: Arc<AtomicU64>,
    /// What the disk said last; the same again is not logged again.
    last_failure: Option<String>,
}

impl Writer {
    fn run(mut self) {
        let mut not_before = None;
        while let Some(Batch { changes, flushed }) = self.mailbox.next_batch(not_before) {
            let written = self.database.write(&changes);
            not_before = written.is_err().then(|| Instant::now() + RETRY_DELAY);
            let is_written = written.is_ok();
            match written {
                Ok(()) => self.recover(),
                Err(error) => {
                    self.complain(&error.to_string(), changes.len());
                    self.mailbox.put_back(changes);
                }
            }
            for done in flushed {
                // A receiver that is gone no longer wants to know.
                let _ = done.send(is_written);
            }
        }
    }

    fn complain(&mut self, failure: &str, changes: usize) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        if self.last_failure.as_deref() != Some(failure) {
            tracing::error!(changes, "{failure}; processes are not affected, and it is tried again every second");
            self.last_failure = Some(failure.to_owned());
        }
    }

    fn recover(&mut self) {
        if self.last_failure.take().is_some() {
            tracing::warn!("the database can be written again; nothing is missing");
        }
    }
}

#[cfg(test)]
mod tests;
