use wasmvisor_policy_sdk::alert::{AlertPolicy, Finding, Subject, Tick, Topic};
use wasmvisor_policy_sdk::{HealthStatus, Identity, Policy, Priority, Severity, testing};

use super::AlertThreshold;
use super::settings::Settings;

#[test]
fn the_golden_cases_hold_natively() {
    testing::run_alert::<AlertThreshold>(include_str!("../cases.toml"));
}

const WORST: Subject = Subject {
    memory_percent: f32::MAX,
    cpu_percent: f32::MAX,
    execution_percent: f32::MAX,
    file_handle_percent: f32::MAX,
    thread_percent: f32::MAX,
    responsiveness: 0,
    score: 0,
    status: HealthStatus::Failing,
    memory_limit_in_ms: 1,
    recent_restarts: u32::MAX,
    memo: 0,
};

#[test]
fn no_subject_has_two_findings_on_one_topic() {
    let policy = AlertThreshold::new(Settings::default()).expect("the defaults are good");
    let answer = policy.evaluate(&Tick { now_ms: 0, interval_ms: 1000 }, &[WORST]).expect("an answer");
    let mut topics: Vec<Topic> = answer.findings.iter().map(|finding| finding.topic).collect();
    assert_eq!(topics.len(), 9);
    topics.dedup();
    assert_eq!(topics.len(), 9);
}

#[test]
fn a_line_has_at_most_200_bytes_however_long_the_name_is() {
    let policy = AlertThreshold::new(Settings::default()).expect("the defaults are good");
    let identity = Identity {
        process_id: String::new(),
        name: "ü".repeat(500),
        task_id: String::new(),
        agent_type: String::new(),
        priority: Priority::Normal,
        tags: Vec::new(),
    };
    for topic in [Topic::MemoryForecast, Topic::FileHandles, Topic::Restarts, Topic::Health] {
        let finding = Finding { subject: 0, topic, severity: Severity::Emergency, value: 1e15, threshold: 1e15 };
        let line = policy.explain(&identity, &WORST, &finding).expect("an answer");
        assert!(line.len() <= 200, "{} bytes: {line}", line.len());
    }
}
