//! The one integration binary: a file for each subject, each test a sentence about what a user sees.
//!
//! Everything here is real: the built binary, processes, components in their sandbox, a SQLite file, a socket.

// A test says what it expects by unwrapping; clippy's own exception stops at functions marked as tests.
#![allow(clippy::unwrap_used)]

mod architecture;
mod cli;
mod config;
mod contract;
mod demo;
mod fleet;
mod golden;
mod platform;
mod policies;
mod policy_host;
mod program;
mod registry;
mod support;
