//! The way from the registry to the writer: at most one waiting change for each record.
//!
//! A channel that coalesces. The lock is held to put in or take out, never across I/O, so posting never waits for the
//! disk. Full-queue rule: a change takes the place of the older one of the same record, so what waits is bounded by the
//! records that changed since the last commit. Only a disk that refuses writes for long lets it grow; beyond
//! [`MOST_WAITING`] records the changes of further ones are dropped and counted.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::{Change, GROUP_DELAY, URGENT_DELAY, Urgency};
use crate::spec::ProcessId;

/// Most records that wait, far more than a supervisor has.
const MOST_WAITING: usize = 100_000;

/// What waits for the writer.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: HashMap<ProcessId, Change>,
    flushes: Vec<oneshot::Sender<bool>>,
    /// When the changes are to be written; none while there are none.
    due: Option<Instant>,
    dropped: u64,
    closed: bool,
}

/// What is written in one transaction.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) changes: Vec<Change>,
    /// Who wants to know when it is over.
    pub(super) flushed: Vec<oneshot::Sender<bool>>,
}

impl Mailbox {
    pub(super) fn post(&self, change: Change, urgency: Urgency) {
        let mut waiting = self.lock();
        if waiting.changes.len() >= MOST_WAITING && !waiting.changes.contains_key(change.process_id()) {
            waiting.dropped += 1;
            if waiting.dropped == 1 {
                tracing::error!("{MOST_WAITING} records wait for the disk; changes of further ones are dropped");
            }
            return;
        }
        waiting.changes.insert(change.process_id().clone(), change);
        let now = Instant::now();
        let due = now + if urgency == Urgency::Now { URGENT_DELAY } else { GROUP_DELAY };
        if waiting.due.is_none_or(|earlier| due < earlier) {
            waiting.due = Some(due);
            self.changed.notify_one();
        }
    }

    pub(super) fn flush(&self, done: oneshot::Sender<bool>) {
        self.lock().flushes.push(done);
        self.changed.notify_one();
    }

    /// No more will come; what is left is taken out once.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Wait until something is due, but not before that moment unless somebody flushes. None when it is closed and
    /// empty.
    pub(super) fn next_batch(&self, not_before: Option<Instant>) -> Option<Batch> {
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            let due = waiting.due.map(|due| not_before.map_or(due, |earliest| due.max(earliest)));
            if waiting.closed || !waiting.flushes.is_empty() || due.is_some_and(|due| due <= now) {
                return waiting.take();
            }
            waiting = match due {
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let waited = self.changed.wait_timeout(waiting, due - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// These could not be written. Where something newer waits it stays; when nothing more comes they are lost.
    pub(super) fn put_back(&self, changes: Vec<Change>) {
        let mut waiting = self.lock();
        if waiting.closed {
            return tracing::error!(changes = changes.len(), "the last changes could not be written and are lost");
        }
        for change in changes {
            waiting.changes.entry(change.process_id().clone()).or_insert(change);
        }
        waiting.due = Some(Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it holds the lock, and every state of the map is a valid one.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Batch> {
        if self.closed && self.changes.is_empty() && self.flushes.is_empty() {
            return None;
        }
        self.due = None;
        Some(Batch {
            changes: std::mem::take(&mut self.changes).into_values().collect(),
            flushed: std::mem::take(&mut self.flushes),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::registry::fixture::record;

    fn save(id: &str, restarts: u32) -> Change {
        let mut record = record(id);
        record.restarts = restarts;
        Change::Save(Arc::new(record))
    }

    fn due(mailbox: &Mailbox) -> Option<Instant> {
        mailbox.lock().due
    }

    #[test]
    fn a_change_waits_for_others_from_the_first_on_and_an_urgent_one_does_not() {
        let mailbox = Mailbox::default();
        assert_eq!(due(&mailbox), None, "nothing to wake up for");
        let before = Instant::now();
        mailbox.post(save("a", 0), Urgency::Soon);
        let first = due(&mailbox);
        assert!(first.is_some_and(|due| due >= before + GROUP_DELAY && due <= Instant::now() + GROUP_DELAY));
        mailbox.post(save("b", 0), Urgency::Soon);
        assert_eq!(due(&mailbox), first, "a later change postpones nothing");
        mailbox.post(save("c", 0), Urgency::Now);
        assert!(due(&mailbox).is_some_and(|due| due <= Instant::now() + URGENT_DELAY));
        assert_eq!(mailbox.next_batch(None).unwrap().changes.len(), 3);
        assert_eq!(due(&mailbox), None);
    }

    #[test]
    fn what_could_not_be_written_waits_unless_something_newer_does() {
        let mailbox = Mailbox::default();
        mailbox.post(save("a", 1), Urgency::Now);
        mailbox.post(save("b", 1), Urgency::Now);
        let refused = mailbox.next_batch(None).unwrap().changes;
        mailbox.post(save("a", 2), Urgency::Now);
        mailbox.put_back(refused);
        let restarts = mailbox
            .next_batch(None)
            .unwrap()
            .changes
            .iter()
            .map(|change| match change {
                Change::Save(record) => record.restarts,
                Change::Delete(_) => 0,
            })
            .sum::<u32>();
        assert_eq!(restarts, 3);
    }

    #[test]
    fn a_closed_mailbox_gives_what_is_left_and_then_nothing() {
        let mailbox = Mailbox::default();
        mailbox.post(save("a", 0), Urgency::Soon);
        mailbox.close();
        let left = mailbox.next_batch(None).unwrap().changes;
        assert_eq!(left.len(), 1);
        mailbox.put_back(left);
        assert!(mailbox.next_batch(None).is_none(), "an attempt that failed is not made for ever");
    }

    #[test]
    fn beyond_the_bound_only_known_records_are_taken() {
        let mailbox = Mailbox::default();
        for number in 0..=MOST_WAITING {
            mailbox.post(Change::Delete(ProcessId::new(number.to_string())), Urgency::Soon);
        }
        mailbox.post(save("0", 7), Urgency::Soon);
        assert_eq!(mailbox.lock().dropped, 1);
        let changes = mailbox.next_batch(None).unwrap().changes;
        assert_eq!(changes.len(), MOST_WAITING);
        assert!(changes.iter().any(|change| matches!(change, Change::Save(record) if record.restarts == 7)));
    }
}
