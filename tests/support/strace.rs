//! Faults put into a running process by strace(1): one of its threads sees system calls fail until the fault ends.

use std::process::{Child, Command, Stdio};

use super::{eventually, send};

/// A fault that lasts until it is dropped or ended.
#[derive(Debug)]
pub(crate) struct Fault {
    tracer: Child,
    traced: u64,
}

impl Fault {
    /// Let these system calls of one thread fail, for example `clone3:error=EAGAIN`. None, with the reason told, where
    /// that cannot be done; with `WASMVISOR_CI` set that is a failure.
    pub(crate) fn begin(thread: u64, what: &str) -> Option<Self> {
        let calls = what.split(':').next().unwrap_or_default();
        let tracer = Command::new("strace")
            .args(["-q", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &format!("inject={what}")])
            .args(["-p", &thread.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut tracer) = tracer else { return skip("strace is not installed") };
        let begun = eventually("strace has attached or given up", || {
            let ended = tracer.try_wait().expect("strace is a child of this process").is_some();
            (ended || tracer_of(thread) != Some(0)).then_some(!ended)
        });
        if begun { Some(Self { tracer, traced: thread }) } else { skip("strace may not trace another process") }
    }

    /// End it and wait until the process is left alone.
    pub(crate) fn end(mut self) {
        self.leave();
    }

    fn leave(&mut self) {
        send("INT", self.tracer.id().into());
        let _ = self.tracer.wait();
        assert!(matches!(tracer_of(self.traced), None | Some(0)), "strace has let go of it");
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.tracer.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.leave();
        }
        let _ = self.tracer.kill();
        let _ = self.tracer.wait();
    }
}

/// Say why a test does nothing here; where everything is installed, that is a failure.
pub(crate) fn skip<T>(reason: &str) -> Option<T> {
    assert!(std::env::var_os("WASMVISOR_CI").is_none(), "this machine must be able to run it: {reason}");
    eprintln!("skipped: {reason}");
    None
}

/// Who traces this thread, 0 for nobody; none when it is gone.
fn tracer_of(thread: u64) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("TracerPid:")).and_then(|pid| pid.trim().parse().ok())
}

/// The threads of a process that bear this name.
pub(crate) fn threads_named(pid: u64, name: &str) -> Vec<u64> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let named = |id: &u64| {
        std::fs::read_to_string(format!("/proc/{pid}/task/{id}/comm")).is_ok_and(|found| found.trim_end() == name)
    };
    ids.filter(named).collect()
}
