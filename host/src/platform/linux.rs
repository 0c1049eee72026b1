//! Linux: pidfds, `/proc`, and one raw clone.
//!
//! ```text
//! launch -> child (clone, steps, exec)      exit: pidfd -> waitid
//! tree   -> stat, adopt, scan               sampler -> sums, files -> stat
//! ```
//!
//! `unsafe` is in `sys` and `child` only. Only `platform` enters.

mod adopt;
mod child;
mod exit;
mod files;
mod launch;
mod limits;
mod pages;
mod sampler;
mod scan;
mod shared;
mod stat;
mod sums;
mod sys;
mod system;
mod tree;

pub use adopt::become_subreaper;
pub use exit::ExitWatch;
pub use launch::InProcessLauncher;
pub use limits::raise_descriptor_limit;
pub use pages::release_startup_pages;
pub use sampler::Sampler;
pub use scan::scan_marked;
pub use system::SystemProbe;

pub(crate) use stat::is_alive;
pub(crate) use tree::{members, signal, signal_leader, throttle};
