//! `wasmvisor top`: processes, refreshed until interrupted; once when nobody watches.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::arguments::{duration, words};
use super::ps;
use super::shell::{Outcome, Shell};
use super::table::ms;
use crate::record::{Query, SortKey};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wasmvisor top\n  wasmvisor top --sort cpu --interval 5s\n  wasmvisor top --json             one picture, as JSON"
)]
pub(super) struct Arguments {
    /// Time between two pictures
    #[arg(long, default_value = "2s", value_parser = duration)]
    interval: Duration,
    /// Order, largest first
    #[arg(long, default_value = "memory", value_parser = words(SortKey::ALL, SortKey::as_str))]
    sort: SortKey,
}

pub(super) async fn run(arguments: &Arguments, shell: &Shell) -> Outcome {
    let client = shell.client()?;
    let query = Query { sort: arguments.sort, descending: true, ..Query::default() };
    let watched = !shell.json && std::io::stdout().is_terminal();
    loop {
        let page = client.query(&query).await?;
        if shell.json {
            return shell.answer(&page, |_| String::new());
        }
        let statistics = client.statistics().await?;
        let head = format!(
            "up {}, {} active, {} waiting, memory {} in use, load {} of each core\n\n",
            ms(statistics.uptime_ms),
            statistics.active,
            statistics.queued,
            crate::units::Percent(ps::round(statistics.system.memory_in_use_percent)),
            crate::units::Percent(ps::round(statistics.system.load_per_core_percent)),
        );
        // From the top of the screen, and nothing of the picture before below it.
        let (from, to) = if watched { ("\x1b[H", "\x1b[J") } else { ("", "") };
        let picture = (head + &ps::text(&page, shell.colour)).replace('\n', if watched { "\x1b[K\n" } else { "\n" });
        shell.print(format_args!("{from}{picture}{to}"))?;
        if !watched {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::select! {
            () = tokio::time::sleep(arguments.interval.max(Duration::from_millis(100))) => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        }
    }
}
