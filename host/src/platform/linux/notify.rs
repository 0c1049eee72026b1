//! Growth of files in directories, told by the kernel (inotify(7)).
//!
//! Owns one inotify instance. The logs room enters.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tokio::io::unix::AsyncFd;

use super::sys;
use crate::platform::{Change, ChangeKind};

/// Bytes of events read at once: some hundred.
const BLOCK: usize = 16 << 10;
/// The fixed part of an event: watch, mask, cookie, length of the name.
const HEADER: usize = size_of::<libc::inotify_event>();

/// Tells what changes in the directories it watches.
#[derive(Debug)]
pub struct DirectoryWatch {
    inotify: AsyncFd<OwnedFd>,
}

impl DirectoryWatch {
    /// One that watches nothing yet. Must be called in a tokio runtime with its I/O driver.
    ///
    /// # Errors
    /// When the user has as many as the kernel allows (`fs.inotify.max_user_instances`).
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes plain numbers.
        let fd = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor and nobody else knows it.
        let inotify = unsafe { OwnedFd::from_raw_fd(fd) };
        let inotify = sys::watch(inotify).map_err(|_| io::Error::other("the poller takes no more descriptors"))?;
        Ok(Self { inotify })
    }

    /// Watch a directory; the key is in the changes it tells. The same directory has the same key.
    ///
    /// # Errors
    /// When it does not exist, or the user watches as many as the kernel allows (`fs.inotify.max_user_watches`).
    pub fn add(&self, directory: &Path) -> io::Result<i32> {
        let path = CString::new(directory.as_os_str().as_bytes())?;
        let mask = libc::IN_MODIFY | libc::IN_CREATE | libc::IN_MOVED_TO | libc::IN_ONLYDIR;
        // SAFETY: the path is null-terminated and outlives the call.
        let key = unsafe { libc::inotify_add_watch(self.inotify.as_raw_fd(), path.as_ptr(), mask) };
        if key < 0 { Err(io::Error::last_os_error()) } else { Ok(key) }
    }

    /// Wait until something has changed, and append what; some hundred changes at most.
    ///
    /// # Errors
    /// When the runtime ends.
    pub async fn changes(&mut self, changes: &mut Vec<Change>) -> io::Result<()> {
        let mut block = [0_u8; BLOCK];
        loop {
            let mut ready = self.inotify.readable().await?;
            let read = ready.try_io(|inotify| {
                // SAFETY: the buffer is valid for writes of its length.
                let count = unsafe { libc::read(inotify.as_raw_fd(), block.as_mut_ptr().cast(), block.len()) };
                usize::try_from(count).map_err(|_| io::Error::last_os_error())
            });
            match read {
                // Not ready after all: wait on.
                Err(_) => {}
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(read) => {
                    decode(block.get(..read?).unwrap_or_default(), changes);
                    return Ok(());
                }
            }
        }
    }
}

/// The events in `bytes`; the kernel gives whole ones only.
fn decode(mut bytes: &[u8], changes: &mut Vec<Change>) {
    while let Some((header, rest)) = bytes.split_at_checked(HEADER) {
        // SAFETY: the kernel's structure is of plain numbers, `header` is as long as it, and it need not be aligned.
        let event = unsafe { header.as_ptr().cast::<libc::inotify_event>().read_unaligned() };
        let Some((name, rest)) = rest.split_at_checked(event.len as usize) else { return };
        bytes = rest;
        let kind = match event.mask {
            mask if mask & libc::IN_Q_OVERFLOW != 0 => ChangeKind::Unknown,
            mask if mask & libc::IN_IGNORED != 0 => ChangeKind::Gone,
            mask if mask & (libc::IN_CREATE | libc::IN_MOVED_TO) != 0 => ChangeKind::Appeared,
            mask if mask & libc::IN_MODIFY != 0 => ChangeKind::Written,
            _ => continue,
        };
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        changes.push(Change { key: event.wd, kind, name: OsString::from(OsStr::from_bytes(name)) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn growth_and_new_names_are_told_with_their_directory() {
        let home = tempfile::tempdir().unwrap();
        let mut watch = DirectoryWatch::new().unwrap();
        let key = watch.add(home.path()).unwrap();
        let told = |kind, name: &str| Change { key, kind, name: name.into() };
        std::fs::write(home.path().join("a.log"), "text").unwrap();
        std::fs::rename(home.path().join("a.log"), home.path().join("b.log")).unwrap();
        let mut changes = Vec::new();
        watch.changes(&mut changes).await.unwrap();
        assert_eq!(
            changes,
            [
                told(ChangeKind::Appeared, "a.log"),
                told(ChangeKind::Written, "a.log"),
                told(ChangeKind::Appeared, "b.log"),
            ]
        );
        changes.clear();
        drop(home);
        watch.changes(&mut changes).await.unwrap();
        assert_eq!(changes.last(), Some(&told(ChangeKind::Gone, "")));
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_cannot_be_watched() {
        let watch = DirectoryWatch::new().unwrap();
        let error = watch.add(Path::new("/nonexistent")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
