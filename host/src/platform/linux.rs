//! Linux: pidfds, `/proc`, and one raw clone.
//!
//! ```text
//! launch -> prepare -> child (clone, steps, exec)      exit: pidfd -> waitid
//! tree   -> stat, adopt, scan, tag, cgroup             sampler -> sums, files -> stat
//! holder -> prepare, child, exit: the same in a process of its own
//! ```
//!
//! `unsafe` is in `sys`, `child`, `landlock`, `notify`, `pages`, `tag`, `abilities/probe`, `cgroup/mark` and the holder's
//! `sys` and `capture` only. Only `platform` enters.

mod abilities;
mod adopt;
mod capabilities;
mod cgroup;
mod child;
mod exit;
mod files;
mod found;
mod holder;
mod landlock;
mod launch;
mod limits;
mod notify;
mod pages;
mod prepare;
mod sampler;
mod scan;
mod shared;
mod stat;
mod sums;
mod sys;
mod system;
mod tag;
mod tree;
mod users;

pub use abilities::abilities;
pub use adopt::become_subreaper;
pub use cgroup::{Cgroup, Cgroups};
pub use exit::ExitWatch;
pub use holder::{HolderLauncher, HolderSettings, hold};
pub use launch::InProcessLauncher;
pub use limits::raise_descriptor_limit;
pub use notify::DirectoryWatch;
pub use pages::release_startup_pages;
pub use sampler::Sampler;
pub use scan::{scan_for, scan_marked};
pub use system::SystemProbe;
pub use users::find_user;

pub(crate) use found::{age_of, find_run};
pub(crate) use landlock::allows;
pub(crate) use prepare::cannot_confine;
pub(crate) use stat::{is_alive, is_stopped};
pub(crate) use tree::{members, signal, signal_leader, throttle};
