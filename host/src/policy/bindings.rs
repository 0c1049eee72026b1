//! The only place where the WIT contract becomes Rust types. Nothing generated here leaves the room: `convert` turns
//! it into the vocabulary.
//!
//! One world that exports all four kinds is generated, though no component implements it: the types of a kind are
//! then generated once, and an instance of any kind is taken apart interface by interface (`plugin`).

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

wasmtime::component::bindgen!({
    inline: "
        package wasmvisor:host@0.1.0;

        world all {
            include wasmvisor:policy/admission-policy@0.1.0;
            include wasmvisor:policy/health-policy@0.1.0;
            include wasmvisor:policy/restart-policy@0.1.0;
            include wasmvisor:policy/alert-policy@0.1.0;
        }
    ",
    path: "../wit/0.1",
    world: "wasmvisor:host/all@0.1.0",
    // Questions are made from references: what a policy is asked is copied once, into its memory.
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(super) use self::exports::wasmvisor::policy::{admission, alert, health, policy, restart};
pub(super) use self::wasmvisor::policy::{log, types};
