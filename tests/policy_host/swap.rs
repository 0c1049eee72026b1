//! Swaps: a new policy takes over between two calls, or nothing changes.

use wasmvisor::decision::PolicyKind;
use wasmvisor::event::EventBody;
use wasmvisor::policy::Binding;

use super::fixture::{ENDLESS, Fixture};
use super::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_lost_or_answered_by_half_of_each() {
    let files = tempfile::tempdir().unwrap();
    let (old, new) = (Fixture::restart_after(111), Fixture::restart_after(222));
    let old = old.write(files.path(), "old");
    let new = new.write(files.path(), "new");
    let (host, _) = host(with_restart(vec![patient(&old)]));
    let asking = host.clone();
    let asker = tokio::spawn(async move {
        let mut seen = Vec::new();
        // Goes on until the new policy has answered: the swap always ends.
        while seen.last() != Some(&222) {
            let decided = asking.decide_restart(crash(0)).await;
            let answer = delay(&decided.answer).unwrap();
            let generation = decided.provenance.generation;
            assert!(matches!((answer, generation), (111, 1) | (222, 2)), "{answer} from generation {generation}");
            assert_eq!(decided.provenance.fallback, None);
            seen.push(answer);
        }
        seen
    });
    let swapped = host.swap(with_restart(vec![patient(&new)])).await.unwrap();
    assert_eq!(swapped.iter().map(|s| (s.kind, s.generation)).collect::<Vec<_>>(), [(PolicyKind::Restart, 2)]);
    let seen = asker.await.unwrap();
    assert!(seen.is_sorted(), "the old policy answered after the new one");
    assert_eq!(delay(&host.decide_restart(crash(0)).await.answer), Some(222));
}

#[tokio::test]
async fn a_plugin_that_fails_its_first_question_is_refused_and_the_old_one_stays() {
    let files = tempfile::tempdir().unwrap();
    let good = Fixture::restart_after(111).write(files.path(), "good");
    let (host, events) = host(with_restart(vec![patient(&good)]));
    for (name, code, part) in [
        ("trap", "unreachable", "trap"),
        ("endless", ENDLESS, "deadline"),
        ("no-text", "(i32.const -1) (drop) (return (i32.const -4))", "check"),
    ] {
        let bad = Fixture::read("restart").with("decide", code).write(files.path(), name);
        let error = host.swap(with_restart(vec![patient(&bad)])).await.unwrap_err().message;
        assert!(error.contains(&bad) && error.contains(part), "{error}");
        let refused = events.since(0).0.into_iter().any(
            |event| matches!(&event.body, EventBody::PolicyRefused { plugin, reason } if *plugin == bad && *reason == error),
        );
        assert!(refused, "{name}: no refusal was published");
        let decided = host.decide_restart(crash(0)).await;
        assert_eq!((delay(&decided.answer), decided.provenance.generation), (Some(111), 1));
    }
}

#[tokio::test]
async fn a_swap_that_changes_nothing_disturbs_nothing() {
    let (host, _) = host(embedded());
    assert_eq!(host.swap(embedded()).await.unwrap(), []);
    assert!(host.list().await.iter().all(|info| info.generation == 1));
}

#[tokio::test]
async fn a_file_that_changed_behind_its_name_is_taken_over() {
    let files = tempfile::tempdir().unwrap();
    let plugin = Fixture::restart_after(111).write(files.path(), "same");
    let (host, events) = host(with_restart(vec![patient(&plugin)]));
    Fixture::restart_after(222).write(files.path(), "same");
    let swapped = host.swap_plugin(&plugin, None).await.unwrap();
    assert_eq!((swapped.kind, swapped.generation), (PolicyKind::Restart, 2));
    assert_eq!(delay(&host.decide_restart(crash(0)).await.answer), Some(222));
    let digest = host.list().await.into_iter().find(|info| info.plugin == plugin).unwrap().digest;
    let told = events.since(0).0.into_iter().any(
        |event| matches!(&event.body, EventBody::PolicySwapped { digest: told, generation: 2, .. } if *told == digest),
    );
    assert!(told, "the swap was not published");
}

#[tokio::test]
async fn a_plugin_can_be_swapped_alone_with_new_settings() {
    let (host, _) = host(embedded());
    let settings = serde_json::json!({ "allowed_commands": ["sh"] });
    host.swap_plugin("builtin:command-allowlist", Some(settings.clone())).await.unwrap();
    assert_eq!(host.admit(run_shell()).await.answer, wasmvisor::decision::Admission::Allow);
    let info = host.list().await.into_iter().find(|info| info.kind == PolicyKind::Admission).unwrap();
    assert_eq!((info.settings, info.generation), (settings, 2));
}

#[tokio::test]
async fn after_a_swap_a_policy_starts_without_memories() {
    let files = tempfile::tempdir().unwrap();
    // Answers the memo it was given plus one: a reading has 104 bytes and its memo at 96.
    let code = "(i64.store offset=8 (local.get $verdicts) \
                (i64.add (i64.load offset=96 (local.get $readings)) (i64.const 1)))";
    let counts = Fixture::read("health").with("assess", code).write(files.path(), "counts");
    let other = Fixture::read("health").with("assess", code).with("more", "(func)").write(files.path(), "other");
    let (host, _) = host(with_health(vec![patient(counts)]));
    let mut subject = using_memory("a", 10);
    let mut memos = Vec::new();
    for round in 0..4 {
        if round == 2 {
            host.swap(with_health(vec![patient(&other)])).await.unwrap();
        }
        let (verdict, provenance) = host.assess(tick(), vec![subject.clone()], history(1)).await.remove(0);
        assert_eq!(provenance.fallback, None);
        let verdict = verdict.unwrap();
        subject.reading.memo = verdict.memo;
        memos.push(verdict.memo);
    }
    assert_eq!(memos, [1, 2, 1, 2]);
}

#[tokio::test]
async fn a_pin_goes_with_the_plugin_it_pinned() {
    let files = tempfile::tempdir().unwrap();
    let old = Fixture::restart_after(111).write(files.path(), "old");
    let digest = wasmvisor::policy::inspect(&old).unwrap().digest;
    let (host, _) = host(with_restart(vec![Binding { sha256: Some(digest), ..patient(&old) }]));
    let new = Fixture::restart_after(222).write(files.path(), "new");
    host.swap_plugin(&new, None).await.unwrap();
    assert_eq!(delay(&host.decide_restart(crash(0)).await.answer), Some(222));
}
