//! `wasmvisor agent`: tasks that run as supervised processes and give a result.

mod task;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};

use super::progress::waiting;
use super::shell::{Outcome, Shell};
use super::table::{Cell, ago, facts, ms, table};
use crate::agents::{AgentStatistics, AgentTask};

const LIST_EXAMPLES: &str = "\
Examples:
  wasmvisor agent list
  wasmvisor agent list --json | jq -r '.[].agent_id'";
const STATS_EXAMPLES: &str = "\
Examples:
  wasmvisor agent stats
  wasmvisor agent stats --json | jq .ended";
const KILL_EXAMPLES: &str = "\
Examples:
  wasmvisor agent kill agent-1       its task ends with status `killed`";
const RESTART_EXAMPLES: &str = "\
Examples:
  wasmvisor agent restart agent-1    its task begins anew; whoever waits for it goes on waiting";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Run a task to its end and show its result
    Run(Box<task::Arguments>),
    /// List tasks in flight
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Show tasks in figures
    #[command(after_help = STATS_EXAMPLES)]
    Stats,
    /// End an agent's task
    #[command(after_help = KILL_EXAMPLES)]
    Kill(Agent),
    /// Stop an agent's task and start it again
    #[command(after_help = RESTART_EXAMPLES)]
    Restart(Agent),
}

#[derive(Debug, Args)]
pub(super) struct Agent {
    /// Id of the agent; `agent list` shows it
    #[arg(value_name = "AGENT_ID")]
    id: String,
}

pub(super) async fn run(verb: Verb, shell: &Shell) -> Outcome {
    let client = shell.client()?;
    match verb {
        Verb::Run(arguments) => task::run(*arguments, shell, &client).await,
        Verb::List => shell.answer(&client.agents().await?, |tasks| list(tasks, shell.colour)),
        Verb::Stats => shell.answer(&client.agent_statistics().await?, statistics),
        Verb::Kill(Agent { id }) => {
            let done = waiting(shell, &format!("killing {id}"), client.kill_agent(&id)).await?;
            shell.answer(&done, |_| format!("{id} killed\n"))
        }
        Verb::Restart(Agent { id }) => {
            let done = waiting(shell, &format!("restarting {id}"), client.restart_agent(&id)).await?;
            shell.answer(&done, |_| format!("{id} restarted\n"))
        }
    }
}

fn list(tasks: &[AgentTask], colour: bool) -> String {
    if tasks.is_empty() {
        return "no tasks in flight\n".to_owned();
    }
    let row = |task: &AgentTask| {
        vec![
            Cell::new(&task.agent_id),
            Cell::new(&task.agent_type),
            Cell::new(&task.task_id),
            Cell::new(&task.process_id),
            Cell::figure(ago(task.accepted_at_ms)),
        ]
    };
    let rows: Vec<_> = tasks.iter().map(row).collect();
    table(&["AGENT", "TYPE", "TASK", "PROCESS", "SINCE"], &rows, colour)
}

fn statistics(figures: &AgentStatistics) -> String {
    facts(&[
        ("accepted", figures.accepted.to_string()),
        ("in flight", figures.in_flight.to_string()),
        ("ended", counts(&figures.ended)),
        ("mean execution time", ms(figures.mean_execution_time_ms)),
        ("restarts", figures.restarts.to_string()),
    ])
}

fn counts(by_word: &BTreeMap<String, u64>) -> String {
    if by_word.is_empty() {
        return "none".to_owned();
    }
    by_word.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ProcessId;
    use crate::units::Timestamp;

    #[test]
    fn tasks_in_flight_are_shown_with_their_process() {
        let task = AgentTask {
            agent_id: "a-1".into(),
            task_id: "t-1".into(),
            agent_type: "writer".into(),
            process_id: ProcessId::new("p123"),
            accepted_at_ms: Timestamp::now(),
        };
        let text = list(&[task], false);
        assert!(text.contains("a-1") && text.contains("p123"), "{text}");
        assert_eq!(list(&[], false), "no tasks in flight\n");
    }

    #[test]
    fn figures_without_an_ended_task_say_none() {
        let text = statistics(&AgentStatistics::default());
        assert!(text.lines().any(|line| line.starts_with("ended") && line.ends_with("none")), "{text}");
    }
}
