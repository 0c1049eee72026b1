//! The registry: what is known of every process, live and ended.
//!
//! One task owns the live view; readers get snapshots. History lives in `store`. Everybody may ask; only the
//! supervisor and the monitor write.
//!
//! ```text
//!  supervisor, monitor ──insert, amend, observe, count──▶ ┌──────┐ ──what changed──▶ store ──▶ SQLite
//!                                                         │ task │
//!  agents, control, library ──get, find, query, wait───▶  └──────┘ ──snapshots──▶ whoever asked
//! ```
//!
//! The task is a shell around the pure `view` (what is known), `query`, `find` and `statistics`. Samples are not written
//! to disk tick by tick: a record is written when somebody enters or amends it, with the last sample as it is then.
//! Ended records beyond the retention leave memory and disk together, the one that ended first going first.

mod find;
mod message;
mod query;
mod statistics;
mod task;
mod view;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use self::message::Message;
use self::task::Task;
use self::view::View;

use crate::error::{ErrorClass, Problem};
use crate::health::Verdict;
use crate::record::{HolderState, MonitorCost, Page, ProcessRecord, Query, Statistics};
use crate::sample::{Sample, SystemLoad, Trend};
use crate::spec::ProcessId;
use crate::store::{Change, Store, StoreError, Urgency};

/// How the registry is set up.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// Database file.
    pub database: PathBuf,
    /// How many ended records are kept; the oldest ended go first.
    pub retention: usize,
}

/// What the last life of the supervisor left in the database.
#[derive(Debug, Clone, Default)]
pub struct LastLife {
    /// Records that were not ended when it died; their runs may still live. They are in the registry as well, as they
    /// were, and may be amended or replaced.
    pub unfinished: Vec<ProcessRecord>,
    /// Records of processes that had ended in that life, and could go on as ended ones if this were still the same.
    pub ended: Vec<ProcessRecord>,
}

/// What the monitor saw of one run in one tick.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Whose.
    pub process_id: ProcessId,
    /// Which run; an observation of an older run than the record's is dropped.
    pub run_number: u32,
    /// What was measured.
    pub sample: Sample,
    /// What the health policy said; none when nobody could judge.
    pub verdict: Option<Verdict>,
    /// Trend of memory.
    pub memory_trend: Trend,
    /// Trend of CPU.
    pub cpu_trend: Trend,
    /// 0 to 100.
    pub responsiveness: u8,
    /// 0 to 100.
    pub stability: u8,
    /// Whether it used the processor or did I/O since the last tick.
    pub active: bool,
    /// Pids of the descendants, when they changed.
    pub child_pids: Option<Vec<u32>>,
}

/// What is counted since the supervisor started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// A run started.
    Started,
    /// A run ended with success.
    Completed,
    /// A run ended by failure.
    Failed,
    /// A run that started was a restart.
    Restarted,
    /// A start was refused.
    Refused,
    /// Processes nobody owned were found and ended.
    Orphans(u64),
    /// Recorded pids were stale.
    StalePids(u64),
    /// A process of an earlier life is in this one's care.
    Adopted,
    /// Bytes of output could not be kept.
    OutputLost(u64),
    /// The holder is like this now.
    Holder(HolderState),
    /// Orphans were looked for.
    CleanedUp,
}

/// Why the registry could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct RegistryError {
    /// For a person; names the file and says what to do.
    pub message: String,
}

impl From<StoreError> for RegistryError {
    fn from(error: StoreError) -> Self {
        Self { message: error.to_string() }
    }
}

/// How many messages wait for the task.
const INBOX: usize = 1024;

/// A handle to the registry; cheap to clone. Its inbox is bounded: a writer waits for a place (the registry waits for
/// nobody, so this ends). The registry ends with the last handle, writing what is left; [`Registry::flush`] waits for that
/// while it is still there.
#[derive(Debug, Clone)]
pub struct Registry {
    inbox: mpsc::Sender<Message>,
}

impl Registry {
    /// Open the database, bring its schema up to date, and start the task that owns the live view. Must be called in a
    /// tokio runtime; reads the whole database before it returns.
    ///
    /// # Errors
    /// When the file is not a database, is corrupt, belongs to a newer version, or cannot be written.
    pub fn open(config: RegistryConfig) -> Result<(Self, LastLife), RegistryError> {
        let (store, mut records) = Store::open(&config.database)?;
        let ended = records.iter_mut().filter(|record| record.status.is_ended());
        for record in ended.filter(|record| record.care.is_some()) {
            // It stays down in this life, so nobody needs its secrets any more.
            record.care = None;
            store.post(Change::Save(Arc::new(record.clone())), Urgency::Soon);
        }
        Ok(Self::of(config.retention, store, records))
    }

    /// The same after a handover: the life of processes goes on, of ended ones too.
    ///
    /// # Errors
    /// As `open`.
    pub fn resume(config: RegistryConfig) -> Result<(Self, LastLife), RegistryError> {
        let (store, records) = Store::open(&config.database)?;
        Ok(Self::of(config.retention, store, records))
    }

    fn of(retention: usize, store: Store, records: Vec<ProcessRecord>) -> (Self, LastLife) {
        let (ended, unfinished): (Vec<_>, _) = records.iter().cloned().partition(|record| record.status.is_ended());
        let ended = ended.into_iter().filter(|record| record.care.is_some()).collect();
        let (sender, inbox) = mpsc::channel(INBOX);
        tokio::spawn(Task::new(View::new(retention), store, records).run(inbox));
        (Self { inbox: sender }, LastLife { unfinished, ended })
    }

    /// Enter a process, or replace its record.
    pub async fn insert(&self, record: ProcessRecord) {
        self.say(Message::Insert(Box::new(record))).await;
    }

    /// Change one record; nothing happens when there is none. The change is persisted with the next group commit; a run
    /// or an end that is new in it, or a change of its care, at once. `change` must not panic, and cannot change the id.
    pub async fn amend(&self, id: &ProcessId, change: impl FnOnce(&mut ProcessRecord) + Send + 'static) {
        self.say(Message::Amend(id.clone(), Box::new(change))).await;
    }

    /// Take in what the monitor saw in one tick.
    pub async fn observe(&self, observations: Vec<Observation>, cost: MonitorCost, system: SystemLoad) {
        self.say(Message::Observe(observations, cost, system)).await;
    }

    /// Count something.
    pub async fn count(&self, counter: Counter) {
        self.say(Message::Count(counter)).await;
    }

    /// The record of this process.
    pub async fn get(&self, id: &ProcessId) -> Option<Arc<ProcessRecord>> {
        self.ask(|reply| Message::Get(id.clone(), reply)).await.flatten()
    }

    /// The process a person means: an id, a name (live ones before ended, newest first), or the beginning of an id.
    ///
    /// # Errors
    /// When there is none, naming the nearest; or when the beginning fits several, naming them.
    pub async fn find(&self, text: &str) -> Result<Arc<ProcessRecord>, Problem> {
        let found = self.ask(|reply| Message::Find(text.to_owned(), reply)).await;
        found.unwrap_or_else(|| Err(Problem::new(ErrorClass::Unavailable, "the supervisor is ending")))
    }

    /// Which processes, in what order.
    pub async fn query(&self, query: Query) -> Page {
        let page = self.ask(|reply| Message::Query(Box::new(query), reply)).await;
        page.unwrap_or(Page { processes: Vec::new(), total: 0 })
    }

    /// The whole in figures.
    pub async fn statistics(&self) -> Statistics {
        self.ask(Message::Statistics).await.unwrap_or_default()
    }

    /// Wait until the process has come to its end (`Status::is_ended`), and give its record; none when unknown.
    pub async fn wait_ended(&self, id: &ProcessId) -> Option<Arc<ProcessRecord>> {
        self.ask(|reply| Message::WaitEnded(id.clone(), reply)).await
    }

    /// Wait until everything said so far is on disk, or the disk has refused it; gives whether it is there.
    pub async fn flush(&self) -> bool {
        self.ask(Message::Flush).await.unwrap_or(false)
    }

    /// The task ends only with its runtime while a handle exists; then there is nobody left to tell.
    async fn say(&self, message: Message) {
        let _ = self.inbox.send(message).await;
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.say(message(reply)).await;
        answer.await.ok()
    }
}

#[cfg(test)]
pub(crate) mod fixture;
