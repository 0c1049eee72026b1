//! `wasmvisor upgrade`: another program takes over, and no process notices.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::shell::{Outcome, Shell};
use crate::control::client::Client;
use crate::control::types::About;
use crate::error::{ErrorClass, Problem};

/// How long the new supervisor may take to answer, and the time between two questions whether it does: its socket
/// comes and goes, and nothing tells when.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

const EXAMPLES: &str = "\
Examples:
  wasmvisor upgrade                                       the program now at the supervisor's own path
  wasmvisor upgrade --program /opt/wasmvisor-1.1/wasmvisor

The holder goes over to the new program in place, then the supervisor does, under its pid and with its arguments.
Processes run on, and what they write is kept. SIGUSR2 to the supervisor does the same as the first example.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The program that takes over [default: the one at the path of the present one]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments, shell: &Shell) -> Outcome {
    let client = shell.client()?;
    let program = arguments
        .program
        .map(std::path::absolute)
        .transpose()
        .map_err(|error| Problem::new(ErrorClass::Configuration, format!("cannot find the program: {error}")))?;
    let before = client.about().await?;
    client.upgrade(program).await?;
    let after = answer_of_the_next(&client, &before).await?;
    shell.answer(&after, |about| format!("{} answers as pid {}", about.version, about.pid))
}

/// Wait until another life answers.
async fn answer_of_the_next(client: &Client, before: &About) -> Result<About, Problem> {
    let answer = async {
        loop {
            match client.about().await {
                Ok(about) if about.since_ms != before.since_ms => return about,
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, answer).await.map_err(|_| {
        let message = "the new supervisor does not answer; processes run on: look at its output, and `wasmvisor run`";
        Problem::new(ErrorClass::Unavailable, message)
    })
}
