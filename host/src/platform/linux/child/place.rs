//! Where the child stands: its cgroup and its working directory.
//!
//! Owns nothing. Only `steps` and `program` enter, in the child.

use std::ffi::{CStr, c_int};

use super::{Failed, Step, Taken};

/// `struct open_how` of openat2(2).
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// Join the group whose `cgroup.procs` this is.
pub(super) fn join_cgroup(procs: Option<&CStr>) -> Taken {
    let Some(procs) = procs else { return Ok(()) };
    // The table is still shared here: what is opened must be closed, whatever comes.
    // SAFETY: null-terminated strings, and a buffer of the stated length; 0 stands for who writes.
    let joined = unsafe {
        let fd = libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let written = if fd < 0 { -1 } else { libc::write(fd, c"0".as_ptr().cast(), 1) };
        let errno = *libc::__errno_location();
        if fd >= 0 {
            libc::close(fd);
        }
        *libc::__errno_location() = errno;
        written
    };
    if joined == 1 { Ok(()) } else { Err(Failed::at(Step::Cgroup)) }
}

/// Enter the working directory. A pinned one was judged as it stands, so no part of it may be a symbolic link by now.
pub(super) fn enter(directory: &CStr, pinned: bool) -> Taken {
    let failed = Failed::at(Step::Directory);
    if !pinned {
        // SAFETY: the path is null-terminated.
        return if unsafe { libc::chdir(directory.as_ptr()) } == 0 { Ok(()) } else { Err(failed) };
    }
    let fd = open_without_links(directory, libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC);
    // SAFETY: plain numbers; the descriptor is the child's own.
    if fd < 0 || unsafe { libc::fchdir(fd) } < 0 {
        return Err(failed);
    }
    // SAFETY: as above.
    unsafe { libc::close(fd) };
    Ok(())
}

/// Whether who the child has become may be where it is.
pub(super) fn stay() -> Taken {
    // SAFETY: the path is null-terminated.
    if unsafe { libc::chdir(c".".as_ptr()) } == 0 { Ok(()) } else { Err(Failed::at(Step::DirectoryAgain)) }
}

/// Open a path that follows no symbolic link in any part, in one step of the kernel's (openat2(2), Linux 5.6).
pub(super) fn open_without_links(path: &CStr, flags: c_int) -> c_int {
    let how = OpenHow { flags: flags as u64, mode: 0, resolve: libc::RESOLVE_NO_SYMLINKS };
    // SAFETY: the path is null-terminated and the structure of the stated size; both outlive the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path.as_ptr(), &raw const how, size_of::<OpenHow>())
    };
    fd as c_int
}
