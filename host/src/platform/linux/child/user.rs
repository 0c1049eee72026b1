//! Who the child becomes.
//!
//! The kernel is called directly: the C library would change every thread of the process whose memory the child shares.
//!
//! Owns nothing. Only `steps` enters, in the child, and `start` for what a switch does to the maker.

use std::ffi::c_int;

use super::{Failed, Step, Taken};

/// Numbers to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::platform) struct Become {
    pub(in crate::platform) uid: libc::uid_t,
    pub(in crate::platform) gid: libc::gid_t,
    /// Supplementary groups.
    pub(in crate::platform) groups: Vec<libc::gid_t>,
}

/// Groups first: who has given up the user may no longer change them.
pub(super) fn switch(user: &Become) -> Taken {
    // SAFETY: the array is valid for its stated length; plain numbers otherwise.
    unsafe {
        if libc::syscall(libc::SYS_setgroups, user.groups.len(), user.groups.as_ptr()) < 0 {
            return Err(Failed::at(Step::Groups));
        }
        if libc::syscall(libc::SYS_setresgid, user.gid, user.gid, user.gid) < 0 {
            return Err(Failed::at(Step::Group));
        }
        if libc::syscall(libc::SYS_setresuid, user.uid, user.uid, user.uid) < 0 {
            return Err(Failed::at(Step::User));
        }
    }
    Ok(())
}

/// `PR_SET_NO_NEW_PRIVS`, for good.
pub(super) fn give_up_new_privileges() -> Taken {
    let (yes, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: plain numbers.
    let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, unused, unused, unused) };
    if given_up < 0 { Err(Failed::at(Step::Privileges)) } else { Ok(()) }
}

/// Whether this process may be looked into by its own user (`PR_GET_DUMPABLE`).
pub(super) fn dumpable() -> c_int {
    // SAFETY: plain numbers.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) }
}

/// When a child changes its user, the kernel closes the memory it shares with us against that user, and leaves it
/// closed. Only once the child has its own memory may ours be as before.
pub(super) fn restore_dumpable(before: c_int) {
    if before == 1 {
        let (yes, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
        // SAFETY: plain numbers.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, yes, unused, unused, unused) };
    }
}
