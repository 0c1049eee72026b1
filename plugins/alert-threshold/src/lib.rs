//! `alert-threshold`: three thresholds for each measure; the worst one crossed is the finding. It remembers nothing:
//! how often, how long and how loudly a finding is told is the host's.
//!
//! [`rules`] decides, [`words`] explains, [`settings`] says what can be set; this file only connects them to the SDK.

pub mod rules;
pub mod settings;
pub mod words;

use wasmvisor_policy_sdk::alert::{AlertPolicy, Evaluation, Finding, Subject, Tick};
use wasmvisor_policy_sdk::{About, Identity, Policy, Refusal, SettingsProblem, export_alert_policy};

use self::settings::Settings;

/// The policy: its settings, made ready for the batch.
#[derive(Clone, Debug)]
pub struct AlertThreshold {
    rules: Vec<rules::Rule>,
}

impl Policy for AlertThreshold {
    type Settings = Settings;

    const ABOUT: About = About {
        name: "alert-threshold",
        version: env!("CARGO_PKG_VERSION"),
        summary: "warning, critical and emergency thresholds for each measure",
    };

    fn new(settings: Settings) -> Result<Self, Vec<SettingsProblem>> {
        let rules = rules::from_settings(&settings);
        let problems: Vec<_> = rules.iter().filter_map(rules::Rule::problem).collect();
        if problems.is_empty() { Ok(Self { rules }) } else { Err(problems) }
    }
}

impl AlertPolicy for AlertThreshold {
    fn evaluate(&self, _tick: &Tick, subjects: &[Subject]) -> Result<Evaluation, Refusal> {
        Ok(Evaluation { findings: rules::evaluate(&self.rules, subjects), memos: Vec::new() })
    }

    fn explain(&self, identity: &Identity, subject: &Subject, finding: &Finding) -> Result<String, Refusal> {
        Ok(words::explain(identity, subject, finding))
    }
}

export_alert_policy!(AlertThreshold);

#[cfg(test)]
mod tests;
