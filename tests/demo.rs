//! The demo: the whole house in one story, judged by its summary.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::wasmvisor;

#[test]
fn the_demo_tells_its_story_on_real_processes_and_leaves_nothing_behind() {
    let output = wasmvisor().args(["demo", "--json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "ended with {}:\n{said}\n{text}", output.status);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect();
    let (summary, events) = lines.split_last().expect("there is a summary");
    let types: BTreeSet<_> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    for expected in [
        "process.refused",
        "process.backoff",
        "process.gave-up",
        "process.queued",
        "process.killed",
        "health.changed",
        "health.forecast",
        "alert.raised",
        "policy.swapped",
        "agent.finished",
        "supervisor.stopped",
    ] {
        assert!(types.contains(expected), "no {expected} among {types:?}");
    }
    assert!(summary["denied"].as_u64() >= Some(2), "{summary}");
    assert!(summary["restarts"].as_u64() >= Some(4), "{summary}");
    assert!(summary["gave_up"].as_u64() >= Some(1), "{summary}");
    assert!(summary["alerts"]["warning"].as_u64() >= Some(1), "{summary}");
    assert!(summary["lowest_score"].as_u64() < Some(60), "{summary}");
    assert!(summary["forecast_seconds"].as_f64() > Some(0.0), "{summary}");
    assert_eq!(summary["agent_status"], "success");
    assert!(summary["policy_swaps"].as_u64() >= Some(1), "{summary}");
    assert!(summary["queued"].as_u64() >= Some(3), "{summary}");
    assert_eq!(summary["killed_after_grace"], 1);
    assert_eq!(summary["leftover_processes"], 0);
}
