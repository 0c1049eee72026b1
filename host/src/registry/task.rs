//! The task: owns the view, the store, the tally and those who wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::message::Message;
use super::statistics::{Tally, summarize};
use super::view::{Changed, View};
use super::{find, query};
use crate::record::{MonitorCost, ProcessRecord};
use crate::sample::SystemLoad;
use crate::spec::ProcessId;
use crate::store::{Change, Store, Urgency};
use crate::units::Timestamp;

pub(super) struct Task {
    view: View,
    store: Store,
    tally: Tally,
    monitor: MonitorCost,
    system: SystemLoad,
    since: Instant,
    /// Bounded by those who ask; one that no longer waits is dropped when the next comes.
    waiting: HashMap<ProcessId, Vec<oneshot::Sender<Arc<ProcessRecord>>>>,
}

impl Task {
    /// A task that knows what an earlier life has left.
    pub(super) fn new(mut view: View, store: Store, records: Vec<ProcessRecord>) -> Self {
        for record in records {
            delete(&store, view.remember(record));
        }
        let (tally, monitor, system) = (Tally::default(), MonitorCost::default(), SystemLoad::default());
        Self { view, store, tally, monitor, system, since: Instant::now(), waiting: HashMap::new() }
    }

    /// Until the last handle is gone. Dropping the store then writes what is left; this blocks, but nobody is left to
    /// mind.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        while let Some(message) = inbox.recv().await {
            self.handle(message);
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Insert(record) => {
                let changed = self.view.put(*record);
                self.follow(changed);
            }
            Message::Amend(id, change) => {
                if let Some(changed) = self.view.amend(&id, change) {
                    self.follow(changed);
                }
            }
            Message::Observe(observations, cost, system) => {
                observations.into_iter().for_each(|seen| self.view.observe(seen));
                (self.monitor, self.system) = (cost, system);
            }
            Message::Count(counter) => self.tally.count(counter, Timestamp::now()),
            Message::WaitEnded(id, reply) => self.wait(id, reply),
            Message::Flush(reply) => self.store.flush(reply),
            question => self.answer(question),
        }
    }

    /// Questions that change nothing. One who no longer wants the answer is no error.
    fn answer(&self, question: Message) {
        let now = Timestamp::now();
        match question {
            Message::Get(id, reply) => drop(reply.send(self.view.get(&id).cloned())),
            Message::Find(text, reply) => drop(reply.send(find::meant(self.view.records(), &text))),
            Message::Query(query, reply) => drop(reply.send(query::answer(self.view.entries(), &query, now))),
            Message::Statistics(reply) => {
                let figures = summarize(self.view.records(), &self.tally);
                let uptime_ms = self.since.elapsed().as_millis() as u64;
                let (system, monitor) = (self.system, self.monitor);
                drop(reply.send(crate::record::Statistics { uptime_ms, system, monitor, ..figures }));
            }
            _ => {}
        }
    }

    /// Have a change written, tell those who wait for it, and let go what is too many.
    fn follow(&mut self, changed: Changed) {
        let Changed { record, urgent, surplus } = changed;
        if record.status.is_ended() {
            for waiting in self.waiting.remove(&record.process_id).into_iter().flatten() {
                let _ = waiting.send(Arc::clone(&record));
            }
        }
        self.store.post(Change::Save(record), if urgent { Urgency::Now } else { Urgency::Soon });
        delete(&self.store, surplus);
    }

    fn wait(&mut self, id: ProcessId, reply: oneshot::Sender<Arc<ProcessRecord>>) {
        let Some(record) = self.view.get(&id) else { return };
        if record.status.is_ended() {
            let _ = reply.send(Arc::clone(record));
            return;
        }
        let waiting = self.waiting.entry(id).or_default();
        waiting.retain(|earlier| !earlier.is_closed());
        waiting.push(reply);
    }
}

fn delete(store: &Store, surplus: Vec<ProcessId>) {
    surplus.into_iter().for_each(|id| store.post(Change::Delete(id), Urgency::Soon));
}
