//! wasmvisor: a process supervisor in which every judgement is made by a sandboxed WebAssembly policy.

pub mod alert;
pub mod decision;
pub mod error;
pub mod event;
pub mod health;
pub mod record;
pub mod sample;
pub mod spec;
pub mod units;
