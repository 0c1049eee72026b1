//! Between the generated traits and the author's: settings from JSON, the one configured policy of an instance. Entered
//! only by the export macros.

use std::sync::OnceLock;

use crate::bindings::vocabulary::wasmvisor::policy::types::Description;
use crate::settings::{Setting, problem};
use crate::{Kind, Policy, Refusal, SettingsProblem, refuse};

/// The policy of one component instance. An instance is configured once and never again, so nothing in it changes
/// after that: the static that holds it in a component is a constant known late.
pub type Slot<P> = OnceLock<P>;

/// The answer to `describe`.
#[must_use]
pub fn describe<P: Policy>(kind: Kind) -> Description {
    let about = P::ABOUT;
    Description {
        name: about.name.to_owned(),
        version: about.version.to_owned(),
        kind,
        summary: about.summary.to_owned(),
        settings_schema: schema::<P>().to_string(),
    }
}

/// The JSON Schema of a policy's settings.
#[must_use]
pub fn schema<P: Policy>() -> serde_json::Value {
    let mut schema = P::Settings::default().schema();
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = format!("settings of {}", P::ABOUT.name).into();
    schema
}

/// Make a policy from the JSON text of its settings.
///
/// # Errors
/// Every mistake in the settings.
pub fn make<P: Policy>(settings: &str) -> Result<P, Vec<SettingsProblem>> {
    let value: serde_json::Value =
        serde_json::from_str(settings).map_err(|error| vec![problem("", format!("not JSON: {error}"))])?;
    P::new(P::Settings::default().read(&value)?)
}

/// The answer to `validate-settings`.
#[must_use]
pub fn validate<P: Policy>(settings: &str) -> Vec<SettingsProblem> {
    make::<P>(settings).err().unwrap_or_default()
}

/// The answer to `configure`.
///
/// # Errors
/// Every mistake in the settings, or that the instance is configured already.
pub fn configure<P: Policy>(slot: &Slot<P>, settings: &str) -> Result<(), Vec<SettingsProblem>> {
    crate::log::panics();
    slot.set(make(settings)?).map_err(|_| vec![problem("", "this instance is configured already")])
}

/// The policy that `configure` made.
///
/// # Errors
/// When the host asks before it configures.
pub fn configured<P: Policy>(slot: &Slot<P>) -> Result<&P, Refusal> {
    slot.get().ok_or_else(|| refuse("asked before it was configured"))
}

/// The generated `policy` interface for one component type. Only the export macros use it.
#[doc(hidden)]
#[macro_export]
macro_rules! __policy_guest {
    ($kind:ident, $component:ident, $slot:ident, $policy:ty) => {
        impl $crate::bindings::policy::exports::wasmvisor::policy::policy::Guest for $component {
            fn describe() -> $crate::glue::Described {
                $crate::glue::describe::<$policy>($crate::Kind::$kind)
            }

            fn validate_settings(settings: String) -> Vec<$crate::SettingsProblem> {
                $crate::glue::validate::<$policy>(&settings)
            }

            fn configure(settings: String) -> Result<(), Vec<$crate::SettingsProblem>> {
                $crate::glue::configure(&$slot, &settings)
            }
        }

        $crate::bindings::policy::export_policy_interface!($component with_types_in $crate::bindings::policy);
    };
}

/// What `describe` answers.
pub use crate::bindings::vocabulary::wasmvisor::policy::types::Description as Described;
