//! The life of real processes under a real supervisor, seen from a second terminal.

mod agents;
mod bad_input;
mod judgement;
mod life;
mod logs;
mod sandbox;
mod survival;

/// Policies for tests: every shell worker is allowed and restarts are quick.
pub(crate) const HEAD: &str = r#"
[supervisor]
graceful_shutdown_timeout = "5s"
force_kill_timeout = "5s"
max_load_per_core = "off"
max_memory_in_use = "off"

[sandbox]
restricted_paths = ["/etc", "/usr"]
env = { pass = ["PATH", "FLEET_MARKER"] }

[monitor]
interval = "100ms"
unhealthy_after = "200ms"

[[policies.admission]]
plugin = "builtin:command-allowlist"
settings = { allowed_commands = ["sh", "sleep", "true", "false", "env", "setsid"] }

[[policies.health]]
plugin = "builtin:health-score"

[[policies.restart]]
plugin = "builtin:restart-backoff"
settings = { base_delay = "50ms", max_delay = "1s", max_attempts = 3, jitter = "none" }

[[policies.alert]]
plugin = "builtin:alert-threshold"
"#;

/// `HEAD` with these tables after it.
pub(crate) fn with(tables: &str) -> String {
    format!("{HEAD}\n{tables}")
}
