//! The ways in which runs are made and held together, and configurations for each.

use std::path::PathBuf;

/// How runs are made and held together.
#[derive(Debug)]
pub(crate) enum Launching {
    InProcess,
    ByHolder,
    /// By the holder, each run in a group of its own below this directory.
    InCgroups(Groups),
}

impl Launching {
    /// The keys of `[supervisor]` that ask for it.
    pub(crate) fn keys(&self) -> String {
        match self {
            Self::InProcess => "launcher = \"in-process\"\ncgroup = \"off\"".to_owned(),
            Self::ByHolder => "launcher = \"holder\"\ncgroup = \"off\"".to_owned(),
            Self::InCgroups(groups) => {
                format!("launcher = \"holder\"\ncgroup = \"{}\"", groups.0.display())
            }
        }
    }
}

/// A cgroup (version 2) of one's own, removed with all below it.
#[derive(Debug)]
pub(crate) struct Groups(PathBuf);

impl Groups {
    /// Make it where this machine lets us; otherwise say why not.
    pub(crate) fn make(name: &str) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
        let Some(mount) = mount else { return tell("no cgroup v2 is mounted") };
        let group = PathBuf::from(mount).join(format!("wv-{name}-{}", std::process::id()));
        match std::fs::create_dir(&group) {
            Ok(()) => Some(Self(group)),
            Err(error) => tell(&format!("no group can be made in {mount}: {error}")),
        }
    }
}

/// Unlike a missing program, a missing cgroup is no fault of the machine's set-up: elsewhere qemu brings one.
fn tell<T>(reason: &str) -> Option<T> {
    eprintln!("skipped: {reason}");
    None
}

impl Drop for Groups {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
        let below = std::fs::read_dir(&self.0).into_iter().flatten().flatten().map(|entry| entry.path());
        for group in below.filter(|path| path.is_dir()) {
            let _ = std::fs::remove_dir(group);
        }
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Everything of a configuration but its processes: the torture program and `sleep` are allowed, nothing is limited, and
/// who crashes comes back at once, for ever. `supervisor` stands in the table of that name.
pub(crate) fn head(launching: &Launching, supervisor: &str) -> String {
    format!(
        r#"
[supervisor]
max_processes = 100
graceful_shutdown_timeout = "100ms"
force_kill_timeout = "20s"
max_load_per_core = "off"
max_memory_in_use = "off"
{}
{supervisor}
[sandbox.env]
pass = ["PATH", "FLEET_MARKER"]
[limits]
pids = "off"
file_handles = "off"
timeout = "off"
execution_time = "off"
cpu = "off"
[[policies.admission]]
plugin = "builtin:command-allowlist"
settings = {{ allowed_commands = ["**/torture", "sleep"] }}
[[policies.health]]
plugin = "builtin:health-score"
[[policies.restart]]
plugin = "builtin:restart-backoff"
settings = {{ base_delay = "50ms", max_delay = "200ms", max_attempts = 1000000, jitter = "none" }}
[[policies.alert]]
plugin = "builtin:alert-threshold"
"#,
        launching.keys()
    )
}
