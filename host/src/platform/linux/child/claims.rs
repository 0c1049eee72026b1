//! What the child may take: niceness, OOM score, I/O priority and rlimits.
//!
//! Owns nothing. Only `steps` and `program` enter, in the child.

use std::ffi::{CString, c_int};

use super::{Failed, Step, Taken};

/// `IOPRIO_WHO_PROCESS` of ioprio_set(2).
const IO_PRIORITY_OF_PROCESS: c_int = 1;
/// Where the class stands above the level in an I/O priority.
const IO_CLASS_SHIFT: c_int = 13;
const IO_CLASS_BEST_EFFORT: c_int = 2;
const IO_CLASS_IDLE: c_int = 3;

/// How the child stands among the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::platform) struct Claims {
    pub(in crate::platform) niceness: c_int,
    /// Text for `/proc/self/oom_score_adj`; `None` when what it inherits is right.
    pub(in crate::platform) oom_score: Option<CString>,
    /// As ioprio_set(2) takes it; `None` for what is inherited.
    pub(in crate::platform) io_priority: Option<c_int>,
}

/// Limits of setrlimit(2); `None` leaves what is inherited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::platform) struct Limits {
    /// Soft and hard limit of open descriptors.
    pub(in crate::platform) handles: Option<(u64, u64)>,
    pub(in crate::platform) core_bytes: Option<u64>,
    pub(in crate::platform) file_size_bytes: Option<u64>,
}

impl Claims {
    /// Best effort with a level of 0 to 7.
    pub(in crate::platform) fn best_effort(level: u8) -> c_int {
        (IO_CLASS_BEST_EFFORT << IO_CLASS_SHIFT) | c_int::from(level.min(7))
    }

    /// Only when nobody else wants the disk.
    pub(in crate::platform) const fn idle() -> c_int {
        IO_CLASS_IDLE << IO_CLASS_SHIFT
    }
}

/// Niceness and OOM score as far as the kernel lets us, for a worker without them is better than none; I/O priority was
/// asked for and is held.
pub(super) fn lower(claims: &Claims) -> Taken {
    // SAFETY: plain numbers, null-terminated strings, and a buffer of the stated length.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, claims.niceness);
        if let Some(score) = &claims.oom_score {
            let fd = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            if fd >= 0 {
                libc::write(fd, score.as_ptr().cast(), score.as_bytes().len());
                libc::close(fd);
            }
        }
        if let Some(priority) = claims.io_priority
            && libc::syscall(libc::SYS_ioprio_set, IO_PRIORITY_OF_PROCESS, 0, priority) < 0
        {
            return Err(Failed::at(Step::IoPriority));
        }
    }
    Ok(())
}

/// Every limit but that on descriptors, which the steps to come still need; its hard limit is raised here, while we may.
pub(super) fn limit(limits: &Limits) -> Taken {
    if let Some((_, hard)) = limits.handles {
        raise_hard(libc::RLIMIT_NOFILE as c_int, hard);
    }
    if limits.core_bytes.is_some_and(|bytes| !set(libc::RLIMIT_CORE as c_int, bytes, bytes)) {
        return Err(Failed::at(Step::CoreLimit));
    }
    if limits.file_size_bytes.is_some_and(|bytes| !set(libc::RLIMIT_FSIZE as c_int, bytes, bytes)) {
        return Err(Failed::at(Step::FileSizeLimit));
    }
    Ok(())
}

/// The limit on descriptors.
pub(super) fn limit_handles(limits: &Limits) -> Taken {
    match limits.handles {
        Some((soft, hard)) if !set(libc::RLIMIT_NOFILE as c_int, soft, hard) => Err(Failed::at(Step::HandleLimit)),
        _ => Ok(()),
    }
}

/// Without the right to, it stays, and `set` goes as near as it allows.
fn raise_hard(resource: c_int, hard: u64) {
    if let Some(limit) = get(resource).filter(|limit| limit.rlim_max < hard) {
        put(resource, libc::rlimit { rlim_cur: limit.rlim_cur, rlim_max: hard });
    }
}

/// Set a limit; where the hard limit cannot be raised, as near as it allows.
fn set(resource: c_int, soft: u64, hard: u64) -> bool {
    if put(resource, libc::rlimit { rlim_cur: soft, rlim_max: hard }) {
        return true;
    }
    let Some(present) = get(resource) else { return false };
    let hard = present.rlim_max.min(hard);
    put(resource, libc::rlimit { rlim_cur: hard.min(soft), rlim_max: hard })
}

fn get(resource: c_int) -> Option<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is valid for the structure, which is that of the kernel on 64-bit architectures.
    let read = unsafe { libc::syscall(libc::SYS_getrlimit, resource, &raw mut limit) };
    (read == 0).then_some(limit)
}

fn put(resource: c_int, limit: libc::rlimit) -> bool {
    // SAFETY: the pointer is valid for the structure, which is that of the kernel on 64-bit architectures.
    unsafe { libc::syscall(libc::SYS_setrlimit, resource, &raw const limit) == 0 }
}
