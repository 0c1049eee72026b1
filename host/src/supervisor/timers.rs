//! What is due when. One clock for all: the task sleeps until the first of these, and not at all when there is none.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::spec::ProcessId;

/// What a timer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    /// A process waits for it in this generation.
    Process { id: ProcessId, generation: u64 },
    /// The gates are looked at again.
    Gates,
    /// Those who wait are told their new positions.
    Positions,
    /// Leftovers of ended runs are looked for.
    Orphans,
    /// Ends that the disk has refused are offered again.
    Settlements,
}

/// Names one timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    at: Instant,
    number: u64,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<Key, Due>,
    made: u64,
}

impl Timers {
    pub(super) fn arm(&mut self, at: Instant, due: Due) -> Key {
        self.made += 1;
        let key = Key { at, number: self.made };
        self.due.insert(key, due);
        key
    }

    pub(super) fn disarm(&mut self, key: Key) {
        self.due.remove(&key);
    }

    /// When the first is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|(key, _)| key.at)
    }

    /// Take out the first if it is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Due> {
        self.due.first_entry().filter(|entry| entry.key().at <= now).map(|entry| entry.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timers_come_in_the_order_they_are_due_and_not_before() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        let second = Duration::from_secs(1);
        timers.arm(now + 2 * second, Due::Gates);
        timers.arm(now + second, Due::Orphans);
        assert_eq!(timers.next(), Some(now + second));
        assert_eq!(timers.pop(now), None);
        assert_eq!(timers.pop(now + 2 * second), Some(Due::Orphans));
        assert_eq!(timers.pop(now + 2 * second), Some(Due::Gates));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_disarmed_timer_never_comes() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        let gates = timers.arm(now, Due::Gates);
        timers.arm(now, Due::Orphans);
        timers.disarm(gates);
        assert_eq!((timers.pop(now), timers.pop(now)), (Some(Due::Orphans), None));
    }
}
