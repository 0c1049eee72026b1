//! What one turn of the task has to say, said at its end: first the registry, then the monitor, then everybody, and the
//! callers last. So whoever hears an event or gets an answer finds the registry up to date.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::adopting::Adopted;
use super::message::Answer;
use crate::error::Problem;
use crate::event::{EventBody, EventBus};
use crate::link::RunNews;
use crate::record::ProcessRecord;
use crate::registry::{Counter, Registry};
use crate::spec::ProcessId;

/// A change of a record.
pub(super) type Change = Box<dyn FnOnce(&mut ProcessRecord) + Send>;

enum Entry {
    Insert(Box<ProcessRecord>),
    Amend(ProcessId, Vec<Change>),
    Count(Counter),
}

enum Reply {
    Done(Answer<()>, Result<(), Problem>),
    Started(Answer<ProcessId>, Result<ProcessId, Problem>),
    Adopted(Answer<Adopted>, Adopted),
}

/// Bounded by what one turn can do; empty between turns.
#[derive(Default)]
pub(super) struct Outbox {
    entries: Vec<Entry>,
    news: Vec<RunNews>,
    events: Vec<EventBody>,
    replies: Vec<Reply>,
}

impl Outbox {
    pub(super) fn insert(&mut self, record: Box<ProcessRecord>) {
        self.entries.push(Entry::Insert(record));
    }

    pub(super) fn amend(&mut self, id: &ProcessId, changes: Vec<Change>) {
        self.entries.push(Entry::Amend(id.clone(), changes));
    }

    pub(super) fn count(&mut self, counter: Counter) {
        self.entries.push(Entry::Count(counter));
    }

    pub(super) fn news(&mut self, news: RunNews) {
        self.news.push(news);
    }

    pub(super) fn event(&mut self, event: EventBody) {
        self.events.push(event);
    }

    pub(super) fn reply(&mut self, answer: Answer<()>, result: Result<(), Problem>) {
        self.replies.push(Reply::Done(answer, result));
    }

    pub(super) fn reply_started(&mut self, answer: Answer<ProcessId>, result: Result<ProcessId, Problem>) {
        self.replies.push(Reply::Started(answer, result));
    }

    pub(super) fn reply_adopted(&mut self, answer: Answer<Adopted>, adopted: Adopted) {
        self.replies.push(Reply::Adopted(answer, adopted));
    }

    /// Say it all. Neither the registry nor the monitor waits for the supervisor, so this ends.
    pub(super) async fn flush(&mut self, registry: &Registry, news: &mpsc::Sender<RunNews>, events: &Arc<EventBus>) {
        for entry in self.entries.drain(..) {
            match entry {
                Entry::Insert(record) => registry.insert(*record).await,
                Entry::Amend(id, changes) => {
                    registry.amend(&id, move |record| changes.into_iter().for_each(|change| change(record))).await;
                }
                Entry::Count(counter) => registry.count(counter).await,
            }
        }
        for item in self.news.drain(..) {
            // Without a monitor runs go unmeasured; that is not for the supervisor to judge.
            let _ = news.send(item).await;
        }
        self.events.drain(..).for_each(|event| events.publish(event));
        for reply in self.replies.drain(..) {
            match reply {
                Reply::Done(answer, result) => drop(answer.send(result)),
                Reply::Started(answer, result) => drop(answer.send(result)),
                Reply::Adopted(answer, adopted) => drop(answer.send(Ok(adopted))),
            }
        }
    }
}
