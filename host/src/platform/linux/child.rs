//! Between clone and exec: the steps a new process takes before it becomes the program.
//!
//! The child shares this process's memory (`CLONE_VM`) while the thread that made it stands still (`CLONE_VFORK`), so no
//! page is copied, however large the daemon. The price: what runs here may neither allocate, lock nor panic, and calls
//! the kernel itself wherever the C library would act on all threads. All it needs is prepared before. `launch` and the
//! holder enter, by `start`.
//!
//! It also starts on a shared descriptor table (`CLONE_FILES`) and leaves it with `close_range(UNSHARE)`, which copies
//! nothing that it would then close: the cost of a start does not grow with the descriptors the daemon has open.
//!
//! The order of the steps, and why:
//!
//! ```text
//! session, cgroup     the group is joined before anything is used that it should count
//! descriptors         output files are opened by who we are: a switched user needs no rights on them
//! claims, limits      favours and hard limits can only be raised while we are who we are
//! directory           entered before the mounts: unshare(2) takes it along, a descriptor would stay behind
//! mounts              need the rights of who we are, and Landlock forbids them afterwards
//! no_new_privs        Landlock asks for it, unless we are privileged
//! Landlock            its paths are opened by who we are, in the child's own view of the files
//! groups, gid, uid    the last step that needs a right
//! directory again     whether the new user may be there at all
//! program             opened as the new user, then executed from that very descriptor
//! ```
#![allow(unsafe_code)]

mod claims;
mod descriptors;
mod into_group;
mod landlock;
mod mounts;
mod place;
mod program;
mod report;
mod step;
mod user;

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::Ordering;

pub(super) use claims::{Claims, Limits};
pub(super) use descriptors::Output;
pub(super) use landlock::{FileRights, Rule};
pub(super) use mounts::{Maps, PrivateTmp};
pub(super) use program::Program;
use report::{Report, SharedReport};
pub(super) use step::Step;
pub(super) use user::Become;

/// Signal numbers are 1 to 64 on every architecture Rust's Linux targets know, MIPS aside.
const LAST_SIGNAL: c_int = 64;

/// Everything the child needs, as the system calls take it. Made by `prepare`.
pub(super) struct Prepared {
    pub(super) program: Program,
    pub(super) argv: Vec<CString>,
    pub(super) env: Vec<CString>,
    pub(super) directory: CString,
    /// Whether directory and program are resolved paths in which no symbolic link may have appeared since.
    pub(super) pinned: bool,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    /// `cgroup.procs` of the group to join; `None` stays in ours, or where the clone has put it.
    pub(super) cgroup: Option<CString>,
    /// What all of the run is known by (see `tag`); `None` for what is no run.
    pub(super) tag: Option<u64>,
    pub(super) claims: Claims,
    pub(super) limits: Limits,
    pub(super) umask: Option<libc::mode_t>,
    pub(super) private_tmp: Option<PrivateTmp>,
    pub(super) no_new_privileges: bool,
    pub(super) files: Option<FileRights>,
    pub(super) user: Option<Become>,
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
    /// Which of several, for the steps that say so; else 0.
    pub(super) detail: u32,
    pub(super) source: io::Error,
}

/// Why a step of the child failed; the reason is in `errno`.
#[derive(Debug, Clone, Copy)]
struct Failed {
    step: Step,
    detail: u32,
}

impl Failed {
    const fn at(step: Step) -> Self {
        Self { step, detail: 0 }
    }
}

/// What every step says.
type Taken = Result<(), Failed>;

/// Memory for the child's stack: it must not use its maker's, which it shares and which stands still in a call. And for
/// the report of a child that has a copy of all other memory.
pub(super) struct Stack {
    memory: Vec<u128>,
    report: Option<SharedReport>,
}

impl Default for Stack {
    fn default() -> Self {
        // 64 KiB: the steps need less than 4 KiB, in a debug build too.
        Self { memory: vec![0; 4096], report: None }
    }
}

impl Stack {
    fn report(&mut self) -> Option<&Report> {
        if self.report.is_none() {
            self.report = SharedReport::new().ok();
        }
        self.report.as_ref().map(SharedReport::get)
    }
}

/// What maker and child share.
struct Shared<'a> {
    prepared: &'a Prepared,
    argv: &'a [*const c_char],
    env: &'a [*const c_char],
    report: &'a Report,
}

/// Make a process that executes the program. The calling thread must have every signal blocked, so that no handler
/// of this process runs in the child. Returns when the child has become the program, or failed and was reaped.
pub(super) fn start(prepared: &Prepared, stack: &mut Stack) -> Result<Born, Refused> {
    let (argv, env) = (pointers(&prepared.argv), pointers(&prepared.env));
    let report = Report::default();
    let shared = Shared { prepared, argv: &argv, env: &env, report: &report };
    let dumpable = prepared.user.as_ref().map(|_| user::dumpable());
    let outcome = clone(&shared, stack);
    dumpable.into_iter().for_each(user::restore_dumpable);
    let (pid, pidfd) = outcome?;
    conclude(pid, pidfd, &report)
}

/// The same for a process that is small and has one thread: the child is born in the group behind this descriptor, which
/// is that of `prepared.cgroup`. Where the kernel cannot do that, it joins it.
pub(super) fn start_in(group: BorrowedFd<'_>, mut prepared: Prepared, stack: &mut Stack) -> Result<Born, Refused> {
    let joins = prepared.cgroup.take();
    if let Some(report) = stack.report() {
        report.reset();
        let (argv, env) = (pointers(&prepared.argv), pointers(&prepared.env));
        let shared = Shared { prepared: &prepared, argv: &argv, env: &env, report };
        if let Ok((pid, pidfd)) = into_group::clone_into(group, namespaces(&prepared), || take_steps(&shared)) {
            return conclude(pid, pidfd, report);
        }
    }
    // If the group is the reason, joining it says so.
    prepared.cgroup = joins;
    start(&prepared, stack)
}

/// What became of the child.
fn conclude(pid: u32, pidfd: OwnedFd, report: &Report) -> Result<Born, Refused> {
    let Some(step) = Step::of_number(report.failed_step.load(Ordering::Acquire)) else {
        return Ok(Born { pid, pidfd });
    };
    // It has ended or is about to; nobody else will ever learn of it, so it is reaped here.
    let _ = super::sys::reap(super::sys::Child::Pid(pid), true);
    let detail = u32::try_from(report.detail.load(Ordering::Acquire)).unwrap_or(0);
    Err(Refused { step, detail, source: io::Error::from_raw_os_error(report.errno.load(Ordering::Acquire)) })
}

/// Namespaces that the child is to be born in, as flags of clone(2).
fn namespaces(prepared: &Prepared) -> c_int {
    let own_users = prepared.private_tmp.as_ref().is_some_and(PrivateTmp::needs_user_namespace);
    if own_users { libc::CLONE_NEWUSER } else { 0 }
}

/// The clone itself: the child takes the steps while this thread stands still.
fn clone(shared: &Shared<'_>, stack: &mut Stack) -> Result<(u32, OwnedFd), Refused> {
    let namespaces = namespaces(shared.prepared);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::CLONE_FILES | libc::SIGCHLD | namespaces;
    let mut pidfd: c_int = -1;
    // SAFETY: the stack is ours alone, aligned to 16 bytes and given by its upper end; `shared` and all it points to
    // outlive the call, and CLONE_VFORK holds this thread until the child no longer uses this memory. `child_main`
    // keeps to async-signal-safe calls. CLONE_PIDFD has the kernel write the descriptor where the fifth argument says.
    let pid = unsafe {
        let top = stack.memory.as_mut_ptr_range().end.cast::<c_void>();
        libc::clone(child_main, top, flags, (&raw const *shared).cast_mut().cast::<c_void>(), &raw mut pidfd)
    };
    if pid < 0 {
        let step = if namespaces != 0 { Step::UserNamespace } else { Step::Clone };
        return Err(Refused { step, detail: 0, source: io::Error::last_os_error() });
    }
    // SAFETY: the kernel made the descriptor for this call and nobody else knows it.
    Ok((pid as u32, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// The null-terminated array that execve(2) takes.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

extern "C" fn child_main(argument: *mut c_void) -> c_int {
    // SAFETY: `clone` passed a pointer to its `Shared`, which lives while it is held by CLONE_VFORK.
    let shared = unsafe { &*argument.cast::<Shared<'_>>() };
    take_steps(shared)
}

/// Take the steps, and report the one that failed; only then does it return.
fn take_steps(shared: &Shared<'_>) -> c_int {
    let failed = steps(shared).err().unwrap_or(Failed::at(Step::Execute));
    // SAFETY: errno is a plain number of the thread that stands still, or of the child's own copy of it.
    shared.report.errno.store(unsafe { *libc::__errno_location() }, Ordering::Release);
    shared.report.detail.store(failed.detail as i32, Ordering::Release);
    shared.report.failed_step.store(failed.step as i32, Ordering::Release);
    127
}

/// Take every step, in the order that the head of this file explains. The last does not return when it succeeds.
fn steps(shared: &Shared<'_>) -> Taken {
    let plan = shared.prepared;
    reset_dispositions();
    // SAFETY: takes nothing.
    if unsafe { libc::setsid() } < 0 {
        return Err(Failed::at(Step::Session));
    }
    place::join_cgroup(plan.cgroup.as_deref())?;
    descriptors::replace(&plan.stdout, &plan.stderr)?;
    plan.tag.into_iter().for_each(super::tag::put_on);
    claims::lower(&plan.claims)?;
    claims::limit(&plan.limits)?;
    place::enter(&plan.directory, plan.pinned)?;
    if let Some(mask) = plan.umask {
        // SAFETY: takes a plain number, and this mask is the child's own (no CLONE_FS).
        unsafe { libc::umask(mask) };
    }
    if let Some(private) = &plan.private_tmp {
        mounts::make_private_tmp(private)?;
    }
    if plan.no_new_privileges {
        user::give_up_new_privileges()?;
    }
    if let Some(files) = &plan.files {
        landlock::confine(files, plan.pinned)?;
    }
    if let Some(user) = &plan.user {
        user::switch(user)?;
        place::stay()?;
    }
    program::execute(&plan.program, plan.pinned, &plan.limits, shared.argv, shared.env)
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

#[cfg(test)]
mod tests;
