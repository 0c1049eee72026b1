//! The bus: carries events from those who publish to those who subscribe.
//!
//! Owns the numbers of events and the window of recent ones. Any room may enter, by `event`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::broadcast;

use super::{EVENT_VERSION, Event, EventBody};
use crate::units::Timestamp;

/// What a subscriber receives.
#[derive(Debug, Clone)]
pub enum Received {
    /// The next event.
    Event(Arc<Event>),
    /// It was too slow: that many events are gone.
    Missed(u64),
    /// The supervisor is gone.
    Closed,
}

/// Receives every event from its creation on.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<Arc<Event>>);

impl Subscription {
    /// Wait for the next event.
    pub async fn next(&mut self) -> Received {
        match self.0.recv().await {
            Ok(event) => Received::Event(event),
            Err(broadcast::error::RecvError::Lagged(count)) => Received::Missed(count),
            Err(broadcast::error::RecvError::Closed) => Received::Closed,
        }
    }
}

/// Carries events from those who publish to those who subscribe.
///
/// The lock guards the number and the window together: numbers must reach subscribers in order. It is held for the
/// push and never across I/O or a wait.
#[derive(Debug)]
pub struct EventBus {
    recent: Mutex<Recent>,
    sender: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug, Default)]
struct Recent {
    last_seq: u64,
    window: VecDeque<Arc<Event>>,
}

/// How many events a subscriber may be behind before it misses some.
const SUBSCRIBER_WINDOW: usize = 4096;
/// How many past events are kept for those who come late.
const RECENT_EVENTS: usize = 2000;

impl Default for EventBus {
    fn default() -> Self {
        Self { recent: Mutex::default(), sender: broadcast::channel(SUBSCRIBER_WINDOW).0 }
    }
}

impl EventBus {
    /// Tell everybody. Never waits.
    pub fn publish(&self, body: EventBody) {
        let mut recent = self.recent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        recent.last_seq += 1;
        let event = Arc::new(Event { seq: recent.last_seq, at_ms: Timestamp::now(), version: EVENT_VERSION, body });
        if recent.window.len() == RECENT_EVENTS {
            recent.window.pop_front();
        }
        recent.window.push_back(Arc::clone(&event));
        // An error means that nobody listens, which is no error.
        let _ = self.sender.send(event);
    }

    /// Number of the newest event, 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.recent.lock().unwrap_or_else(std::sync::PoisonError::into_inner).last_seq
    }

    /// Receive everything from now on.
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.sender.subscribe())
    }

    /// Past events with a number above `after`, oldest first, and a subscription that goes on exactly there.
    pub fn since(&self, after: u64) -> (Vec<Arc<Event>>, Subscription) {
        let recent = self.recent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let past = recent.window.iter().filter(|event| event.seq > after).cloned().collect();
        (past, self.subscribe())
    }
}
