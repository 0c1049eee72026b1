//! `wasmvisor logs`: the output of a process.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::shell::{Outcome, Shell};
use crate::control::types::{LogQuery, LogStream};

const EXAMPLES: &str = "\
Examples:
  wasmvisor logs web                       all of it; its errors go to standard error
  wasmvisor logs -f -n 20 web              the last 20 lines of each, and on until it ends
  wasmvisor logs --stream stderr web";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Name, id or beginning of an id
    #[arg(value_name = "PROCESS")]
    name: String,
    /// Go on with new lines until it has come to its end
    #[arg(short, long)]
    follow: bool,
    /// Only this many lines at the end of each output
    #[arg(short = 'n', long, value_name = "COUNT")]
    lines: Option<u64>,
    /// Only `stdout` or `stderr`
    #[arg(long)]
    stream: Option<LogStream>,
}

pub(super) async fn run(arguments: &Arguments, shell: &Shell) -> Outcome {
    let query = LogQuery { stream: arguments.stream, lines: arguments.lines, follow: arguments.follow };
    let mut lines = shell.client()?.logs(&arguments.name, &query).await?;
    while let Some(line) = lines.next().await? {
        if shell.json {
            shell.document(&line)?;
        } else if line.stream == LogStream::Stderr && arguments.stream.is_none() {
            writeln!(std::io::stderr(), "{}", line.text).map_err(super::shell::Failure::Output)?;
        } else {
            shell.line(line.text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
