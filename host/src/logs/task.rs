//! The task that keeps the book: woken by the kernel when files grow, asleep otherwise.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::LogsConfig;
use super::book::Book;
use crate::event::{EventBody, EventBus};
use crate::platform::{Change, ChangeKind, DirectoryWatch};
use crate::spec::ProcessId;
use crate::units::{OrOff, Timestamp};

/// How long to leave files alone after a look: one look, and one record, for all that is written meanwhile. Moments are
/// right within twice this.
const REST: Duration = Duration::from_millis(20);
/// How often a follower looks where the kernel does not tell of growth.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Requests that may wait; a caller beyond that waits for a place.
const REQUESTS: usize = 64;
/// Directories that may be new before it is asked whose processes are forgotten.
const NEW_FOLDERS: usize = 16;

/// Gives the ids of all processes that anybody remembers.
pub type KnownProcesses = Box<dyn Fn() -> Pin<Box<dyn Future<Output = HashSet<ProcessId>> + Send>> + Send + Sync>;

/// What the room works with.
pub struct LogsParts {
    /// Where the directories `NAME-ID` are; made when it is missing.
    pub directory: PathBuf,
    /// `[logs]`.
    pub config: LogsConfig,
    /// Tells.
    pub events: Arc<EventBus>,
    /// Whose logs are kept. Where nobody is known at all, nothing is removed.
    pub known: KnownProcesses,
}

/// A handle to the logs; cheap to clone. The task ends with the last one.
#[derive(Debug, Clone)]
pub struct Logs {
    requests: mpsc::Sender<Request>,
}

enum Request {
    Follow { folder: PathBuf, reply: oneshot::Sender<watch::Receiver<u64>> },
    Reconfigure(LogsConfig),
}

/// Tells that files of one directory have changed since it was last asked.
#[derive(Debug)]
pub struct Growth(Option<watch::Receiver<u64>>);

impl Growth {
    /// Wait for a change.
    pub async fn changed(&mut self) {
        if let Some(told) = &mut self.0
            && told.changed().await.is_ok()
        {
            return;
        }
        self.0 = None;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Logs {
    /// Look at all there is and start the task. Must be called in a tokio runtime.
    pub fn launch(parts: LogsParts) -> Self {
        let (requests, inbox) = mpsc::channel(REQUESTS);
        tokio::spawn(run(parts, inbox));
        Self { requests }
    }

    /// Learn of changes in the directory `folder`, from now on.
    pub async fn follow(&self, folder: &Path) -> Growth {
        let (reply, answer) = oneshot::channel();
        let request = Request::Follow { folder: folder.to_owned(), reply };
        // When the task is gone, or tells nothing, the follower looks by itself.
        let _ = self.requests.send(request).await;
        Growth(answer.await.ok())
    }

    /// Let other settings take over. How single files are put aside concerns the runs that begin after it.
    pub async fn reconfigure(&self, config: LogsConfig) {
        // The task ends only with its runtime while a handle exists.
        let _ = self.requests.send(Request::Reconfigure(config)).await;
    }
}

struct Task {
    parts: LogsParts,
    watch: Option<DirectoryWatch>,
    /// Key of the directory that holds the folders.
    root: Option<i32>,
    /// Lent to a blocking thread while it works.
    book: Option<Book>,
    followers: HashMap<PathBuf, watch::Sender<u64>>,
    new_folders: usize,
}

async fn run(parts: LogsParts, mut inbox: mpsc::Receiver<Request>) {
    let mut task = Task::new(parts);
    task.enter_all(true).await;
    task.sweep().await;
    task.settle().await;
    let (mut changes, mut rested) = (Vec::new(), Instant::now());
    loop {
        tokio::select! {
            told = next_changes(&mut task.watch, &mut changes, rested) => match told {
                Ok(()) => {
                    task.take_in(std::mem::take(&mut changes)).await;
                    task.settle().await;
                    rested = Instant::now() + REST;
                }
                Err(_) => task.watch = None,
            },
            request = inbox.recv() => match request {
                Some(Request::Follow { folder, reply }) => task.follow(folder, reply),
                Some(Request::Reconfigure(config)) => {
                    task.parts.config = config;
                    task.settle().await;
                }
                None => return,
            },
        }
    }
}

/// The next changes, once it is time to look again.
async fn next_changes(
    watch: &mut Option<DirectoryWatch>,
    changes: &mut Vec<Change>,
    rested: Instant,
) -> io::Result<()> {
    let Some(watch) = watch else { return std::future::pending().await };
    tokio::time::sleep_until(rested).await;
    watch.changes(changes).await
}

/// Look at each file that has grown or is new; gives the folders they are in.
fn look(book: &mut Book, grown: &HashMap<(i32, OsString), bool>) -> HashSet<PathBuf> {
    let now = Timestamp::now();
    let looked = grown.iter().filter_map(|((key, name), appeared)| book.changed(*key, name, *appeared, now));
    looked.collect()
}

impl Task {
    fn new(parts: LogsParts) -> Self {
        let watch = DirectoryWatch::new().and_then(|watch| {
            std::fs::create_dir_all(&parts.directory)?;
            let root = watch.add(&parts.directory)?;
            Ok((watch, root))
        });
        let (watch, root) = match watch {
            Ok((watch, root)) => (Some(watch), Some(root)),
            Err(error) => {
                tracing::warn!(%error, "the kernel does not tell of growing logs; lines have the times of their files");
                (None, None)
            }
        };
        Self { parts, watch, root, book: Some(Book::default()), followers: HashMap::new(), new_folders: 0 }
    }

    /// Enter every folder there is. Those found at the start are of earlier lives.
    async fn enter_all(&mut self, at_start: bool) {
        let entries = std::fs::read_dir(&self.parts.directory).into_iter().flatten().flatten();
        for entry in entries {
            self.enter(&entry.path(), at_start).await;
        }
    }

    async fn enter(&mut self, folder: &Path, at_start: bool) {
        let Some(watch) = &self.watch else { return };
        match watch.add(folder) {
            Ok(key) => {
                let folder = folder.to_owned();
                self.with_book(move |book| book.enter(key, &folder, at_start, Timestamp::now())).await;
            }
            // A plain file, or gone already.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::NotFound) => {}
            Err(error) => tracing::warn!(%error, path = %folder.display(), "cannot watch this log directory"),
        }
    }

    /// Look at what has changed, each file once.
    async fn take_in(&mut self, changes: Vec<Change>) {
        let (mut grown, mut entered) = (HashMap::new(), Vec::new());
        for change in changes {
            match change.kind {
                ChangeKind::Unknown => self.enter_all(false).await,
                ChangeKind::Appeared if Some(change.key) == self.root => {
                    self.new_folders += 1;
                    let folder = self.parts.directory.join(change.name);
                    self.enter(&folder, false).await;
                    // It may hold something already, of which nothing will be told.
                    entered.push(folder);
                }
                ChangeKind::Gone => {
                    self.with_book(move |book| book.forget(change.key)).await;
                }
                kind => *grown.entry((change.key, change.name)).or_default() |= kind == ChangeKind::Appeared,
            }
        }
        let folders = self.with_book(move |book| look(book, &grown)).await.unwrap_or_default();
        self.followers.retain(|_, follower| follower.receiver_count() > 0);
        for folder in folders.into_iter().chain(entered) {
            if let Some(follower) = self.followers.get(&folder) {
                follower.send_modify(|count| *count += 1);
            }
        }
    }

    /// Keep to the cap on all logs; after many new folders, look for those that nobody remembers.
    async fn settle(&mut self) {
        if let OrOff::Of(most) = self.parts.config.total {
            let trimmed = self.with_book(move |book| book.trim(most.get(), Timestamp::now())).await.flatten();
            if let Some(trimmed) = trimmed {
                self.parts.events.publish(EventBody::LogsTrimmed {
                    archives: trimmed.archives,
                    freed_bytes: trimmed.freed_bytes,
                    total_bytes: trimmed.total_bytes,
                    cap_bytes: most.get(),
                });
            }
        }
        let folders = self.book.as_ref().map_or(0, Book::count);
        if self.new_folders >= NEW_FOLDERS.max(folders / 8) {
            self.sweep().await;
        }
    }

    async fn sweep(&mut self) {
        self.new_folders = 0;
        let known = (self.parts.known)().await;
        if !known.is_empty() {
            self.with_book(move |book| book.sweep(&known)).await;
        }
    }

    fn follow(&mut self, folder: PathBuf, reply: oneshot::Sender<watch::Receiver<u64>>) {
        if self.watch.is_some() {
            let follower = self.followers.entry(folder).or_insert_with(|| watch::Sender::new(0));
            // A follower that went away is no loss.
            let _ = reply.send(follower.subscribe());
        }
    }

    /// Work on the book where blocking is allowed.
    async fn with_book<T: Send + 'static>(&mut self, work: impl FnOnce(&mut Book) -> T + Send + 'static) -> Option<T> {
        let mut book = self.book.take()?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&mut book);
            (book, result)
        });
        let (book, result) = done.await.ok()?;
        self.book = Some(book);
        Some(result)
    }
}

#[cfg(test)]
mod tests;
