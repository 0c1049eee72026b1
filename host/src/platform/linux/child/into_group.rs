//! A child that is born in its cgroup (clone3(2), Linux 5.7).
//!
//! Joining a group after birth has the kernel wait for every processor to notice, for tens of milliseconds; being born in
//! it costs nothing. The price is that the child gets a copy of the maker's memory: clone3 leaves the stack of a child that
//! shares it to the maker, which needs machine code of its own. The copy is cheap for a process as small as the holder,
//! so only the holder enters.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `CLONE_INTO_CGROUP` (`linux/sched.h`), which has no room in a C `int`.
const INTO_GROUP: u64 = 0x2_0000_0000;

/// Make a child in this group, a copy of this process that does `steps` and ends with what they return. They must keep to
/// what is allowed between clone and exec, and this thread stands still until they are done. `namespaces` are flags of
/// clone(2).
///
/// # Errors
/// `ENOSYS`, `EINVAL` or `E2BIG` when this kernel cannot; whatever else forbids a child, or this one in this group.
pub(super) fn clone_into(
    group: BorrowedFd<'_>,
    namespaces: c_int,
    steps: impl FnOnce() -> c_int,
) -> io::Result<(u32, OwnedFd)> {
    let mut pidfd: c_int = -1;
    // SAFETY: zeros are a valid value of the structure.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    let flags = libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::CLONE_FILES | namespaces;
    arguments.flags = u64::from(flags.cast_unsigned()) | INTO_GROUP;
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    arguments.cgroup = group.as_raw_fd() as u64;
    // SAFETY: the structure is valid for its size and the kernel writes the descriptor where it says. Without CLONE_VM
    // the child has this stack as its own copy, so returning twice harms nothing; it never leaves this function.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>()) };
    if pid == 0 {
        let code = steps();
        // SAFETY: ends the child at once, without what the maker has registered for its own end.
        unsafe { libc::_exit(code) };
    }
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel made the descriptor for this call and nobody else knows it.
    Ok((pid as u32, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}
