//! The holder: a small process of its own between the daemon and its runs, so that neither takes the other down.
//!
//! ```text
//!  daemon ── client ══ socket ══ server ──▶ runs          wire, bytes, plan   what is said
//!                                   ├─▶ streams ─▶ capture ─▶ log files
//!                                   └─▶ runs, journal                         what is remembered
//! ```
//!
//! The daemon may die, be killed or upgraded: runs go on, their output is kept, and how they ended is told to the next
//! daemon. The holder may die: the daemon goes on watching its runs by their pidfds, and the next holder finds in the
//! journal what the last one knew. Its process is the same program, started with the hidden verb `hold`; it never begins
//! to be anything else, and stays below one megabyte of memory of its own.
//!
//! Owns the holder's process and its protocol. Only this folder enters, and `main` by `hold`.

use std::fmt;
use std::io::Write;

mod bytes;
mod capture;
mod client;
mod journal;
mod plan;
mod runs;
mod server;
mod start;
mod streams;
mod sys;
mod wire;

pub use client::{HolderLauncher, HolderSettings};
pub use start::hold;

/// Name of the socket in the state directory.
const SOCKET: &str = "holder.sock";
/// Name of the file in the state directory that the holder says its troubles in.
const LOG: &str = "holder.log";

/// Say something in the holder's log, which is its standard error. One that cannot be written is missed by nobody who
/// could help.
fn say(what: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{} {what}", crate::units::Timestamp::now());
}
