//! What the cases of all kinds have in common: who is asked about, and the words of the contract, which are those of
//! the vocabulary.
//!
//! Pure. A field that a case does not mention has the value of a process with which all is well.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::{Value, json};

use crate::policy::bindings::types;
use crate::policy::convert;
use crate::policy::toml_error::nearest;
use crate::spec::{Identity, Priority, ProcessId};

/// What stands for a `responsiveness`, `stability` or score that a case does not mention.
pub(super) const GOOD: u32 = 100;

/// Read the arguments of one function.
pub(super) fn arguments<T: DeserializeOwned>(input: toml::Table) -> Result<T, String> {
    input.try_into().map_err(|error: toml::de::Error| {
        let message = error.message();
        let hint = nearest(message).map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
        format!("input: {message}{hint}")
    })
}

/// `ask` names a function that the kind does not have.
pub(super) fn no_function<T>(ask: &str, known: &str) -> Result<T, String> {
    Err(format!("ask: `{ask}` is no function of this kind of policy; write {known}"))
}

/// The record `identity`.
#[derive(serde::Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Who {
    process_id: String,
    name: String,
    task_id: String,
    agent_type: String,
    priority: Priority,
    tags: Vec<String>,
}

impl From<Who> for Identity {
    fn from(who: Who) -> Self {
        let Who { process_id, name, task_id, agent_type, priority, tags } = who;
        Self { process_id: ProcessId::new(process_id), name, task_id, agent_type, priority, tags }
    }
}

/// A direction by its word.
pub(super) fn direction<'de, D: Deserializer<'de>>(from: D) -> Result<types::Direction, D::Error> {
    Deserialize::deserialize(from).map(convert::to_direction)
}

/// A status by its word.
pub(super) fn status<'de, D: Deserializer<'de>>(from: D) -> Result<types::HealthStatus, D::Error> {
    Deserialize::deserialize(from).map(convert::to_status)
}

/// 64 bits. TOML has no integers above `i64::MAX`; the number that is all ones is written as -1.
pub(super) fn bits<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    i64::deserialize(from).map(i64::cast_unsigned)
}

/// Issues by their words, in the order of the contract.
pub(super) fn issues(issues: types::Issues) -> Value {
    json!(convert::issues(issues).iter().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> toml::Table {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_misspelt_field_is_told_with_the_right_one() {
        let said = arguments::<Who>(table("nme = 'x'")).err().unwrap();
        assert!(said.contains("`nme`") && said.ends_with("did you mean `name`?"), "{said}");
    }

    #[test]
    fn nobody_in_particular_has_normal_priority_and_no_name() {
        let who = Identity::from(arguments::<Who>(toml::Table::new()).unwrap());
        assert_eq!((who.name.as_str(), who.priority), ("", Priority::Normal));
    }
}
