//! `wasmvisor start`: a new process, or an ended one again.

use std::path::{Path, PathBuf};

use clap::Args;

use super::arguments::{absolute, pair, words};
use super::progress::waiting;
use super::shell::{Outcome, Shell};
use crate::error::{ErrorClass, Problem};
use crate::record::{ProcessRecord, Status};
use crate::spec::{Priority, ProcessSpec, RestartMode};
use crate::units::{Bytes, CountOrOff, OrOff, Percent, Span};

const EXAMPLES: &str = "\
Examples:
  wasmvisor start web                                       an ended process again
  wasmvisor start --name job -- make -j4                    a new one, in this directory
  wasmvisor start --name db --priority high --restart always --timeout off --memory 1GiB -- ./db --port 5432
  wasmvisor start --name build --env CI=1 --env TOKEN -- ./build.sh      TOKEN as it is set here, out of sight";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Name or id of an ended process to start again
    #[arg(value_name = "PROCESS", conflicts_with = "command", required_unless_present = "command")]
    process: Option<String>,
    /// Command and arguments of a new process, after `--`
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    #[command(flatten)]
    new: NewProcess,
}

/// What may be said of a new process.
#[derive(Debug, Args)]
#[command(next_help_heading = "For a new process")]
struct NewProcess {
    /// Its name [default: that of the command]
    #[arg(long, conflicts_with = "process")]
    name: Option<String>,
    /// Working directory [default: this one]
    #[arg(long, conflicts_with = "process", value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Kind of worker
    #[arg(long, conflicts_with = "process", value_name = "TYPE")]
    agent_type: Option<String>,
    /// What work it belongs to
    #[arg(long, conflicts_with = "process", value_name = "ID")]
    task_id: Option<String>,
    /// Scheduling class [default: normal]
    #[arg(long, conflicts_with = "process", value_parser = words(&Priority::ALL, Priority::as_str))]
    priority: Option<Priority>,
    /// When it is wanted back [default: on-failure]
    #[arg(long, conflicts_with = "process", value_parser = words(&MODES, mode))]
    restart: Option<RestartMode>,
    /// How many restarts in a row at most
    #[arg(long, conflicts_with = "process", value_name = "COUNT")]
    max_restarts: Option<u32>,
    /// How long the work may take, or `off`
    #[arg(long, conflicts_with = "process", value_name = "DURATION")]
    timeout: Option<OrOff<Span>>,
    /// How long one run may last, or `off`
    #[arg(long, conflicts_with = "process", value_name = "DURATION")]
    execution_time: Option<OrOff<Span>>,
    /// Memory limit, for example 512MiB, or `off`
    #[arg(long, conflicts_with = "process", value_name = "SIZE")]
    memory: Option<OrOff<Bytes>>,
    /// CPU limit in percent of one core, for example 80%, or `off`
    #[arg(long, conflicts_with = "process", value_name = "PERCENT")]
    cpu: Option<OrOff<Percent>>,
    /// Limit of file handles
    #[arg(long, conflicts_with = "process", value_name = "COUNT")]
    file_handles: Option<u32>,
    /// A label; may be given several times
    #[arg(long, conflicts_with = "process", value_delimiter = ',')]
    tag: Vec<String>,
    /// A variable; without a value it is taken from here, where nobody else sees it
    #[arg(long, conflicts_with = "process", value_name = "KEY[=VALUE]")]
    env: Vec<String>,
    /// Free data
    #[arg(long, conflicts_with = "process", value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
}

const MODES: [RestartMode; 3] = [RestartMode::No, RestartMode::OnFailure, RestartMode::Always];

const fn mode(mode: RestartMode) -> &'static str {
    match mode {
        RestartMode::No => "no",
        RestartMode::OnFailure => "on-failure",
        RestartMode::Always => "always",
    }
}

pub(super) async fn run(arguments: Arguments, shell: &Shell) -> Outcome {
    let client = shell.client()?;
    let record = match arguments.process {
        Some(name) => waiting(shell, &format!("starting {name}"), client.start(&name)).await?,
        None => {
            let spec = specification(arguments.command, arguments.new)?;
            waiting(shell, &format!("starting {}", spec.name), client.create(&spec)).await?
        }
    };
    shell.answer(&record, text)
}

fn text(record: &ProcessRecord) -> String {
    let (name, id) = (&record.name, &record.process_id);
    match (record.status, &record.run) {
        (Status::Queued, _) => {
            let place = record.queue_position.map_or_else(String::new, |place| format!(" at place {place}"));
            let reason = if record.reason.is_empty() { String::new() } else { format!(": {}", record.reason) };
            format!("{name} waits{place}{reason} ({id})\n")
        }
        (Status::Running | Status::Idle | Status::Starting, Some(run)) => {
            format!("{name} started, pid {} ({id})\n", run.pid)
        }
        (status, _) => format!("{name} started and is {status} ({id})\n"),
    }
}

fn specification(mut command: Vec<String>, new: NewProcess) -> Result<ProcessSpec, Problem> {
    let program = command.first_mut().ok_or_else(|| wrong("the command is empty"))?;
    let base = Path::new(program.as_str()).file_name().map(|name| name.to_string_lossy().into_owned());
    // The supervisor's directory is another: what was meant from here must be said in full.
    if program.contains('/') {
        *program = absolute(Path::new(program.as_str()))?.to_string_lossy().into_owned();
    }
    let name = new.name.or(base).unwrap_or_default();
    let mut spec = ProcessSpec::new(name, command);
    spec.directory = Some(absolute(new.directory.as_deref().unwrap_or(Path::new(".")))?);
    spec.agent_type = new.agent_type.unwrap_or_default();
    spec.task_id = new.task_id.unwrap_or_default();
    spec.priority = new.priority.unwrap_or_default();
    spec.restart = new.restart.unwrap_or_default();
    spec.max_restarts = new.max_restarts;
    spec.timeout = new.timeout;
    spec.limits.execution_time = new.execution_time;
    spec.limits.memory = new.memory;
    spec.limits.cpu = new.cpu;
    spec.limits.file_handles = new.file_handles.map(|count| CountOrOff(Some(count)));
    spec.tags = new.tag;
    spec.metadata = new.metadata.into_iter().collect();
    for variable in new.env {
        let (key, value) = environment(variable)?;
        spec.env.insert(key, value);
    }
    spec.validate().map_err(|error| wrong(error.to_string()))?;
    Ok(spec)
}

fn environment(text: String) -> Result<(String, String), Problem> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => match std::env::var(&text) {
            Ok(value) => Ok((text, value)),
            Err(_) => Err(wrong(format!("--env {text}: not set here as text; write {text}=VALUE"))),
        },
    }
}

fn wrong(message: impl Into<String>) -> Problem {
    Problem::new(ErrorClass::Configuration, message)
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

    fn parse(words: &[&str]) -> Result<Arguments, clap::Error> {
        Line::try_parse_from([&["start"], words].concat()).map(|line| line.arguments)
    }

    fn spec(words: &[&str]) -> Result<ProcessSpec, Problem> {
        let arguments = parse(words).unwrap();
        specification(arguments.command, arguments.new)
    }

    #[test]
    fn every_option_reaches_the_specification() {
        let spec = spec(&[
            "--name",
            "n",
            "--directory",
            "/d",
            "--agent-type",
            "a",
            "--task-id",
            "t",
            "--priority",
            "high",
            "--restart",
            "always",
            "--max-restarts",
            "2",
            "--timeout",
            "off",
            "--memory",
            "1GiB",
            "--cpu",
            "150%",
            "--tag",
            "x,y",
            "--env",
            "A=b=c",
            "--",
            "sleep",
            "5",
        ])
        .unwrap();
        assert_eq!((spec.name.as_str(), spec.directory, spec.agent_type.as_str()), ("n", Some("/d".into()), "a"));
        assert_eq!((spec.task_id.as_str(), spec.priority, spec.restart), ("t", Priority::High, RestartMode::Always));
        assert_eq!((spec.max_restarts, spec.timeout), (Some(2), Some(OrOff::Off)));
        assert_eq!(spec.limits.memory, Some(OrOff::Of(Bytes(1 << 30))));
        assert_eq!((spec.tags, spec.env["A"].as_str()), (vec!["x".to_owned(), "y".to_owned()], "b=c"));
        assert_eq!(spec.command, ["sleep", "5"]);
    }

    #[test]
    fn a_relative_program_and_no_directory_mean_here() {
        let here = std::env::current_dir().unwrap();
        let spec = spec(&["--", "./run", "./x"]).unwrap();
        assert_eq!((spec.name.as_str(), spec.directory.as_deref()), ("run", Some(here.as_path())));
        assert_eq!(spec.command, [here.join("run").to_string_lossy().as_ref(), "./x"]);
    }

    #[test]
    fn options_of_a_new_process_need_a_command() {
        assert!(parse(&["web", "--memory", "1GiB"]).is_err());
        assert!(parse(&["web", "--", "sleep"]).is_err());
        assert!(parse(&[]).is_err());
        assert!(parse(&["web"]).is_ok());
    }

    #[test]
    fn a_name_that_cannot_be_is_refused_before_anybody_is_asked() {
        assert!(spec(&["--name", "a b", "--", "true"]).unwrap_err().message.contains("name"));
    }
}
