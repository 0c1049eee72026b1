//! The whole supervisor against a plain loop, in one run: starts, restart latency, memory, cost of monitoring.
//!
//! `cargo bench --bench fleet`. Prints a table; medians of five, ratios to the limit measured in the same run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wasmvisor::config::Config;
use wasmvisor::daemon::Daemon;
use wasmvisor::event::{EventBody, Received};
use wasmvisor::record::Query;
use wasmvisor::spec::{ProcessSpec, RestartMode};

const ROUNDS: usize = 5;

const POLICIES: &str = r#"
[[policies.admission]]
plugin = "builtin:command-allowlist"
settings = { allowed_commands = ["sleep"] }
[[policies.health]]
plugin = "builtin:health-score"
[[policies.restart]]
plugin = "builtin:restart-backoff"
settings = { base_delay = "0s", max_attempts = 1000000, jitter = "none" }
[[policies.alert]]
plugin = "builtin:alert-threshold"
"#;

fn main() {
    // `cargo test --benches` asks benches to run quickly; the numbers would mean nothing then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("{:<46} {:>12} {:>12} {:>8}", "what", "ours", "limit", "ratio");
    for count in [100, 1000] {
        starts(count);
    }
    restart_latency();
    memory();
    monitoring(1000);
}

fn configuration(directory: &Path, interval: &str) -> PathBuf {
    let file = directory.join("bench.toml");
    let text = format!(
        "[supervisor]\nmax_processes = 20000\nmax_load_per_core = \"off\"\nmax_memory_in_use = \"off\"\nstate_dir = \"{}\"\n\
         [limits]\ntimeout = \"off\"\nexecution_time = \"off\"\n[monitor]\ninterval = \"{interval}\"\n{POLICIES}",
        directory.join("state").display()
    );
    std::fs::write(&file, text).expect("a temporary file can be written");
    file
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values[values.len() / 2]
}

fn row(what: &str, ours: Duration, limit: Duration) {
    let ratio = ours.as_secs_f64() / limit.as_secs_f64();
    println!("{what:<46} {:>10.2}ms {:>10.2}ms {ratio:>7.2}x", ours.as_secs_f64() * 1e3, limit.as_secs_f64() * 1e3);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

async fn daemon(directory: &Path, interval: &str) -> Daemon {
    let file = configuration(directory, interval);
    let config = Config::load(&file).expect("the configuration is right");
    Daemon::start(config, Some(&file)).await.expect("the supervisor starts")
}

fn sleeper(index: usize) -> ProcessSpec {
    let mut spec = ProcessSpec::new(format!("sleeper-{index}"), ["sleep", "1000"]);
    spec.restart = RestartMode::Always;
    spec
}

/// All of them asked for at once, until every one runs.
async fn start_all(daemon: &Daemon, count: usize) -> Duration {
    let begin = Instant::now();
    let starts: Vec<_> = (0..count)
        .map(|index| {
            let supervisor = daemon.supervisor.clone();
            tokio::spawn(async move { supervisor.start(sleeper(index)).await })
        })
        .collect();
    for start in starts {
        start.await.expect("no panic").expect("a start is not refused");
    }
    begin.elapsed()
}

fn starts(count: usize) {
    let (mut ours, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        limits.push(plain_loop(count));
        let directory = tempfile::tempdir().expect("a temporary directory");
        ours.push(runtime().block_on(async {
            let daemon = daemon(directory.path(), "1h").await;
            let took = start_all(&daemon, count).await;
            daemon.shut_down("bench").await;
            took
        }));
    }
    row(&format!("start {count} x sleep (posix_spawn loop)"), median(ours), median(limits));
}

/// `Command` without hooks uses posix_spawn.
fn plain_loop(count: usize) -> Duration {
    let begin = Instant::now();
    let mut children: Vec<Child> = (0..count)
        .map(|_| {
            let mut command = Command::new("sleep");
            command.arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().expect("sleep can be started")
        })
        .collect();
    let took = begin.elapsed();
    for child in &mut children {
        // Each is alive and ours; an error here would show as a leak below.
        let _ = child.kill();
        let _ = child.wait();
    }
    took
}

/// From `kill -9` to the event that the next run exists, delay 0.
fn restart_latency() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut latencies = runtime().block_on(async {
        let daemon = daemon(directory.path(), "1h").await;
        start_all(&daemon, 1).await;
        let mut subscription = daemon.events.subscribe();
        let mut latencies = Vec::new();
        for _ in 0..200 {
            let record = daemon.registry.find("sleeper-0").await.expect("it is known");
            let pid = record.run.as_ref().expect("it runs").pid;
            let begin = Instant::now();
            kill(pid);
            loop {
                if let Received::Event(event) = subscription.next().await
                    && matches!(event.body, EventBody::Restarted { .. })
                {
                    break;
                }
            }
            latencies.push(begin.elapsed());
        }
        daemon.shut_down("bench").await;
        latencies
    });
    latencies.sort();
    let limit = plain_restart();
    row("restart p50, kill -9 to next run (kill+wait+spawn)", latencies[100], limit);
    row("restart p99", latencies[198], limit);
}

fn kill(pid: u32) {
    let status = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "it can be killed");
}

fn plain_restart() -> Duration {
    let spawn = || Command::new("sleep").arg("1000").spawn().expect("sleep can be started");
    let mut latencies = Vec::new();
    for _ in 0..50 {
        let mut child = spawn();
        let begin = Instant::now();
        kill(child.id());
        child.wait().expect("it was ours");
        let mut next = spawn();
        latencies.push(begin.elapsed());
        next.kill().expect("it lives");
        next.wait().expect("it was ours");
    }
    median(latencies)
}

/// Resident and proportional memory of `wasmvisor run`, with nothing and with 100 processes.
fn memory() {
    for count in [0, 100] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = configuration(directory.path(), "1s");
        let processes: String =
            (0..count).map(|index| format!("[process.s{index}]\ncommand = [\"sleep\", \"1000\"]\n")).collect();
        let text = std::fs::read_to_string(&file).expect("it was written") + &processes;
        std::fs::write(&file, text).expect("a temporary file can be written");
        // Twice: the first run fills the cache of compiled plugins.
        for round in 0..2 {
            let mut child = Command::new(env!("CARGO_BIN_EXE_wasmvisor"))
                .arg("run")
                .arg(&file)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the binary can be started");
            std::thread::sleep(Duration::from_secs(5));
            if round == 1 {
                let (rss, pss) = (rollup(child.id(), "Rss:"), rollup(child.id(), "Pss:"));
                println!(
                    "{:<46} {:>9} KiB {:>9} KiB",
                    format!("memory of run with {count} processes (RSS, PSS)"),
                    rss,
                    pss
                );
            }
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            child.wait().expect("it was ours");
        }
    }
}

fn rollup(pid: u32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Processor time of the supervisor for each process-sample: sampling, trend, health, alerts, registry.
fn monitoring(count: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    runtime().block_on(async {
        let daemon = daemon(directory.path(), "1s").await;
        start_all(&daemon, count).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (cpu, samples) = (own_cpu(), daemon.registry.statistics().await.monitor.samples);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let used = own_cpu() - cpu;
        let statistics = daemon.registry.statistics().await;
        let taken = statistics.monitor.samples - samples;
        let live = daemon.registry.query(Query::default()).await.total;
        println!(
            "{:<46} {:>10.2}us   ({taken} samples of {live} processes in 10s, {} ticks skipped)",
            format!("CPU per process-sample at {count}"),
            used.as_secs_f64() * 1e6 / taken.max(1) as f64,
            statistics.monitor.ticks_skipped
        );
        daemon.shut_down("bench").await;
    });
}

/// Processor time of this process so far, in clock ticks of 10 ms (proc(5)).
fn own_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|index| fields.get(*index)?.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
