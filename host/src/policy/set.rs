//! Policy sets: which plugin answers which question about which process, with what settings, budget and failure rule.
//!
//! Owns the shape of `policies/*.toml` and every check that needs no plugin. Reads files, nothing else.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::PolicyError;
use super::matching::Match;
use super::source::Reference;
use super::toml_error::explain;
use crate::decision::PolicyKind;
use crate::health::words;
use crate::units::{Bytes, Span};

/// Bindings of the four kinds, in order. Admission asks every matching binding and all must allow; of the others the
/// first match answers. A kind that is not written has its built-in policy; one written as an empty list has none:
/// admission then denies everything, the others are answered by the built-in policy with its default settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySet {
    /// May this command run?
    pub admission: Vec<Binding>,
    /// How healthy is this process?
    pub health: Vec<Binding>,
    /// Does it come back, and when?
    pub restart: Vec<Binding>,
    /// Does anything deserve attention?
    pub alert: Vec<Binding>,
}

impl Default for PolicySet {
    /// The four embedded policies with their default settings.
    fn default() -> Self {
        let of = |kind| vec![Binding::new(Reference::default_of(kind).to_string())];
        Self {
            admission: of(PolicyKind::Admission),
            health: of(PolicyKind::Health),
            restart: of(PolicyKind::Restart),
            alert: of(PolicyKind::Alert),
        }
    }
}

/// A plugin bound to the processes it judges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Which processes; all when absent.
    #[serde(rename = "match", default, skip_serializing_if = "Match::is_everything")]
    pub matches: Match,
    /// `builtin:NAME` or a path to a component.
    pub plugin: String,
    /// The component must have this SHA-256 (64 hexadecimal digits).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// For the plugin, checked by its own schema.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
    /// What one call may cost.
    #[serde(default)]
    pub budget: Budget,
    /// What rules when the plugin fails or declines.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Whether its answers count.
    #[serde(default)]
    pub mode: Mode,
}

impl Binding {
    /// A binding of this plugin for every process, with every default.
    pub fn new(plugin: impl Into<String>) -> Self {
        Self {
            matches: Match::default(),
            plugin: plugin.into(),
            sha256: None,
            settings: Map::new(),
            budget: Budget::default(),
            on_failure: OnFailure::default(),
            mode: Mode::default(),
        }
    }
}

/// What one call of a plugin may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Wall-clock time of one call, 1 ms to 10 s. A batch is asked in calls of at most 512 processes.
    pub deadline: Span,
    /// Linear memory of the instance, 64 KiB to 1 GiB.
    pub memory: Bytes,
}

impl Default for Budget {
    /// 20 ms and 16 MiB.
    fn default() -> Self {
        Self { deadline: Span(std::time::Duration::from_millis(20)), memory: Bytes::mib(16) }
    }
}

impl Budget {
    fn problem(self) -> Option<String> {
        let deadline = self.deadline.get().as_millis();
        if !(1..=10_000).contains(&deadline) {
            return Some(format!("budget.deadline: {} is not between 1ms and 10s", self.deadline));
        }
        let memory = self.memory.get();
        (!(64 << 10..=1 << 30).contains(&memory))
            .then(|| format!("budget.memory: {} is not between 64KiB and 1GiB", self.memory))
    }
}

/// What rules when a plugin fails or declines to answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Ask the embedded plugin of the kind with its default settings.
    #[default]
    Default,
    /// Deny. Admission only.
    Deny,
    /// Allow. Admission only.
    Allow,
    /// Change nothing: health stays as it was, no alert comes or goes; the longest delay for a restart, and admission
    /// denies.
    Hold,
}

words!(OnFailure { Default => "default", Deny => "deny", Allow => "allow", Hold => "hold" });

/// Whether the answers of a binding count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They do.
    #[default]
    Enforce,
    /// It is asked after the answer was given, obeyed never; differences are reported.
    Shadow,
    /// It is loaded and checked but not asked, as if it were not there.
    Off,
}

words!(Mode { Enforce => "enforce", Shadow => "shadow", Off => "off" });

impl PolicySet {
    /// Read a policy set from a TOML file. Relative plugin paths are resolved against the file's directory.
    ///
    /// # Errors
    /// Names file, line and key.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| PolicyError::new(format!("cannot read policy set {}: {error}", path.display())))?;
        let set: Self = toml::from_str(&text)
            .map_err(|error| PolicyError::new(explain(path, &text, error.message(), error.span())))?;
        Ok(set.relative_to(path.parent().unwrap_or(Path::new(""))))
    }

    /// A set that stands inline in a configuration; relative plugin paths are resolved against `directory`.
    #[must_use]
    pub fn relative_to(mut self, directory: &Path) -> Self {
        for kind in PolicyKind::ALL {
            for binding in self.of_mut(*kind) {
                if let Ok(Reference::File(path)) = binding.plugin.parse()
                    && path.is_relative()
                {
                    let joined: PathBuf = directory.join(path);
                    binding.plugin = joined.display().to_string();
                }
            }
        }
        self
    }

    /// The bindings of one kind, in order.
    pub fn of(&self, kind: PolicyKind) -> &[Binding] {
        match kind {
            PolicyKind::Admission => &self.admission,
            PolicyKind::Health => &self.health,
            PolicyKind::Restart => &self.restart,
            PolicyKind::Alert => &self.alert,
        }
    }

    /// The bindings of one kind, to be changed.
    pub fn of_mut(&mut self, kind: PolicyKind) -> &mut Vec<Binding> {
        match kind {
            PolicyKind::Admission => &mut self.admission,
            PolicyKind::Health => &mut self.health,
            PolicyKind::Restart => &mut self.restart,
            PolicyKind::Alert => &mut self.alert,
        }
    }

    /// Everything that is wrong with the set itself, each line naming the binding. Plugins are not looked at.
    pub fn problems(&self) -> Vec<String> {
        let bindings = PolicyKind::ALL
            .iter()
            .flat_map(|kind| self.of(*kind).iter().enumerate().map(move |(index, binding)| (*kind, index, binding)));
        bindings
            .flat_map(|(kind, index, binding)| {
                let place = place(kind, index);
                binding_problems(kind, binding).into_iter().map(move |problem| format!("{place}.{problem}"))
            })
            .collect()
    }
}

/// How messages name a binding: `health[1]` is the second of its kind.
pub(super) fn place(kind: PolicyKind, index: usize) -> String {
    format!("{kind}[{index}]")
}

fn binding_problems(kind: PolicyKind, binding: &Binding) -> Vec<String> {
    let mut problems = Vec::new();
    if let Err(problem) = binding.plugin.parse::<Reference>() {
        problems.push(format!("plugin: {problem}"));
    }
    if let Some(digest) = &binding.sha256
        && (digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        problems.push(format!("sha256: `{digest}` is not 64 hexadecimal digits"));
    }
    problems.extend(binding.budget.problem());
    if matches!(binding.on_failure, OnFailure::Allow | OnFailure::Deny) && kind != PolicyKind::Admission {
        problems.push(format!("on_failure: `{}` is for admission only; write `default` or `hold`", binding.on_failure));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> PolicySet {
        toml::from_str(text).unwrap()
    }

    fn refused(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("set.toml");
        std::fs::write(&file, text).unwrap();
        PolicySet::load(&file).unwrap_err().message
    }

    #[test]
    fn a_kind_that_is_not_written_has_its_built_in_policy() {
        let set = parse("[[health]]\nplugin = 'own.wasm'");
        assert_eq!(set.health[0].plugin, "own.wasm");
        assert_eq!(set.admission, PolicySet::default().admission);
        assert_eq!(PolicySet::default().problems(), Vec::<String>::new());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_right_one() {
        let error = refused("[[health]]\nplugin = 'builtin:health-score'\nsetings = {}\n");
        assert!(error.contains("set.toml:3"), "{error}");
        assert!(error.contains("`setings`") && error.contains("`settings`?"), "{error}");
    }

    #[test]
    fn a_wrong_unit_is_named_with_its_line() {
        let error = refused("[[health]]\nplugin = 'x'\nbudget = { deadline = \"20\" }\n");
        assert!(error.contains("set.toml:3") && error.contains("250ms"), "{error}");
    }

    #[test]
    fn plugin_paths_are_relative_to_the_file_and_builtins_stay() {
        let set =
            parse("[[health]]\nplugin = 'own.wasm'\n[[health]]\nplugin = '/abs.wasm'").relative_to(Path::new("/p"));
        assert_eq!(set.health[0].plugin, "/p/own.wasm");
        assert_eq!(set.health[1].plugin, "/abs.wasm");
        assert_eq!(set.restart[0].plugin, "builtin:restart-backoff");
    }

    #[test]
    fn every_mistake_of_a_set_is_told_at_once() {
        let mut set = parse("[[health]]\nplugin = 'https://x/y.wasm'\non_failure = 'deny'\nsha256 = 'abc'");
        set.restart[0].budget.deadline = Span::seconds(60);
        let problems = set.problems().join("\n");
        for part in ["health[0].plugin", "health[0].on_failure", "health[0].sha256", "restart[0].budget.deadline"] {
            assert!(problems.contains(part), "{part} is missing in: {problems}");
        }
    }
}
