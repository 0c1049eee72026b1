//! `wasmvisor ps`: processes as a table.

use std::sync::Arc;

use clap::Args;

use super::shell::{Outcome, Shell};
use super::table::{Cell, Tint, ago, table};
use crate::record::{Page, ProcessRecord, Query};
use crate::units::{Bytes, Percent};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wasmvisor ps\n  wasmvisor ps --all             ended ones from the history too\n  wasmvisor ps --json | jq -r '.processes[].name'"
)]
pub(super) struct Arguments {
    /// Ended processes from the history too
    #[arg(short, long)]
    all: bool,
}

pub(super) async fn run(arguments: &Arguments, shell: &Shell) -> Outcome {
    let query = Query { history: arguments.all, ..Query::default() };
    let page = shell.client()?.query(&query).await?;
    shell.answer(&page, |page| text(page, shell.colour))
}

/// A page as a table, with a word on what is not on it.
pub(super) fn text(page: &Page, colour: bool) -> String {
    if page.processes.is_empty() {
        return if page.total == 0 { "no processes\n".to_owned() } else { "no processes on this page\n".to_owned() };
    }
    let mut text = processes(&page.processes, colour);
    if page.processes.len() < page.total {
        text.push_str(&format!("{} of {}; see the rest with --offset\n", page.processes.len(), page.total));
    }
    text
}

fn processes(records: &[Arc<ProcessRecord>], colour: bool) -> String {
    let heads = ["ID", "NAME", "STATUS", "HEALTH", "SCORE", "PID", "MEMORY", "CPU", "UP", "RESTARTS", "REASON"];
    let rows: Vec<_> = records.iter().map(|record| row(record)).collect();
    table(&heads, &rows, colour)
}

fn row(record: &ProcessRecord) -> Vec<Cell> {
    let live = !record.status.is_ended() && record.ended_at_ms.is_none();
    let usage = record.usage.filter(|_| live);
    vec![
        Cell::new(&record.process_id),
        Cell::new(&record.name),
        Cell::new(record.status).tinted(Tint::of_status(record.status)),
        Cell::new(record.health).tinted(Tint::of_health(record.health, record.health_status)),
        Cell::maybe(record.health_score),
        Cell::maybe(record.run.as_ref().filter(|_| live).map(|run| run.pid)),
        Cell::maybe(usage.map(|usage| Bytes(usage.memory_bytes))),
        Cell::maybe(usage.map(|usage| Percent(round(usage.cpu_percent)))),
        Cell::maybe(record.started_at_ms.filter(|_| live).map(ago)),
        Cell::figure(record.restarts),
        Cell::new(reason(record)).tinted(Tint::Faint),
    ]
}

/// One digit after the point is as much as a second of measuring can tell.
pub(super) fn round(percent: f32) -> f64 {
    (f64::from(percent) * 10.0).round() / 10.0
}

fn reason(record: &ProcessRecord) -> String {
    match (record.queue_position, record.next_restart_at_ms) {
        (Some(position), _) => format!("place {position}: {}", record.reason),
        (None, Some(due)) if record.status == crate::record::Status::Backoff => {
            let wait = crate::units::human_duration(due.since(crate::units::Timestamp::now()));
            format!("back in {wait}: {}", record.reason)
        }
        _ => record.reason.clone(),
    }
}
