//! What wit-bindgen generates from `wit/0.1`, and nothing else. Only the SDK's own modules enter; authors see the types
//! re-exported by the module of their kind.
//!
//! The vocabulary is generated once and shared, so that a `HealthStatus` is the same type for every kind.

#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::unwrap_used,
    reason = "generated; documented in wit/0.1"
)]

/// Types and `log`, shared by all four kinds.
pub mod vocabulary {
    wit_bindgen::generate!({
        inline: "
            package wasmvisor:sdk;
            world vocabulary {
                import wasmvisor:policy/types@0.1.0;
                import wasmvisor:policy/log@0.1.0;
            }
        ",
        path: "../../wit/0.1",
        additional_derives: [PartialEq],
        generate_all,
    });
}

/// One world for each exported interface instead of the four worlds of `wit/0.1`: all of those export `policy`, and its
/// export macro can exist only once in a crate. The encoder merges the worlds that a guest exports into one of the four.
macro_rules! exported {
    ($module:ident, $world:literal, $export:literal) => {
        #[doc = concat!("Generated from `", $world, "`.")]
        pub mod $module {
            wit_bindgen::generate!({
                inline: $world,
                path: "../../wit/0.1",
                additional_derives: [PartialEq],
                pub_export_macro: true,
                export_macro_name: $export,
                with: {
                    "wasmvisor:policy/types@0.1.0": crate::bindings::vocabulary::wasmvisor::policy::types,
                },
                generate_all,
            });
        }
    };
}

exported!(
    policy,
    "package wasmvisor:sdk-policy; world exported-policy { export wasmvisor:policy/policy@0.1.0; }",
    "export_policy_interface"
);
exported!(
    admission,
    "package wasmvisor:sdk-admission; world exported-admission { export wasmvisor:policy/admission@0.1.0; }",
    "export_admission_interface"
);
exported!(
    health,
    "package wasmvisor:sdk-health; world exported-health { export wasmvisor:policy/health@0.1.0; }",
    "export_health_interface"
);
exported!(
    restart,
    "package wasmvisor:sdk-restart; world exported-restart { export wasmvisor:policy/restart@0.1.0; }",
    "export_restart_interface"
);
exported!(
    alert,
    "package wasmvisor:sdk-alert; world exported-alert { export wasmvisor:policy/alert@0.1.0; }",
    "export_alert_interface"
);
