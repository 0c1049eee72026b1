//! The same done to several processes at once.

use std::process::ExitCode;

use clap::Args;
use futures_util::future::join_all;

use super::progress::waiting;
use super::shell::{Outcome, Shell};
use crate::control::client::Client;
use crate::error::Problem;
use crate::record::ProcessRecord;

/// Which processes.
#[derive(Debug, Args)]
pub(super) struct Names {
    /// Names, ids or beginnings of ids
    #[arg(required = true, value_name = "PROCESS")]
    pub(super) names: Vec<String>,
}

/// Do `work` to every one of `names` and tell each outcome. For programs the answer is an array of the records of
/// those it was done to. Every failure is told; the first one's exit code is given.
pub(super) async fn each(
    shell: &Shell,
    names: &[String],
    (doing, done): (&str, &str),
    work: impl AsyncFn(&Client, &str) -> Result<ProcessRecord, Problem>,
) -> Outcome {
    let client = shell.client()?;
    let what = format!("{doing} {}", names.join(", "));
    let outcomes = waiting(shell, &what, join_all(names.iter().map(|name| work(&client, name)))).await;
    let mut records = Vec::new();
    let mut code = ExitCode::SUCCESS;
    let mut failed = false;
    for outcome in outcomes {
        match outcome {
            Ok(record) => {
                if !shell.json {
                    shell.line(format_args!("{} {done} ({})", record.name, record.process_id))?;
                }
                records.push(record);
            }
            Err(problem) => {
                if !failed {
                    code = ExitCode::from(problem.class.exit_code());
                }
                failed = true;
                shell.complain(problem);
            }
        }
    }
    if shell.json {
        shell.document(&records)?;
    }
    Ok(code)
}
