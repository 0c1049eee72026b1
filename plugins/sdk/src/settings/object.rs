//! Objects: the code behind [`settings!`](crate::settings!), once instead of once for each struct, and for the same
//! reason (size of the guest) never inlined.

use serde_json::{Map, Value, json};

use super::{Bounds, Setting, problem};
use crate::SettingsProblem;

/// Gathers the schema of an object field by field.
#[derive(Default)]
pub struct ObjectSchema {
    properties: Map<String, Value>,
}

impl ObjectSchema {
    /// One field with its description (a doc comment), default and range.
    #[inline(never)]
    pub fn field<T: Setting>(&mut self, name: &str, doc: &str, default: &T, bounds: &Bounds) {
        let mut schema = default.schema();
        bounds.describe(&mut schema);
        schema["description"] = doc.trim().into();
        schema["default"] = default.to_json();
        self.properties.insert(name.to_owned(), schema);
    }

    /// The schema of the whole: no field is required, no other is allowed.
    #[must_use]
    pub fn finish(self) -> Value {
        json!({ "type": "object", "additionalProperties": false, "properties": self.properties })
    }
}

/// Reads an object field by field and remembers every mistake.
pub struct ObjectReader<'v> {
    fields: &'v Map<String, Value>,
    known: Vec<&'static str>,
    problems: Vec<SettingsProblem>,
}

impl<'v> ObjectReader<'v> {
    /// Begin with a JSON value.
    ///
    /// # Errors
    /// When it is no object.
    pub fn open(value: &'v Value) -> Result<Self, Vec<SettingsProblem>> {
        let fields = value.as_object().ok_or_else(|| vec![problem("", "must be a table of settings")])?;
        Ok(Self { fields, known: Vec::new(), problems: Vec::new() })
    }

    /// One field: what is set, else the default. After a mistake the default stands in until [`close`](Self::close).
    #[inline(never)]
    pub fn field<T: Setting>(&mut self, name: &'static str, default: &T, bounds: &Bounds) -> T {
        self.known.push(name);
        let Some(value) = self.fields.get(name) else { return default.clone() };
        match default.read(value) {
            Ok(read) => {
                if let Err(message) = bounds.check(&read) {
                    self.problems.push(problem(format!("/{name}"), message));
                }
                read
            }
            Err(inner) => {
                self.problems.extend(inner.into_iter().map(|p| problem(format!("/{name}{}", p.field), p.message)));
                default.clone()
            }
        }
    }

    /// End with what was read.
    ///
    /// # Errors
    /// Every mistake, fields that nobody knows included.
    pub fn close<T>(mut self, read: T) -> Result<T, Vec<SettingsProblem>> {
        for name in self.fields.keys().filter(|name| !self.known.contains(&name.as_str())) {
            let escaped = name.replace('~', "~0").replace('/', "~1");
            let message = format!("is not a setting; known are {}", self.known.join(", "));
            self.problems.push(problem(format!("/{escaped}"), message));
        }
        if self.problems.is_empty() { Ok(read) } else { Err(self.problems) }
    }
}
