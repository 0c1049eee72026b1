//! What is known of all log files: how far each was seen, how large they are together, and whose they are. Looks at
//! files and stamps them; has no clock of its own and waits for nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::archives;
use super::stamps::{Stamp, StampWriter};
use crate::spec::ProcessId;
use crate::units::Timestamp;

/// End of the names of current files.
const CURRENT: &str = ".log";
/// With fewer records than this, those of removed archives do no harm.
const FEW_RECORDS: u64 = 4 << 10;

/// One output of one process.
#[derive(Debug)]
struct Stream {
    stamps: StampWriter,
    inode: u64,
    /// Offset of the current file's first byte in the stream.
    start: u64,
    current_bytes: u64,
    archived_bytes: u64,
}

/// The directory of one process.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Whether somebody may have forgotten the process: it was found at the start, or has been known since.
    removable: bool,
    streams: BTreeMap<OsString, Stream>,
}

/// Archives that had to go because all logs together were too large.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Trimmed {
    pub(super) archives: u32,
    pub(super) freed_bytes: u64,
    /// Size of all logs after it.
    pub(super) total_bytes: u64,
}

/// All folders, by a key that the caller chooses.
#[derive(Debug, Default)]
pub(super) struct Book {
    folders: HashMap<i32, Folder>,
    /// Nothing can be removed until another file is put aside.
    exhausted: bool,
}

impl Book {
    /// Enter a folder, or find it entered, and look at everything in it. What is new in it and may be from before our
    /// time has its file's time.
    pub(super) fn enter(&mut self, key: i32, path: &Path, removable: bool, now: Timestamp) {
        let folder = self.folders.entry(key).or_insert_with(|| Folder {
            path: path.to_owned(),
            removable,
            streams: BTreeMap::new(),
        });
        for name in current_files(&folder.path) {
            folder.look(&name, now, true, removable);
        }
        self.exhausted = false;
    }

    /// A file of a folder was written, or has its name since now. Tells the folder's path when it is output of a known one.
    pub(super) fn changed(&mut self, key: i32, name: &OsStr, appeared: bool, now: Timestamp) -> Option<PathBuf> {
        let folder = self.folders.get_mut(&key)?;
        folder.look(current_of(name)?, now, appeared, false);
        self.exhausted &= !appeared;
        Some(folder.path.clone())
    }

    /// A folder is gone.
    pub(super) fn forget(&mut self, key: i32) {
        self.folders.remove(&key);
    }

    /// Remove the folders of processes that were known once, or are of an earlier life, and are not known any more. A
    /// folder that is new may belong to a process that nobody has told of yet.
    pub(super) fn sweep(&mut self, known: &HashSet<ProcessId>) {
        for folder in self.folders.values_mut() {
            let name = folder.path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let Some((_, id)) = name.rsplit_once('-') else { continue };
            if known.contains(&ProcessId::new(id)) {
                folder.removable = true;
            } else if folder.removable
                && let Err(error) = std::fs::remove_dir_all(&folder.path)
            {
                // Tried again at the next sweep.
                tracing::debug!(%error, path = %folder.path.display(), "cannot remove the logs of a forgotten process");
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.folders.len()
    }

    /// Size of all logs, in bytes.
    pub(super) fn total_bytes(&self) -> u64 {
        self.folders.values().flat_map(|folder| folder.streams.values()).map(Stream::bytes).sum()
    }

    /// Remove the oldest archives of anybody until all logs together are no larger than `most` bytes.
    pub(super) fn trim(&mut self, most: u64, now: Timestamp) -> Option<Trimmed> {
        let mut total = self.total_bytes();
        if total <= most || self.exhausted {
            return None;
        }
        let mut trimmed = Trimmed::default();
        for current in self.by_age() {
            if total <= most {
                break;
            }
            let removed = archives::list(&current).and_then(|list| archives::remove_oldest(&current, &list));
            if let Ok(Some(bytes)) = removed {
                trimmed.archives += 1;
                trimmed.freed_bytes += bytes;
                total = total.saturating_sub(bytes);
            }
        }
        self.exhausted = total > most;
        for folder in self.folders.values_mut() {
            for name in current_files(&folder.path) {
                folder.look(&name, now, true, false);
            }
        }
        trimmed.total_bytes = self.total_bytes();
        (trimmed.archives > 0).then_some(trimmed)
    }

    /// The stream of every archive there is, the one with the oldest archive first.
    fn by_age(&self) -> Vec<PathBuf> {
        let mut aged = Vec::new();
        for folder in self.folders.values() {
            for name in folder.streams.keys() {
                let current = folder.path.join(name);
                for archive in archives::list(&current).unwrap_or_default() {
                    let written = std::fs::metadata(&archive.path).map_or(0, |about| about.mtime());
                    if archive.bytes > 0 {
                        aged.push((written, current.clone()));
                    }
                }
            }
        }
        aged.sort();
        aged.into_iter().map(|(_, current)| current).collect()
    }
}

impl Folder {
    /// Look at a stream: note its size, and stamp what is new. `again` when files may have been put aside or removed.
    fn look(&mut self, name: &OsStr, now: Timestamp, again: bool, late: bool) {
        let current = self.path.join(name);
        let looked = match self.streams.get_mut(name) {
            Some(stream) => stream.look(&current, now, again, late),
            None => Stream::open(&current).and_then(|mut stream| {
                let looked = stream.look(&current, now, true, late);
                self.streams.insert(name.to_owned(), stream);
                looked
            }),
        };
        if let Err(error) = looked {
            tracing::debug!(%error, path = %current.display(), "the times of these lines are not kept");
        }
    }
}

impl Stream {
    fn open(current: &Path) -> io::Result<Self> {
        let stamps = StampWriter::open(current)?;
        Ok(Self { stamps, inode: 0, start: 0, current_bytes: 0, archived_bytes: 0 })
    }

    const fn bytes(&self) -> u64 {
        self.current_bytes + self.archived_bytes + self.stamps.bytes()
    }

    fn look(&mut self, current: &Path, now: Timestamp, again: bool, late: bool) -> io::Result<()> {
        let about = match std::fs::metadata(current) {
            // Between two names; its next one is told.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        if again || about.ino() != self.inode {
            let archives = archives::list(current)?;
            self.start = archives::start_of_current(&archives);
            self.inode = about.ino();
            self.archived_bytes = archives.iter().map(|archive| archive.bytes).sum();
            if self.stamps.bytes() > FEW_RECORDS {
                self.stamps.prune(archives.first().map_or(self.start, |archive| archive.offset))?;
            }
        }
        self.current_bytes = about.len();
        let end = self.start + about.len();
        if end > self.stamps.seen() {
            let written =
                Timestamp(about.mtime().unsigned_abs() * 1000 + about.mtime_nsec().unsigned_abs() / 1_000_000);
            let at = if late { written.min(now) } else { now };
            self.stamps.add(Stamp { end, at, approximate: late })?;
            if self.stamps.is_full() {
                self.stamps.prune(0)?;
            }
        }
        Ok(())
    }
}

/// The name of the current file that a file in a folder belongs to; none for stamps and other files.
fn current_of(name: &OsStr) -> Option<&OsStr> {
    let text = name.to_str()?;
    if text.ends_with(CURRENT) {
        return Some(name);
    }
    let (current, _) = text.rsplit_once('.')?;
    let current = OsStr::new(current);
    (current.to_str()?.ends_with(CURRENT) && archives::offset_in_name(current, name).is_some()).then_some(current)
}

fn current_files(folder: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.file_name()));
    entries.into_iter().flatten().filter(|name| name.to_str().is_some_and(|text| text.ends_with(CURRENT))).collect()
}

#[cfg(test)]
mod tests;
