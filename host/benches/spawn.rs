//! Starts, restarts and samples of real processes, each against the limit measured in the same run.
//!
//! Prints a table: medians of five rounds, and ratios to a bare `posix_spawn` loop (what `std::process::Command` does when
//! nothing is asked of it). Quote the ratios: the machine's other work moves the milliseconds.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wasmvisor::platform::{
    InProcessLauncher, LaunchPlan, Launched, Launcher, ProcessLimits, Sampler, raise_descriptor_limit,
};
use wasmvisor::spec::{ProcessId, StopSignal};

const ROUNDS: usize = 5;
const RESTARTS: usize = 200;
const SAMPLES: u32 = 10;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut launcher = InProcessLauncher::default();
    raise_descriptor_limit().unwrap();
    println!("{:<44}{:>12}{:>14}{:>8}", "", "wasmvisor", "posix_spawn", "ratio");
    for count in [100, 1000] {
        let (mut ours, mut limit) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(start_ours(&runtime, &mut launcher, directory.path(), count));
            limit.push(start_bare(count));
        }
        row(&format!("start {count} x sleep, ms"), median(&mut ours), median(&mut limit));
    }
    let mut ours = restarts(&runtime, &mut launcher, directory.path());
    let mut limit = bare_restarts();
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        row(&format!("restart, kill to launched, {name}, ms"), quantile(&mut ours, share), quantile(&mut limit, share));
    }
    sampling(&runtime, &mut launcher, directory.path());
}

fn plan(directory: &Path) -> LaunchPlan {
    let id = ProcessId::new(format!("bench-{}", std::process::id()));
    let argv = vec!["sleep".to_owned(), "1000".to_owned()];
    LaunchPlan {
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        stdout: directory.join("out"),
        stderr: directory.join("err"),
        rlimits: ProcessLimits { file_handles: Some(100), ..ProcessLimits::default() },
        ..LaunchPlan::new(id, "/usr/bin/sleep".into(), argv, directory.to_owned())
    }
}

fn launch_all(launcher: &mut InProcessLauncher, directory: &Path, count: usize) -> Vec<Launched> {
    let plan = plan(directory);
    let pending: Vec<_> = (0..count).map(|_| launcher.launch(plan.clone())).collect();
    pending.into_iter().map(|launch| launch.wait().unwrap()).collect()
}

fn start_ours(
    runtime: &tokio::runtime::Runtime,
    launcher: &mut InProcessLauncher,
    directory: &Path,
    count: usize,
) -> f64 {
    let started = Instant::now();
    let runs = launch_all(launcher, directory, count);
    let taken = milliseconds(started.elapsed());
    end_all(runtime, runs);
    taken
}

fn end_all(runtime: &tokio::runtime::Runtime, runs: Vec<Launched>) {
    for run in &runs {
        kill(run.identity.pid);
    }
    runtime.block_on(async {
        for run in runs {
            run.exit.wait().await;
        }
    });
}

fn bare() -> Child {
    Command::new("/usr/bin/sleep").arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

fn start_bare(count: usize) -> f64 {
    let started = Instant::now();
    let children: Vec<_> = (0..count).map(|_| bare()).collect();
    let taken = milliseconds(started.elapsed());
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    taken
}

/// From the kill of one run to the return of the next launch, its end having been told by the runtime.
fn restarts(runtime: &tokio::runtime::Runtime, launcher: &mut InProcessLauncher, directory: &Path) -> Vec<f64> {
    let plan = plan(directory);
    let mut run = launcher.launch(plan.clone()).wait().unwrap();
    let mut times = Vec::with_capacity(RESTARTS);
    for _ in 0..RESTARTS {
        let started = Instant::now();
        kill(run.identity.pid);
        runtime.block_on(run.exit.wait());
        run = launcher.launch(plan.clone()).wait().unwrap();
        times.push(milliseconds(started.elapsed()));
    }
    end_all(runtime, vec![run]);
    times
}

fn bare_restarts() -> Vec<f64> {
    let mut child = bare();
    let times = (0..RESTARTS).map(|_| {
        let started = Instant::now();
        child.kill().unwrap();
        child.wait().unwrap();
        child = bare();
        milliseconds(started.elapsed())
    });
    let times = times.collect();
    child.kill().unwrap();
    child.wait().unwrap();
    times
}

fn sampling(runtime: &tokio::runtime::Runtime, launcher: &mut InProcessLauncher, directory: &Path) {
    let runs = launch_all(launcher, directory, 1000);
    let mut sampler = Sampler::default();
    for (key, run) in (0..).zip(&runs) {
        sampler.track(key, run.identity.clone());
    }
    let mut readings = Vec::new();
    sampler.sample(&mut readings);
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        let before = own_cpu();
        (0..SAMPLES).for_each(|_| sampler.sample(&mut readings));
        let used = own_cpu() - before;
        costs.push(used.as_secs_f64() * 1e6 / f64::from(SAMPLES) / readings.len() as f64);
    }
    println!("{:<44}{:>12.2}", "CPU per process-sample at 1000, µs", median(&mut costs));
    end_all(runtime, runs);
}

/// Processor time of this thread.
fn own_cpu() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD).unwrap();
    let time = |value: nix::sys::time::TimeVal| {
        Duration::new(value.tv_sec().unsigned_abs(), value.tv_usec().unsigned_abs() as u32 * 1000)
    };
    time(usage.user_time()) + time(usage.system_time())
}

fn kill(pid: u32) {
    let signal = nix::sys::signal::Signal::try_from(StopSignal::KILL.number()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), signal).unwrap();
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share) as usize]
}

fn row(name: &str, ours: f64, limit: f64) {
    println!("{name:<44}{ours:>12.2}{limit:>14.2}{:>7.2}x", ours / limit);
}
