//! `restart-backoff`: a process that failed comes back after a delay that grows with each attempt, and is left down
//! after a few.
//!
//! [`backoff`] decides, [`settings`] says what can be set; this file only connects them to the SDK.

pub mod backoff;
pub mod settings;

use wasmvisor_policy_sdk::restart::{Decision, Failure, RestartPolicy};
use wasmvisor_policy_sdk::{About, Policy, Refusal, SettingsProblem, export_restart_policy};

use self::settings::Settings;

/// The policy: its settings are all it has.
#[derive(Clone, Debug)]
pub struct RestartBackoff {
    settings: Settings,
}

impl Policy for RestartBackoff {
    type Settings = Settings;

    const ABOUT: About = About {
        name: "restart-backoff",
        version: env!("CARGO_PKG_VERSION"),
        summary: "exponential backoff with jitter, given up after a number of attempts",
    };

    fn new(settings: Settings) -> Result<Self, Vec<SettingsProblem>> {
        let problems = settings.problems();
        if problems.is_empty() { Ok(Self { settings }) } else { Err(problems) }
    }
}

impl RestartPolicy for RestartBackoff {
    fn decide(&self, failure: &Failure) -> Result<Decision, Refusal> {
        Ok(backoff::decide(&self.settings, failure))
    }
}

export_restart_policy!(RestartBackoff);

#[cfg(test)]
mod tests;
