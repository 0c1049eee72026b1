//! wasmvisor: a process supervisor in which every judgement is made by a sandboxed WebAssembly policy.

pub mod agents;
pub mod alert;
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
