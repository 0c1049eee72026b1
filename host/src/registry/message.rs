//! What the registry is told and asked.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Counter, Observation};
use crate::error::Problem;
use crate::record::{MonitorCost, Page, ProcessRecord, Query, Statistics};
use crate::sample::SystemLoad;
use crate::spec::ProcessId;

/// A change of a record, made by the task.
pub(super) type Amendment = Box<dyn FnOnce(&mut ProcessRecord) + Send>;

/// One message; a question carries the way back of its answer.
pub(super) enum Message {
    Insert(Box<ProcessRecord>),
    Amend(ProcessId, Amendment),
    Observe(Vec<Observation>, MonitorCost, SystemLoad),
    Count(Counter),
    Get(ProcessId, oneshot::Sender<Option<Arc<ProcessRecord>>>),
    Find(String, oneshot::Sender<Result<Arc<ProcessRecord>, Problem>>),
    Query(Box<Query>, oneshot::Sender<Page>),
    Statistics(oneshot::Sender<Statistics>),
    /// Answered when it has ended; dropped when it is unknown.
    WaitEnded(ProcessId, oneshot::Sender<Arc<ProcessRecord>>),
    Flush(oneshot::Sender<bool>),
}
