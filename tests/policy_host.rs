//! The policy host as its callers see it: real components in the real sandbox, hostile ones among them.

pub(crate) mod fixture;
mod hostile;
mod support;
mod swap;

use serde_json::json;
use wasmvisor::alert::{Severity, Topic};
use wasmvisor::decision::{Admission, AnsweredBy, FaultKind, RestartDecision};
use wasmvisor::event::EventBody;
use wasmvisor::health::HealthStatus;
use wasmvisor::policy::{Binding, Match, Mode, OnFailure, PolicySet, check, inspect};

use self::fixture::{Fixture, at_attempt_7};
use self::support::*;

fn settings(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    value.as_object().expect("settings are an object").clone()
}

fn rule(answer: &Admission) -> &str {
    match answer {
        Admission::Allow => "allow",
        Admission::Deny { rule, .. } => rule,
    }
}

#[tokio::test]
async fn the_embedded_policies_answer_every_question_without_any_file() {
    let (host, _) = host(embedded());
    assert_eq!(rule(&host.admit(run_shell()).await.answer), "command-allowlist");
    let restart = host.decide_restart(crash(0)).await;
    assert!(matches!(restart.answer, RestartDecision::RestartAfter { attempt: 1, .. }), "{restart:?}");
    assert_eq!(restart.provenance.fallback, None);
    let verdicts = host.assess(tick(), vec![using_memory("a", 10), using_memory("b", 95)], history(2)).await;
    let scores: Vec<_> = verdicts.iter().map(|(verdict, _)| verdict.unwrap().score).collect();
    assert!(scores[0] == 100 && scores[1] < 100, "{scores:?}");
    let alerts = host.evaluate_alerts(tick(), vec![alerting("a", 10.0), alerting("b", 99.0)]).await;
    let found: Vec<_> = alerts.findings.iter().map(|f| (f.subject, f.topic, f.severity)).collect();
    assert_eq!(found, [(1, Topic::Memory, Severity::Emergency)]);
}

#[tokio::test]
async fn an_explanation_says_in_words_what_the_verdict_says_in_numbers() {
    let (host, _) = host(embedded());
    let subject = using_memory("leaky", 95);
    let verdict = host.assess(tick(), vec![subject.clone()], history(1)).await[0].0.unwrap();
    let report = host.explain_health(tick(), subject, history(1)).await.answer.unwrap();
    assert_eq!(report.verdict, verdict);
    let kinds: Vec<_> = report.explained.iter().map(|issue| issue.kind).collect();
    assert_eq!(kinds, verdict.issues.iter().collect::<Vec<_>>());
    let alert = alerting("leaky", 99.0);
    let finding = host.evaluate_alerts(tick(), vec![alert.clone()]).await.findings[0];
    assert!(!host.explain_alert(alert, finding).await.answer.is_empty());
}

#[tokio::test]
async fn every_matching_admission_policy_must_allow() {
    let allow = settings(json!({ "allowed_commands": ["sh"] }));
    let deny = settings(json!({ "allowed_commands": ["git"] }));
    let bound = |settings| Binding { settings, ..patient("builtin:command-allowlist") };
    let (host, _) = host(PolicySet { admission: vec![bound(allow.clone()), bound(allow.clone())], ..embedded() });
    assert_eq!(host.admit(run_shell()).await.answer, Admission::Allow);
    host.swap(PolicySet { admission: vec![bound(allow), bound(deny)], ..embedded() }).await.unwrap();
    assert_eq!(rule(&host.admit(run_shell()).await.answer), "command-allowlist");
}

#[tokio::test]
async fn where_no_admission_policy_matches_nothing_may_run() {
    let matches = Match { name: Some("somebody-else".to_owned()), ..Match::default() };
    let settings = settings(json!({ "allowed_commands": ["sh"] }));
    let admission = vec![Binding { matches, settings, ..patient("builtin:command-allowlist") }];
    let (host, _) = host(PolicySet { admission, ..embedded() });
    assert_eq!(rule(&host.admit(run_shell()).await.answer), "no-admission-policy");
}

#[tokio::test]
async fn the_first_matching_binding_judges_and_answers_keep_their_places() {
    let files = tempfile::tempdir().unwrap();
    let kind = Fixture::read("health").write(files.path(), "kind");
    let matches = Match { name: Some("vip-*".to_owned()), ..Match::default() };
    let health = vec![Binding { matches, ..patient(kind) }, patient("builtin:health-score")];
    let (host, _) = host(with_health(health));
    // The kind policy gives everybody 100, the embedded one does not.
    let names = ["a", "vip-1", "b", "vip-2"];
    let subjects: Vec<_> = names.iter().map(|name| using_memory(name, 95)).collect();
    for _ in 0..2 {
        let verdicts = host.assess(tick(), subjects.clone(), history(4)).await;
        let perfect: Vec<_> = verdicts.iter().map(|(verdict, _)| verdict.unwrap().score == 100).collect();
        assert_eq!(perfect, [false, true, false, true]);
    }
}

#[tokio::test]
async fn ten_thousand_processes_are_judged_in_order() {
    let (host, _) = host(embedded());
    let subjects: Vec<_> = (0..10_000).map(|i| using_memory("p", if i % 7 == 0 { 95 } else { 5 })).collect();
    let verdicts = host.assess(tick(), subjects, history(10_000)).await;
    assert_eq!(verdicts.len(), 10_000);
    for (position, (verdict, _)) in verdicts.iter().enumerate() {
        let healthy = verdict.unwrap().score == 100;
        assert_eq!(healthy, position % 7 != 0, "position {position}");
    }
}

#[tokio::test]
async fn each_failure_rule_answers_as_it_says() {
    let files = tempfile::tempdir().unwrap();
    // Fine without look-ups at the check, and a trap when it is asked about a process called `worker`: 6 letters, which
    // is the length of `request.identity.name`.
    let code = "(if (i32.eq (i32.load offset=12 (local.get $request)) (i32.const 6)) (then unreachable))";
    let plugin = Fixture::read("admission").with("decide", code).write(files.path(), "trap");
    for (on_failure, allowed, answered_by) in [
        (OnFailure::Default, false, AnsweredBy::Default),
        (OnFailure::Deny, false, AnsweredBy::Deny),
        (OnFailure::Allow, true, AnsweredBy::Allow),
        (OnFailure::Hold, false, AnsweredBy::Hold),
    ] {
        let admission = vec![Binding { on_failure, ..patient(&plugin) }];
        let (host, _) = host(PolicySet { admission, ..embedded() });
        let decided = host.admit(run_shell()).await;
        assert_eq!(decided.answer == Admission::Allow, allowed, "{on_failure}");
        let fallback = decided.provenance.fallback.clone().unwrap();
        assert_eq!((fallback.fault, fallback.answered_by), (FaultKind::Trap, answered_by));
    }
}

#[tokio::test]
async fn a_policy_that_declines_is_stood_in_for_and_keeps_its_circuit_closed() {
    let files = tempfile::tempdir().unwrap();
    // The discriminant of the answer at 1024 becomes `err`; the reason is the empty text.
    let declines = "(i64.store (i32.const 1032) (i64.const 0)) (i32.store (i32.const 1024) (i32.const 1))";
    let plugin = Fixture::read("restart").with("decide", &at_attempt_7(declines)).write(files.path(), "declines");
    let (host, _) = host(with_restart(vec![patient(plugin)]));
    for _ in 0..6 {
        let fallback = host.decide_restart(crash(7)).await.provenance.fallback.clone().unwrap();
        assert_eq!((fallback.fault, fallback.answered_by), (FaultKind::Refused, AnsweredBy::Default));
    }
    let restart = host.list().await.into_iter().find(|info| info.plugin.contains("declines")).unwrap();
    assert_eq!((restart.circuit.as_str(), restart.faults["refused"]), ("closed", 6));
}

#[tokio::test]
async fn a_shadow_policy_is_never_obeyed_and_its_differences_are_told() {
    let files = tempfile::tempdir().unwrap();
    let plugin = Fixture::restart_after(1234).write(files.path(), "shadow");
    let shadow = Binding { mode: Mode::Shadow, ..patient(&plugin) };
    let (host, events) = host(with_restart(vec![shadow, patient("builtin:restart-backoff")]));
    let decided = host.decide_restart(crash(0)).await;
    assert_eq!(&*decided.provenance.plugin, "builtin:restart-backoff");
    // The lane reports before it turns to the next message, so this answer comes after the report.
    host.list().await;
    let told = events.since(0).0.into_iter().any(
        |event| matches!(&event.body, EventBody::ShadowDiffers { plugin: told, detail, .. } if *told == plugin && detail.contains("1234")),
    );
    assert!(told, "no difference was told");
}

#[tokio::test]
async fn a_binding_that_is_off_is_as_if_it_were_not_there() {
    let files = tempfile::tempdir().unwrap();
    let off = Binding { mode: Mode::Off, ..patient(Fixture::restart_after(1234).write(files.path(), "off")) };
    let (host, _) = host(with_restart(vec![off]));
    let decided = host.decide_restart(crash(0)).await;
    assert_ne!(delay(&decided.answer), Some(1234));
    assert_eq!(&*decided.provenance.plugin, "builtin:restart-backoff");
}

#[test]
fn everything_that_is_wrong_with_a_set_is_told_at_once() {
    let files = tempfile::tempdir().unwrap();
    let restart = Fixture::read("restart").write(files.path(), "restart");
    let pinned = Binding { sha256: Some("0".repeat(64)), ..Binding::new(&restart) };
    let misconfigured = Binding {
        settings: settings(json!({ "memory_warning_percent": "seventy" })),
        ..Binding::new("builtin:health-score")
    };
    let text = refusal(PolicySet {
        admission: vec![Binding::new("/no/such/plugin.wasm")],
        health: vec![misconfigured, Binding::new(&restart)],
        restart: vec![pinned],
        alert: vec![Binding::new(Fixture::read("extra-import").write(files.path(), "extra-import"))],
    });
    for part in [
        "admission[0]: cannot read plugin /no/such/plugin.wasm",
        "health[0]: plugin builtin:health-score: settings/memory_warning_percent",
        "is of kind restart and cannot be a policy of kind health",
        "must have 0000",
        "imports wasi:clocks/wall-clock@0.2.0; a policy may import nothing but",
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn a_component_of_another_world_is_no_policy() {
    let files = tempfile::tempdir().unwrap();
    let plugin = Fixture::read("wrong-world").write(files.path(), "wrong-world");
    let error = inspect(&plugin).unwrap_err().message;
    assert!(error.contains("is not a policy: it exports run"), "{error}");
}

#[test]
fn a_file_that_is_no_component_is_refused_by_name() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("junk.wasm");
    std::fs::write(&path, "not wasm").unwrap();
    let error = inspect(&path.display().to_string()).unwrap_err().message;
    assert!(error.contains("junk.wasm is not a usable component"), "{error}");
}

#[test]
fn inspect_shows_what_a_plugin_is_and_check_what_its_settings_lack() {
    let info = inspect("builtin:health-score").unwrap();
    assert_eq!((info.name.as_str(), info.kind.as_str()), ("health-score", "health"));
    assert_eq!(info.settings_schema["type"], "object");
    assert!(info.imports.iter().all(|import| import.starts_with("wasmvisor:policy/")), "{:?}", info.imports);
    let error = check("builtin:health-score", &json!({ "memory_waning_percent": 70 })).unwrap_err().message;
    assert!(error.contains("memory_waning_percent"), "{error}");
    check("builtin:health-score", &json!({ "memory_warning_percent": 60 })).unwrap();
}

#[test]
fn the_shipped_policy_set_is_the_embedded_one_and_loads() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/default.toml");
    let set = PolicySet::load(&path).unwrap();
    let names = |set: &PolicySet| {
        [&set.admission, &set.health, &set.restart, &set.alert]
            .map(|list| list.iter().map(|b| b.plugin.clone()).collect::<Vec<_>>())
    };
    assert_eq!(names(&set), names(&PolicySet::default()));
    host(set);
}

#[tokio::test]
async fn a_worker_close_to_its_memory_limit_loses_score_and_status() {
    let settings =
        settings(json!({ "memory_critical_percent": 50, "memory_warning_percent": 40, "memory_critical_cost": 100 }));
    let (host, _) = host(with_health(vec![Binding { settings, ..patient("builtin:health-score") }]));
    let verdict = host.assess(tick(), vec![using_memory("a", 60)], history(1)).await[0].0.unwrap();
    assert_eq!((verdict.score, verdict.status), (0, HealthStatus::Failing));
}
