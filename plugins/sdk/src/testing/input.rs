//! Arguments from TOML. A field that a case does not mention has the value of a process with which all is well: 0, empty
//! or none, and 100 for `responsiveness`, `stability`, `score` and `previous_score`.

use serde_json::Value;

use super::fields::Input;
use crate::admission::{Lookup, Request};
use crate::alert::{Finding, Subject, Topic};
use crate::health::Reading;
use crate::restart::{Ending, Failure, PastRun};
use crate::{Direction, HealthStatus, Identity, Priority, Severity};

/// A list of records, `[[case.input.NAME]]`.
pub(super) fn list<T>(input: &Value, name: &str, read: impl Fn(&Value) -> T) -> Vec<T> {
    input[name].as_array().into_iter().flatten().map(read).collect()
}

pub(super) fn identity(input: &Value) -> Identity {
    let known = ["process_id", "name", "task_id", "agent_type", "priority", "tags"];
    let fields = Input::open(&input["identity"], &known);
    let priorities = [
        ("normal", Priority::Normal),
        ("low", Priority::Low),
        ("high", Priority::High),
        ("critical", Priority::Critical),
    ];
    Identity {
        process_id: fields.text("process_id"),
        name: fields.text("name"),
        task_id: fields.text("task_id"),
        agent_type: fields.text("agent_type"),
        priority: fields.word("priority", &priorities),
        tags: fields.texts("tags"),
    }
}

/// `lookups` is a table in a case (query = resolved); what it does not mention is not found.
pub(super) fn admission(input: &Value, queries: &[String]) -> Request {
    let known = [
        "identity",
        "command",
        "found",
        "resolved",
        "args",
        "directory",
        "environment_keys",
        "memory_limit_bytes",
        "cpu_limit_percent",
        "execution_limit_ms",
        "now_ms",
        "lookups",
    ];
    let fields = Input::open(input, &known);
    let lookup = |query: &String| Lookup {
        query: query.clone(),
        resolved: input["lookups"][query.as_str()].as_str().map(Into::into),
    };
    Request {
        identity: identity(input),
        command: fields.text("command"),
        found: fields.maybe_text("found"),
        resolved: fields.maybe_text("resolved"),
        args: fields.texts("args"),
        directory: fields.text("directory"),
        environment_keys: fields.texts("environment_keys"),
        memory_limit_bytes: input["memory_limit_bytes"].as_u64(),
        cpu_limit_percent: input["cpu_limit_percent"].as_f64(),
        execution_limit_ms: input["execution_limit_ms"].as_u64(),
        now_ms: fields.u64("now_ms"),
        lookups: queries.iter().map(lookup).collect(),
    }
}

pub(super) fn health_tick(input: &Value) -> crate::health::Tick {
    let known = ["now_ms", "interval_ms", "history_length", "history", "identity", "reading"];
    let fields = Input::open(input, &known);
    crate::health::Tick {
        now_ms: fields.u64("now_ms"),
        interval_ms: fields.u32("interval_ms").max(1),
        history_length: fields.u32("history_length"),
    }
}

pub(super) fn history(input: &Value) -> Vec<f32> {
    list(input, "history", |value| value.as_f64().map_or(f32::NAN, |value| value as f32))
}

pub(super) fn reading(input: &Value) -> Reading {
    let known = [
        "memory_bytes",
        "memory_limit_bytes",
        "cpu_percent",
        "cpu_limit_percent",
        "execution_ms",
        "execution_limit_ms",
        "file_handles",
        "file_handle_limit",
        "threads",
        "thread_limit",
        "responsiveness",
        "stability",
        "memory_slope",
        "memory_limit_in_ms",
        "cpu_slope",
        "memory_direction",
        "cpu_direction",
        "previous_score",
        "memo",
    ];
    let fields = Input::open(input, &known);
    let directions = [
        ("unknown", Direction::Unknown),
        ("improving", Direction::Improving),
        ("stable", Direction::Stable),
        ("deteriorating", Direction::Deteriorating),
    ];
    Reading {
        memory_bytes: fields.u64("memory_bytes"),
        memory_limit_bytes: fields.u64("memory_limit_bytes"),
        cpu_percent: fields.f32("cpu_percent"),
        cpu_limit_percent: fields.f32("cpu_limit_percent"),
        execution_ms: fields.u64("execution_ms"),
        execution_limit_ms: fields.u64("execution_limit_ms"),
        file_handles: fields.u32("file_handles"),
        file_handle_limit: fields.u32("file_handle_limit"),
        threads: fields.u32("threads"),
        thread_limit: fields.u32("thread_limit"),
        responsiveness: fields.good("responsiveness"),
        stability: fields.good("stability"),
        memory_slope: fields.f32("memory_slope"),
        memory_limit_in_ms: fields.u64("memory_limit_in_ms"),
        cpu_slope: fields.f32("cpu_slope"),
        memory_direction: fields.word("memory_direction", &directions),
        cpu_direction: fields.word("cpu_direction", &directions),
        previous_score: fields.good("previous_score"),
        memo: fields.u64("memo"),
    }
}

/// An ending is a table with one key, or the word `unknown`.
fn ending(value: &Value) -> Ending {
    let number = |value: &Value| i32::try_from(value.as_i64().expect("a whole number")).expect("a number of 32 bits");
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let Some((kind, value)) = value.as_object().and_then(|table| table.iter().next()) else { return Ending::Unknown };
    match kind.as_str() {
        "exited" => Ending::Exited(number(value)),
        "signalled" => Ending::Signalled(number(value)),
        "unhealthy" => Ending::Unhealthy(number(value).unsigned_abs()),
        "limit" => Ending::Limit(text(value)),
        "not_started" => Ending::NotStarted(text(value)),
        other => panic!("`ending` cannot be `{other}`"),
    }
}

pub(super) fn failure(input: &Value) -> Failure {
    let known = [
        "identity",
        "ending",
        "lasted_ms",
        "attempts",
        "max_attempts",
        "restarts_total",
        "history",
        "now_ms",
        "jitter_seed",
    ];
    let fields = Input::open(input, &known);
    let past = |value: &Value| {
        let fields = Input::open(value, &["started_ms", "lasted_ms", "ending"]);
        PastRun {
            started_ms: fields.u64("started_ms"),
            lasted_ms: fields.u64("lasted_ms"),
            ending: ending(&value["ending"]),
        }
    };
    Failure {
        identity: identity(input),
        ending: ending(&input["ending"]),
        lasted_ms: fields.u64("lasted_ms"),
        attempts: fields.u32("attempts"),
        max_attempts: input["max_attempts"].as_u64().map(|most| most as u32),
        restarts_total: fields.u32("restarts_total"),
        history: list(input, "history", past),
        now_ms: fields.u64("now_ms"),
        jitter_seed: fields.u64("jitter_seed"),
    }
}

pub(super) fn alert_tick(input: &Value) -> crate::alert::Tick {
    let fields = Input::open(input, &["now_ms", "interval_ms", "subject", "identity", "finding"]);
    crate::alert::Tick { now_ms: fields.u64("now_ms"), interval_ms: fields.u32("interval_ms").max(1) }
}

pub(super) fn subject(input: &Value) -> Subject {
    let known = [
        "memory_percent",
        "cpu_percent",
        "execution_percent",
        "file_handle_percent",
        "thread_percent",
        "responsiveness",
        "score",
        "status",
        "memory_limit_in_ms",
        "recent_restarts",
        "memo",
    ];
    let fields = Input::open(input, &known);
    let statuses = [
        ("healthy", HealthStatus::Healthy),
        ("warning", HealthStatus::Warning),
        ("critical", HealthStatus::Critical),
        ("failing", HealthStatus::Failing),
    ];
    Subject {
        memory_percent: fields.f32("memory_percent"),
        cpu_percent: fields.f32("cpu_percent"),
        execution_percent: fields.f32("execution_percent"),
        file_handle_percent: fields.f32("file_handle_percent"),
        thread_percent: fields.f32("thread_percent"),
        responsiveness: fields.good("responsiveness"),
        score: fields.good("score"),
        status: fields.word("status", &statuses),
        memory_limit_in_ms: fields.u64("memory_limit_in_ms"),
        recent_restarts: fields.u32("recent_restarts"),
        memo: fields.u64("memo"),
    }
}

/// Topics by their word.
pub(super) const TOPICS: [(&str, Topic); 9] = [
    ("memory", Topic::Memory),
    ("cpu", Topic::Cpu),
    ("execution-time", Topic::ExecutionTime),
    ("file-handles", Topic::FileHandles),
    ("threads", Topic::Threads),
    ("responsiveness", Topic::Responsiveness),
    ("health", Topic::Health),
    ("memory-forecast", Topic::MemoryForecast),
    ("restarts", Topic::Restarts),
];

/// Severities by their word.
pub(super) const SEVERITIES: [(&str, Severity); 4] = [
    ("info", Severity::Info),
    ("warning", Severity::Warning),
    ("critical", Severity::Critical),
    ("emergency", Severity::Emergency),
];

pub(super) fn finding(input: &Value) -> Finding {
    let fields = Input::open(input, &["subject", "topic", "severity", "value", "threshold"]);
    Finding {
        subject: fields.u32("subject"),
        topic: fields.word("topic", &TOPICS),
        severity: fields.word("severity", &SEVERITIES),
        value: input["value"].as_f64().unwrap_or_default(),
        threshold: input["threshold"].as_f64().unwrap_or_default(),
    }
}
