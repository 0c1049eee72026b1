//! Descriptors 0, 1 and 2 of the child, and no others.
//!
//! Owns the child's descriptor table. Only `steps` enters, in the child.

use std::ffi::{CStr, CString, c_int};

use super::{Failed, Step, Taken};

const CLOSE_RANGE_UNSHARE: libc::c_uint = 1 << 1;

/// Where a stream of the child goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::platform) enum Output {
    /// To this file, appended to; created readable for its owner only.
    File(CString),
    /// To this descriptor of the maker's, 3 or above, which keeps it. The lower its number, the less is copied: the
    /// child's table begins with the maker's up to the highest number asked for.
    #[allow(dead_code, reason = "the holder captures output; in process the child writes to the files itself")]
    Descriptor(c_int),
}

impl Output {
    const fn number(&self) -> Option<c_int> {
        match self {
            Self::File(_) => None,
            Self::Descriptor(number) => Some(*number),
        }
    }
}

/// Leave the shared descriptor table for one with 0, 1 and 2 only.
pub(super) fn replace(stdout: &Output, stderr: &Output) -> Taken {
    let highest = stdout.number().max(stderr.number()).unwrap_or(-1);
    close_from(highest.saturating_add(1), CLOSE_RANGE_UNSHARE)?;
    // The table is the child's own from here on, and holds nothing above the highest descriptor that is still needed.
    place(stdout, 1, Step::Output)?;
    place(stderr, 2, Step::ErrorOutput)?;
    // The null device last: until now 0 may have been anything, and the numbers above it are in use.
    // SAFETY: plain numbers and a null-terminated string.
    unsafe {
        libc::close(0);
        if libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) != 0 {
            return Err(Failed::at(Step::NullInput));
        }
    }
    close_from(3, 0)
}

fn close_from(first: c_int, flags: libc::c_uint) -> Taken {
    // SAFETY: plain numbers; what is closed is in a table of the child's own, by UNSHARE in the first call.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) };
    if closed < 0 { Err(Failed::at(Step::Descriptors)) } else { Ok(()) }
}

/// Have descriptor `target` be this output.
fn place(output: &Output, target: c_int, step: Step) -> Taken {
    let source = match output {
        Output::File(path) => open(path),
        Output::Descriptor(number) => *number,
    };
    // SAFETY: plain numbers.
    let placed = source >= 0 && (source == target || unsafe { libc::dup2(source, target) } == target);
    if placed { Ok(()) } else { Err(Failed::at(step)) }
}

fn open(path: &CStr) -> c_int {
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_NOCTTY;
    // SAFETY: the path is null-terminated and outlives the call.
    unsafe { libc::open(path.as_ptr(), flags, 0o600 as libc::c_uint) }
}
