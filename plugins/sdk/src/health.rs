//! Health: how healthy is this process? `assess` is the hot path, `explain` says the same in words.

pub use crate::bindings::health::exports::wasmvisor::policy::health::{Explanation, Issue, Reading, Tick, Verdict};
use crate::{Identity, Policy, Refusal};

/// A health policy.
pub trait HealthPolicy: Policy {
    /// Judge a batch, usually some 500 readings each second: one verdict for each reading, in order. `history` holds
    /// `tick.history_length` memory values (MiB, oldest first, NaN where the run is younger) for each reading, in the
    /// order of the readings; [`history_of`] finds those of one.
    ///
    /// # Errors
    /// A refusal to answer; the host then applies the binding's `on_failure` rule.
    fn assess(&self, tick: &Tick, readings: &[Reading], history: &[f32]) -> Result<Vec<Verdict>, Refusal>;

    /// Judge one process and say why; the verdict must equal what `assess` gives for the same reading.
    ///
    /// # Errors
    /// A refusal to answer.
    fn explain(
        &self,
        tick: &Tick,
        identity: &Identity,
        reading: &Reading,
        history: &[f32],
    ) -> Result<Explanation, Refusal>;
}

/// The history of the reading at `place`; empty when the host sent none.
#[must_use]
pub fn history_of<'h>(tick: &Tick, history: &'h [f32], place: usize) -> &'h [f32] {
    let length = tick.history_length as usize;
    let start = place.saturating_mul(length);
    history.get(start..start.saturating_add(length)).unwrap_or_default()
}

/// Make a type that implements [`HealthPolicy`] the policy of this component.
#[macro_export]
macro_rules! export_health_policy {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::health::{Explanation, HealthPolicy as _, Reading, Tick, Verdict};

            struct Component;
            static POLICY: $crate::glue::Slot<$policy> = $crate::glue::Slot::new();
            $crate::__policy_guest!(Health, Component, POLICY, $policy);

            impl $crate::bindings::health::exports::wasmvisor::policy::health::Guest for Component {
                fn assess(
                    tick: Tick,
                    readings: Vec<Reading>,
                    history: Vec<f32>,
                ) -> Result<Vec<Verdict>, $crate::Refusal> {
                    $crate::glue::configured(&POLICY)?.assess(&tick, &readings, &history)
                }

                fn explain(
                    tick: Tick,
                    identity: $crate::Identity,
                    reading: Reading,
                    history: Vec<f32>,
                ) -> Result<Explanation, $crate::Refusal> {
                    $crate::glue::configured(&POLICY)?.explain(&tick, &identity, &reading, &history)
                }
            }

    $crate::bindings::health::export_health_interface!(Component with_types_in $crate::bindings::health);
        };
    };
}
