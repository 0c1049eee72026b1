//! `wasmvisor agent run`: run a task to its end and show its result.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::agents::{AgentRequest, AgentResult, AgentStatus};
use crate::cli::arguments::{absolute, pair, words};
use crate::cli::progress::waiting;
use crate::cli::shell::{Failure, Outcome, Shell};
use crate::cli::table::ms;
use crate::control::client::Client;
use crate::error::{ErrorClass, Problem};
use crate::spec::Priority;
use crate::units::{Bytes, OrOff, Span};

const EXAMPLES: &str = "\
Examples:
  wasmvisor agent run --type summariser \"sum up the report\"
  wasmvisor agent run --type coder --timeout 30m --context BRANCH=main - < task.md
  wasmvisor agent run --type coder --json \"fix the test\" | jq -r .status

The task's output goes to standard output, its errors and a line about its end to standard error. Exit code 0 when it
succeeded, 1 when it did not. Interrupting this command ends the waiting and not the task: `agent kill` does that.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// What to do; `-` reads it from standard input
    #[arg(value_name = "INSTRUCTIONS", conflicts_with = "named")]
    instructions: Option<String>,
    /// The same by name, for instructions that begin with a dash
    #[arg(long = "instructions", value_name = "TEXT", allow_hyphen_values = true)]
    named: Option<String>,
    /// Which runtime: a table [agent.TYPE] of the configuration
    #[arg(long = "type", value_name = "TYPE")]
    agent_type: String,
    /// Who does it; made up when absent
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    agent_id: String,
    /// What work it belongs to; made up when absent
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    task_id: String,
    /// Scheduling class
    #[arg(long, default_value = "normal", value_parser = words(&Priority::ALL, Priority::as_str))]
    priority: Priority,
    /// How long it may take, or `off`; the runtime's limit when absent
    #[arg(long, value_name = "DURATION")]
    timeout: Option<OrOff<Span>>,
    /// Working directory; the runtime's when absent
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// More for the runtime to fill in; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    context: Vec<(String, String)>,
}

impl Arguments {
    fn request(self) -> Result<AgentRequest, Problem> {
        let instructions = match self.instructions.as_deref() {
            Some("-") => standard_input()?,
            _ => self.instructions.or(self.named).unwrap_or_default(),
        };
        Ok(AgentRequest {
            agent_id: self.agent_id,
            agent_type: self.agent_type,
            task_id: self.task_id,
            instructions,
            priority: self.priority,
            timeout: self.timeout,
            directory: self.directory.as_deref().map(absolute).transpose()?,
            context: self.context.into_iter().collect(),
        })
    }
}

fn standard_input() -> Result<String, Problem> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| {
        Problem::new(ErrorClass::Configuration, format!("cannot read the instructions from standard input: {error}"))
    })?;
    Ok(text)
}

pub(super) async fn run(arguments: Arguments, shell: &Shell, client: &Client) -> Outcome {
    let request = arguments.request()?;
    let what = format!("{} works", request.agent_type);
    let result = waiting(shell, &what, client.run_agent(&request)).await?;
    if shell.json {
        shell.document(&result)?;
    } else {
        shell.print(&result.output)?;
        write!(std::io::stderr(), "{}{}", ended_line(&result.error), summary(&result)).map_err(Failure::Output)?;
    }
    Ok(if result.status == AgentStatus::Success { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The text with a line end, when there is any.
fn ended_line(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

fn summary(result: &AgentResult) -> String {
    let status = match result.status {
        AgentStatus::Success => "success",
        AgentStatus::Failure => "failure",
        AgentStatus::Timeout => "timeout",
        AgentStatus::Killed => "killed",
    };
    let exit = result.exit.filter(|exit| !exit.is_success()).map(|exit| format!(" ({exit})")).unwrap_or_default();
    let waited = result.total_time_ms.saturating_sub(result.execution_time_ms);
    format!(
        "{} by {}: {status}{exit} after {}, {} waited; {} of CPU, peak {}, {} restarts\n",
        result.task_id,
        result.agent_id,
        ms(result.execution_time_ms),
        ms(waited),
        ms(result.cpu_time_ms),
        Bytes(result.peak_memory_bytes),
        result.restarts,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::ExitStatus;
    use crate::spec::ProcessId;

    #[test]
    fn a_failure_is_told_with_its_exit_and_its_cost() {
        let result = AgentResult {
            agent_id: "a".into(),
            task_id: "t".into(),
            agent_type: "coder".into(),
            process_id: ProcessId::new("p"),
            status: AgentStatus::Failure,
            exit: Some(ExitStatus::Code(3)),
            output: String::new(),
            error: String::new(),
            total_time_ms: 3000,
            execution_time_ms: 2000,
            peak_memory_bytes: 1 << 20,
            cpu_time_ms: 40,
            restarts: 0,
        };
        let text = summary(&result);
        assert_eq!(text, "t by a: failure (exit code 3) after 2s, 1s waited; 40ms of CPU, peak 1MiB, 0 restarts\n");
    }

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn request(words: &[&str]) -> Result<AgentRequest, String> {
        let words = ["run", "--type", "coder"].iter().chain(words);
        let line = <Line as clap::Parser>::try_parse_from(words).map_err(|error| error.to_string())?;
        line.arguments.request().map_err(|problem| problem.message)
    }

    #[test]
    fn every_option_reaches_the_request() {
        let words = [
            "--priority",
            "high",
            "--timeout",
            "off",
            "--context",
            "A=1",
            "--context",
            "B=2",
            "--task-id",
            "t",
            "do it",
        ];
        let request = request(&words).unwrap();
        assert_eq!((request.agent_type.as_str(), request.instructions.as_str()), ("coder", "do it"));
        assert_eq!((request.priority, request.timeout), (Priority::High, Some(OrOff::Off)));
        assert_eq!((request.context.len(), request.task_id.as_str()), (2, "t"));
    }

    #[test]
    fn instructions_may_be_named_but_not_given_twice() {
        assert_eq!(request(&["--instructions", "--help me"]).unwrap().instructions, "--help me");
        assert!(request(&["--instructions", "a", "b"]).unwrap_err().contains("cannot be used with"));
    }

    #[test]
    fn errors_of_the_task_end_before_the_line_about_it_begins() {
        assert_eq!((ended_line("x"), ended_line("x\n"), ended_line("")), ("x\n".into(), "x\n".into(), String::new()));
    }
}
