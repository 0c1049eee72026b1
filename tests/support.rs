//! What the tests share: a supervisor of one's own in a directory of one's own, and waiting for conditions.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) mod search;
pub(crate) mod strace;
pub(crate) mod torture_program;

/// Longest time a condition may take to come true on a loaded machine. Reaching it is a failure, never a pass.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same in the emulated machine of `tests/qemu`, which has a limit of its own.
const EMULATED_PATIENCE: Duration = Duration::from_secs(600);

/// Lines of a long log that are enough to see what happened last.
const LINES_TOLD: usize = 30;

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the host lies in the workspace").to_owned()
}

/// Wait until `condition` gives a value.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_for(condition).unwrap_or_else(|| panic!("waited in vain for: {what}"))
}

/// The same for a test that has more to say than this one failure: none when the patience is at its end.
pub(crate) fn wait_for<T>(mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    let patience = if std::env::var_os("WASMVISOR_QEMU").is_some() { EMULATED_PATIENCE } else { PATIENCE };
    loop {
        let value = condition();
        if value.is_some() || start.elapsed() >= patience {
            return value;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A number that a person may set in the environment.
pub(crate) fn number_from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
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
    /// A directory with this configuration; nothing runs yet. `{dir}` stands for the directory and `{marker}` for its
    /// name. Every process is marked, so that a test can find what is left of it.
    pub(crate) fn prepare(configuration: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("wv-").tempdir().expect("a temporary directory");
        let marker = directory.path().file_name().and_then(|name| name.to_str()).expect("a plain name").to_owned();
        let text = configuration.replace("{dir}", &directory.path().display().to_string()).replace("{marker}", &marker);
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
        self.spawn();
        self.await_answer();
    }

    /// Start it and wait for nothing. What it says follows what earlier ones have said.
    pub(crate) fn spawn(&mut self) {
        let mut options = std::fs::OpenOptions::new();
        let log = options.create(true).append(true).open(self.path().join("supervisor.log")).expect("a log file");
        let child = self.run_command().stdout(Stdio::null()).stderr(log).spawn().expect("the binary can be started");
        self.daemon = Some(child);
    }

    /// Wait until it answers.
    pub(crate) fn await_answer(&mut self) {
        eventually("the supervisor answers", || {
            let ended = self.daemon.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "the supervisor ended with {ended:?}:\n{}", self.log());
            self.cli(&["stats", "--json"]).status.success().then_some(())
        });
    }

    /// Kill it as the kernel does when memory is short, and wait until it is gone.
    #[track_caller]
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            child.kill().expect("the supervisor can be killed");
            let status = child.wait().expect("the supervisor is a child of this process");
            assert_eq!(status.signal(), Some(9), "it had ended by itself:\n{}", self.log());
        }
    }

    /// Pids of holders that serve this state directory.
    pub(crate) fn holders(&self) -> Vec<u64> {
        search::with_arguments(&["hold", &self.state_dir().display().to_string()])
    }

    /// Kill its holder and wait until that is gone.
    #[track_caller]
    pub(crate) fn kill_holder(&self) {
        let holders = self.holders();
        assert_eq!(holders.len(), 1, "one holder serves a state directory");
        let status = Command::new("kill").arg("-KILL").arg(holders[0].to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "the holder can be killed");
        eventually("the holder is gone", || (!lives(holders[0])).then_some(()));
    }

    /// Whether the database has a process of this status.
    pub(crate) fn is_on_disk(&self, status: &str) -> bool {
        let database = self.state_dir().join("registry.db");
        let connection = rusqlite::Connection::open(database).expect("the database can be opened beside its owner");
        let count = connection.query_row("SELECT count(*) FROM process WHERE status = ?1", [status], |row| row.get(0));
        count.is_ok_and(|count: i64| count > 0)
    }

    /// What the supervisor said on standard error.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("supervisor.log")).unwrap_or_default()
    }

    /// A verb against it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = wasmvisor();
        command.arg("--state-dir").arg(self.state_dir()).args(arguments).current_dir(self.path());
        command
    }

    /// The end of it, for the message of a failed test.
    pub(crate) fn end_of_log(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES_TOLD)..].join("\n")
    }

    /// Run one verb against it.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary can be started")
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

    /// The word that is in the environment of everything that descends from it.
    pub(crate) fn marker(&self) -> &str {
        &self.marker
    }

    /// Pids of everything that descends from this fleet's supervisor, the supervisor included.
    pub(crate) fn survivors(&self) -> Vec<u64> {
        marked(&format!("FLEET_MARKER={}", self.marker))
    }
}

impl Drop for Fleet {
    /// A failed test must not leave processes behind; errors here would only hide the first.
    fn drop(&mut self) {
        if let Some(child) = &mut self.daemon {
            send("CONT", child.id().into());
            send("TERM", child.id().into());
            let start = Instant::now();
            while child.try_wait().is_ok_and(|ended| ended.is_none()) {
                if start.elapsed() > PATIENCE {
                    let _ = child.kill();
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        for _ in 0..50 {
            let left = search::left_of(self).into_iter().map(|found| found.pid);
            let left: Vec<_> = left.chain(self.holders()).chain(self.survivors()).collect();
            left.iter().for_each(|pid| send("KILL", *pid));
            if left.is_empty() {
                break;
            }
        }
    }
}

/// Send a signal by name, for example `KILL`, if there is still somebody to get it.
pub(crate) fn send(signal: &str, pid: u64) {
    let _ = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).stderr(Stdio::null()).status();
}
