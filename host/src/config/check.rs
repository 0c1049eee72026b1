//! Values that cannot be, and values that are probably not meant. Pure: a configuration in, sentences out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Config;
use crate::agents::AgentRuntime;
use crate::monitor::MonitorConfig;
use crate::spec::{LimitSettings, Limits, ProcessSpec, RestartMode, is_variable};
use crate::supervisor::{SandboxConfig, SupervisorConfig};
use crate::units::{OrOff, Span, human_duration};

/// Key and what is wrong with its value.
type Findings = Vec<(String, String)>;

const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// Below this no program starts: its own code and stack need more.
const SMALLEST_MEMORY: u64 = 1 << 20;
const LONGEST_QUEUE: usize = 1_000_000;

/// Every value that cannot be right. `written` tells whether a key stands in the text.
pub(super) fn impossible(config: &Config, written: impl Fn(&str) -> bool) -> Findings {
    let mut found = Vec::new();
    supervisor(&config.supervisor, &mut found);
    monitor(&config.monitor, &mut found);
    sandbox(&config.sandbox, &mut found);
    if let Err(error) = config.logs.validate() {
        found.push((error.field.to_owned(), error.message));
    }
    policies(config, written, &mut found);
    limits("limits", &config.limits, &mut found);
    for (name, spec) in &config.process {
        process(name, spec, &mut found);
    }
    agents(&config.agent, &mut found);
    found
}

fn supervisor(config: &SupervisorConfig, found: &mut Findings) {
    let mut wrong = |key: &str, message: &str| found.push((format!("supervisor.{key}"), message.to_owned()));
    if config.max_processes == 0 {
        wrong("max_processes", "0 processes could ever run; write 1 or more");
    }
    if !(1..=LONGEST_QUEUE).contains(&config.queue_length) {
        wrong("queue_length", "must be 1 to 1000000");
    }
    if config.max_memory_in_use.limit().is_some_and(|share| share.get() > 100.0) {
        wrong("max_memory_in_use", "is a share of all memory and cannot be above 100%; write \"off\" for no limit");
    }
    for (key, span) in [
        ("graceful_shutdown_timeout", config.graceful_shutdown_timeout),
        ("force_kill_timeout", config.force_kill_timeout),
    ] {
        if span.get().is_zero() {
            wrong(key, "0 is no time at all; write a longer one, like \"5s\"");
        }
    }
    if config.orphan_cleanup_interval.get() < Duration::from_secs(1) {
        wrong("orphan_cleanup_interval", "must be 1s or longer");
    }
}

fn monitor(config: &MonitorConfig, found: &mut Findings) {
    let mut wrong = |key: &str, message: &str| found.push((format!("monitor.{key}"), message.to_owned()));
    if config.interval.get() < SHORTEST_INTERVAL {
        wrong("interval", "must be 100ms or longer");
    }
    if config.health_check_interval.get() < SHORTEST_INTERVAL {
        wrong("health_check_interval", "must be 100ms or longer");
    }
    if !(16..=3600).contains(&config.trend_history) {
        wrong("trend_history", "must be 16 to 3600 samples");
    }
}

fn sandbox(config: &SandboxConfig, found: &mut Findings) {
    for path in config.restricted_paths.iter().filter(|path| !path.is_absolute()) {
        let message = format!("`{}` is not absolute; write the whole path, like \"/etc\"", path.display());
        found.push(("sandbox.restricted_paths".to_owned(), message));
    }
    let mut names = |key: &str, names: &[String]| {
        let wrong = names.iter().filter(|name| !is_variable(name));
        found.extend(
            wrong.map(|name| (format!("sandbox.env.{key}"), format!("`{name}` cannot be the name of a variable"))),
        );
    };
    names("pass", &config.env.pass);
    names("unset", &config.env.unset);
    for name in config.env.set.keys().filter(|name| !is_variable(name)) {
        found.push((format!("sandbox.env.set.{name}"), "cannot be the name of a variable".to_owned()));
    }
}

fn policies(config: &Config, written: impl Fn(&str) -> bool, found: &mut Findings) {
    let Some(set) = &config.policies.set else { return };
    let mut wrong = |message: String| found.push(("policies.set".to_owned(), message));
    if set.is_empty() {
        wrong("is empty; write the path of a policy set, or leave it out".to_owned());
    }
    if set.contains("://") {
        wrong(format!("`{set}` is not supported in this version; download it and write its path"));
    }
    let inline: Vec<_> = ["admission", "health", "restart", "alert"]
        .into_iter()
        .filter(|kind| written(&format!("policies.{kind}")))
        .collect();
    if !inline.is_empty() {
        wrong(format!(
            "a set is named and `policies.{}` stands inline; keep one of them",
            inline.join("`, `policies.")
        ));
    }
}

fn limits(path: &str, limits: &LimitSettings, found: &mut Findings) {
    if limits.memory.and_then(OrOff::limit).is_some_and(|memory| memory.get() < SMALLEST_MEMORY) {
        found.push((format!("{path}.memory"), "no program starts in less than 1MiB".to_owned()));
    }
    for (key, span) in [("execution_time", limits.execution_time), ("timeout", limits.timeout)] {
        if is_no_time(span) {
            let message = "0 is no time at all; write a longer one, or \"off\"";
            found.push((format!("{path}.{key}"), message.to_owned()));
        }
    }
}

fn is_no_time(span: Option<OrOff<Span>>) -> bool {
    span.and_then(OrOff::limit).is_some_and(|span| span.get().is_zero())
}

fn process(name: &str, spec: &ProcessSpec, found: &mut Findings) {
    let path = format!("process.{name}");
    limits(&format!("{path}.limits"), &spec.limits, found);
    if spec.graceful_shutdown_timeout.is_some_and(|span| span.get().is_zero()) {
        let message = "0 is no time at all; write a longer one, or leave it out";
        found.push((format!("{path}.graceful_shutdown_timeout"), message.to_owned()));
    }
    let mut named = spec.clone();
    name.clone_into(&mut named.name);
    if let Err(error) = named.validate() {
        let key = if error.field == "name" { path } else { format!("{path}.{}", error.field) };
        // `validate` looks at the limits as well.
        if !found.iter().any(|(known, _)| *known == key) {
            found.push((key, error.message));
        }
    }
}

fn agents(agents: &BTreeMap<String, AgentRuntime>, found: &mut Findings) {
    for (name, runtime) in agents {
        let path = format!("agent.{name}");
        limits(&format!("{path}.limits"), &runtime.limits, found);
        if runtime.command.first().is_none_or(|program| program.trim().is_empty()) {
            let message = "is empty; write the command and its arguments as a list";
            found.push((format!("{path}.command"), message.to_owned()));
        }
        if name.trim().is_empty() {
            found.push((path, "an agent type needs a name".to_owned()));
        }
    }
}

/// What is allowed but probably not meant.
pub(super) fn notes(config: &Config) -> Vec<String> {
    let defaults = Limits::default().overridden_by(&config.limits);
    let mut notes: Vec<_> =
        config.process.iter().flat_map(|(name, spec)| process_notes(name, spec, defaults)).collect();
    let (wanted, places) = (config.process.len(), config.supervisor.max_processes as usize);
    if wanted > places {
        notes.push(format!(
            "{wanted} processes are configured and {places} may run at once: {} will wait; raise \
             supervisor.max_processes",
            wanted - places
        ));
    }
    if !config.sandbox.enabled {
        notes.push("the sandbox is off: restricted paths are not checked and privileges can be gained".to_owned());
    }
    notes
}

fn process_notes(name: &str, spec: &ProcessSpec, defaults: Limits) -> Vec<String> {
    if spec.restart != RestartMode::Always {
        return Vec::new();
    }
    let limits = spec.effective_limits(defaults);
    let mut notes = Vec::new();
    if let Some(timeout) = limits.timeout {
        notes.push(format!(
            "process.{name} is always wanted back, yet its timeout stops it for good after {}; write timeout = \"off\"",
            human_duration(timeout)
        ));
    }
    if let Some(time) = limits.execution_time {
        notes.push(format!(
            "process.{name} is always wanted back, yet each run may last only {}; write limits.execution_time = \
             \"off\"",
            human_duration(time)
        ));
    }
    notes
}
