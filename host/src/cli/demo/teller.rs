//! Tells the story: prints every event as it happens and adds it up.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::summary::Summary;
use crate::cli::narrate;
use crate::daemon::Daemon;
use crate::event::{Event, EventBody, EventBus, Received};

/// Listens from the first event on until it is told to finish.
pub(super) struct Teller {
    json: bool,
    colour: bool,
    events: Arc<EventBus>,
    listening: JoinHandle<Summary>,
    enough: oneshot::Sender<()>,
    /// Number of the event that was told last.
    told: watch::Receiver<u64>,
}

impl Teller {
    /// Begin to listen; events that came before are told first.
    pub(super) fn listen(daemon: &Daemon, json: bool) -> Self {
        let colour = !json && std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let (past, mut subscription) = daemon.events.since(0);
        let (enough, mut finish) = oneshot::channel();
        let (telling, told) = watch::channel(0);
        let began = Instant::now();
        let listening = tokio::spawn(async move {
            let mut summary = Summary::default();
            for event in past {
                tell(&event, &mut summary, json, colour, began);
                telling.send_replace(event.seq);
            }
            loop {
                tokio::select! {
                    biased;
                    received = subscription.next() => match received {
                        Received::Event(event) => {
                            let last = matches!(event.body, EventBody::SupervisorStopped { .. });
                            tell(&event, &mut summary, json, colour, began);
                            telling.send_replace(event.seq);
                            if last {
                                return summary;
                            }
                        }
                        Received::Missed(_) => {}
                        Received::Closed => return summary,
                    },
                    _ = &mut finish => return summary,
                }
            }
        });
        Self { json, colour, events: Arc::clone(&daemon.events), listening, enough, told }
    }

    /// The bus it listens to.
    pub(super) fn events(&self) -> &EventBus {
        &self.events
    }

    /// A new chapter begins, once everything that happened before was told.
    pub(super) async fn chapter(&self, title: &str) {
        let last = self.events.last_seq();
        // An error means that nothing more is told, which is no reason to wait.
        let _ = self.told.clone().wait_for(|told| *told >= last).await;
        let (bold, plain) = if self.colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        self.say(&format!("\n{bold}{title}{plain}"));
    }

    /// Something read back from the registry.
    pub(super) fn note(&self, text: &str) {
        self.say(&format!("         {text}"));
    }

    fn say(&self, text: &str) {
        if !self.json {
            print(text);
        }
    }

    /// Stop listening after what has happened so far, and add up.
    pub(super) async fn finish(self) -> Summary {
        // Its receiver is gone when the last event was already seen.
        let _ = self.enough.send(());
        self.listening.await.unwrap_or_default()
    }
}

fn tell(event: &Event, summary: &mut Summary, json: bool, colour: bool, began: Instant) {
    summary.add(event);
    if json {
        print(&serde_json::to_string(event).unwrap_or_default());
    } else {
        print(&format!("{:>7.1}s {}", began.elapsed().as_secs_f64(), narrate::line(event, colour)));
    }
}

/// A reader that went away is no reason to stop the story half way: processes must still be cleaned up.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
