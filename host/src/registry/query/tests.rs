//! Tests of `registry::query`: tables and properties, no processes.

use super::super::fixture::record;
use super::*;
use crate::health::Health;
use crate::record::Status;
use crate::sample::Sample;
use crate::spec::Priority;
use crate::units::Bytes;

const NOW: Timestamp = Timestamp(100_000);

fn usage(memory: u64, cpu: f32) -> Option<Sample> {
    Some(Sample { memory_bytes: memory, cpu_percent: cpu, ..Sample::default() })
}

/// `a` and `b` live, `q` has never run, `e` ended in this life, `h` in an earlier one.
fn known() -> Vec<Entry> {
    let ms = |moment| Some(Timestamp(moment));
    let a = ProcessRecord {
        name: "web-1".into(),
        agent_type: "crawler.fast".into(),
        priority: Priority::High,
        health: Health::Healthy,
        tags: vec!["x".into(), "y".into()],
        started_at_ms: ms(50_000),
        last_active_at_ms: ms(99_000),
        usage: usage(300, 10.0),
        ..record("a")
    };
    let b = ProcessRecord {
        name: "web-2".into(),
        status: Status::Idle,
        health: Health::Unhealthy,
        task_id: "t".into(),
        tags: vec!["x".into()],
        started_at_ms: ms(60_000),
        last_active_at_ms: ms(70_000),
        usage: usage(100, 90.0),
        ..record("b")
    };
    let q = ProcessRecord {
        status: Status::Queued,
        priority: Priority::Critical,
        registered_at_ms: Timestamp(90_000),
        started_at_ms: None,
        ..record("q")
    };
    let e = ProcessRecord {
        status: Status::Crashed,
        health: Health::Crashed,
        priority: Priority::Low,
        started_at_ms: ms(55_000),
        usage: usage(200, 0.0),
        ..record("e")
    };
    let h = ProcessRecord { status: Status::Stopped, ..record("h") };
    let entry = |record| Entry { record: Arc::new(record), earlier_life: false };
    vec![entry(a), entry(b), entry(q), entry(e), Entry { earlier_life: true, ..entry(h) }]
}

fn ids(query: &Query) -> String {
    let page = answer(known().iter(), query, NOW);
    page.processes.iter().map(|record| record.process_id.as_str()).collect()
}

#[test]
fn each_filter_leaves_what_fits_it() {
    let all = Query::default;
    let table = [
        ("everything of this life", all(), "aebq"),
        ("with earlier lives", Query { history: true, ..all() }, "haebq"),
        ("status", Query { status: vec![Status::Idle, Status::Crashed], ..all() }, "eb"),
        ("an ended status of earlier lives", Query { status: vec![Status::Stopped], history: true, ..all() }, "h"),
        ("health", Query { health: vec![Health::Healthy, Health::Crashed], ..all() }, "ae"),
        ("agent type", Query { agent_type: Some("crawler.*".into()), ..all() }, "a"),
        ("priority", Query { priority: vec![Priority::Low, Priority::Critical], ..all() }, "eq"),
        ("task", Query { task_id: Some("t".into()), ..all() }, "b"),
        ("no task", Query { task_id: Some(String::new()), ..all() }, "aeq"),
        ("one tag", Query { tag: vec!["x".into()], ..all() }, "ab"),
        ("all tags", Query { tag: vec!["x".into(), "y".into()], ..all() }, "a"),
        ("name", Query { name: Some("web-?".into()), ..all() }, "ab"),
        ("a name is a whole name", Query { name: Some("web".into()), ..all() }, ""),
        ("started at or after", Query { started_after_ms: Some(Timestamp(55_000)), ..all() }, "eb"),
        ("started before", Query { started_before_ms: Some(Timestamp(55_000)), ..all() }, "a"),
        ("active within", Query { active_within_ms: Some(1000), ..all() }, "a"),
        ("active within more", Query { active_within_ms: Some(30_000), ..all() }, "ab"),
        ("memory at least", Query { memory_above: Some(Bytes(200)), ..all() }, "ae"),
        ("cpu at least", Query { cpu_above: Some(10.0), ..all() }, "ab"),
        ("two filters", Query { tag: vec!["x".into()], cpu_above: Some(50.0), ..all() }, "b"),
    ];
    for (what, query, expected) in table {
        assert_eq!(ids(&query), expected, "{what}");
    }
}

#[test]
fn each_sort_has_its_order_and_its_reverse() {
    for (sort, ascending, descending) in [
        (SortKey::Start, "aebq", "qbea"),
        (SortKey::Activity, "eqba", "abeq"),
        (SortKey::Memory, "qbea", "aebq"),
        (SortKey::Cpu, "eqab", "baeq"),
        (SortKey::Priority, "ebaq", "qabe"),
    ] {
        assert_eq!(ids(&Query { sort, ..Query::default() }), ascending, "{sort}");
        assert_eq!(ids(&Query { sort, descending: true, ..Query::default() }), descending, "{sort} descending");
    }
}

#[test]
fn pages_together_are_the_whole_and_each_tells_the_total() {
    let page = |offset, limit| answer(known().iter(), &Query { offset, limit, ..Query::default() }, NOW);
    let shown = |page: &Page| page.processes.iter().map(|record| record.process_id.as_str()).collect::<String>();
    let pages = [page(0, Some(3)), page(3, Some(3)), page(6, Some(3)), page(0, Some(0)), page(2, None)];
    assert_eq!(pages.each_ref().map(shown), ["aeb", "q", "", "", "bq"]);
    assert!(pages.iter().all(|page| page.total == 4));
}
