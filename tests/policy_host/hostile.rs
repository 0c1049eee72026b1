//! Hostile plugins: each costs one call and a typed fault, and the host and its neighbours go on.

use wasmvisor::decision::{AnsweredBy, FaultKind};
use wasmvisor::event::EventBody;
use wasmvisor::policy::{Binding, Budget, PolicySet};
use wasmvisor::units::{Bytes, Span};

use super::fixture::{ENDLESS, Fixture, at_attempt_7};
use super::support::*;

/// Asks for memory until the host ends it.
const GREEDY: &str = "(loop $forever (drop (memory.grow (i32.const 16))) (br $forever))";
/// Answers `give-up` with text that is not UTF-8.
const NO_TEXT: &str = "(i32.store (i32.const 600) (i32.const 0xfffe)) (i32.store (i32.const 1032) (i32.const 1)) \
                       (i32.store (i32.const 1040) (i32.const 600)) (i32.store (i32.const 1044) (i32.const 2))";
/// Answers a delay of a day and a millisecond.
const TOO_LONG: &str = "(i64.store (i32.const 1040) (i64.const 86400001))";

/// A restart policy that answers 1000 ms, and does `code` at the seventh attempt.
fn hostile(code: &str) -> Fixture {
    Fixture::read("restart")
        .with("decide", &at_attempt_7(code))
        .with("more", "(func $deep (param i64) (call $deep (local.get 0)) (call $deep (local.get 0)))")
}

#[tokio::test]
async fn each_hostile_answer_costs_one_call_and_a_typed_fault() {
    let files = tempfile::tempdir().unwrap();
    for (name, code, fault) in [
        ("endless-loop", ENDLESS, FaultKind::Deadline),
        ("endless-allocation", GREEDY, FaultKind::Memory),
        ("deep-recursion", "(call $deep (i64.const 1))", FaultKind::Trap),
        ("trap", "unreachable", FaultKind::Trap),
        ("out-of-bounds", "(drop (i32.load (i32.const -8)))", FaultKind::Trap),
        ("no-text", NO_TEXT, FaultKind::Trap),
        ("too-long", TOO_LONG, FaultKind::BadAnswer),
    ] {
        let plugin = hostile(code).write(files.path(), name);
        let budget = Budget { deadline: Span(std::time::Duration::from_millis(500)), ..Budget::default() };
        let (host, events) = host(with_restart(vec![Binding { budget, ..Binding::new(&plugin) }]));
        assert_eq!(delay(&host.decide_restart(crash(0)).await.answer), Some(1000), "{name}");
        let provenance = host.decide_restart(crash(7)).await.provenance;
        let fallback = provenance.fallback.clone().unwrap_or_else(|| panic!("{name} was not noticed"));
        assert_eq!(
            (fallback.fault, fallback.answered_by),
            (fault, AnsweredBy::Default),
            "{name}: {}",
            fallback.message
        );
        let after = host.decide_restart(crash(0)).await;
        assert_eq!((delay(&after.answer), &after.provenance.fallback), (Some(1000), &None), "{name}");
        let told =
            events.since(0).0.into_iter().any(
                |event| matches!(&event.body, EventBody::PolicyFault { provenance: told, .. } if *told == provenance),
            );
        assert!(told, "{name}: no fault was published");
    }
}

#[tokio::test]
async fn a_stuck_plugin_delays_no_other_question() {
    let files = tempfile::tempdir().unwrap();
    let plugin = hostile(ENDLESS).write(files.path(), "stuck");
    let (host, _) = host(with_restart(vec![patient(plugin)]));
    let asking = host.clone();
    let stuck = tokio::spawn(async move { asking.decide_restart(crash(7)).await });
    let verdicts = host.assess(tick(), vec![using_memory("a", 10)], history(1)).await;
    host.admit(run_shell()).await;
    host.evaluate_alerts(tick(), vec![alerting("a", 10.0)]).await;
    assert!(!stuck.is_finished(), "the stuck plugin was not stuck");
    assert_eq!(verdicts[0].0.unwrap().score, 100);
    let fallback = stuck.await.unwrap().provenance.fallback.clone().unwrap();
    assert_eq!(fallback.fault, FaultKind::Deadline);
}

#[tokio::test]
async fn wrong_health_answers_are_no_verdicts() {
    let files = tempfile::tempdir().unwrap();
    // Each only for more than one process, so that the check of a load passes.
    for (name, code) in [
        ("one-verdict-short", "(i32.store (i32.const 1032) (i32.const 1))"),
        ("score-above-100", "(i32.store (local.get $verdicts) (i32.const 101))"),
        ("unknown-status", "(i32.store8 offset=4 (local.get $verdicts) (i32.const 9))"),
        ("verdicts-out-of-memory", "(i32.store (i32.const 1028) (i32.const -16))"),
    ] {
        let code = format!("(if (i32.gt_u (local.get $count) (i32.const 1)) (then {code}))");
        let plugin = Fixture::read("health").with("assess", &code).write(files.path(), name);
        let (host, _) = host(with_health(vec![patient(plugin)]));
        let subjects = vec![using_memory("a", 10), using_memory("b", 95)];
        let verdicts = host.assess(tick(), subjects, history(2)).await;
        let fallback = verdicts[0].1.fallback.clone().unwrap_or_else(|| panic!("{name} was not noticed"));
        assert_eq!((fallback.fault, fallback.answered_by), (FaultKind::BadAnswer, AnsweredBy::Default), "{name}");
        // The embedded plugin judged in its place.
        assert!(verdicts[0].0.unwrap().score == 100 && verdicts[1].0.unwrap().score < 100, "{name}");
    }
}

#[tokio::test]
async fn a_threshold_that_is_no_number_is_no_finding() {
    let files = tempfile::tempdir().unwrap();
    // One finding at 2048: subject 0, topic memory, severity warning, value NaN, threshold 0.
    let code = "(if (i32.gt_u (local.get $count) (i32.const 1)) (then \
                (i32.store8 (i32.const 2053) (i32.const 1)) (f64.store (i32.const 2056) (f64.const nan)) \
                (i32.store (i32.const 1028) (i32.const 2048)) (i32.store (i32.const 1032) (i32.const 1))))";
    let plugin = Fixture::read("alert").with("evaluate", code).write(files.path(), "nan");
    let (host, events) = host(PolicySet { alert: vec![patient(plugin)], ..embedded() });
    let answer = host.evaluate_alerts(tick(), vec![alerting("a", 10.0), alerting("b", 99.0)]).await;
    assert!(answer.findings.iter().all(|f| f.subject == 1 && f.value.is_finite()), "{:?}", answer.findings);
    let faults = events.since(0).0.into_iter().filter_map(|event| match &event.body {
        EventBody::PolicyFault { provenance, .. } => provenance.fallback.as_ref().map(|fallback| fallback.fault),
        _ => None,
    });
    assert_eq!(faults.collect::<Vec<_>>(), [FaultKind::BadAnswer]);
}

#[tokio::test]
async fn a_plugin_that_keeps_failing_is_not_asked_for_a_while() {
    let files = tempfile::tempdir().unwrap();
    let plugin = hostile("unreachable").write(files.path(), "fails");
    let (host, _) = host(with_restart(vec![patient(plugin)]));
    for _ in 0..5 {
        let fallback = host.decide_restart(crash(7)).await.provenance.fallback.clone().unwrap();
        assert_eq!(fallback.fault, FaultKind::Trap);
    }
    // Even a question that it could answer is not put to it now.
    let fallback = host.decide_restart(crash(0)).await.provenance.fallback.clone().unwrap();
    assert_eq!((fallback.fault, fallback.answered_by), (FaultKind::Unusable, AnsweredBy::Default));
    assert!(fallback.message.contains("circuit is open"), "{}", fallback.message);
    let info = host.list().await.into_iter().find(|info| info.plugin.contains("fails")).unwrap();
    assert_eq!((info.circuit.as_str(), info.calls, info.faults["trap"]), ("open", 5, 5));
}

#[test]
fn a_plugin_that_starts_with_more_memory_than_its_budget_is_refused() {
    let files = tempfile::tempdir().unwrap();
    let plugin = Fixture::read("restart").with("more", "(memory $second 4)").write(files.path(), "large");
    let budget = Budget { memory: Bytes(128 << 10), ..Budget::default() };
    let text = refusal(with_restart(vec![Binding { budget, ..Binding::new(plugin) }]));
    assert!(text.contains("memory") && text.contains("may have 131072"), "{text}");
}
