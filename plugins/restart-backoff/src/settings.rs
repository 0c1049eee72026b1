//! What can be set. The defaults are those of the system's first form: 5 s, doubled up to 5 minutes, 3 attempts.

use std::time::Duration;

use wasmvisor_policy_sdk::SettingsProblem;
use wasmvisor_policy_sdk::settings::{problem, show_duration};

wasmvisor_policy_sdk::choice! {
    /// How a delay is spread, so that processes that fell together do not come back together.
    pub enum Jitter {
        /// Anywhere from nothing to the whole delay.
        Full = "full",
        /// Half the delay, and anywhere up to the other half.
        Equal = "equal",
        /// Exactly the delay.
        None = "none",
    }
}

wasmvisor_policy_sdk::settings! {
    /// Settings of `restart-backoff`.
    pub struct Settings {
        /// Delay of the first attempt.
        base_delay: Duration = Duration::from_secs(5), in 0.0..=86400.0;
        /// No delay is longer.
        max_delay: Duration = Duration::from_secs(300), in 0.0..=86400.0;
        /// By what each further attempt multiplies the delay.
        factor: f64 = 2.0, in 1.0..=100.0;
        /// Attempts before the process is left down; "off" for no end. A limit set on the process itself comes first.
        max_attempts: Option<u32> = Some(3);
        /// How a delay is spread: "full" (from nothing to the whole), "equal" (from half to the whole) or "none".
        jitter: Jitter = Jitter::Full;
        /// A run that lasted this long makes the attempts before it forgotten.
        reset_after: Duration = Duration::from_secs(600), in 0.0..=31536000.0;
    }
}

impl Settings {
    /// What is wrong between the values.
    #[must_use]
    pub fn problems(&self) -> Vec<SettingsProblem> {
        if self.base_delay <= self.max_delay {
            return Vec::new();
        }
        let max = show_duration(self.max_delay);
        vec![problem("/base_delay", format!("must not be longer than max_delay, which is {max}"))]
    }
}
