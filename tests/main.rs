//! The one integration binary: a file for each subject, each test a sentence about what a user sees.
//!
//! Everything here is real: the built binary, processes, components in their sandbox, a SQLite file, a socket.

// A test says what it expects by unwrapping; clippy's own exception stops at functions marked as tests.
#![allow(clippy::unwrap_used)]

mod adoption;
mod architecture;
mod cgroup;
mod chaos;
mod cli;
mod config;
mod contract;
mod demo;
mod faults;
mod fleet;
mod golden;
mod holder;
mod platform;
mod policies;
mod policy_host;
mod program;
mod qemu;
mod registry;
mod sandbox;
mod support;
mod torture;
