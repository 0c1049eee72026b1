//! The command line: one file for each verb.
//!
//! Owns the words people type and what they read. `run` and `demo` hold a daemon; every other verb is a client of one,
//! or needs none. Entered by `main` alone; the only room that speaks to a terminal.

mod agent;
mod arguments;
mod completions;
mod config;
mod demo;
mod describe;
mod doctor;
mod each;
mod events;
mod kill;
mod logs;
mod narrate;
mod pause;
mod policy;
mod progress;
mod ps;
mod query;
mod restart;
mod resume;
mod run;
mod shell;
mod signal;
mod start;
mod stats;
mod stop;
mod table;
mod top;
mod upgrade;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use shell::{Outcome, Shell};

const EXAMPLES: &str = "\
Examples:
  wasmvisor demo                              see it all on real processes, in under a minute
  wasmvisor run policies/demo.toml            supervise what a configuration says, in the foreground
  wasmvisor start --name job -- make -j4      from a second terminal: start something
  wasmvisor ps                                what runs, and how well
  wasmvisor logs -f job                       its output
  wasmvisor events -f                         everything that happens

Exit codes: 0 done; 1 a task or golden case failed; 2 wrong usage; 3 configuration; 4 no room;
5 forbidden by a rule; 6 a process did not do what it should; 7 not found; 8 no supervisor answers.";

/// How long what still runs in the background may hold up the exit.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(1);

#[derive(Debug, Parser)]
#[command(name = "wasmvisor", version, about = "A process supervisor whose every judgement is a WebAssembly policy")]
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Options of every verb; they may stand before it or after it.
#[derive(Debug, Args)]
struct Global {
    /// State directory of the supervisor [default: that of the configuration, or $XDG_STATE_HOME/wasmvisor]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    state_dir: Option<PathBuf>,
    /// Control socket [default: control.sock in the state directory]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global options")]
    socket: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Supervise what a configuration says, in the foreground
    Run(run::Arguments),
    /// See everything on real processes, in under a minute
    Demo,
    /// List processes
    Ps(ps::Arguments),
    /// Tell everything about one process
    Describe(describe::Arguments),
    /// Start a new process, or an ended one again
    Start(Box<start::Arguments>),
    /// Stop processes and wait until they are
    Stop(stop::Arguments),
    /// Stop processes and start them again
    Restart(restart::Arguments),
    /// Kill processes at once
    Kill(kill::Arguments),
    /// Send a signal to processes
    Signal(signal::Arguments),
    /// Stop the clock of processes
    Pause(pause::Arguments),
    /// Let paused processes go on
    Resume(resume::Arguments),
    /// Show the output of a process
    Logs(logs::Arguments),
    /// Show what happened
    Events(events::Arguments),
    /// Find processes by what is known of them
    Query(Box<query::Arguments>),
    /// Show the whole in figures
    Stats,
    /// Watch processes, refreshed
    Top(top::Arguments),
    /// Look at policies and swap them
    #[command(subcommand)]
    Policy(policy::Verb),
    /// Run tasks for agents
    #[command(subcommand)]
    Agent(agent::Verb),
    /// Check, show and reload the configuration
    #[command(subcommand)]
    Config(config::Verb),
    /// Let another program take over as the supervisor, leaving every process alone
    Upgrade(upgrade::Arguments),
    /// Tell what this machine can do and what is missing
    Doctor,
    /// Write completions for a shell
    Completions(completions::Arguments),
}

/// Do what `arguments` say, the program's name first; gives the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Nowhere is left to tell it when the terminal is gone.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let shell = Shell::new(cli.global.json, cli.global.state_dir, cli.global.socket);
    let many_threads = matches!(cli.verb, Verb::Run(_) | Verb::Demo);
    let outcome = shell::runtime(many_threads).and_then(|runtime| {
        let outcome = runtime.block_on(dispatch(cli.verb, &shell));
        // Tasks are dropped, so that the database is closed; a write to a terminal that stands still, or a compile
        // under way, must not hold up the exit.
        runtime.shutdown_timeout(FAREWELL);
        outcome
    });
    let outcome = outcome.and_then(|code| shell.become_the_successor().map(|_| code));
    shell.conclude(outcome)
}

async fn dispatch(verb: Verb, shell: &Shell) -> Outcome {
    match verb {
        Verb::Run(arguments) => run::run(arguments, shell).await,
        Verb::Demo => Ok(demo::run(shell.json).await?),
        Verb::Ps(arguments) => ps::run(&arguments, shell).await,
        Verb::Describe(arguments) => describe::run(&arguments, shell).await,
        Verb::Start(arguments) => start::run(*arguments, shell).await,
        Verb::Stop(arguments) => stop::run(&arguments, shell).await,
        Verb::Restart(arguments) => restart::run(&arguments, shell).await,
        Verb::Kill(arguments) => kill::run(&arguments, shell).await,
        Verb::Signal(arguments) => signal::run(&arguments, shell).await,
        Verb::Pause(arguments) => pause::run(&arguments, shell).await,
        Verb::Resume(arguments) => resume::run(&arguments, shell).await,
        Verb::Logs(arguments) => logs::run(&arguments, shell).await,
        Verb::Events(arguments) => events::run(arguments, shell).await,
        Verb::Query(arguments) => query::run(*arguments, shell).await,
        Verb::Stats => stats::run(shell).await,
        Verb::Top(arguments) => top::run(&arguments, shell).await,
        Verb::Policy(verb) => policy::run(verb, shell).await,
        Verb::Agent(verb) => agent::run(verb, shell).await,
        Verb::Config(verb) => config::run(verb, shell).await,
        Verb::Upgrade(arguments) => upgrade::run(arguments, shell).await,
        Verb::Doctor => doctor::run(shell).await,
        Verb::Completions(arguments) => completions::run(&arguments, shell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_words_of_the_command_line_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_may_stand_before_or_after_the_verb() {
        for words in [["wasmvisor", "--json", "--socket", "/s", "ps"], ["wasmvisor", "ps", "--json", "--socket", "/s"]]
        {
            let cli = Cli::try_parse_from(words).unwrap();
            assert!(cli.global.json && cli.global.socket == Some("/s".into()));
        }
    }

    #[test]
    fn every_verb_has_an_example() {
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let nested = verb.has_subcommands();
            assert!(
                nested || help.contains("wasmvisor") || ["stats", "doctor", "demo"].contains(&verb.get_name()),
                "{}",
                verb.get_name()
            );
        }
    }
}
