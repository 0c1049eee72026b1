//! The bytes of one stream in order, over archives and the current file, while they are being written and put aside.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::archives::{self, Archive};
use crate::units::Timestamp;

/// How often files may be put aside or removed under the eyes of one who opens them before he comes back later.
const TRIES: usize = 16;

/// A file of the stream.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) file: File,
    /// Offset of its first byte in the stream.
    pub(super) start: u64,
    inode: u64,
}

/// Reads a stream from an offset on.
#[derive(Debug)]
pub(super) struct Reader {
    current: PathBuf,
    /// Offset of the next byte.
    position: u64,
    open: Option<Part>,
    /// Whether anything was read: what was removed before that is not missed.
    began: bool,
}

/// What reading gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// So many bytes were removed before they were read; reading goes on behind them.
    Missing(u64),
}

impl Reader {
    pub(super) const fn new(current: PathBuf, position: u64) -> Self {
        Self { current, position, open: None, began: false }
    }

    /// Offset of the next byte.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// When the file that is being read was last written.
    pub(super) fn written_at(&self) -> Option<Timestamp> {
        let about = self.open.as_ref()?.file.metadata().ok()?;
        Some(Timestamp(about.mtime().unsigned_abs() * 1000 + about.mtime_nsec().unsigned_abs() / 1_000_000))
    }

    /// Read the next bytes into `block`.
    ///
    /// # Errors
    /// When a file cannot be read; it names it.
    pub(super) fn read(&mut self, block: &mut [u8]) -> io::Result<Read> {
        for _ in 0..TRIES {
            let Some(part) = &mut self.open else {
                let wanted = self.position;
                if !self.open_at(wanted)? {
                    return Ok(Read::Nothing);
                }
                if self.began && self.position > wanted {
                    return Ok(Read::Missing(self.position - wanted));
                }
                continue;
            };
            // Asked before reading: what is in a file that had been put aside by then is all there.
            let put_aside = inode(&self.current)? != Some(part.inode);
            let relative = self.position.saturating_sub(part.start);
            let count = part.file.read_at(block, relative).map_err(|error| at(&self.current, error))?;
            if count > 0 {
                self.position += count as u64;
                self.began = true;
                return Ok(Read::Bytes(count));
            }
            if put_aside {
                self.open = None;
            } else if part.file.metadata()?.len() < relative {
                // Somebody made it shorter: it goes on from its beginning.
                part.start = self.position;
            } else {
                return Ok(Read::Nothing);
            }
        }
        Ok(Read::Nothing)
    }

    /// Open the file that holds the byte at `wanted`, or the first one after it. False when there is none.
    fn open_at(&mut self, wanted: u64) -> io::Result<bool> {
        for _ in 0..TRIES {
            let Some((archives, current)) = snapshot(&self.current)? else { continue };
            let archived = archives.iter().find(|archive| archive.end() > wanted);
            let part = match archived {
                None => current,
                Some(archive) => match open(&archive.path)? {
                    // Removed meanwhile.
                    None => continue,
                    Some(file) => Some(Part { inode: file.metadata()?.ino(), file, start: archive.offset }),
                },
            };
            if let Some(part) = &part {
                self.position = wanted.max(part.start);
            }
            self.open = part;
            return Ok(self.open.is_some());
        }
        Ok(false)
    }
}

/// The archives and the current file as they are at one moment; nothing when a file was put aside meanwhile.
pub(super) fn snapshot(current: &Path) -> io::Result<Option<(Vec<Archive>, Option<Part>)>> {
    let file = open(current)?;
    let archives = archives::list(current).map_err(|error| at(current, error))?;
    let opened = file.as_ref().map(File::metadata).transpose()?.map(|about| about.ino());
    if inode(current)? != opened {
        return Ok(None);
    }
    let start = archives::start_of_current(&archives);
    Ok(Some((archives, file.zip(opened).map(|(file, inode)| Part { file, start, inode }))))
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(|error| at(path, error)),
    }
}

fn inode(path: &Path) -> io::Result<Option<u64>> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(|about| Some(about.ino())).map_err(|error| at(path, error)),
    }
}

/// An error that names the file.
pub(super) fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))
}
