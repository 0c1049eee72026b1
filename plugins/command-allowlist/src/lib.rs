//! `command-allowlist`: a command may run when the file that would be executed is on a list.
//!
//! [`rules`] decides, [`entry`] is one line of the list, [`glob`] compares paths, [`settings`] says what can be set;
//! this file only connects them to the SDK.

pub mod entry;
pub mod glob;
pub mod rules;
pub mod settings;

use wasmvisor_policy_sdk::admission::{AdmissionPolicy, Decision, Request};
use wasmvisor_policy_sdk::{About, Policy, Refusal, SettingsProblem, export_admission_policy};

use self::rules::Lists;
use self::settings::Settings;

/// The policy: its lists, read once.
#[derive(Clone, Debug)]
pub struct CommandAllowlist {
    lists: Lists,
}

impl Policy for CommandAllowlist {
    type Settings = Settings;

    const ABOUT: About = About {
        name: "command-allowlist",
        version: env!("CARGO_PKG_VERSION"),
        summary: "allows the commands of a list, compared after resolving links",
    };

    fn new(settings: Settings) -> Result<Self, Vec<SettingsProblem>> {
        Lists::new(settings).map(|lists| Self { lists })
    }
}

impl AdmissionPolicy for CommandAllowlist {
    fn lookups(&self) -> Vec<String> {
        self.lists.lookups()
    }

    fn decide(&self, request: &Request) -> Result<Decision, Refusal> {
        self.lists.decide(request)
    }
}

export_admission_policy!(CommandAllowlist);

#[cfg(test)]
mod tests;
