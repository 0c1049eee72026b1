//! Alert: does anything here deserve a person's attention? The host repeats, silences, escalates and clears.

pub use crate::bindings::alert::exports::wasmvisor::policy::alert::{Evaluation, Finding, Subject, Tick, Topic};
use crate::{Identity, Policy, Refusal};

/// An alert policy.
pub trait AlertPolicy: Policy {
    /// Judge a batch: at most one finding for each subject and topic; one memo for each subject, or none at all.
    ///
    /// # Errors
    /// A refusal to answer; the host then applies the binding's `on_failure` rule.
    fn evaluate(&self, tick: &Tick, subjects: &[Subject]) -> Result<Evaluation, Refusal>;

    /// One line for a person about one finding, at most 200 bytes.
    ///
    /// # Errors
    /// A refusal to answer.
    fn explain(&self, identity: &Identity, subject: &Subject, finding: &Finding) -> Result<String, Refusal>;
}

/// Make a type that implements [`AlertPolicy`] the policy of this component.
#[macro_export]
macro_rules! export_alert_policy {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::alert::{AlertPolicy as _, Evaluation, Finding, Subject, Tick};

            struct Component;
            static POLICY: $crate::glue::Slot<$policy> = $crate::glue::Slot::new();
            $crate::__policy_guest!(Alert, Component, POLICY, $policy);

            impl $crate::bindings::alert::exports::wasmvisor::policy::alert::Guest for Component {
                fn evaluate(tick: Tick, subjects: Vec<Subject>) -> Result<Evaluation, $crate::Refusal> {
                    $crate::glue::configured(&POLICY)?.evaluate(&tick, &subjects)
                }

                fn explain(
                    identity: $crate::Identity,
                    subject: Subject,
                    finding: Finding,
                ) -> Result<String, $crate::Refusal> {
                    $crate::glue::configured(&POLICY)?.explain(&identity, &subject, &finding)
                }
            }

    $crate::bindings::alert::export_alert_interface!(Component with_types_in $crate::bindings::alert);
        };
    };
}
