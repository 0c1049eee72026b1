//! System calls that neither the standard library nor `nix` offers, each wrapped once into a safe function.
//!
//! Owns no state. Only this folder enters.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Signal the whole process group that is led by the process behind the descriptor (`linux/pidfd.h`, kernel 6.9).
const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;

/// An ended child, as waitid(2) tells it.
pub(super) struct Ended {
    /// Which child.
    pub(super) pid: u32,
    /// `CLD_EXITED`, `CLD_KILLED` or `CLD_DUMPED`.
    pub(super) code: i32,
    /// Exit code or signal, by `code`.
    pub(super) status: i32,
    /// What the child and the children it waited for have used.
    pub(super) usage: libc::rusage,
}

/// Which child to wait for.
#[derive(Clone, Copy)]
pub(super) enum Child<'a> {
    /// The one behind a pidfd.
    Descriptor(BorrowedFd<'a>),
    /// The one with this pid.
    Pid(u32),
    /// Whichever comes first.
    Any,
}

/// Reap a child that has ended; `None` when it still runs and `block` is false.
pub(super) fn reap(child: Child<'_>, block: bool) -> io::Result<Option<Ended>> {
    let (kind, id) = match child {
        Child::Descriptor(fd) => (libc::P_PIDFD, i64::from(fd.as_raw_fd())),
        Child::Pid(pid) => (libc::P_PID, i64::from(pid)),
        Child::Any => (libc::P_ALL, 0),
    };
    let options = libc::WEXITED | if block { 0 } else { libc::WNOHANG };
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: both pointers are valid for writes of their types for the length of the call.
        let result =
            unsafe { libc::syscall(libc::SYS_waitid, kind, id, info.as_mut_ptr(), options, usage.as_mut_ptr()) };
        if result == 0 {
            // SAFETY: zeroed memory is a valid value of both, and the kernel wrote over it; the accessors read the
            // fields that waitid(2) fills.
            let (info, usage) = unsafe { (info.assume_init(), usage.assume_init()) };
            let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
            return Ok((pid > 0).then_some(Ended { pid: pid as u32, code: info.si_code, status, usage }));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// A descriptor of the process that has this pid now (pidfd_open(2)).
pub(super) fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `PIDFD_GET_INFO`, `_IOWR(0xFF, 11, struct pidfd_info)` with the structure's first version (`linux/pidfd.h`).
const PIDFD_GET_INFO: libc::c_ulong = 0xC040_FF0B;
/// Ask for the exit status, or: it is there.
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// `struct pidfd_info`, first version: 64 bytes.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    /// Ids of process and parent, users and groups.
    ids: [u32; 11],
    exit_code: i32,
}

/// The end of a process that is not our child, as its pidfd tells it.
pub(super) enum StrangersEnd {
    /// A status as wait(2) gives it.
    Status(i32),
    /// Its parent has not waited for it yet.
    NotYet,
    /// This kernel does not tell (before 6.15).
    NeverTold,
}

/// Ask a pidfd how its process ended (Linux 6.15).
pub(super) fn strangers_end(pidfd: BorrowedFd<'_>) -> StrangersEnd {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the pointer is valid for the 64 bytes that the request's number states.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) };
    match (result, io::Error::last_os_error().raw_os_error()) {
        (0, _) if info.mask & PIDFD_INFO_EXIT != 0 => StrangersEnd::Status(info.exit_code),
        (0, _) if is_told_by_this_kernel() => StrangersEnd::NotYet,
        _ => StrangersEnd::NeverTold,
    }
}

/// Whether this kernel is 6.15 or later: the structure of an earlier one looks the same as one of a living process.
fn is_told_by_this_kernel() -> bool {
    let release = nix::sys::utsname::uname().map(|names| names.release().to_string_lossy().into_owned());
    let mut numbers = release.iter().flat_map(|text| text.split(['.', '-'])).map(|part| part.parse::<u32>().ok());
    let (major, minor) = (numbers.next().flatten(), numbers.next().flatten());
    (major, minor) >= (Some(6), Some(15))
}

/// Have the runtime watch a descriptor for readability (a pidfd is readable when its process has ended). Gives it back
/// when the poller refuses.
pub(super) fn watch(descriptor: OwnedFd) -> Result<AsyncFd<OwnedFd>, OwnedFd> {
    // SAFETY: an `OwnedFd` stays open and keeps its number until it is dropped, which `AsyncFd` does after it has
    // deregistered it.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.map_err(|refused| refused.into_parts().0)
}

fn pidfd_send(pidfd: BorrowedFd<'_>, signal: i32, flags: libc::c_uint) -> io::Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed and stands for the one kill(2) would send.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, flags) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Signal the process behind the descriptor, and no other.
pub(super) fn signal_process(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    pidfd_send(pidfd, signal, 0)
}

/// Signal the group that the process behind the descriptor leads. `leader` is its pid, for kernels before 6.9.
pub(super) fn signal_group(pidfd: BorrowedFd<'_>, leader: u32, signal: i32) -> io::Result<()> {
    match pidfd_send(pidfd, signal, PIDFD_SIGNAL_PROCESS_GROUP) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            // SAFETY: the call takes plain numbers.
            let result = unsafe { libc::kill(-(leader as i32), signal) };
            if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        }
        other => other,
    }
}

/// Whether two processes are users of one address space, as a parent and its child are between vfork(2) and the child's
/// execve(2). False when one of them is gone or the kernel does not tell (kcmp(2)).
pub(super) fn share_an_address_space(one: u32, other: u32) -> bool {
    const KCMP_VM: libc::c_long = 1;
    // SAFETY: takes two pids and a number, and touches no memory of ours.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, one as libc::c_long, other as libc::c_long, KCMP_VM, 0, 0) };
    order == 0
}

/// Set the niceness of one thread, -20 to 19.
pub(super) fn set_niceness(thread: u32, niceness: i32) -> io::Result<()> {
    // SAFETY: the call takes plain numbers.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, thread, niceness) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Block every signal for this thread, those that the C library keeps for itself included.
pub(super) fn block_all_signals() {
    let all = u64::MAX;
    let none = std::ptr::null_mut::<u64>();
    // SAFETY: `all` is a kernel signal set of the eight bytes the last argument states.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, none, size_of::<u64>()) };
}

/// Clock ticks in a second, the unit of the times in `/proc/PID/stat` (100 on every common kernel).
pub(super) fn ticks_per_second() -> u64 {
    // SAFETY: the call takes a plain number.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// Bytes in a page.
pub(super) fn page_size() -> u64 {
    // SAFETY: the call takes a plain number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).ok().filter(|size| *size > 0).unwrap_or(4096)
}

/// Nanoseconds since boot, time in suspend included: the clock that start times count by.
pub(super) fn since_boot_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid for a write; the clock exists since Linux 2.6.39, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
