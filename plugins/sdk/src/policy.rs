//! What every policy is, whatever its kind.

use crate::SettingsProblem;
use crate::settings::Setting;

/// How a policy introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Short name, 1 to 64 characters of `[a-z0-9-]`.
    pub name: &'static str,
    /// Version of the policy, semantic versioning. `env!("CARGO_PKG_VERSION")` is a good source.
    pub version: &'static str,
    /// One line for people, at most 200 bytes.
    pub summary: &'static str,
}

/// A policy of any kind: who it is and what can be set. The judgement is in the trait of the kind.
pub trait Policy: Sized + Send + Sync + 'static {
    /// What an operator can set, normally made by [`settings!`](crate::settings!). Its `Default` is the one source of
    /// default values: the JSON Schema shows the same ones.
    type Settings: Setting + Default;

    /// Name, version and summary.
    const ABOUT: About;

    /// Make the policy. Types, ranges and unknown names are already checked; what is left is what one value says about
    /// another.
    ///
    /// # Errors
    /// Every mistake found, each with the JSON Pointer of the value ([`problem`](crate::settings::problem)).
    fn new(settings: Self::Settings) -> Result<Self, Vec<SettingsProblem>>;
}
