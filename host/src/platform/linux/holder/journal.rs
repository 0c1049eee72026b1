//! The holder's journal: births, ends and settlements, so that a holder's death loses neither an identity nor an exit
//! code that was seen.
//!
//! A record is its length (16 bits), a checksum (32 bits, FNV-1a) and the fields of one `Entry`. Records are appended with
//! one write each; the first that is cut or damaged ends the reading. Nothing is forced to the disk: what must survive is
//! a process, not a power cut, after which no run lives and the boot id says so. The open file is locked: it is also
//! what keeps a second holder from the same state directory.
//!
//! Owns the file `holder.journal`. Only `server` enters.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::bytes::{self, Field, Reader};
use super::streams::RunOutput;
use super::sys;
use super::wire::Key;
use crate::sample::RunExit;

/// Name of the file in the state directory.
pub(super) const NAME: &str = "holder.journal";
/// A journal of this many bytes is written anew, without what has been settled.
const LARGE: u64 = 1 << 20;
/// A journal of this many bytes is emptied when all is settled.
const EMPTIED: u64 = 4 << 10;
/// Bytes that are read of a journal at most; a holder never writes that much.
const LONGEST: u64 = 64 << 20;

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    /// The boot that the numbers after it belong to.
    Boot { id: String },
    /// A run exists.
    Born { key: Key, pid: u32, start_ticks: u64, outputs: Vec<RunOutput> },
    /// A run has ended.
    Ended { key: Key, end: RunExit },
    /// Its end is on record elsewhere.
    Settled { key: Key },
}

impl Field for Entry {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Boot { id } => {
                out.push(0);
                id.put(out);
            }
            Self::Born { key, pid, start_ticks, outputs } => {
                out.push(1);
                key.put(out);
                pid.put(out);
                start_ticks.put(out);
                outputs.put(out);
            }
            Self::Ended { key, end } => {
                out.push(2);
                key.put(out);
                end.put(out);
            }
            Self::Settled { key } => {
                out.push(3);
                key.put(out);
            }
        }
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(Self::Boot { id: Field::take(from)? }),
            1 => Some(Self::Born {
                key: Field::take(from)?,
                pid: Field::take(from)?,
                start_ticks: Field::take(from)?,
                outputs: Field::take(from)?,
            }),
            2 => Some(Self::Ended { key: Field::take(from)?, end: Field::take(from)? }),
            3 => Some(Self::Settled { key: Field::take(from)? }),
            _ => None,
        }
    }
}

/// FNV-1a, 32 bits (draft-eastlake-fnv): against torn and damaged records, not against forgers.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn append(entry: &Entry, out: &mut Vec<u8>) {
    let mut fields = Vec::with_capacity(128);
    entry.put(&mut fields);
    // An entry has one short id and some numbers.
    u16::try_from(fields.len()).unwrap_or(u16::MAX).put(out);
    checksum(&fields).put(out);
    out.extend_from_slice(&fields);
}

/// The entries of a journal, up to the first that is damaged.
pub(super) fn entries(content: &[u8]) -> Vec<Entry> {
    let mut from = Reader::new(content);
    let mut entries = Vec::new();
    while let Some(entry) = next(&mut from) {
        entries.push(entry);
    }
    entries
}

fn next(from: &mut Reader<'_>) -> Option<Entry> {
    let (length, sum) = (u16::take(from)?, u32::take(from)?);
    let fields = from.bytes(usize::from(length))?;
    (checksum(fields) == sum).then(|| bytes::read(fields)).flatten()
}

/// The open journal.
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    length: u64,
    /// What to begin a new file with.
    boot: Entry,
}

impl Journal {
    /// Open and lock the journal of this directory, and read what an earlier holder has left in it.
    ///
    /// # Errors
    /// `WouldBlock` when another holder has it; when it cannot be opened or read.
    pub(super) fn open(directory: &Path, boot_id: &str) -> io::Result<(Self, Vec<Entry>)> {
        let path = directory.join(NAME);
        let (file, content) = loop {
            let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
            sys::lock(file.as_fd())?;
            // Another holder may have put a new file in its place before it was locked.
            if is_at(&file, &path) {
                let mut content = Vec::new();
                Read::by_ref(&mut file).take(LONGEST).read_to_end(&mut content)?;
                break (file, content);
            }
        };
        let boot = Entry::Boot { id: boot_id.to_owned() };
        Ok((Self { file, path, length: content.len() as u64, boot }, entries(&content)))
    }

    /// The journal that the program before this one had open under the same lock.
    pub(super) fn resume(file: OwnedFd, path: PathBuf, boot_id: String) -> Self {
        let file = File::from(file);
        let length = file.metadata().map_or(LARGE, |about| about.len());
        Self { file, path, length, boot: Entry::Boot { id: boot_id } }
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Write one record.
    pub(super) fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let mut record = Vec::with_capacity(128);
        append(entry, &mut record);
        self.file.write_all(&record)?;
        self.length = self.length.saturating_add(record.len() as u64);
        Ok(())
    }

    /// Whether it is time to write it anew.
    pub(super) fn is_large(&self) -> bool {
        self.length > LARGE
    }

    /// Whether it has grown enough that emptying it, when all is settled, is worth the trouble.
    pub(super) fn is_worth_emptying(&self) -> bool {
        self.length > EMPTIED
    }

    /// Begin again with these records only. With none of them the file is emptied; otherwise a new one takes its place
    /// at once and whole.
    pub(super) fn rewrite(&mut self, entries: impl Iterator<Item = Entry>) -> io::Result<()> {
        let mut content = Vec::new();
        append(&self.boot, &mut content);
        let head = content.len();
        entries.for_each(|entry| append(&entry, &mut content));
        if content.len() == head {
            self.file.set_len(0)?;
            self.file.write_all(&content)?;
        } else {
            let beside = self.path.with_extension("journal.new");
            let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&beside)?;
            file.set_len(0)?;
            sys::lock(file.as_fd())?;
            file.write_all(&content)?;
            std::fs::rename(&beside, &self.path)?;
            self.file = file;
        }
        self.length = content.len() as u64;
        Ok(())
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(open), Ok(named)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

#[cfg(test)]
mod tests;
