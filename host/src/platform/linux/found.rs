//! A run that this process has not made: found again by its identity, its end told by a pidfd.
//!
//! Owns no right to reap it: its parent does that. Only `platform` enters.

use std::time::Duration;

use tokio::sync::oneshot;

use super::exit::ExitWatch;
use super::{stat, sys};
use crate::platform::Launched;
use crate::sample::RunIdentity;

/// How long ago a run began; `None` when that was in another boot.
pub(crate) fn age_of(identity: &RunIdentity) -> Option<Duration> {
    if !stat::is_of_this_boot(identity) {
        return None;
    }
    let ticks = stat::now_ticks().saturating_sub(identity.start_ticks);
    Some(Duration::from_millis(ticks.saturating_mul(1000) / sys::ticks_per_second()))
}

/// The run with this identity, when it lives and somebody else has made it.
pub(crate) fn find_run(identity: &RunIdentity) -> Option<Launched> {
    let pidfd = sys::pidfd_open(identity.pid).ok()?;
    // Looked at after the descriptor was opened: it is this very process, then, and stays it.
    if !stat::is_alive(identity) {
        return None;
    }
    // Nobody will tell its end but the descriptor: as with a run whose holder is gone.
    let (_, told) = oneshot::channel();
    Some(Launched { identity: identity.clone(), exit: ExitWatch::held(told, pidfd), keeper: 0 })
}
