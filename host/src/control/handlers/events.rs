//! `/v1/events`: what happened, as server-sent events. A reader that is too slow gets an event `missed` with a count.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde_json::json;
use tokio::sync::watch;

use crate::control::api::Context;
use crate::control::extract::Params;
use crate::control::types::EventQuery;
use crate::event::{Event, EventBus, Received, Subscription};

pub(crate) async fn stream(
    State(context): State<Context>,
    Params(query): Params<EventQuery>,
) -> Sse<impl Stream<Item = Result<Sent, Infallible>>> {
    let reader = Reader::new(&context.daemon.events, query, context.ending);
    Sse::new(stream::unfold(reader, Reader::next)).keep_alive(KeepAlive::default())
}

struct Reader {
    past: VecDeque<Arc<Event>>,
    /// Present while new events are wanted too.
    coming: Option<Subscription>,
    prefix: String,
    ending: watch::Receiver<bool>,
}

impl Reader {
    fn new(bus: &EventBus, query: EventQuery, ending: watch::Receiver<bool>) -> Self {
        let (past, coming) = match (query.after, query.follow) {
            (None, true) => (Vec::new(), bus.subscribe()),
            (after, _) => bus.since(after.unwrap_or(0)),
        };
        Self {
            past: past.into(),
            coming: query.follow.then_some(coming),
            prefix: query.kind.unwrap_or_default(),
            ending,
        }
    }

    async fn next(mut self) -> Option<(Result<Sent, Infallible>, Self)> {
        loop {
            let received = match self.past.pop_front() {
                Some(event) => Received::Event(event),
                None => self.wait().await?,
            };
            let sent = match received {
                Received::Event(event) => {
                    let name = event.body.name();
                    if !name.starts_with(&self.prefix) {
                        continue;
                    }
                    let Ok(text) = serde_json::to_string(&*event) else { continue };
                    Sent::default().id(event.seq.to_string()).event(name).data(text)
                }
                Received::Missed(count) => Sent::default().event("missed").data(json!({ "missed": count }).to_string()),
                Received::Closed => return None,
            };
            return Some((Ok(sent), self));
        }
    }

    /// The next new event. When the server ends, what has happened until then is still told: the end of the
    /// supervisor is among it.
    async fn wait(&mut self) -> Option<Received> {
        let coming = self.coming.as_mut()?;
        tokio::select! {
            biased;
            received = coming.next() => Some(received),
            _ = self.ending.wait_for(|ending| *ending) => None,
        }
    }
}
