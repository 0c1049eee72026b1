use wasmvisor_policy_sdk::health::{HealthPolicy, Reading, Tick};
use wasmvisor_policy_sdk::{Direction, Identity, Issues, Policy, Priority, testing};

use super::HealthScore;
use super::settings::Settings;

#[test]
fn the_golden_cases_hold_natively() {
    testing::run_health::<HealthScore>(include_str!("../cases.toml"));
}

const TICK: Tick = Tick { now_ms: 0, interval_ms: 1000, history_length: 0 };

/// A reading made of one number, so that a loop over numbers meets every rule.
fn reading(n: u64) -> Reading {
    Reading {
        memory_bytes: n % 130,
        memory_limit_bytes: 100,
        cpu_percent: (n % 120) as f32,
        cpu_limit_percent: 100.0,
        execution_ms: n % 3,
        execution_limit_ms: 1,
        file_handles: (n % 5) as u32,
        file_handle_limit: 3,
        threads: (n % 7) as u32,
        thread_limit: 5,
        responsiveness: (n % 101) as u32,
        stability: (n % 97) as u32,
        memory_slope: 1.0,
        memory_limit_in_ms: (n % 11) * 60_000,
        cpu_slope: 0.0,
        memory_direction: if n.is_multiple_of(2) { Direction::Deteriorating } else { Direction::Stable },
        cpu_direction: Direction::Unknown,
        previous_score: 100,
        memo: 0,
    }
}

fn nobody() -> Identity {
    let empty = String::new;
    Identity {
        process_id: empty(),
        name: empty(),
        task_id: empty(),
        agent_type: empty(),
        priority: Priority::Normal,
        tags: Vec::new(),
    }
}

#[test]
fn an_explanation_gives_the_verdict_of_the_batch_and_names_its_issues() {
    let policy = HealthScore::new(Settings::default()).expect("the defaults are good");
    for n in 0..5000 {
        let reading = reading(n);
        let verdicts = policy.assess(&TICK, &[reading], &[]).expect("an answer");
        let explanation = policy.explain(&TICK, &nobody(), &reading, &[]).expect("an answer");
        assert_eq!(explanation.verdict, verdicts[0]);
        let named = explanation.issues.iter().fold(Issues::empty(), |all, issue| all | issue.kind);
        assert_eq!(named, verdicts[0].issues);
    }
}

#[test]
fn no_text_is_longer_than_the_contract_allows() {
    let policy = HealthScore::new(Settings::default()).expect("the defaults are good");
    let worst = Reading {
        memory_bytes: u64::MAX,
        execution_ms: u64::MAX,
        file_handles: u32::MAX,
        threads: u32::MAX,
        memory_slope: f32::MAX,
        cpu_percent: f32::MAX,
        responsiveness: 0,
        ..reading(2)
    };
    let explanation = policy.explain(&TICK, &nobody(), &worst, &[]).expect("an answer");
    assert!(explanation.recommendations.len() <= 8);
    for issue in explanation.issues {
        assert!(issue.description.len() <= 200, "{} bytes: {}", issue.description.len(), issue.description);
    }
}
