//! The environment of a child, built from an allowlist. Values are secrets; nothing here shows one.

use std::collections::BTreeMap;

use super::EnvironmentRules;
use crate::spec::{Identity, Limits};

/// Where bare names are looked for when a child has no PATH.
const DEFAULT_SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Variables by name.
pub(super) type Environment = BTreeMap<String, String>;

/// The supervisor's own environment, as far as it is text.
pub(super) fn of_this_process() -> Environment {
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// What a child gets, later over earlier: what is passed on of `own`, what the rules set, what the specification sets
/// (`wanted`), and what the supervisor tells it about itself. `WASMVISOR_RUN` comes with each run.
pub(super) fn of_child(
    rules: &EnvironmentRules,
    own: &Environment,
    wanted: &Environment,
    identity: &Identity,
    limits: &Limits,
) -> Environment {
    let passed = rules.pass.iter().filter_map(|key| Some((key.clone(), own.get(key)?.clone())));
    let mut env: Environment = passed.collect();
    env.extend(rules.set.clone());
    env.extend(wanted.clone());
    let own_words = [
        ("WASMVISOR_PROCESS_ID", Some(identity.process_id.to_string())),
        ("WASMVISOR_NAME", Some(identity.name.clone())),
        ("WASMVISOR_TASK_ID", Some(identity.task_id.clone())),
        ("WASMVISOR_AGENT_TYPE", Some(identity.agent_type.clone())),
        ("WASMVISOR_PRIORITY", Some(identity.priority.to_string())),
        ("WASMVISOR_MEMORY_LIMIT_BYTES", limits.memory.map(|bytes| bytes.get().to_string())),
        ("WASMVISOR_CPU_LIMIT_PERCENT", limits.cpu.map(|percent| percent.get().to_string())),
        ("WASMVISOR_EXECUTION_LIMIT_MS", limits.execution_time.map(|time| time.as_millis().to_string())),
    ];
    for (key, value) in own_words {
        // A specification cannot speak in the supervisor's name, not even about what is off.
        env.remove(key);
        env.extend(value.map(|value| (key.to_owned(), value)));
    }
    env
}

/// Where bare names of this child's commands are looked for.
pub(super) fn search_path(env: &Environment) -> &str {
    env.get("PATH").map_or(DEFAULT_SEARCH_PATH, String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ProcessId, ProcessSpec};

    fn variables(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn child(rules: &EnvironmentRules, own: &Environment, wanted: &Environment, limits: Limits) -> Environment {
        let identity = Identity::of(ProcessId::new("p1"), &ProcessSpec::new("web", ["sleep"]));
        of_child(rules, own, wanted, &identity, &limits)
    }

    #[test]
    fn only_what_is_allowed_is_passed_on() {
        let own = variables(&[("HOME", "/root"), ("TOKEN", "secret")]);
        let env = child(&EnvironmentRules::default(), &own, &variables(&[]), Limits::default());
        assert_eq!(env.get("HOME").map(String::as_str), Some("/root"));
        assert!(!env.contains_key("TOKEN"));
    }

    #[test]
    fn the_specification_is_over_the_rules_and_the_rules_over_what_is_passed() {
        let rules =
            EnvironmentRules { pass: vec!["A".into(), "B".into()], set: variables(&[("B", "set"), ("C", "set")]) };
        let own = variables(&[("A", "own"), ("B", "own")]);
        let env = child(&rules, &own, &variables(&[("C", "spec")]), Limits::default());
        assert_eq!((&*env["A"], &*env["B"], &*env["C"]), ("own", "set", "spec"));
    }

    #[test]
    fn nobody_can_speak_in_the_supervisors_name() {
        let wanted = variables(&[("WASMVISOR_PROCESS_ID", "forged"), ("WASMVISOR_MEMORY_LIMIT_BYTES", "1")]);
        let limits = Limits { memory: None, ..Limits::default() };
        let env = child(&EnvironmentRules::default(), &variables(&[]), &wanted, limits);
        assert_eq!(env["WASMVISOR_PROCESS_ID"], "p1");
        assert!(!env.contains_key("WASMVISOR_MEMORY_LIMIT_BYTES"));
        assert_eq!(env["WASMVISOR_EXECUTION_LIMIT_MS"], "600000");
    }

    #[test]
    fn a_child_without_a_path_finds_what_every_system_has() {
        assert_eq!(search_path(&variables(&[])), DEFAULT_SEARCH_PATH);
        assert_eq!(search_path(&variables(&[("PATH", "/opt")])), "/opt");
    }
}
