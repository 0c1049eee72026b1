//! What policies decide, and how they are changed while everything runs.

use serde_json::Value;

use super::with;
use crate::support::{Fleet, eventually};

#[test]
fn a_command_that_is_not_allowed_is_refused_by_name_of_the_rule() {
    let fleet = Fleet::start(&with(""));
    let said = fleet.refusal(5, &["start", "--name", "intruder", "--", "cat", "/dev/null"]);
    assert!(said.contains("command-allowlist") && said.contains("cat"), "{said}");
    fleet.await_event("the refusal is told", |event| event["type"] == "process.refused");
    assert_eq!(fleet.json(&["stats"])["started"], 0);
}

#[test]
fn a_directory_that_leads_into_a_restricted_path_through_a_link_is_refused() {
    let fleet = Fleet::start(&with(""));
    let link = fleet.path().join("harmless");
    std::os::unix::fs::symlink("/etc", &link).unwrap();
    let link = link.display().to_string();
    let said = fleet.refusal(5, &["start", "--name", "sly", "--directory", &link, "--", "true"]);
    assert!(said.contains("restricted-path") && said.contains("/etc"), "{said}");
}

#[test]
fn a_directory_whose_name_only_begins_like_a_restricted_one_is_allowed() {
    let fleet = Fleet::start(&with("").replace("\"/usr\"", "\"{dir}/secret\""));
    let innocent = fleet.path().join("secretary");
    std::fs::create_dir(&innocent).unwrap();
    fleet.text(&["start", "--name", "fine", "--directory", &innocent.display().to_string(), "--", "true"]);
}

#[test]
fn the_policy_in_force_is_shown_with_its_digest() {
    let fleet = Fleet::start(&with(""));
    let bindings = fleet.json(&["policy", "list"]);
    let health = bindings.as_array().unwrap().iter().find(|binding| binding["kind"] == "health").unwrap();
    assert_eq!(health["plugin"], "builtin:health-score");
    assert_eq!(health["digest"].as_str().unwrap().len(), 64);
}

#[test]
fn a_policy_swapped_while_a_process_runs_rules_at_once() {
    let fleet = Fleet::start(&with(""));
    fleet.refusal(5, &["start", "--name", "lister", "--", "ls"]);
    let set = with("").replace("[supervisor]", "").replace("policies.", "").replace("\"true\"", "\"true\", \"ls\"");
    let only_policies = &set[set.find("[[admission]]").unwrap()..];
    std::fs::write(fleet.path().join("wider.toml"), only_policies).unwrap();
    fleet.text(&["policy", "swap", "wider.toml"]);
    fleet.text(&["start", "--name", "lister", "--", "ls"]);
    fleet.await_event("the swap is told", |event| event["type"] == "policy.swapped");
}

#[test]
fn a_swap_to_something_that_is_no_policy_is_refused_and_the_old_one_stays() {
    let fleet = Fleet::start(&with("[process.sleeper]\ncommand = [\"sleep\", \"1000\"]"));
    std::fs::write(fleet.path().join("bad.wasm"), b"not wasm").unwrap();
    std::fs::write(fleet.path().join("bad.toml"), "[[health]]\nplugin = \"bad.wasm\"\n").unwrap();
    let before = fleet.json(&["policy", "list"]);
    let said = fleet.refusal(3, &["policy", "swap", "bad.toml"]);
    assert!(said.contains("bad.wasm"), "{said}");
    let digests = |list: &Value| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|binding| binding["digest"].clone()).collect()
    };
    assert_eq!(digests(&before), digests(&fleet.json(&["policy", "list"])));
    fleet.await_status("sleeper", "running");
}

#[test]
fn settings_that_fail_the_schema_are_refused_by_name_of_the_field() {
    let fleet = Fleet::start(&with(""));
    let set = "[[health]]\nplugin = \"builtin:health-score\"\nsettings = { memory_warning_percent = \"many\" }\n";
    std::fs::write(fleet.path().join("bad.toml"), set).unwrap();
    let said = fleet.refusal(3, &["policy", "swap", "bad.toml"]);
    assert!(said.contains("memory_warning_percent"), "{said}");
}

#[test]
fn a_leak_is_scored_forecast_alerted_and_restarted_before_the_limit() {
    let leaky = r#"
[process.leaky]
command = ["sh", "-c", "block=$(head -c 500000 /dev/zero | tr '\\0' x); n=0; while :; do n=$((n + 1)); eval \"kept$n=\\$block\"; sleep 0.05; done"]
limits = { memory = "96MiB" }
"#;
    let costs =
        "plugin = \"builtin:health-score\"\nsettings = { memory_critical_percent = 80, memory_critical_cost = 50 }";
    let text = with(leaky).replace("plugin = \"builtin:health-score\"", costs);
    let fleet = Fleet::start(&text);
    let forecast = fleet.await_event("a forecast", |event| event["type"] == "health.forecast");
    assert!(forecast["limit_in_ms"].as_u64().unwrap() > 0);
    fleet.await_event("an alert on memory", |event| event["type"] == "alert.raised" && event["topic"] == "memory");
    eventually("it was restarted", || (fleet.process("leaky")["restarts"].as_u64() >= Some(1)).then_some(()));
    let record = fleet.process("leaky");
    assert!(record["peak_memory_bytes"].as_u64().unwrap() < 96 << 20, "{record}");
    assert!(fleet.events().iter().all(|event| event["type"] != "limit.violated"));
}

#[test]
fn memory_over_the_limit_is_a_violation_and_a_restart() {
    let greedy = r#"
[process.greedy]
command = ["sh", "-c", "x=$(head -c 60000000 /dev/zero | tr '\\0' x); while :; do sleep 1; done"]
limits = { memory = "32MiB" }
"#;
    let fleet = Fleet::start(&with(greedy));
    let event = fleet.await_event("a violation", |event| event["type"] == "limit.violated");
    assert_eq!((&event["limit"], &event["name"]), (&"memory".into(), &"greedy".into()));
    eventually("it is counted", || (fleet.process("greedy")["violations"]["memory"].as_u64() >= Some(1)).then_some(()));
    eventually("it was restarted", || (fleet.process("greedy")["restarts"].as_u64() >= Some(1)).then_some(()));
}

#[test]
fn a_failing_health_check_is_told_and_leads_to_a_restart() {
    let sick = r#"
[process.sick]
command = ["sleep", "1000"]
health_check = { command = ["false"], interval = "100ms", timeout = "1s", retries = 2 }
"#;
    let fleet = Fleet::start(&with(sick));
    fleet.await_event("the check failed", |event| event["type"] == "health.check" && event["passed"] == false);
    eventually("it was restarted", || (fleet.process("sick")["restarts"].as_u64() >= Some(1)).then_some(()));
}
