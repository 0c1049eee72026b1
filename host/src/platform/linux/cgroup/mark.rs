//! The mark that systemd puts on a group it has handed over to its unit.
//!
//! Owns no state. Only `cgroup` enters.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Extended attributes with the value `1`: the second one can only be read with CAP_SYS_ADMIN, and older systemd
/// (before 251) sets no other.
const MARKS: [&CStr; 2] = [c"user.delegate", c"trusted.delegate"];

/// Whether the group is marked as delegated.
pub(super) fn is_delegated(group: &Path) -> bool {
    let Ok(path) = CString::new(group.as_os_str().as_bytes()) else { return false };
    MARKS.iter().any(|name| {
        let mut value = [0_u8; 8];
        // SAFETY: path and name end in NUL, and the kernel writes at most as many bytes as the buffer has.
        let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
        usize::try_from(length).is_ok_and(|length| value.get(..length) == Some(b"1"))
    })
}
