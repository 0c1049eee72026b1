//! Restart: does a process that ended come back, and when? Asked after each end of a run whose process is wanted back.

pub use crate::bindings::restart::exports::wasmvisor::policy::restart::{Comeback, Decision, Ending, Failure, PastRun};
use crate::{Policy, Refusal};

/// A restart policy.
pub trait RestartPolicy: Policy {
    /// Judge one end of a run.
    ///
    /// # Errors
    /// A refusal to answer; the host then applies the binding's `on_failure` rule.
    fn decide(&self, failure: &Failure) -> Result<Decision, Refusal>;
}

/// Make a type that implements [`RestartPolicy`] the policy of this component.
#[macro_export]
macro_rules! export_restart_policy {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::restart::{Decision, Failure, RestartPolicy as _};

            struct Component;
            static POLICY: $crate::glue::Slot<$policy> = $crate::glue::Slot::new();
            $crate::__policy_guest!(Restart, Component, POLICY, $policy);

            impl $crate::bindings::restart::exports::wasmvisor::policy::restart::Guest for Component {
                fn decide(failure: Failure) -> Result<Decision, $crate::Refusal> {
                    $crate::glue::configured(&POLICY)?.decide(&failure)
                }
            }

    $crate::bindings::restart::export_restart_interface!(Component with_types_in $crate::bindings::restart);
        };
    };
}
