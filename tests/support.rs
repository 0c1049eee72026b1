//! What the tests share: a supervisor of one's own in a directory of one's own, and waiting for conditions.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest time a condition may take to come true on a loaded machine. Reaching it is a failure, never a pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the host lies in the workspace").to_owned()
}

/// Wait until `condition` gives a value.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process with this pid exists and is not a zombie.
pub(crate) fn lives(pid: u64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z')))
}

/// Pids of all processes whose environment carries this text; an independent look at what is left.
pub(crate) fn marked(text: &str) -> Vec<u64> {
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted");
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u64| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == text.as_bytes()) && lives(*pid)
        })
        .collect()
}

/// The built binary, with nothing of the caller's configuration in its environment.
pub(crate) fn wasmvisor() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasmvisor"));
    command.env_remove("WASMVISOR_CONFIG").env_remove("RUST_LOG").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// A supervisor of one's own: `wasmvisor run` on a configuration in a temporary directory.
pub(crate) struct Fleet {
    directory: tempfile::TempDir,
    marker: String,
    daemon: Option<Child>,
}

impl Fleet {
    /// A directory with this configuration; nothing runs yet. `{dir}` stands for the directory. Every process is
    /// marked, so that a test can find what is left of it.
    pub(crate) fn prepare(configuration: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("wv-").tempdir().expect("a temporary directory");
        let marker = directory.path().file_name().and_then(|name| name.to_str()).expect("a plain name").to_owned();
        let text = configuration.replace("{dir}", &directory.path().display().to_string());
        std::fs::write(directory.path().join("fleet.toml"), text).expect("the configuration can be written");
        Self { directory, marker, daemon: None }
    }

    /// The same, started and answering.
    pub(crate) fn start(configuration: &str) -> Self {
        let mut fleet = Self::prepare(configuration);
        fleet.launch();
        fleet
    }

    /// Its directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Its state directory.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.path().join("state")
    }

    /// Pid of the supervisor.
    pub(crate) fn pid(&self) -> u64 {
        self.daemon.as_ref().expect("the supervisor was started").id().into()
    }

    /// The command that starts it.
    pub(crate) fn run_command(&self) -> Command {
        let mut command = wasmvisor();
        command.arg("--state-dir").arg(self.state_dir()).arg("run").arg(self.path().join("fleet.toml"));
        command.current_dir(self.path()).env("FLEET_MARKER", &self.marker);
        command
    }

    /// Start it and wait until it answers.
    pub(crate) fn launch(&mut self) {
        let log = std::fs::File::create(self.path().join("supervisor.log")).expect("a log file");
        let child = self.run_command().stdout(Stdio::null()).stderr(log).spawn().expect("the binary can be started");
        self.daemon = Some(child);
        eventually("the supervisor answers", || {
            let ended = self.daemon.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "the supervisor ended with {ended:?}:\n{}", self.log());
            self.cli(&["stats", "--json"]).status.success().then_some(())
        });
    }

    /// What the supervisor said on standard error.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("supervisor.log")).unwrap_or_default()
    }

    /// Run one verb against it.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        wasmvisor()
            .arg("--state-dir")
            .arg(self.state_dir())
            .args(arguments)
            .current_dir(self.path())
            .output()
            .expect("the binary can be started")
    }

    /// Run one verb that must succeed, and give what it printed.
    #[track_caller]
    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        assert!(
            output.status.success(),
            "{arguments:?} ended with {}:\n{}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
            self.log()
        );
        String::from_utf8(output.stdout).expect("output is text")
    }

    /// The same with `--json`, read.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.text(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?} printed no JSON ({error}):\n{text}"))
    }

    /// Run one verb that must fail with this exit code, and give what it said.
    #[track_caller]
    pub(crate) fn refusal(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?} said: {said}");
        said
    }

    /// The record of a process, by name.
    pub(crate) fn process(&self, name: &str) -> Value {
        self.json(&["describe", name])
    }

    /// Wait until a process has this status, and give its record.
    #[track_caller]
    pub(crate) fn await_status(&self, name: &str, status: &str) -> Value {
        eventually(&format!("{name} is {status}"), || {
            let record = self.process(name);
            (record["status"] == status).then_some(record)
        })
    }

    /// All events so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = self.text(&["events", "--json"]);
        text.lines().map(|line| serde_json::from_str(line).expect("an event is a JSON line")).collect()
    }

    /// Wait until an event fits, and give it.
    #[track_caller]
    pub(crate) fn await_event(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || self.events().into_iter().find(|event| fits(event)))
    }

    /// Send the supervisor a signal by name, for example `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "the supervisor can be signalled");
    }

    /// Wait for the supervisor's own end and give its exit code.
    pub(crate) fn await_end(&mut self) -> Option<i32> {
        self.daemon.as_mut().and_then(|child| child.wait().ok()).and_then(|status| status.code())
    }

    /// Pids of everything that descends from this fleet's supervisor, the supervisor included.
    pub(crate) fn survivors(&self) -> Vec<u64> {
        marked(&format!("FLEET_MARKER={}", self.marker))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some(child) = &mut self.daemon {
            // A failed test must not leave processes behind; errors here would only hide the first.
            let _ = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
        for pid in self.survivors() {
            let _ = Command::new("kill").arg("-KILL").arg(pid.to_string()).status();
        }
    }
}
