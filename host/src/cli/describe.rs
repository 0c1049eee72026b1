//! `wasmvisor describe`: everything about one process.

use clap::Args;

use super::ps::round;
use super::shell::{Outcome, Shell};
use super::table::{Cell, Tint, ago, facts, ms, one_line, table};
use crate::health::HealthReport;
use crate::record::ProcessRecord;
use crate::sample::{Direction, Trend};
use crate::units::{Bytes, Percent, Timestamp};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wasmvisor describe web\n  wasmvisor describe --json web | jq .usage.memory_bytes")]
pub(super) struct Arguments {
    /// Name, id or beginning of an id
    #[arg(value_name = "PROCESS")]
    name: String,
}

pub(super) async fn run(arguments: &Arguments, shell: &Shell) -> Outcome {
    let client = shell.client()?;
    let record = client.describe(&arguments.name).await?;
    if shell.json {
        return shell.answer(&record, |_| String::new());
    }
    // One that does not run, or is too young, has no report: what the record says is enough then.
    let report = client.health(record.process_id.as_str()).await.ok();
    shell.answer(&record, |record| text(record, report.as_ref(), shell.colour))
}

fn text(record: &ProcessRecord, report: Option<&HealthReport>, colour: bool) -> String {
    let mut text = facts(&what(record));
    for (head, part) in [
        ("life", facts(&life(record))),
        ("usage", usage(record)),
        ("limits", limits(record, colour)),
        ("sandbox", sandbox(record)),
        ("health", health(record, report)),
        ("earlier runs, newest first", runs(record, colour)),
    ] {
        if !part.is_empty() {
            let indented: String = part.lines().map(|line| format!("  {line}\n")).collect();
            text.push_str(&format!("\n{head}\n{indented}"));
        }
    }
    text
}

fn what(record: &ProcessRecord) -> Vec<(&'static str, String)> {
    let metadata: Vec<_> = record.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let command = std::iter::once(&record.command).chain(&record.args);
    vec![
        ("name", record.name.clone()),
        ("id", record.process_id.to_string()),
        ("command", command.map(|word| quoted(word)).collect::<Vec<_>>().join(" ")),
        ("directory", record.directory.clone()),
        ("agent type", record.agent_type.clone()),
        ("task", record.task_id.clone()),
        ("priority", record.priority.to_string()),
        ("restart", record.restart.to_string()),
        ("tags", record.tags.join(", ")),
        ("metadata", metadata.join(", ")),
        ("output", record.stdout_path.clone().unwrap_or_default()),
        ("errors", record.stderr_path.clone().unwrap_or_default()),
    ]
}

/// A word as a shell would need it, so that the line can be copied.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn life(record: &ProcessRecord) -> Vec<(&'static str, String)> {
    let moment = |at: Option<Timestamp>| at.map_or_else(String::new, |at| format!("{at} ({} ago)", ago(at)));
    let status = match record.queue_position {
        Some(position) => format!("{}, place {position}", record.status),
        None => record.status.to_string(),
    };
    let children: Vec<_> = record.child_pids.iter().map(u32::to_string).collect();
    let next = record.next_restart_at_ms.filter(|_| record.status == crate::record::Status::Backoff);
    vec![
        ("status", status),
        ("reason", record.reason.clone()),
        ("pid", record.run.as_ref().map_or_else(String::new, |run| run.pid.to_string())),
        ("children", children.join(" ")),
        ("run", record.run_number.to_string()),
        ("restarts", record.restarts.to_string()),
        ("registered", moment(Some(record.registered_at_ms))),
        ("started", moment(record.started_at_ms)),
        ("last active", moment(record.last_active_at_ms)),
        ("last restart", moment(record.last_restart_at_ms)),
        ("next restart", next.map_or_else(String::new, |at| at.to_string())),
        ("ended", moment(record.ended_at_ms)),
        ("last exit", record.exit.map_or_else(String::new, |exit| exit.to_string())),
    ]
}

fn usage(record: &ProcessRecord) -> String {
    let Some(usage) = record.usage else { return String::new() };
    let memory = Bytes(usage.memory_bytes);
    facts(&[
        ("memory", format!("{memory}{}", trend(&record.memory_trend, |slope| Bytes(slope as u64).to_string()))),
        ("peak memory", Bytes(record.peak_memory_bytes).to_string()),
        (
            "cpu",
            format!(
                "{}{}",
                Percent(round(usage.cpu_percent)),
                trend(&record.cpu_trend, |slope| format!("{slope:.1}%"))
            ),
        ),
        ("cpu time", ms(usage.cpu_time_ms)),
        ("threads", usage.threads.to_string()),
        ("processes", usage.processes.to_string()),
        ("file handles", usage.file_handles.to_string()),
        ("disk read", Bytes(usage.disk_read_bytes).to_string()),
        ("disk written", Bytes(usage.disk_written_bytes).to_string()),
    ])
}

fn trend(trend: &Trend, amount: impl Fn(f64) -> String) -> String {
    let slope = f64::from(trend.slope_per_second);
    match trend.direction {
        Direction::Unknown | Direction::Stable => String::new(),
        Direction::Improving => format!(", falling {} a second", amount(-slope)),
        Direction::Deteriorating => {
            let limit = trend.limit_in_ms.map_or_else(String::new, |left| format!(", at its limit in {}", ms(left)));
            format!(", rising {} a second{limit}", amount(slope))
        }
    }
}

fn limits(record: &ProcessRecord, colour: bool) -> String {
    if record.limits.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = record
        .limits
        .iter()
        .map(|limit| {
            let broken = record.violations.get(&limit.kind).copied().unwrap_or(0);
            let tint = if broken > 0 { Tint::Bad } else { Tint::Plain };
            vec![
                Cell::new(limit.kind),
                Cell::figure(&limit.value),
                Cell::new(&limit.enforced_by),
                Cell::figure(broken).tinted(tint),
            ]
        })
        .collect();
    table(&["LIMIT", "VALUE", "ENFORCED BY", "BROKEN"], &rows, colour)
}

fn sandbox(record: &ProcessRecord) -> String {
    let keys: Vec<_> = record.sandbox.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    facts(&keys)
}

fn health(record: &ProcessRecord, report: Option<&HealthReport>) -> String {
    let issues: Vec<_> = record.issues.iter().map(|issue| issue.to_string()).collect();
    let mut text = facts(&[
        ("health", record.health.to_string()),
        ("score", record.health_score.map_or_else(String::new, |score| score.to_string())),
        ("status", record.health_status.map_or_else(String::new, |status| status.to_string())),
        ("issues", issues.join(", ")),
        ("responsiveness", record.responsiveness.to_string()),
        ("stability", record.stability.to_string()),
    ]);
    for issue in report.map_or(&[][..], |report| &report.explained) {
        text.push_str(&format!("{}: {}\n", issue.severity, one_line(&issue.description)));
    }
    for advice in report.map_or(&[][..], |report| &report.recommendations) {
        text.push_str(&format!("advice: {}\n", one_line(advice)));
    }
    text
}

fn runs(record: &ProcessRecord, colour: bool) -> String {
    if record.runs.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = record
        .runs
        .iter()
        .map(|run| vec![Cell::new(run.started_at_ms), Cell::figure(ms(run.lasted_ms)), Cell::new(&run.ending)])
        .collect();
    table(&["STARTED", "LASTED", "ENDED BY"], &rows, colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_so_that_a_shell_reads_it_back() {
        for (word, shown) in
            [("node", "node"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''"), ("$HOME", "'$HOME'")]
        {
            assert_eq!(quoted(word), shown);
        }
    }
}
