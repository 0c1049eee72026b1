//! File rules of the kernel, put in force for the child and all that descends from it.
//!
//! The rules are made in the child: so they speak of the files as it sees them, a private `/tmp` included, and no
//! descriptor has to be handed over.
//!
//! Owns nothing. Only `steps` enters, in the child.

use std::ffi::{CString, c_int};

use super::{Failed, Step, Taken, place};
use crate::platform::linux::landlock::OF_FILES;

/// `LANDLOCK_RULE_PATH_BENEATH` of `linux/landlock.h`.
const RULE_PATH_BENEATH: c_int = 1;

/// What the child may do with files; all that is handled and not allowed is closed to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::platform) struct FileRights {
    /// Access rights that the kernel knows and that are held.
    pub(in crate::platform) handled: u64,
    pub(in crate::platform) rules: Vec<Rule>,
}

/// A file or directory and what is allowed with it and below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::platform) struct Rule {
    pub(in crate::platform) path: CString,
    /// Access rights among the handled ones.
    pub(in crate::platform) allowed: u64,
    /// Its place in the plan's lists, for the message when it is missing; `None` when it may be missing.
    pub(in crate::platform) required: Option<u32>,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: c_int,
}

/// `pinned`: the rules that were asked for are resolved paths, and are not followed over links that came since.
pub(super) fn confine(rights: &FileRights, pinned: bool) -> Taken {
    let failed = Failed::at(Step::Landlock);
    // SAFETY: the structure is the one number that every version of Landlock takes, and its size is stated.
    let ruleset = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, &raw const rights.handled, size_of::<u64>(), 0) as c_int
    };
    if ruleset < 0 {
        return Err(failed);
    }
    for rule in &rights.rules {
        add(ruleset, rule, pinned && rule.required.is_some())?;
    }
    // SAFETY: plain numbers; the descriptor is the child's own.
    unsafe {
        if libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) < 0 {
            return Err(failed);
        }
        libc::close(ruleset);
    }
    Ok(())
}

fn add(ruleset: c_int, rule: &Rule, pinned: bool) -> Taken {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: a null-terminated string, structures that outlive the calls, and descriptors of the child's own.
    unsafe {
        let parent =
            if pinned { place::open_without_links(&rule.path, flags) } else { libc::open(rule.path.as_ptr(), flags) };
        if parent < 0 {
            return rule.required.map_or(Ok(()), |detail| Err(Failed { step: Step::Rule, detail }));
        }
        let mut status: libc::stat = std::mem::zeroed();
        let directory = libc::fstat(parent, &raw mut status) == 0 && status.st_mode & libc::S_IFMT == libc::S_IFDIR;
        let allowed = if directory { rule.allowed } else { rule.allowed & OF_FILES };
        let attribute = PathBeneath { allowed, parent };
        let pointer = &raw const attribute;
        if libc::syscall(libc::SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, pointer, 0) < 0 {
            return Err(Failed { step: Step::Rule, detail: rule.required.unwrap_or(u32::MAX) });
        }
        libc::close(parent);
    }
    Ok(())
}
