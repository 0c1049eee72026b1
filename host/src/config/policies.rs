//! `[policies]`: a reference to a set, or a set that stands inline.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::policy::PolicySet;

/// `[policies]`: a set by reference, or inline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct PoliciesConfig {
    /// Path of a policy set, relative to the configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub set: Option<String>,
    /// A set that stands inline.
    #[serde(flatten)]
    pub inline: PolicySet,
}

/// By hand, because serde's `flatten` loses both the refusal of unknown keys and the places of mistakes: the map is
/// handed on to the set as it is, and only the key `set` is taken out on the way.
impl<'de> Deserialize<'de> for PoliciesConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor)
    }
}

struct TableVisitor;

impl<'de> Visitor<'de> for TableVisitor {
    type Value = PoliciesConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with `set`, or with a policy set inline")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PoliciesConfig, A::Error> {
        let mut set = None;
        let inline = PolicySet::deserialize(MapAccessDeserializer::new(WithoutSet { map, set: &mut set }))?;
        Ok(PoliciesConfig { set, inline })
    }
}

/// A map without the key `set`, whose value is put aside.
struct WithoutSet<'a, A> {
    map: A,
    set: &'a mut Option<String>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithoutSet<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, mut seed: K) -> Result<Option<K::Value>, A::Error> {
        loop {
            match self.map.next_key_seed(KeySeed(seed))? {
                None => return Ok(None),
                Some(Key::Other(value)) => return Ok(Some(value)),
                Some(Key::Set(unused)) => {
                    *self.set = Some(self.map.next_value()?);
                    seed = unused;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

enum Key<K, V> {
    Set(K),
    Other(V),
}

/// Reads a key inside the map's own deserializer, so that an error keeps its place in the text.
struct KeySeed<K>(K);

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<K> {
    type Value = Key<K, K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let key = String::deserialize(deserializer)?;
        if key == "set" {
            return Ok(Key::Set(self.0));
        }
        let key: StringDeserializer<D::Error> = key.into_deserializer();
        self.0.deserialize(key).map(Key::Other)
    }
}
