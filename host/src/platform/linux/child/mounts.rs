//! A `/tmp` and a `/var/tmp` of the child's own.
//!
//! A mount namespace in which an empty tmpfs lies over each. Who may not mount gets a user namespace first, in which
//! nobody but himself exists. What we mount is not seen outside; what is mounted or unmounted outside is seen inside.
//!
//! Owns nothing. Only `steps` enters, in the child.

use std::ffi::{CStr, CString, c_int};

use super::{Failed, Step, Taken};

/// What a private /tmp needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::platform) struct PrivateTmp {
    /// For who may not mount: what to write into the new user namespace.
    pub(in crate::platform) maps: Option<Maps>,
}

/// Texts for `uid_map` and `gid_map` (user_namespaces(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::platform) struct Maps {
    pub(in crate::platform) users: CString,
    pub(in crate::platform) groups: CString,
}

impl PrivateTmp {
    pub(super) const fn needs_user_namespace(&self) -> bool {
        self.maps.is_some()
    }
}

pub(super) fn make_private_tmp(private: &PrivateTmp) -> Taken {
    if let Some(maps) = &private.maps {
        // An ordinary user may map itself once it has given up setgroups(2).
        let written = write(c"/proc/self/setgroups", c"deny")
            && write(c"/proc/self/uid_map", &maps.users)
            && write(c"/proc/self/gid_map", &maps.groups);
        if !written {
            return Err(Failed::at(Step::UserNamespace));
        }
    }
    let (none, private) = (std::ptr::null(), libc::MS_REC | libc::MS_SLAVE);
    // SAFETY: null-terminated strings and null pointers where mount(2) takes none.
    let apart = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0 && libc::mount(none, c"/".as_ptr(), none, private, std::ptr::null()) == 0
    };
    if apart && cover(c"/tmp") && cover(c"/var/tmp") { Ok(()) } else { Err(Failed::at(Step::PrivateTmp)) }
}

/// Lay an empty tmpfs over a directory; what is not there needs no cover.
fn cover(directory: &CStr) -> bool {
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    let (kind, options) = (c"tmpfs", c"mode=1777");
    // SAFETY: null-terminated strings that outlive the call.
    unsafe {
        libc::mount(kind.as_ptr(), directory.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast()) == 0
            || *libc::__errno_location() == libc::ENOENT
    }
}

fn write(path: &CStr, text: &CStr) -> bool {
    let bytes = text.to_bytes();
    // SAFETY: null-terminated strings, and a buffer of the stated length.
    unsafe {
        let fd: c_int = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let written = fd >= 0 && libc::write(fd, bytes.as_ptr().cast(), bytes.len()) == bytes.len() as isize;
        if written {
            libc::close(fd);
        }
        written
    }
}
