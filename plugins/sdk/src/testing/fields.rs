//! One record of a case, field by field, with the values that stand for fields that are not mentioned.

use serde_json::Value;

/// The fields of one record; a field that the record does not have is a mistake in the case.
pub(super) struct Input<'v>(&'v Value);

impl<'v> Input<'v> {
    /// Open a table whose keys are all among `known`, and panic at one that is not.
    pub(super) fn open(value: &'v Value, known: &[&str]) -> Self {
        for key in value.as_object().into_iter().flat_map(|table| table.keys()) {
            assert!(known.contains(&key.as_str()), "`{key}` is none of the fields {known:?}");
        }
        Self(value)
    }

    pub(super) fn u64(&self, key: &str) -> u64 {
        match &self.0[key] {
            Value::Null => 0,
            // TOML has no integers above i64::MAX; the seed that is all ones is written as -1.
            number => number.as_u64().or_else(|| number.as_i64().map(i64::cast_unsigned)).expect("a whole number"),
        }
    }

    pub(super) fn u32(&self, key: &str) -> u32 {
        u32::try_from(self.u64(key)).expect("a number of 32 bits")
    }

    pub(super) fn f32(&self, key: &str) -> f32 {
        self.0[key].as_f64().unwrap_or(0.0) as f32
    }

    pub(super) fn good(&self, key: &str) -> u32 {
        self.0[key].as_u64().map_or(100, |value| value as u32)
    }

    pub(super) fn text(&self, key: &str) -> String {
        self.0[key].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn maybe_text(&self, key: &str) -> Option<String> {
        self.0[key].as_str().map(Into::into)
    }

    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        self.0[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect()
    }

    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> T {
        let Some(word) = self.0[key].as_str() else { return words[0].1 };
        let found = words.iter().find(|(known, _)| *known == word);
        found.unwrap_or_else(|| panic!("`{key}` cannot be `{word}`")).1
    }
}
