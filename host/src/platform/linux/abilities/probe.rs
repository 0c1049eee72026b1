//! System calls that are only asked whether they are there. None of them changes anything.
//!
//! Owns no state. Only `abilities` enters.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::platform::linux::sys;

/// `PIDFD_GET_INFO` for the first 64 bytes of `struct pidfd_info` (`linux/pidfd.h`).
const PIDFD_GET_INFO: libc::c_ulong = 0xC040_FF0B;
/// `CLONE_INTO_CGROUP` of `linux/sched.h`.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// A descriptor that cannot be open: the highest number there is.
const NO_DESCRIPTOR: u64 = c_int::MAX as u64;

/// A descriptor of ourselves.
pub(super) fn own_pidfd() -> io::Result<OwnedFd> {
    sys::pidfd_open(std::process::id())
}

/// Whether a pidfd tells about its process.
pub(super) fn tells_info(pidfd: &OwnedFd) -> bool {
    // The mask comes first; none is asked for.
    let mut info = [0_u64; 8];
    // SAFETY: the structure has the 64 bytes that the number of the call states.
    unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO as _, info.as_mut_ptr()) == 0 }
}

/// Whether a child can be born in a cgroup: the kernel complains of the group, not of the wish.
pub(super) fn clones_into_cgroups() -> bool {
    // `struct clone_args`: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
    // set_tid_size, cgroup.
    let arguments: [u64; 11] = [CLONE_INTO_CGROUP, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0, 0, 0, NO_DESCRIPTOR];
    // SAFETY: the structure is of the stated size. No child can come of it, for there is no such group.
    let made = unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) };
    made < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EBADF)
}

/// Whether ranges of descriptors can be closed; closes none.
pub(super) fn closes_ranges() -> bool {
    // SAFETY: plain numbers; no descriptor has the highest one.
    unsafe { libc::syscall(libc::SYS_close_range, libc::c_uint::MAX, libc::c_uint::MAX, 0) == 0 }
}

/// Whether a path can be opened without following links.
pub(super) fn opens_without_links() -> io::Result<()> {
    let how: [u64; 3] = [(libc::O_PATH | libc::O_CLOEXEC) as u64, 0, libc::RESOLVE_NO_SYMLINKS];
    // SAFETY: a null-terminated string and a structure of the stated size.
    let fd =
        unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, c"/".as_ptr(), how.as_ptr(), size_of_val(&how)) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor and nobody else knows it.
    drop(unsafe { OwnedFd::from_raw_fd(fd as c_int) });
    Ok(())
}

/// Whether orphans can be adopted.
pub(super) fn adopts() -> bool {
    let mut adopts: c_int = 0;
    // SAFETY: the pointer is valid for the number that the call writes.
    unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut adopts, 0, 0, 0) == 0 }
}

/// Whether files can be watched.
pub(super) fn watches_files() -> io::Result<()> {
    // SAFETY: plain numbers.
    let fd = unsafe { libc::inotify_init1(libc::IN_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor and nobody else knows it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}
