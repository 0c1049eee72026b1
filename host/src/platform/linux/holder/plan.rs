//! A launch plan as bytes.
//!
//! Owns no state. A field that is added to the plan is added here, at the end of its structure's list; the order is part
//! of the protocol. Only `wire` enters.

use super::bytes::{Field, Reader, fields};
use crate::platform::{Confinement, FileRules, IoPriority, LaunchPlan, PathRules, ProcessLimits, Rotation, UserIds};

fields!(LaunchPlan {
    process_id,
    run,
    program,
    argv,
    env,
    directory,
    stdout,
    stderr,
    rotation,
    niceness,
    oom_score_adjustment,
    rlimits,
    confinement,
    cgroup,
    paths,
});

fields!(Rotation { max_bytes, keep });
fields!(ProcessLimits { file_handles, core_bytes, file_size_bytes, io_priority });
fields!(Confinement { no_new_privileges, user, umask, files, private_tmp });
fields!(UserIds { uid, gid, groups });
fields!(FileRules { read, write });
fields!(PathRules { pinned, restricted, arguments });

impl Field for IoPriority {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Idle => out.push(u8::MAX),
            Self::BestEffort(level) => out.push(*level),
        }
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        match u8::take(from)? {
            u8::MAX => Some(Self::Idle),
            level @ 0..=7 => Some(Self::BestEffort(level)),
            _ => None,
        }
    }
}
