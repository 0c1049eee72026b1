//! `health-score`: 100 minus what is wrong, by a table of costs. Every threshold and every cost is a setting.
//!
//! [`rules`] decides, [`words`] explains, [`settings`] says what can be set; this file only connects them to the SDK.

pub mod rules;
pub mod settings;
pub mod words;

use wasmvisor_policy_sdk::health::{Explanation, HealthPolicy, Reading, Tick, Verdict};
use wasmvisor_policy_sdk::{About, Identity, Policy, Refusal, SettingsProblem, export_health_policy};

use self::settings::Settings;

/// The policy: its settings are all it has.
#[derive(Clone, Debug)]
pub struct HealthScore {
    settings: Settings,
}

impl Policy for HealthScore {
    type Settings = Settings;

    const ABOUT: About = About {
        name: "health-score",
        version: env!("CARGO_PKG_VERSION"),
        summary: "100 minus a cost for each limit that a process comes close to or breaks",
    };

    fn new(settings: Settings) -> Result<Self, Vec<SettingsProblem>> {
        let problems = settings.problems();
        if problems.is_empty() { Ok(Self { settings }) } else { Err(problems) }
    }
}

impl HealthPolicy for HealthScore {
    fn assess(&self, _tick: &Tick, readings: &[Reading], _history: &[f32]) -> Result<Vec<Verdict>, Refusal> {
        Ok(readings.iter().map(|reading| rules::judge(&self.settings, reading)).collect())
    }

    fn explain(
        &self,
        _tick: &Tick,
        _identity: &Identity,
        reading: &Reading,
        _history: &[f32],
    ) -> Result<Explanation, Refusal> {
        Ok(words::explain(&self.settings, reading))
    }
}

export_health_policy!(HealthScore);

#[cfg(test)]
mod tests;
