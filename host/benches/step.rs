//! Lifecycle steps per second: the pure machine alone, without a process, a clock or a task.
//!
//! Run with `cargo bench --bench step`. The throughput that criterion prints is steps per second.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wasmvisor::decision::{LimitKind, RestartDecision};
use wasmvisor::lifecycle::{Input, Launch, Life, Rules, step};
use wasmvisor::sample::{ExitStatus, RunExit, RunIdentity};
use wasmvisor::spec::{RestartMode, StopSignal};
use wasmvisor::units::Timestamp;

fn life() -> Life {
    Life::new(Rules {
        restart: RestartMode::OnFailure,
        stop_signal: StopSignal::TERM,
        grace: Duration::from_secs(10),
        kill_wait: Duration::from_secs(5),
        deadline: Some((LimitKind::ExecutionTime, Duration::from_secs(600))),
    })
}

fn exited(run: u32) -> Input {
    let status = ExitStatus::Code(1);
    Input::Exited {
        run,
        exit: RunExit { status, at_ms: Timestamp(0), user_time_ms: 1, system_time_ms: 1, peak_memory_bytes: 4096 },
        ago: Duration::ZERO,
    }
}

/// A life in the making; every step must be legal.
struct Driver {
    life: Life,
    now: Instant,
    run: Arc<RunIdentity>,
    steps: u64,
}

impl Driver {
    fn new() -> Self {
        let run = Arc::new(RunIdentity { pid: 100, start_ticks: 7, boot_id: "boot".to_owned() });
        Self { life: life(), now: Instant::now(), run, steps: 0 }
    }

    fn give(&mut self, input: Input) {
        let (life, effects) = step(&self.life, input, self.now).expect("the benchmark gives legal input");
        self.life = life;
        self.steps += 1;
        black_box(effects);
    }

    /// One run from its launch to its crash, swept, judged, and its backoff waited for: six steps.
    fn crash_and_come_back(&mut self) {
        self.give(Input::Launched(Launch::Made(Arc::clone(&self.run))));
        self.give(Input::Idle { run: self.life.run_number(), idle: true });
        self.give(exited(self.life.run_number()));
        self.give(Input::Swept { generation: self.life.generation(), survivors: Vec::new() });
        let decision = RestartDecision::RestartAfter { delay_ms: 5000, attempt: 1 };
        self.give(Input::Decided { generation: self.life.generation(), decision });
        self.give(Input::Timer { generation: self.life.generation() });
    }
}

fn steps(criterion: &mut Criterion) {
    let mut driver = Driver::new();
    driver.give(Input::Start);
    driver.give(Input::PlaceGranted);
    let before = driver.steps;
    driver.crash_and_come_back();
    let mut group = criterion.benchmark_group("lifecycle");
    group.throughput(Throughput::Elements(driver.steps - before));
    group.bench_function("crash and come back", |bencher| bencher.iter(|| driver.crash_and_come_back()));

    let mut running = Driver::new();
    running.give(Input::Start);
    running.give(Input::PlaceGranted);
    running.give(Input::Launched(Launch::Made(Arc::clone(&running.run))));
    group.throughput(Throughput::Elements(1));
    group
        .bench_function("late timer, dropped", |bencher| bencher.iter(|| running.give(Input::Timer { generation: 0 })));
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
