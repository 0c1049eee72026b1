//! A bounded priority queue in which waiting raises priority.
//!
//! Pure logic, for the supervisor: time comes in as an argument. An item of a higher class goes first; every
//! `age_step` of waiting is worth one class, so an item is overtaken only by those of a higher class that came less
//! than (classes between them) × `age_step` after it. Hence nobody starves, whatever arrives. Within a class the order
//! is that of arrival.
//!
//! All items age alike, so the order of two never changes while they wait. That makes it a constant: the moment of
//! arrival, later by one `age_step` for each class below the highest. The earliest is next.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::{Duration, Instant};

use crate::spec::Priority;

/// Waiting this long is worth one class of priority.
pub const AGE_STEP: Duration = Duration::from_secs(30);

/// The place of an item in the order; needed to take it out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    due: Instant,
    arrival: u64,
}

/// The queue. See the module for its order.
#[derive(Debug)]
pub struct Queue<T> {
    items: BTreeMap<Ticket, T>,
    capacity: usize,
    age_step: Duration,
    arrivals: u64,
}

/// The queue holds as many as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full: {capacity} wait already")]
pub struct Full {
    /// How many it may hold.
    pub capacity: usize,
}

impl<T> Queue<T> {
    /// An empty queue for `capacity` items.
    pub fn new(capacity: usize, age_step: Duration) -> Self {
        Self { items: BTreeMap::new(), capacity, age_step, arrivals: 0 }
    }

    /// Hold at most this many from now on; those who wait already stay.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether nobody more may come.
    pub fn is_full(&self) -> bool {
        self.items.len() >= self.capacity
    }

    /// Enter at `now`.
    ///
    /// # Errors
    /// When it is full; nothing has changed then.
    pub fn push(&mut self, priority: Priority, item: T, now: Instant) -> Result<Ticket, Full> {
        if self.is_full() {
            return Err(Full { capacity: self.capacity });
        }
        let steps_below = Priority::Critical as u32 - priority as u32;
        self.arrivals += 1;
        let ticket = Ticket { due: now + self.age_step * steps_below, arrival: self.arrivals };
        self.items.insert(ticket, item);
        Ok(ticket)
    }

    /// Take out the next.
    pub fn pop(&mut self) -> Option<T> {
        self.items.pop_first().map(|(_, item)| item)
    }

    /// Take out the first that may go; looks at everybody before it.
    pub fn pop_where(&mut self, may_go: impl Fn(&T) -> bool) -> Option<T> {
        let ticket = self.items.iter().find(|(_, item)| may_go(item)).map(|(ticket, _)| *ticket)?;
        self.remove(ticket)
    }

    /// Take out this one, wherever it is.
    pub fn remove(&mut self, ticket: Ticket) -> Option<T> {
        self.items.remove(&ticket)
    }

    /// Its place, 1 is next. Costs as much as there are items behind it.
    pub fn position(&self, ticket: Ticket) -> Option<usize> {
        let behind = self.items.range((Bound::Excluded(ticket), Bound::Unbounded)).count();
        self.items.contains_key(&ticket).then(|| self.items.len() - behind)
    }

    /// Everybody, next first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn drain<T>(mut queue: Queue<T>) -> Vec<T> {
        std::iter::from_fn(move || queue.pop()).collect()
    }

    #[test]
    fn a_higher_class_goes_first_and_a_class_keeps_the_order_of_arrival() {
        let (mut queue, now) = (Queue::new(10, AGE_STEP), Instant::now());
        for (priority, name) in
            [(Priority::Low, "l"), (Priority::Normal, "n1"), (Priority::Normal, "n2"), (Priority::Critical, "c")]
        {
            queue.push(priority, name, now).unwrap();
        }
        assert_eq!(drain(queue), ["c", "n1", "n2", "l"]);
    }

    #[test]
    fn who_has_waited_a_step_longer_goes_before_the_class_above() {
        let (mut queue, start) = (Queue::new(10, AGE_STEP), Instant::now());
        queue.push(Priority::Low, "patient", start).unwrap();
        queue.push(Priority::Normal, "early", at(start, 29)).unwrap();
        queue.push(Priority::Normal, "late", at(start, 31)).unwrap();
        assert_eq!(drain(queue), ["early", "patient", "late"]);
    }

    #[test]
    fn a_full_queue_refuses_and_keeps_what_it_has() {
        let (mut queue, now) = (Queue::new(1, AGE_STEP), Instant::now());
        queue.push(Priority::Low, 1, now).unwrap();
        assert_eq!(queue.push(Priority::Critical, 2, now), Err(Full { capacity: 1 }));
        assert_eq!(drain(queue), [1]);
    }

    #[test]
    fn a_position_counts_from_the_next() {
        let (mut queue, now) = (Queue::new(9, AGE_STEP), Instant::now());
        let low = queue.push(Priority::Low, "low", now).unwrap();
        let high = queue.push(Priority::High, "high", now).unwrap();
        assert_eq!((queue.position(high), queue.position(low)), (Some(1), Some(2)));
        assert_eq!(queue.remove(high), Some("high"));
        assert_eq!((queue.position(high), queue.position(low)), (None, Some(1)));
    }

    #[test]
    fn one_that_may_go_passes_those_that_may_not() {
        let (mut queue, now) = (Queue::new(9, AGE_STEP), Instant::now());
        for name in ["held", "free", "free too"] {
            queue.push(Priority::Normal, name, now).unwrap();
        }
        assert_eq!(queue.pop_where(|name| name.starts_with("free")), Some("free"));
        assert_eq!(queue.pop_where(|_| false), None);
        assert_eq!(drain(queue), ["held", "free too"]);
    }

    fn priorities() -> impl Strategy<Value = Priority> {
        proptest::sample::select(Priority::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn nobody_is_overtaken_by_one_who_came_later_than_ageing_allows(
            arrivals in proptest::collection::vec((priorities(), 0u64..20), 1..60)
        ) {
            let (mut queue, start) = (Queue::new(100, AGE_STEP), Instant::now());
            let mut seconds = 0;
            for (priority, gap) in arrivals {
                seconds += gap;
                queue.push(priority, (priority, seconds), at(start, seconds)).unwrap();
            }
            let order = drain(queue);
            for (place, earlier) in order.iter().enumerate() {
                for later in &order[place + 1..] {
                    let classes = (earlier.0 as u64).saturating_sub(later.0 as u64);
                    prop_assert!(earlier.1 <= later.1 + classes * AGE_STEP.as_secs());
                    prop_assert!(earlier.0 != later.0 || earlier.1 <= later.1, "a class keeps the order of arrival");
                }
            }
        }

        #[test]
        fn the_lowest_leaves_in_bounded_time_however_many_higher_ones_keep_coming(gap in 1u64..30) {
            let (mut queue, start) = (Queue::new(1000, AGE_STEP), Instant::now());
            queue.push(Priority::Low, true, start).unwrap();
            // One comes and one goes at a time: only ageing can let the first one through.
            let served = (1..200).find(|round| {
                queue.push(Priority::Critical, false, at(start, round * gap)).unwrap();
                queue.pop().unwrap()
            });
            prop_assert!(served.is_some_and(|round| round * gap <= 3 * AGE_STEP.as_secs() + gap));
        }

        #[test]
        fn it_never_holds_more_than_it_may(
            capacity in 0usize..20,
            moves in proptest::collection::vec((any::<bool>(), priorities()), 0..100)
        ) {
            let (mut queue, now) = (Queue::new(capacity, AGE_STEP), Instant::now());
            let mut expected = 0usize;
            for (enter, priority) in moves {
                if enter {
                    let refused = queue.push(priority, (), now).is_err();
                    prop_assert_eq!(refused, expected == capacity);
                    expected += usize::from(!refused);
                } else {
                    prop_assert_eq!(queue.pop().is_some(), expected > 0);
                    expected = expected.saturating_sub(1);
                }
                prop_assert!(queue.len() == expected && expected <= capacity);
            }
        }
    }
}
