//! A process supervisor in which every judgement is made by a sandboxed WebAssembly policy.
//!
//! The host spawns, watches, limits and restarts processes. Whether a command may run, how healthy a process is, when a
//! dead one comes back and what deserves an alert are four questions, each answered by a component behind a WIT interface
//! that can be swapped while everything runs.
//!
//! ```no_run
//! use wasmvisor::{config::Config, daemon::Daemon, error::Problem, spec::ProcessSpec};
//!
//! # async fn example() -> Result<(), Problem> {
//! let config = Config::load("wasmvisor.toml".as_ref())?;
//! let daemon = Daemon::start(config, Some("wasmvisor.toml".as_ref())).await?;
//! let id = daemon.supervisor.start(ProcessSpec::new("build", ["npm", "run", "build"])).await?;
//! let record = daemon.supervisor.wait(&id).await?;
//! println!("{} is {} after {} restarts", record.name, record.status, record.restarts);
//! daemon.shut_down("done").await;
//! # Ok(())
//! # }
//! ```
//!
//! # The rooms, from left to right: none uses one to its right
//!
//! - Vocabulary, no I/O: [`units`], [`spec`], [`sample`], [`health`], [`alert`], [`decision`], [`record`], [`error`],
//!   [`event`], [`care`], [`link`], [`glob`].
//! - Pure logic, without clock, task or lock: [`lifecycle`], [`queue`], [`trend`].
//! - Edges: [`platform`] (the operating system), [`policy`] (the sandbox), [`store`] (the database),
//!   [`logs`] (the output of processes).
//! - Actors, each one task and sole owner of its state: [`registry`]; [`supervisor`] and [`monitor`]; [`agents`].
//! - Composition: [`config`], [`daemon`], [`control`], [`cli`].
//!
//! The library never panics, never exits and never prints; only [`cli`] speaks to a terminal. What an embedder gives up
//! against the program: processes live as long as the embedder's own, and orphans are adopted only after
//! [`platform::become_subreaper`].

pub mod agents;
pub mod alert;
pub mod care;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod decision;
pub mod error;
pub mod event;
pub mod glob;
pub mod health;
pub mod lifecycle;
pub mod link;
pub mod logs;
pub mod monitor;
pub mod platform;
pub mod policy;
pub mod queue;
pub mod record;
pub mod registry;
pub mod sample;
pub mod spec;
pub mod store;
pub mod supervisor;
pub mod trend;
pub mod units;
