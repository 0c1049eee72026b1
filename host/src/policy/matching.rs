//! Which binding judges which process.
//!
//! Pure; entered by the lanes for each process they have not seen at that place before.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::{Identity, Priority};

/// Conditions on a process; it must meet all that are written. Nothing written matches every process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Its agent type, as a pattern: `*` is any text, `?` any one character.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_type: Option<String>,
    /// Its name, as a pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tags it must have, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Its priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
}

impl Match {
    /// Whether it is about every process.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `identity` meets every condition.
    pub fn accepts(&self, identity: &Identity) -> bool {
        let fits = |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|p| glob(p, text));
        fits(&self.agent_type, &identity.agent_type)
            && fits(&self.name, &identity.name)
            && self.priority.is_none_or(|priority| priority == identity.priority)
            && self.tags.iter().all(|tag| identity.tags.contains(tag))
    }
}

impl std::fmt::Display for Match {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.agent_type.as_ref().map(|text| format!("agent_type={text}")));
        parts.extend(self.name.as_ref().map(|text| format!("name={text}")));
        parts.extend(self.tags.iter().map(|tag| format!("tag={tag}")));
        parts.extend(self.priority.map(|priority| format!("priority={priority}")));
        f.pad(&if parts.is_empty() { "*".to_owned() } else { parts.join(" ") })
    }
}

/// Whether the whole of `text` fits `pattern`: `*` is any text, `?` any one character, all else itself.
///
/// Linear in practice and quadratic at worst: after a mismatch only the last `*` takes one character more.
fn glob(pattern: &str, text: &str) -> bool {
    let (mut p, mut t) = (pattern.chars(), text.chars());
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let text_here = t.clone();
        match (p.next(), t.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                retry = Some((p.clone(), text_here.clone()));
                t = text_here;
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {}
            _ => {
                let Some((after_star, from)) = retry.as_mut() else { return false };
                if from.next().is_none() {
                    return false;
                }
                (p, t) = (after_star.clone(), from.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::spec::{ProcessId, ProcessSpec};

    fn worker() -> Arc<Identity> {
        let mut spec = ProcessSpec::new("build-7", ["true"]);
        spec.agent_type = "code-implementer".to_owned();
        spec.tags = vec!["batch".to_owned(), "ci".to_owned()];
        Identity::of(ProcessId::new("p1"), &spec)
    }

    #[test]
    fn patterns_fit_as_in_a_shell() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("code-*", "code-x", true),
            ("code-*", "decode-x", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*c", "abbc", true),
            ("*b*c", "abcd", false),
            ("", "", true),
            ("", "a", false),
            ("a*", "a", true),
            ("*a", "ba", true),
            ("**", "x", true),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn every_condition_must_be_met() {
        let base = Match { agent_type: Some("code-*".into()), tags: vec!["ci".into()], ..Match::default() };
        assert!(base.accepts(&worker()));
        assert!(!Match { priority: Some(Priority::High), ..base.clone() }.accepts(&worker()));
        assert!(!Match { tags: vec!["ci".into(), "prod".into()], ..base }.accepts(&worker()));
        assert!(Match::default().accepts(&worker()));
    }
}
