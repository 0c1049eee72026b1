//! `wasmvisor events`: what happened and happens.

use std::process::ExitCode;

use clap::Args;

use super::narrate;
use super::shell::{Outcome, Shell};
use crate::control::client::Heard;
use crate::control::types::EventQuery;
use crate::event::Event;

const EXAMPLES: &str = "\
Examples:
  wasmvisor events                         what is still remembered
  wasmvisor events -f                      what happens from now on
  wasmvisor events -f --after 0            both
  wasmvisor events -f --type alert. --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Go on with new events
    #[arg(short, long)]
    follow: bool,
    /// Only events with a larger number
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// Only events whose type begins so, for example `process.`
    #[arg(long = "type", value_name = "PREFIX")]
    kind: Option<String>,
}

pub(super) async fn run(arguments: Arguments, shell: &Shell) -> Outcome {
    let query = EventQuery { after: arguments.after, follow: arguments.follow, kind: arguments.kind };
    let mut events = shell.client()?.events(&query).await?;
    while let Some(heard) = events.next().await? {
        match (&heard, shell.json) {
            (Heard::Event(text), true) => shell.line(text)?,
            (Heard::Missed(count), true) => {
                shell.document(&serde_json::json!({ "type": "missed", "missed": count }))?
            }
            (Heard::Missed(count), false) => {
                shell.line(format_args!("... {count} events were too fast and are missing"))?
            }
            (Heard::Event(text), false) => match heard.event() {
                Ok(Some(event)) => shell.line(line(&event, shell.colour))?,
                // From a newer supervisor: shown as it came.
                _ => shell.line(text)?,
            },
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Number, time of day (UTC) and the event in words.
pub(super) fn line(event: &Event, colour: bool) -> String {
    let at = event.at_ms.to_string();
    let time = at.get(11..23).unwrap_or(&at);
    format!("{:>6} {time} {}", event.seq, super::table::one_line_but_colour(&narrate::line(event, colour)))
}
