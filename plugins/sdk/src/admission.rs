//! Admission: may this command run? Asked once before each first start of a process.

pub use crate::bindings::admission::exports::wasmvisor::policy::admission::{Decision, Denial, Lookup, Request};
use crate::{Policy, Refusal};

/// An admission policy.
pub trait AdmissionPolicy: Policy {
    /// Names and absolute paths that the host looks up before each question, at most 4096; the answers come back in
    /// [`Request::lookups`], same order. Nothing by default.
    fn lookups(&self) -> Vec<String> {
        Vec::new()
    }

    /// Judge one request.
    ///
    /// # Errors
    /// A refusal to answer; the host then applies the binding's `on_failure` rule.
    fn decide(&self, request: &Request) -> Result<Decision, Refusal>;
}

/// Deny by a rule (`[a-z0-9-]`), with a reason for a person.
#[must_use]
pub fn deny(rule: &str, reason: impl Into<String>) -> Decision {
    Decision::Deny(Denial { rule: rule.to_owned(), reason: reason.into() })
}

/// Make a type that implements [`AdmissionPolicy`] the policy of this component.
#[macro_export]
macro_rules! export_admission_policy {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::admission::{AdmissionPolicy as _, Decision, Request};

            struct Component;
            static POLICY: $crate::glue::Slot<$policy> = $crate::glue::Slot::new();
            $crate::__policy_guest!(Admission, Component, POLICY, $policy);

            impl $crate::bindings::admission::exports::wasmvisor::policy::admission::Guest for Component {
                fn lookups() -> Vec<String> {
                    $crate::glue::configured(&POLICY).map(|policy| policy.lookups()).unwrap_or_default()
                }

                fn decide(request: Request) -> Result<Decision, $crate::Refusal> {
                    $crate::glue::configured(&POLICY)?.decide(&request)
                }
            }

            $crate::bindings::admission::export_admission_interface!(
                Component with_types_in $crate::bindings::admission
            );
        };
    };
}
