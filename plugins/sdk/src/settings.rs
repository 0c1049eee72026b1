//! Settings: read from canonical JSON, described by a JSON Schema, both from one declaration.
//!
//! [`settings!`](crate::settings!) declares a struct whose fields carry description, default and range;
//! [`choice!`](crate::choice!) an enumeration of words. What one value can be is a [`Setting`], made for numbers,
//! booleans, strings, lists of strings, durations (`"5s"`, `"10m"`), anything of these that can be switched `"off"`
//! (`Option`), and for nested settings. A value is read *over* a default, so a table that sets one key keeps the rest.

mod object;
mod scalar;
mod span;

use std::ops::RangeInclusive;

use serde_json::{Value, json};

pub use self::object::{ObjectReader, ObjectSchema};
pub use self::span::show_duration;
use crate::SettingsProblem;

/// A mistake at `field` (JSON Pointer, `""` for the whole) with a message for a person.
#[must_use]
pub fn problem(field: impl Into<String>, message: impl Into<String>) -> SettingsProblem {
    SettingsProblem { field: field.into(), message: message.into() }
}

/// A value that can be set.
pub trait Setting: Sized + Clone {
    /// JSON Schema of the value; `self` is the default, which nested settings show.
    fn schema(&self) -> Value;

    /// The value as JSON, as `default` in a schema.
    fn to_json(&self) -> Value;

    /// Read a value over this default.
    ///
    /// # Errors
    /// Every mistake, with pointers relative to this value.
    fn read(&self, value: &Value) -> Result<Self, Vec<SettingsProblem>>;

    /// The number that a range is compared with, if the value has one: itself, or the seconds of a duration.
    fn magnitude(&self) -> Option<f64> {
        None
    }

    /// A bound of a range as people write it.
    #[must_use]
    fn show_bound(bound: f64) -> String {
        bound.to_string()
    }
}

/// The range of one field, if it has one.
#[derive(Clone, Debug, Default)]
pub struct Bounds(Option<RangeInclusive<f64>>);

impl Bounds {
    /// Any value.
    #[must_use]
    pub const fn any() -> Self {
        Self(None)
    }

    /// From the first to the second, both included.
    #[must_use]
    pub fn within(self, range: RangeInclusive<f64>) -> Self {
        Self(Some(range))
    }

    fn describe(&self, schema: &mut Value) {
        // What can be switched off has the range in its first alternative.
        let schema = if schema.get("anyOf").is_some() { &mut schema["anyOf"][0] } else { schema };
        if let Some(range) = &self.0
            && (schema["type"] == "number" || schema["type"] == "integer")
        {
            let whole = schema["type"] == "integer";
            let bound = |value: f64| if whole { json!(value as u64) } else { json!(value) };
            schema["minimum"] = bound(*range.start());
            schema["maximum"] = bound(*range.end());
        }
    }

    fn check<T: Setting>(&self, value: &T) -> Result<(), String> {
        match (&self.0, value.magnitude()) {
            (Some(range), Some(magnitude)) if !range.contains(&magnitude) => {
                Err(format!("must be from {} to {}", T::show_bound(*range.start()), T::show_bound(*range.end())))
            }
            _ => Ok(()),
        }
    }
}

/// Declare settings: each field has a doc comment (its description), a type, a default, and if need be a range
/// (numbers as they are, durations in seconds).
///
/// ```
/// wasmvisor_policy_sdk::settings! {
///     /// What can be set.
///     pub struct Settings {
///         /// Percent of the limit from which memory is a warning.
///         memory_warning_percent: f64 = 70.0, in 0.0..=1000.0;
///         /// Longest delay.
///         max_delay: std::time::Duration = std::time::Duration::from_secs(300), in 0.0..=86400.0;
///     }
/// }
/// assert_eq!(Settings::default().memory_warning_percent, 70.0);
/// ```
#[macro_export]
macro_rules! settings {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $default:expr $(, in $range:expr)?;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::settings::Setting for $name {
            fn schema(&self) -> $crate::serde_json::Value {
                let mut object = $crate::settings::ObjectSchema::default();
                $(object.field(
                    stringify!($field),
                    concat!($($doc,)+),
                    &self.$field,
                    &$crate::settings::Bounds::any()$(.within($range))?,
                );)*
                object.finish()
            }

            fn to_json(&self) -> $crate::serde_json::Value {
                let mut object = $crate::serde_json::Map::new();
                $(object.insert(stringify!($field).into(), $crate::settings::Setting::to_json(&self.$field));)*
                object.into()
            }

            fn read(
                &self,
                value: &$crate::serde_json::Value,
            ) -> Result<Self, Vec<$crate::SettingsProblem>> {
                let mut object = $crate::settings::ObjectReader::open(value)?;
                let read = Self {
                    $($field: object.field(
                        stringify!($field),
                        &self.$field,
                        &$crate::settings::Bounds::any()$(.within($range))?,
                    ),)*
                };
                object.close(read)
            }
        }
    };
}

/// Declare an enumeration of words that is a setting.
///
/// ```
/// wasmvisor_policy_sdk::choice! {
///     /// How a delay is spread.
///     pub enum Jitter {
///         /// Not at all.
///         None = "none",
///         /// Over the whole delay.
///         Full = "full",
///     }
/// }
/// ```
#[macro_export]
macro_rules! choice {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$case_meta:meta])* $case:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $($(#[$case_meta])* $case,)+ }

        impl $crate::settings::Setting for $name {
            fn schema(&self) -> $crate::serde_json::Value {
                $crate::serde_json::json!({ "enum": [$($word),+] })
            }

            fn to_json(&self) -> $crate::serde_json::Value {
                match self { $(Self::$case => $word.into(),)+ }
            }

            fn read(
                &self,
                value: &$crate::serde_json::Value,
            ) -> Result<Self, Vec<$crate::SettingsProblem>> {
                match value.as_str() {
                    $(Some($word) => Ok(Self::$case),)+
                    _ => Err(vec![$crate::settings::problem("", concat!("must be one of", $(" `", $word, "`",)+))]),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests;
