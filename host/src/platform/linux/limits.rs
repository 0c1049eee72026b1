//! Limits of this process itself.
//!
//! Owns no state. The launcher, the sampler and the daemon enter.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Soft and hard limit of open descriptors.
pub(super) fn handles() -> io::Result<(u64, u64)> {
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?)
}

/// Set soft and hard limit of open descriptors; a hard limit once lowered stays low.
pub(super) fn set_handles((soft, hard): (u64, u64)) -> io::Result<()> {
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?)
}

/// Let this process open as many descriptors as the hard limit allows; returns that number. Children do not get it:
/// see `InProcessLauncher`.
///
/// # Errors
/// When the system refuses.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let (soft, hard) = handles()?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}
