//! `wasmvisor logs`: the output of a process.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::arguments::moment;
use super::shell::{Failure, Outcome, Shell};
use crate::control::types::{LogLine, LogQuery, LogStream};
use crate::units::Timestamp;

const EXAMPLES: &str = "\
Examples:
  wasmvisor logs web                       all that is kept; its errors go to standard error
  wasmvisor logs -f -n 20 web              the last 20 lines of each, and on until it ends
  wasmvisor logs --stream stderr web
  wasmvisor logs -t --since 10m web        of the last ten minutes, with the time of each line (UTC)
  wasmvisor logs --since 2030-01-31T08:00:00Z --until 2030-01-31T09:00:00Z web";

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
    /// Only lines since then: an age (10m) or a date and time
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only lines until then: an age (5m) or a date and time
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Timestamp>,
    /// Only `stdout` or `stderr`
    #[arg(long)]
    stream: Option<LogStream>,
    /// Begin each line with its time (UTC); `~` marks one that is only known roughly
    #[arg(short, long)]
    timestamps: bool,
}

impl From<&Arguments> for LogQuery {
    fn from(arguments: &Arguments) -> Self {
        Self {
            stream: arguments.stream,
            lines: arguments.lines,
            since_ms: arguments.since,
            until_ms: arguments.until,
            follow: arguments.follow,
        }
    }
}

pub(super) async fn run(arguments: &Arguments, shell: &Shell) -> Outcome {
    let mut lines = shell.client()?.logs(&arguments.name, &arguments.into()).await?;
    while let Some(line) = lines.next().await? {
        if shell.json {
            shell.document(&line)?;
            continue;
        }
        let time = if arguments.timestamps { time(&line) } else { String::new() };
        if line.stream == LogStream::Stderr && arguments.stream.is_none() {
            writeln!(std::io::stderr(), "{time}{}", line.text).map_err(Failure::Output)?;
        } else {
            shell.line(format_args!("{time}{}", line.text))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn time(line: &LogLine) -> String {
    format!("{}{} ", line.at_ms, if line.approximate { "~" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn every_argument_reaches_the_query() {
        let words = "logs -f -n 3 --since 1970-01-01T00:00:01Z --until 1970-01-01T00:00:02Z --stream stderr -t web";
        let line = Line::try_parse_from(words.split(' ')).unwrap();
        let wanted = LogQuery {
            stream: Some(LogStream::Stderr),
            lines: Some(3),
            since_ms: Some(Timestamp(1000)),
            until_ms: Some(Timestamp(2000)),
            follow: true,
        };
        assert_eq!(LogQuery::from(&line.arguments), wanted);
    }

    #[test]
    fn times_that_are_only_known_roughly_are_marked() {
        let line = |approximate| LogLine {
            stream: LogStream::Stdout,
            at_ms: Timestamp(1500),
            approximate,
            text: String::new(),
        };
        assert_eq!(time(&line(false)), "1970-01-01T00:00:01.500Z ");
        assert_eq!(time(&line(true)), "1970-01-01T00:00:01.500Z~ ");
    }
}
