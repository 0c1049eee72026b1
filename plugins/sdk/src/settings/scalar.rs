//! Numbers, booleans, strings, lists of strings, and anything that can be switched off.

use serde_json::{Value, json};

use super::{Setting, problem};
use crate::SettingsProblem;

fn expected<T>(found: Option<T>, what: &str) -> Result<T, Vec<SettingsProblem>> {
    found.ok_or_else(|| vec![problem("", format!("must be {what}"))])
}

impl Setting for f64 {
    fn schema(&self) -> Value {
        json!({ "type": "number" })
    }

    fn to_json(&self) -> Value {
        json!(self)
    }

    fn read(&self, value: &Value) -> Result<Self, Vec<SettingsProblem>> {
        expected(value.as_f64(), "a number")
    }

    fn magnitude(&self) -> Option<f64> {
        Some(*self)
    }
}

impl Setting for u32 {
    fn schema(&self) -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
    }

    fn to_json(&self) -> Value {
        json!(self)
    }

    fn read(&self, value: &Value) -> Result<Self, Vec<SettingsProblem>> {
        // JSON Schema counts 3.0 among the integers.
        let whole = value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..=f64::from(Self::MAX)).contains(n));
        expected(whole.map(|n| n as Self), "a whole number, 0 or more")
    }

    fn magnitude(&self) -> Option<f64> {
        Some(f64::from(*self))
    }
}

impl Setting for bool {
    fn schema(&self) -> Value {
        json!({ "type": "boolean" })
    }

    fn to_json(&self) -> Value {
        json!(self)
    }

    fn read(&self, value: &Value) -> Result<Self, Vec<SettingsProblem>> {
        expected(value.as_bool(), "true or false")
    }
}

impl Setting for String {
    fn schema(&self) -> Value {
        json!({ "type": "string" })
    }

    fn to_json(&self) -> Value {
        json!(self)
    }

    fn read(&self, value: &Value) -> Result<Self, Vec<SettingsProblem>> {
        expected(value.as_str().map(Self::from), "a string")
    }
}

impl Setting for Vec<String> {
    fn schema(&self) -> Value {
        json!({ "type": "array", "items": { "type": "string" } })
    }

    fn to_json(&self) -> Value {
        json!(self)
    }

    fn read(&self, value: &Value) -> Result<Self, Vec<SettingsProblem>> {
        let items = expected(value.as_array(), "a list of strings")?;
        let wrong = |place: usize| vec![problem(format!("/{place}"), "must be a string")];
        items
            .iter()
            .enumerate()
            .map(|(place, item)| item.as_str().map(Into::into).ok_or_else(|| wrong(place)))
            .collect()
    }
}

/// `None` is written `"off"`: neither TOML nor canonical settings have a null.
impl<T: Setting + Default> Setting for Option<T> {
    fn schema(&self) -> Value {
        let value = self.clone().unwrap_or_default().schema();
        json!({ "anyOf": [value, { "const": "off" }] })
    }

    fn to_json(&self) -> Value {
        self.as_ref().map_or_else(|| "off".into(), Setting::to_json)
    }

    fn read(&self, value: &Value) -> Result<Self, Vec<SettingsProblem>> {
        if value == "off" {
            return Ok(None);
        }
        let mut read = self.clone().unwrap_or_default().read(value);
        if let Err(problems) = &mut read {
            problems.iter_mut().filter(|p| p.field.is_empty()).for_each(|p| p.message.push_str(", or \"off\""));
        }
        read.map(Some)
    }

    fn magnitude(&self) -> Option<f64> {
        self.as_ref().and_then(Setting::magnitude)
    }

    fn show_bound(bound: f64) -> String {
        T::show_bound(bound)
    }
}
