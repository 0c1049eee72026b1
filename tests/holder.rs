//! The holder: runs, their output and their ends outlive whoever asked for them, and so does the asker the holder.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use wasmvisor::platform::{
    HolderLauncher, HolderSettings, LaunchError, LaunchPlan, Launched, Launcher, Notice, Survivor, Tree, is_alive,
};
use wasmvisor::sample::ExitStatus;
use wasmvisor::spec::{ProcessId, StopSignal};

mod attached;
mod death;
mod stranger;
mod upgrade;

/// A state directory with a holder of its own, and the runs that were made there, which end with it.
struct Ground {
    directory: tempfile::TempDir,
    trees: Vec<Tree>,
}

impl Ground {
    fn new() -> Self {
        Self { directory: tempfile::Builder::new().prefix("wv-holder-").tempdir().unwrap(), trees: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn settings(&self) -> HolderSettings {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_wasmvisor"));
        HolderSettings { state_dir: self.directory.path().to_owned(), program }
    }

    fn attach(&self) -> HolderLauncher {
        HolderLauncher::attach(self.settings()).unwrap()
    }

    /// A process id that no other test uses: what a test leaves is found by it, and killed.
    fn id(&self, name: &str) -> ProcessId {
        let directory = self.directory.path().file_name().unwrap().to_string_lossy().into_owned();
        ProcessId::new(format!("{name}-{directory}"))
    }

    /// A plan for `/bin/sh -c script` in the directory.
    fn plan(&self, id: &str, script: &str) -> LaunchPlan {
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        LaunchPlan {
            env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            stdout: self.path(&format!("{id}.out")),
            stderr: self.path(&format!("{id}.err")),
            ..LaunchPlan::new(self.id(id), "/bin/sh".into(), argv, self.directory.path().to_owned())
        }
    }

    fn launch(&mut self, launcher: &mut HolderLauncher, plan: LaunchPlan) -> Launched {
        let id = plan.process_id.clone();
        let launched = launcher.launch(plan).wait().unwrap();
        self.trees.push(Tree::of(&launched, id));
        launched
    }

    fn run(&mut self, launcher: &mut HolderLauncher, id: &str, script: &str) -> Launched {
        let plan = self.plan(id, script);
        self.launch(launcher, plan)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Pid of the holder at work, by its command line.
    fn holder(&self) -> Option<u32> {
        let words = format!("\0hold\0--state\0{}\0", self.directory.path().display());
        let is_holder = |pid: u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&words) && holds_journal(pid)
        };
        pids().into_iter().find(|pid| is_holder(*pid))
    }

    async fn until_holder_is_gone(&self) {
        until("the holder to end", || self.holder().is_none().then_some(())).await;
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for tree in &self.trees {
            let _ = tree.signal(StopSignal::KILL);
        }
        // A holder with something unsettled would stay; nobody asks for it any more.
        if let Some(holder) = self.holder() {
            signal("KILL", holder);
        }
    }
}

/// Whether it is a holder and not the helper that has made one: it has the journal open.
fn holds_journal(pid: u32) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|file| file.ends_with("holder.journal"))
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.is_ok_and(|status| status.success()), "process {pid} can be signalled");
}

/// Wait for a condition; gives up after a time no healthy machine needs.
async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A field of `/proc/PID/status`.
fn status_of(pid: u32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

fn descriptors_of(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}
