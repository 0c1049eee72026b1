use wasmvisor_policy_sdk::admission::{AdmissionPolicy, Decision, Request};
use wasmvisor_policy_sdk::{Identity, Policy, Priority, testing};

use super::CommandAllowlist;
use super::glob::matches;
use super::settings::Settings;

#[test]
fn the_golden_cases_hold_natively() {
    testing::run_admission::<CommandAllowlist>(include_str!("../cases.toml"));
}

#[test]
fn globs_compare_whole_paths() {
    for (pattern, path) in [
        ("/usr/bin/*", "/usr/bin/git"),
        ("/usr/bin/g?t", "/usr/bin/git"),
        ("/opt/**/bin/*", "/opt/a/b/bin/x"),
        ("**/git", "/usr/bin/git"),
        ("/usr/*/g*t*", "/usr/bin/git"),
        ("/ü?/*", "/üß/x"),
    ] {
        assert!(matches(pattern, path), "{pattern} does not match {path}");
    }
    for (pattern, path) in [
        ("/usr/bin/*", "/usr/bin/x/git"),
        ("/usr/bin/*", "/usr/bin"),
        ("/usr/bin?git", "/usr/bin/git"),
        ("/usr/bin/git*", "/usr/bin/got"),
        ("/bin/*", "/usr/bin/git"),
        ("", "/"),
    ] {
        assert!(!matches(pattern, path), "{pattern} matches {path}");
    }
}

#[test]
fn no_glob_takes_exponential_time() {
    assert!(!matches(&"*a".repeat(200), &"a".repeat(400).replace("aa", "ab")));
}

fn policy(allowed: Vec<String>) -> CommandAllowlist {
    CommandAllowlist::new(Settings { allowed_commands: allowed, ..Settings::default() }).expect("good settings")
}

fn request(command: String) -> Request {
    let empty = String::new;
    Request {
        identity: Identity {
            process_id: empty(),
            name: empty(),
            task_id: empty(),
            agent_type: empty(),
            priority: Priority::Normal,
            tags: Vec::new(),
        },
        found: Some(command.clone()),
        resolved: Some(command.clone()),
        command,
        args: Vec::new(),
        directory: empty(),
        environment_keys: Vec::new(),
        memory_limit_bytes: None,
        cpu_limit_percent: None,
        execution_limit_ms: None,
        now_ms: 0,
        lookups: Vec::new(),
    }
}

#[test]
fn only_names_and_paths_are_looked_up_and_each_once() {
    let lists = ["git", "/opt/*", "/bin/sh", "git"].map(String::from).to_vec();
    assert_eq!(policy(lists).lookups(), ["git", "/bin/sh"]);
}

#[test]
fn a_request_without_the_lookups_is_refused_not_denied() {
    assert!(policy(vec!["git".into()]).decide(&request("/usr/bin/git".into())).is_err());
}

#[test]
fn a_reason_stays_short_however_long_the_lists_and_the_command_are() {
    let policy = policy((0..1000).map(|n| format!("/{n}{}/*", "x".repeat(500))).collect());
    let Ok(Decision::Deny(denial)) = policy.decide(&request(format!("/{}", "ü".repeat(3000)))) else {
        panic!("a long command was not denied")
    };
    assert!(denial.reason.len() <= 1024, "{} bytes", denial.reason.len());
    assert!(denial.reason.ends_with("and 988 more"), "{}", denial.reason);
}
