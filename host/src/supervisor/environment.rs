//! The environment of a child, built from an allowlist. Values are secrets; nothing here shows one.

use std::collections::BTreeMap;

use super::EnvironmentRules;
use crate::platform::Account;
use crate::spec::{Identity, Limits, ProcessSpec};

/// Where bare names are looked for when a child has no PATH.
const DEFAULT_SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Variables by name.
pub(super) type Environment = BTreeMap<String, String>;

/// The supervisor's own environment, as far as it is text.
pub(super) fn of_this_process() -> Environment {
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// Where the variables of a child come from.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    /// The supervisor's own.
    pub(super) own: &'a Environment,
    /// `[sandbox.env]`.
    pub(super) rules: &'a EnvironmentRules,
    /// Who the child is to be, when its user is named.
    pub(super) account: Option<&'a Account>,
    /// The specification: its sandbox and its `env`.
    pub(super) spec: &'a ProcessSpec,
}

/// What a child gets, later over earlier: what the rules pass on of our own, what belongs to the user it becomes, what
/// the rules set, less what they take away; what its own sandbox passes, sets and takes away; what its specification
/// sets; and what the supervisor tells it about itself. `WASMVISOR_RUN` comes with each run.
pub(super) fn of_child(from: Sources<'_>, identity: &Identity, limits: &Limits) -> Environment {
    let (rules, process) = (from.rules, &from.spec.sandbox.env);
    let mut env = Environment::new();
    pass(&mut env, &rules.pass, from.own);
    if let Some(account) = from.account {
        take_home(&mut env, account);
    }
    env.extend(rules.set.clone());
    env.retain(|key, _| !rules.unset.contains(key));
    pass(&mut env, &process.pass, from.own);
    env.extend(process.set.clone());
    env.retain(|key, _| !process.unset.contains(key));
    env.extend(from.spec.env.clone());
    introduce(&mut env, identity, limits);
    env
}

fn pass(env: &mut Environment, keys: &[String], own: &Environment) {
    env.extend(keys.iter().filter_map(|key| Some((key.clone(), own.get(key)?.clone()))));
}

/// Our own home is not that of another user, whose own may not be known.
fn take_home(env: &mut Environment, account: &Account) {
    let words =
        [("HOME", &account.home), ("USER", &account.name), ("LOGNAME", &account.name), ("SHELL", &account.shell)];
    for (key, value) in words {
        env.remove(key);
        env.extend(value.clone().map(|value| (key.to_owned(), value)));
    }
}

/// Tell a child about itself.
fn introduce(env: &mut Environment, identity: &Identity, limits: &Limits) {
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
}

/// Where bare names of this child's commands are looked for.
pub(super) fn search_path(env: &Environment) -> &str {
    env.get("PATH").map_or(DEFAULT_SEARCH_PATH, String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ProcessId, UserIds};

    fn variables(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn child(rules: &EnvironmentRules, own: &Environment, spec: &ProcessSpec, limits: Limits) -> Environment {
        let identity = Identity::of(ProcessId::new("p1"), spec);
        of_child(Sources { own, rules, account: None, spec }, &identity, &limits)
    }

    fn web() -> ProcessSpec {
        ProcessSpec::new("web", ["sleep"])
    }

    #[test]
    fn only_what_is_allowed_is_passed_on() {
        let own = variables(&[("HOME", "/root"), ("TOKEN", "secret")]);
        let env = child(&EnvironmentRules::default(), &own, &web(), Limits::default());
        assert_eq!(env.get("HOME").map(String::as_str), Some("/root"));
        assert!(!env.contains_key("TOKEN"));
    }

    #[test]
    fn the_specification_is_over_the_rules_and_the_rules_over_what_is_passed() {
        let rules = EnvironmentRules {
            pass: vec!["A".into(), "B".into()],
            set: variables(&[("B", "set"), ("C", "set")]),
            unset: Vec::new(),
        };
        let own = variables(&[("A", "own"), ("B", "own")]);
        let spec = ProcessSpec { env: variables(&[("C", "spec")]), ..web() };
        let env = child(&rules, &own, &spec, Limits::default());
        assert_eq!((&*env["A"], &*env["B"], &*env["C"]), ("own", "set", "spec"));
    }

    #[test]
    fn each_level_takes_away_what_stands_before_it_and_no_more() {
        let own = variables(&[("A", "own"), ("B", "own"), ("C", "own"), ("D", "own")]);
        let rules = EnvironmentRules {
            pass: vec!["A".into(), "B".into(), "C".into()],
            set: BTreeMap::new(),
            unset: vec!["A".into(), "B".into()],
        };
        let mut spec = ProcessSpec { env: variables(&[("C", "spec")]), ..web() };
        spec.sandbox.env.pass = vec!["B".into(), "D".into()];
        spec.sandbox.env.unset = vec!["C".into(), "D".into()];
        let env = child(&rules, &own, &spec, Limits::default());
        let seen: Vec<_> = ["A", "B", "C", "D"].map(|key| env.get(key).map(String::as_str)).into();
        assert_eq!(seen, [None, Some("own"), Some("spec"), None]);
    }

    #[test]
    fn another_user_has_its_own_home() {
        let account = Account {
            ids: UserIds { uid: 7, gid: 7, groups: Vec::new() },
            name: Some("svc".to_owned()),
            home: Some("/srv".to_owned()),
            shell: None,
        };
        let own = variables(&[("HOME", "/root"), ("SHELL", "/bin/root-shell")]);
        let (rules, spec) = (EnvironmentRules::default(), web());
        let from = Sources { own: &own, rules: &rules, account: Some(&account), spec: &spec };
        let env = of_child(from, &Identity::of(ProcessId::new("p1"), &spec), &Limits::default());
        assert_eq!((&*env["HOME"], &*env["USER"], env.get("SHELL")), ("/srv", "svc", None));
    }

    #[test]
    fn nobody_can_speak_in_the_supervisors_name() {
        let wanted = variables(&[("WASMVISOR_PROCESS_ID", "forged"), ("WASMVISOR_MEMORY_LIMIT_BYTES", "1")]);
        let limits = Limits { memory: None, ..Limits::default() };
        let spec = ProcessSpec { env: wanted, ..web() };
        let env = child(&EnvironmentRules::default(), &variables(&[]), &spec, limits);
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
