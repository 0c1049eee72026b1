//! System calls on pipes that the standard library does not offer, each wrapped once into a safe function.
//!
//! Owns no state. Only `capture` enters.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Move up to `length` bytes from a pipe to a file at `offset`, without waiting for the pipe (splice(2)). 0 when the
/// pipe is empty and has no writer.
///
/// # Errors
/// `WouldBlock` when the pipe is empty; `EINVAL` when the file cannot be spliced to; what the file system says.
pub(super) fn splice(pipe: BorrowedFd<'_>, file: BorrowedFd<'_>, offset: u64, length: usize) -> io::Result<usize> {
    let mut offset = i64::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    let none = std::ptr::null_mut();
    // SAFETY: `offset` is valid for reads and writes; a pipe takes no offset, which null says.
    let moved = unsafe { libc::splice(pipe.as_raw_fd(), none, file.as_raw_fd(), &raw mut offset, length, flags) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Copy what is in one pipe to another and leave it where it is (tee(2)). 0 when it is empty and has no writer.
///
/// # Errors
/// `WouldBlock` when there is nothing to copy or no room for it.
pub(super) fn tee(from: BorrowedFd<'_>, to: BorrowedFd<'_>, length: usize) -> io::Result<usize> {
    // SAFETY: the call takes plain numbers.
    let copied = unsafe { libc::tee(from.as_raw_fd(), to.as_raw_fd(), length, libc::SPLICE_F_NONBLOCK) };
    usize::try_from(copied).map_err(|_| io::Error::last_os_error())
}

/// Ask for a pipe that holds `bytes` (`F_SETPIPE_SZ`).
///
/// # Errors
/// When a user without privileges already has many large pipes.
pub(super) fn resize_pipe(pipe: BorrowedFd<'_>, bytes: i32) -> io::Result<()> {
    // SAFETY: the command takes a number.
    let size = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) };
    if size < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Switch `O_NONBLOCK` of an open file.
pub(super) fn set_nonblocking(file: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    // SAFETY: both commands take plain numbers.
    let changed = unsafe {
        let flags = libc::fcntl(file.as_raw_fd(), libc::F_GETFL);
        let wanted = if nonblocking { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
        if flags < 0 { flags } else { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, wanted) }
    };
    if changed < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Take over a descriptor by its number, after execve(2) has carried it into this program.
///
/// # Errors
/// When there is no such descriptor.
pub(super) fn take_over(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the command takes no argument and touches no memory.
    if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and the caller's promise is that it was handed to this program for this one use.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
