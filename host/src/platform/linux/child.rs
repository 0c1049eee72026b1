//! Between clone and exec: the steps a new process takes before it becomes the program.
//!
//! The child shares this process's memory (`CLONE_VM`) while the thread that made it stands still (`CLONE_VFORK`), so no
//! page is copied, however large the daemon. The price: what runs here may neither allocate, lock nor panic. All it
//! needs is prepared before, and it only makes system calls. Only `launch` enters.
//!
//! It also starts on a shared descriptor table (`CLONE_FILES`) and leaves it with `close_range(UNSHARE)`, which copies
//! nothing that it would then close: the cost of a start does not grow with the descriptors the daemon has open.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

const CLOSE_RANGE_UNSHARE: libc::c_uint = 1 << 1;
/// Signal numbers are 1 to 64 on every architecture Rust's Linux targets know, MIPS aside.
const LAST_SIGNAL: c_int = 64;

/// A step of the child, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Clone,
    Session,
    Descriptors,
    NullInput,
    Output,
    ErrorOutput,
    Directory,
    Privileges,
    HandleLimit,
    Execute,
}

impl Step {
    const ALL: [Self; 10] = [
        Self::Clone,
        Self::Session,
        Self::Descriptors,
        Self::NullInput,
        Self::Output,
        Self::ErrorOutput,
        Self::Directory,
        Self::Privileges,
        Self::HandleLimit,
        Self::Execute,
    ];
}

/// Everything the child needs, as the system calls take it.
pub(super) struct Prepared {
    pub(super) program: CString,
    pub(super) argv: Vec<CString>,
    pub(super) env: Vec<CString>,
    pub(super) directory: CString,
    pub(super) stdout: CString,
    pub(super) stderr: CString,
    pub(super) niceness: c_int,
    /// Text for `/proc/self/oom_score_adj`; `None` when what it inherits is right.
    pub(super) oom_score: Option<CString>,
    /// Soft and hard limit to set; `None` leaves both.
    pub(super) handles: Option<(u64, u64)>,
    pub(super) no_new_privileges: bool,
}

/// A child that executes its program.
pub(super) struct Born {
    pub(super) pid: u32,
    pub(super) pidfd: OwnedFd,
}

/// The step that failed and why.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) step: Step,
    pub(super) source: io::Error,
}

/// Memory for the child's stack: it must not use its maker's, which it shares and which stands still in a call.
pub(super) struct Stack(Vec<u128>);

impl Default for Stack {
    fn default() -> Self {
        // 64 KiB: the steps need less than 2 KiB, in a debug build too.
        Self(vec![0; 4096])
    }
}

/// What maker and child share. The child writes once, before it ends; the maker reads after that.
struct Shared<'a> {
    prepared: &'a Prepared,
    argv: &'a [*const c_char],
    env: &'a [*const c_char],
    failed_step: AtomicI32,
    errno: AtomicI32,
}

/// Make a process that executes the program. The calling thread must have every signal blocked, so that no handler
/// of this process runs in the child. Returns when the child has become the program, or failed and was reaped.
pub(super) fn start(prepared: &Prepared, stack: &mut Stack) -> Result<Born, Refused> {
    let (argv, env) = (pointers(&prepared.argv), pointers(&prepared.env));
    let shared = Shared { prepared, argv: &argv, env: &env, failed_step: AtomicI32::new(-1), errno: AtomicI32::new(0) };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::CLONE_FILES | libc::SIGCHLD;
    let mut pidfd: c_int = -1;
    // SAFETY: the stack is ours alone, aligned to 16 bytes and given by its upper end; `shared` and all it points to
    // outlive the call, and CLONE_VFORK holds this thread until the child no longer uses this memory. `child_main`
    // keeps to async-signal-safe calls. CLONE_PIDFD has the kernel write the descriptor where the fifth argument says.
    let pid = unsafe {
        let top = stack.0.as_mut_ptr_range().end.cast::<c_void>();
        libc::clone(child_main, top, flags, (&raw const shared).cast_mut().cast::<c_void>(), &raw mut pidfd)
    };
    if pid < 0 {
        return Err(Refused { step: Step::Clone, source: io::Error::last_os_error() });
    }
    // SAFETY: the kernel made the descriptor for this call and nobody else knows it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let Some(step) = failed_step(&shared) else { return Ok(Born { pid: pid as u32, pidfd }) };
    // It has ended or is about to; nobody else will ever learn of it, so it is reaped here.
    let _ = super::sys::reap(super::sys::Child::Pid(pid as u32), true);
    Err(Refused { step, source: io::Error::from_raw_os_error(shared.errno.load(Ordering::Acquire)) })
}

fn failed_step(shared: &Shared<'_>) -> Option<Step> {
    usize::try_from(shared.failed_step.load(Ordering::Acquire)).ok().and_then(|step| Step::ALL.get(step).copied())
}

/// The null-terminated array that execve(2) takes.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

extern "C" fn child_main(argument: *mut c_void) -> c_int {
    // SAFETY: `start` passed a pointer to its `Shared`, which lives while it is held by CLONE_VFORK.
    let shared = unsafe { &*argument.cast::<Shared<'_>>() };
    let step = steps(shared);
    // SAFETY: errno is a plain number of the thread that stands still.
    shared.errno.store(unsafe { *libc::__errno_location() }, Ordering::Release);
    shared.failed_step.store(step as i32, Ordering::Release);
    127
}

/// Take every step; returns the one that failed, for the last does not return when it succeeds.
fn steps(shared: &Shared<'_>) -> Step {
    let plan = shared.prepared;
    let (yes, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    reset_dispositions();
    // SAFETY: every call below takes numbers or pointers to null-terminated strings and arrays that outlive it.
    unsafe {
        if libc::setsid() < 0 {
            return Step::Session;
        }
        if let Some(failed) = replace_descriptors(plan) {
            return failed;
        }
        lower_claims(plan);
        if libc::chdir(plan.directory.as_ptr()) < 0 {
            return Step::Directory;
        }
        if plan.no_new_privileges && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, unused, unused, unused) < 0 {
            return Step::Privileges;
        }
        if plan.handles.is_some_and(|(soft, hard)| !limit_handles(soft, hard)) {
            return Step::HandleLimit;
        }
        set_mask_empty();
        libc::execve(plan.program.as_ptr(), shared.argv.as_ptr(), shared.env.as_ptr());
    }
    // Handlers are default here, so a signal may end the child now: it was going to anyway.
    Step::Execute
}

/// Leave the shared descriptor table for one with 0, 1 and 2 only. Returns the step that failed, if one did.
fn replace_descriptors(plan: &Prepared) -> Option<Step> {
    // SAFETY: numbers and null-terminated strings only; closing touches a table of the child's own, by UNSHARE.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, CLOSE_RANGE_UNSHARE) < 0 {
            return Some(Step::Descriptors);
        }
        // The table is empty now, so these become 0, 1 and 2.
        if libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) != 0 {
            return Some(Step::NullInput);
        }
    }
    if open_output(&plan.stdout) != 1 {
        return Some(Step::Output);
    }
    (open_output(&plan.stderr) != 2).then_some(Step::ErrorOutput)
}

/// Every signal to its default. Execution would keep the ignored ones ignored, and until then a handler of the daemon
/// would run in memory that is shared with it.
fn reset_dispositions() {
    // The kernel's own structure: handler SIG_DFL, no flags, no restorer, empty mask.
    let default = [0_u64; 4];
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: the pointer is valid for the kernel's structure on every 64-bit architecture (32 bytes at most). For
        // KILL and STOP the call fails, as it should.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null_mut::<u64>(), 8_usize);
        }
    }
}

fn set_mask_empty() {
    let empty = 0_u64;
    // SAFETY: the pointer is valid for the eight bytes of the kernel's signal set.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const empty,
            std::ptr::null_mut::<u64>(),
            8_usize,
        );
    }
}

fn open_output(path: &CStr) -> c_int {
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_NOCTTY;
    // SAFETY: the path is null-terminated and outlives the call.
    unsafe { libc::open(path.as_ptr(), flags, 0o600 as libc::c_uint) }
}

/// Niceness and OOM score, as far as the kernel lets us: a worker without them is better than none.
fn lower_claims(plan: &Prepared) {
    // SAFETY: plain numbers, null-terminated strings, and a buffer of the stated length.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, plan.niceness);
        if let Some(score) = &plan.oom_score {
            let fd = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            if fd >= 0 {
                libc::write(fd, score.as_ptr().cast(), score.as_bytes().len());
                libc::close(fd);
            }
        }
    }
}

/// Set `RLIMIT_NOFILE`; where the hard limit cannot be raised, as near as it allows.
fn limit_handles(soft: u64, hard: u64) -> bool {
    let mut limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the pointers are valid for the structure.
    unsafe {
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0 {
            return true;
        }
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) < 0 {
            return false;
        }
        limit.rlim_max = limit.rlim_max.min(hard);
        limit.rlim_cur = limit.rlim_max.min(soft);
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0
    }
}
