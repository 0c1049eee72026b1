//! Write a wasmvisor policy in Rust.
//!
//! A policy is a pure function of its arguments. Implement [`Policy`] (who it is, what can be set) and the trait of one
//! kind, then name the type in the kind's export macro; the crate is built as a `cdylib` for `wasm32-unknown-unknown`
//! and made a component by `plugins/build`.
//!
//! ```
//! use wasmvisor_policy_sdk::{About, Policy, Refusal, SettingsProblem, restart, restart::RestartPolicy};
//!
//! wasmvisor_policy_sdk::settings! {
//!     /// What can be set.
//!     pub struct Settings {
//!         /// Attempts before the process is left down.
//!         attempts: u32 = 3, in 0.0..=100.0;
//!     }
//! }
//!
//! struct Patient(Settings);
//!
//! impl Policy for Patient {
//!     type Settings = Settings;
//!     const ABOUT: About =
//!         About { name: "patient", version: "1.0.0", summary: "restarts once a minute, a few times" };
//!
//!     fn new(settings: Settings) -> Result<Self, Vec<SettingsProblem>> {
//!         Ok(Self(settings))
//!     }
//! }
//!
//! impl RestartPolicy for Patient {
//!     fn decide(&self, failure: &restart::Failure) -> Result<restart::Decision, Refusal> {
//!         let attempt = failure.attempts.saturating_add(1);
//!         if attempt > self.0.attempts {
//!             return Ok(restart::Decision::GiveUp(format!("{attempt} attempts are enough")));
//!         }
//!         Ok(restart::Decision::RestartAfter(restart::Comeback { delay_ms: 60_000, attempt }))
//!     }
//! }
//!
//! wasmvisor_policy_sdk::export_restart_policy!(Patient);
//! ```
//!
//! The map: [`policy`] is what all kinds share; [`admission`], [`health`], [`restart`] and [`alert`] hold one trait, its
//! records and its export macro each; [`settings`](mod@settings) reads settings and writes their JSON Schema; [`log`] writes lines to
//! the host's log; `testing` (feature of the same name) runs golden cases natively.

pub mod admission;
pub mod alert;
#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod glue;
pub mod health;
#[cfg(any(target_arch = "wasm32", test))]
mod heap;
pub mod log;
pub mod policy;
pub mod restart;
pub mod settings;
#[cfg(feature = "testing")]
pub mod testing;

pub use bindings::vocabulary::wasmvisor::policy::types::{
    Direction, HealthStatus, Identity, Issues, Kind, Priority, Refusal, SettingsProblem, Severity,
};
pub use policy::{About, Policy};
pub use serde_json;

/// Decline to answer, with a reason for a person (at most 1 KiB).
#[must_use]
pub fn refuse(reason: impl Into<String>) -> Refusal {
    Refusal { reason: reason.into() }
}

/// The example of `plugins/README.md`, so that it keeps compiling.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
