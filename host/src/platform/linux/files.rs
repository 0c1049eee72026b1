//! The files of one process that the sampler reads, open or opened for one look.
//!
//! A descriptor of `/proc/PID/…` stays bound to the process it was opened for: once that has ended, reads fail, whoever
//! has the pid by then. Only the sampler enters.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use super::stat::{self, Stat, decimal, parse_pids};

/// Descriptors that one process's files take.
pub(super) const DESCRIPTORS: u64 = 4;

/// What one look at a process gave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    pub(super) stat: Stat,
    pub(super) handles: u32,
    pub(super) disk_read: u64,
    pub(super) disk_written: u64,
}

/// The open files of one process. Those that need more rights than we have are absent and count as 0.
#[derive(Debug)]
pub(super) struct Files {
    stat: File,
    children: Option<File>,
    io: Option<File>,
    handles: Option<File>,
}

impl Files {
    /// Open the files of the process that has this pid now; its identity shows in the first figures.
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        Ok(Self {
            stat: File::open(format!("/proc/{pid}/stat"))?,
            children: unless_forbidden(File::open(format!("/proc/{pid}/task/{pid}/children")))?,
            io: unless_forbidden(File::open(format!("/proc/{pid}/io")))?,
            handles: unless_forbidden(File::open(format!("/proc/{pid}/fd")))?,
        })
    }

    /// Read everything but the children.
    pub(super) fn read(&self, pid: u32, handles_by_size: bool) -> io::Result<Figures> {
        let mut buffer = [0; 1024];
        let length = self.stat.read_at(&mut buffer, 0)?;
        let stat = Stat::parse(&buffer[..length]).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        let (disk_read, disk_written) = self.io.as_ref().map_or((0, 0), |file| {
            let length = file.read_at(&mut buffer, 0).unwrap_or(0);
            disk_bytes(&buffer[..length])
        });
        let handles = match &self.handles {
            Some(directory) if handles_by_size => entries_by_size(directory),
            Some(_) => stat::numeric_names(&format!("/proc/{pid}/fd")).len() as u32,
            None => 0,
        };
        Ok(Figures { stat, handles, disk_read, disk_written })
    }

    /// Append the children of the process's first thread. `text` is scratch space.
    pub(super) fn children(&self, text: &mut Vec<u8>, children: &mut Vec<u32>) {
        if let Some(file) = &self.children {
            append_pids(file, text, children);
        }
    }
}

/// Append the pids that a file of the kernel lists, read from its beginning. `text` is scratch space.
pub(super) fn append_pids(file: &File, text: &mut Vec<u8>, pids: &mut Vec<u32>) {
    let mut length = 0;
    loop {
        if text.len() < length + 1024 {
            text.resize(length + 4096, 0);
        }
        match file.read_at(&mut text[length..], length as u64) {
            Ok(0) | Err(_) => break,
            Ok(read) => length += read,
        }
    }
    parse_pids(&text[..length], pids);
}

/// Whether the size of `/proc/PID/fd` is the number of its entries (Linux 6.2 and newer).
pub(super) fn size_counts_handles() -> bool {
    File::open("/proc/self/fd").is_ok_and(|directory| entries_by_size(&directory) > 0)
}

fn entries_by_size(directory: &File) -> u32 {
    nix::sys::stat::fstat(directory.as_fd()).map_or(0, |status| status.st_size as u32)
}

fn unless_forbidden(opened: io::Result<File>) -> io::Result<Option<File>> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        other => other.map(Some),
    }
}

/// Bytes read from and written to storage, of `/proc/PID/io` (proc_pid_io(5)).
fn disk_bytes(text: &[u8]) -> (u64, u64) {
    let (mut read, mut written) = (0, 0);
    for line in text.split(|byte| *byte == b'\n') {
        if let Some(number) = line.strip_prefix(b"read_bytes: ") {
            read = decimal(number).unwrap_or(0);
        } else if let Some(number) = line.strip_prefix(b"write_bytes: ") {
            written = decimal(number).unwrap_or(0);
        }
    }
    (read, written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_bytes_are_not_mistaken_for_cancelled_ones() {
        let text = b"rchar: 9\nwchar: 8\nsyscr: 7\nsyscw: 6\nread_bytes: 4096\nwrite_bytes: 8192\n\
            cancelled_write_bytes: 1\n";
        assert_eq!(disk_bytes(text), (4096, 8192));
    }
}
