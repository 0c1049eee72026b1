//! What `run` tells: events as they happen, and remarks of its own.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::cli::events;
use crate::cli::shell::Shell;
use crate::control::types::ProblemDocument;
use crate::error::Problem;
use crate::event::{Event, EventBody, Received, Subscription};

/// How long the last lines may take to be written; afterwards nobody reads them.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Writes through the runtime's blocking threads: a terminal that stands still holds up nothing but its own lines, and
/// the bus tells how many of those are then missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Teller {
    json: bool,
    colour: bool,
    quiet: bool,
}

impl Teller {
    pub(super) fn new(shell: &Shell, quiet: bool) -> Self {
        // Lines go to standard error: colour only when that is a terminal as well.
        let colour = shell.colour && std::io::stderr().is_terminal();
        Self { json: shell.json, colour, quiet }
    }

    /// Tell people something that is no event. Programs find all they need in the events.
    pub(super) async fn remark(self, text: &str) {
        if !self.json {
            put(Out::People, text).await;
        }
    }

    /// Tell a problem that does not end the supervisor, and what follows from it.
    pub(super) async fn problem(self, therefore: &str, problem: &Problem) {
        if !self.json {
            return put(Out::People, &format!("error: {therefore}: {problem}")).await;
        }
        put_json(Out::People, &ProblemDocument::from(problem.clone())).await;
    }

    /// Tell what happened and what happens, until everything has stopped or been left.
    pub(super) async fn follow(self, (past, mut coming): (Vec<Arc<Event>>, Subscription)) {
        for event in past {
            self.tell(&event).await;
        }
        loop {
            match coming.next().await {
                Received::Event(event) => {
                    self.tell(&event).await;
                    if matches!(event.body, EventBody::SupervisorStopped { .. } | EventBody::SupervisorLeft { .. }) {
                        return;
                    }
                }
                Received::Missed(count) => self.missed(count).await,
                Received::Closed => return,
            }
        }
    }

    async fn tell(self, event: &Event) {
        if self.json {
            put_json(Out::Programs, event).await;
        } else if !self.quiet {
            put(Out::People, &events::line(event, self.colour)).await;
        }
    }

    async fn missed(self, count: u64) {
        if self.json {
            put_json(Out::Programs, &serde_json::json!({ "type": "missed", "missed": count })).await;
        } else if !self.quiet {
            put(Out::People, &format!("... {count} events were too fast and are missing")).await;
        }
    }
}

/// Wait for the last words. When the event that ends them was missed, nobody waits for it.
pub(super) async fn finish(telling: JoinHandle<()>) {
    let _ = tokio::time::timeout(LAST_WORDS, telling).await;
}

/// Where a line goes.
#[derive(Debug, Clone, Copy)]
enum Out {
    /// Standard error.
    People,
    /// Standard output.
    Programs,
}

async fn put_json(out: Out, value: &impl serde::Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        put(out, &text).await;
    }
}

/// Write a line.
async fn put(out: Out, text: &str) {
    let line = format!("{text}\n");
    let write = move || match out {
        Out::People => std::io::stderr().write_all(line.as_bytes()),
        Out::Programs => std::io::stdout().write_all(line.as_bytes()),
    };
    // A reader who went away does not end a supervisor.
    let _ = tokio::task::spawn_blocking(write).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventBus;

    #[tokio::test]
    async fn telling_ends_with_the_end_of_everything() {
        let bus = EventBus::default();
        let teller = Teller { json: false, colour: false, quiet: true };
        let telling = tokio::spawn(teller.follow(bus.since(0)));
        bus.publish(EventBody::SupervisorStopping { reason: "test".into(), live: 0 });
        bus.publish(EventBody::SupervisorStopped { uptime_ms: 1, leftovers: 0 });
        telling.await.unwrap();
    }
}
