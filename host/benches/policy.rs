//! What a judgement costs. `cargo bench --bench policy`; figures are per call unless the name says otherwise.
//!
//! The calls are those of a lane without its thread, host bookkeeping, conversion and range checks included;
//! `through the handle` adds the queue and two thread switches.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use wasmvisor::decision::{AdmissionRequest, AlertReading, Ending, HealthReading, RestartQuestion};
use wasmvisor::event::EventBus;
use wasmvisor::health::HealthStatus;
use wasmvisor::policy::bench_api::{Direct, Loading};
use wasmvisor::policy::{
    AlertSubject, Binding, Budget, HISTORY_LENGTH, HealthSubject, PolicyHost, PolicyHostConfig, PolicySet, PolicyTick,
};
use wasmvisor::sample::{Direction, ExitStatus};
use wasmvisor::spec::{Identity, Limits, ProcessId, ProcessSpec};
use wasmvisor::units::{Span, Timestamp};

fn who() -> Arc<Identity> {
    Identity::of(ProcessId::new("p-1"), &ProcessSpec::new("worker", ["true"]))
}

fn tick() -> PolicyTick {
    PolicyTick { now: Timestamp::now(), interval_ms: 1000 }
}

fn subject(identity: &Arc<Identity>, memory_bytes: u64) -> HealthSubject {
    let reading = HealthReading {
        memory_bytes,
        memory_limit_bytes: 2 << 30,
        cpu_percent: 12.5,
        cpu_limit_percent: 80.0,
        execution_ms: 61_000,
        execution_limit_ms: 600_000,
        file_handles: 12,
        file_handle_limit: 100,
        threads: 8,
        thread_limit: 512,
        responsiveness: 100,
        stability: 100,
        memory_slope: 0.5,
        memory_limit_in_ms: 0,
        cpu_slope: 0.0,
        memory_direction: Direction::Stable,
        cpu_direction: Direction::Stable,
        previous_score: 100,
        memo: 0,
    };
    HealthSubject { identity: Arc::clone(identity), reading }
}

/// Everything is wrong with this one.
fn failing(identity: &Arc<Identity>) -> HealthSubject {
    let mut subject = subject(identity, 2 << 30);
    let reading = &mut subject.reading;
    (reading.cpu_percent, reading.execution_ms, reading.file_handles) = (100.0, 700_000, 150);
    (reading.responsiveness, reading.stability, reading.threads) = (30, 20, 600);
    subject
}

fn alerting(identity: &Arc<Identity>) -> AlertSubject {
    let reading = AlertReading {
        memory_percent: 40.0,
        cpu_percent: 10.0,
        execution_percent: 10.0,
        file_handle_percent: 12.0,
        thread_percent: 2.0,
        responsiveness: 100,
        score: 100,
        status: HealthStatus::Healthy,
        memory_limit_in_ms: 0,
        recent_restarts: 0,
        memo: 0,
    };
    AlertSubject { identity: Arc::clone(identity), reading }
}

fn crash(identity: &Arc<Identity>) -> RestartQuestion {
    RestartQuestion {
        identity: Arc::clone(identity),
        ending: Ending::Ended(ExitStatus::Code(1)),
        lasted: Duration::from_secs(3),
        attempts: 1,
        max_attempts: None,
        restarts_total: 1,
        history: Vec::new(),
    }
}

fn request(identity: &Arc<Identity>) -> AdmissionRequest {
    let keys = ["CI", "HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "TERM", "USER"];
    AdmissionRequest {
        identity: Arc::clone(identity),
        command: "git".to_owned(),
        found: Some("/usr/bin/git".to_owned()),
        resolved: Some("/usr/bin/git".to_owned()),
        args: ["clone", "--depth", "1", "https://example.org/repository.git", "checkout"].map(String::from).to_vec(),
        directory: "/srv/work".to_owned(),
        environment_keys: keys.map(String::from).to_vec(),
        // An empty search path leaves out the file system, whose cost is not the policy's.
        search_path: String::new(),
        limits: Limits::default(),
        now: Timestamp::now(),
    }
}

/// The embedded policies with a deadline that a noisy machine does not miss.
fn set() -> PolicySet {
    let patient = |binding: &Binding| {
        let budget = Budget { deadline: Span::seconds(1), ..Budget::default() };
        vec![Binding { budget, ..binding.clone() }]
    };
    let set = PolicySet::default();
    PolicySet {
        admission: patient(&set.admission[0]),
        health: patient(&set.health[0]),
        restart: patient(&set.restart[0]),
        alert: patient(&set.alert[0]),
    }
}

fn direct() -> Direct {
    let loading = Loading::new(None).expect("an engine");
    let ready = loading.load(&set()).expect("the embedded policies load");
    Direct::new(&loading, ready).expect("four lanes")
}

fn calls(c: &mut Criterion) {
    let (mut direct, identity) = (direct(), who());
    c.bench_function("empty call, the engine alone", |b| b.iter(|| black_box(direct.bare_empty_call())));
    c.bench_function("empty call", |b| b.iter(|| black_box(direct.empty_call())));
    let (failing, past) = (failing(&identity), vec![100.0; HISTORY_LENGTH]);
    c.bench_function("health: explain one with everything wrong", |b| {
        b.iter(|| black_box(direct.explain_health(tick(), &failing, &past)));
    });
    let question = crash(&identity);
    c.bench_function("restart decision, the engine alone", |b| {
        b.iter(|| black_box(direct.bare_decide_restart(&question)));
    });
    c.bench_function("restart decision", |b| b.iter(|| black_box(direct.decide_restart(&question))));
    let request = request(&identity);
    c.bench_function("admission, 5 arguments and 8 variables", |b| b.iter(|| black_box(direct.admit(&request))));
}

fn batches(c: &mut Criterion) {
    let (mut direct, identity) = (direct(), who());
    let mut group = c.benchmark_group("health, time of the whole batch");
    for count in [1_usize, 100, 10_000] {
        let subjects: Vec<_> = (0..count).map(|i| subject(&identity, (i as u64 % 1500) << 20)).collect();
        let history = vec![100.0; count * HISTORY_LENGTH];
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(count.to_string(), |b| b.iter(|| black_box(direct.assess(tick(), &subjects, &history))));
    }
    group.finish();
    let mut group = c.benchmark_group("alerts, time of the whole batch");
    for count in [1_usize, 10_000] {
        let subjects: Vec<_> = (0..count).map(|_| alerting(&identity)).collect();
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(count.to_string(), |b| b.iter(|| black_box(direct.evaluate(tick(), &subjects))));
    }
    group.finish();
}

fn loads(c: &mut Criterion) {
    let cache = tempfile::tempdir().expect("a directory");
    let path = cache.path().join("cache");
    let filled = Loading::new(Some(path.clone())).expect("an engine");
    drop(filled.load(&set()).expect("the embedded policies load"));
    c.bench_function("load four from the cache, instantiate, first call", |b| {
        let fresh = || Loading::new(Some(path.clone())).expect("an engine");
        b.iter_batched_ref(fresh, |loading| black_box(loading.load(&set()).expect("loads")), BatchSize::PerIteration);
    });
    let mut direct = Direct::new(&filled, filled.load(&set()).expect("loads")).expect("four lanes");
    c.bench_function("swap of all four, compiled and in memory", |b| {
        b.iter(|| direct.install(filled.load(&set()).expect("loads")));
    });
}

/// A restart policy that does `what` when it is asked about the seventh attempt.
fn misbehaving(what: &str, deadline: Span) -> Direct {
    let files = tempfile::tempdir().expect("a directory");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/restart.wat");
    let text = std::fs::read_to_string(fixture).expect("the fixture");
    let on_seven = format!("(if (i32.eq (i32.load offset=64 (local.get $failure)) (i32.const 7)) (then {what}))");
    let plugin = files.path().join("misbehaving.wasm");
    let component = wat::parse_str(text.replace("(;decide;)", &on_seven)).expect("a component");
    std::fs::write(&plugin, component).expect("written");
    let loading = Loading::new(None).expect("an engine");
    let budget = Budget { deadline, ..Budget::default() };
    let restart = vec![Binding { budget, ..Binding::new(plugin.display().to_string()) }];
    let ready = loading.load(&PolicySet { restart, ..set() }).expect("loads");
    Direct::new(&loading, ready).expect("four lanes")
}

fn recovery(c: &mut Criterion) {
    let (good, bad) = (crash(&who()), RestartQuestion { attempts: 7, ..crash(&who()) });
    let mut direct = misbehaving("unreachable", Span::seconds(1));
    c.bench_function("trap, stood in for, and the next good answer", |b| {
        b.iter(|| {
            black_box(direct.decide_restart(&bad));
            black_box(direct.decide_restart(&good))
        });
    });
    let mut direct = misbehaving("(loop $forever (br $forever))", Span(Duration::from_millis(1)));
    c.bench_function("runaway with a deadline of 1 ms, stopped and stood in for", |b| {
        b.iter_custom(|times| {
            let run = |_| {
                // An answer between two of them keeps the circuit closed.
                black_box(direct.decide_restart(&good));
                let started = Instant::now();
                let decided = direct.decide_restart(&bad);
                let took = started.elapsed();
                assert!(decided.provenance.fallback.is_some(), "it was stopped");
                took
            };
            (0..times).map(run).sum()
        });
    });
}

fn handle(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let host = PolicyHost::start(PolicyHostConfig::default(), set(), Arc::new(EventBus::default())).expect("a host");
    let question = crash(&who());
    c.bench_function("restart decision through the handle", |b| {
        b.iter(|| runtime.block_on(host.decide_restart(black_box(question.clone()))));
    });
}

criterion_group!(benches, calls, batches, loads, recovery, handle);
criterion_main!(benches);
