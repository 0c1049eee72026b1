//! The last step: the program.
//!
//! A pinned program was judged by its resolved path. Its directory is opened without following any link, and the program
//! executed out of that very directory without following one either: whatever is put in its way meanwhile is not run.
//! A script is opened a second time by its interpreter, by its path; that path is looked at again just before.
//!
//! Owns nothing. Only `steps` enters, in the child.

use std::ffi::{CString, c_char, c_int};

use super::{Failed, Limits, Step, Taken, claims, place};

/// The file to execute: the whole path and its two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::platform) struct Program {
    pub(in crate::platform) path: CString,
    pub(in crate::platform) directory: CString,
    pub(in crate::platform) name: CString,
}

/// Become the program. Returns only when that fails.
pub(super) fn execute(
    program: &Program,
    pinned: bool,
    limits: &Limits,
    argv: &[*const c_char],
    env: &[*const c_char],
) -> Taken {
    let failed = Failed::at(Step::Execute);
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let directory = if pinned { place::open_without_links(&program.directory, flags) } else { -1 };
    if pinned && directory < 0 {
        return Err(failed);
    }
    claims::limit_handles(limits)?;
    set_mask_empty();
    // Handlers are default here, so a signal may end the child now: it was going to anyway.
    if pinned && !execute_in(directory, program, argv, env) {
        return Err(failed);
    }
    // SAFETY: a null-terminated string and null-terminated arrays of them, which outlive the call.
    unsafe { libc::execve(program.path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    Err(failed)
}

/// Execute out of an open directory. Returns only when that fails: whether it may be tried by the path.
fn execute_in(directory: c_int, program: &Program, argv: &[*const c_char], env: &[*const c_char]) -> bool {
    // SAFETY: a null-terminated string and null-terminated arrays of them, which outlive the call.
    let errno = unsafe {
        let (argv, env) = (argv.as_ptr(), env.as_ptr());
        libc::syscall(libc::SYS_execveat, directory, program.name.as_ptr(), argv, env, libc::AT_SYMLINK_NOFOLLOW);
        *libc::__errno_location()
    };
    // So the kernel says that an interpreter could not open the script: by then the descriptor would be closed.
    errno == libc::ENOENT && place::open_without_links(&program.path, libc::O_PATH | libc::O_CLOEXEC) >= 0
}

fn set_mask_empty() {
    let empty = 0_u64;
    let none = std::ptr::null_mut::<u64>();
    // SAFETY: the pointer is valid for the eight bytes of the kernel's signal set.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const empty, none, 8_usize) };
}
