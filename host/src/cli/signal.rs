//! `wasmvisor signal`.

use clap::Args;

use super::each::{Names, each};
use super::shell::{Outcome, Shell};
use crate::spec::StopSignal;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wasmvisor signal HUP web           to its main process\n  wasmvisor signal USR1 worker-1 worker-2"
)]
pub(super) struct Arguments {
    /// Name or number, for example HUP
    signal: StopSignal,
    #[command(flatten)]
    names: Names,
}

pub(super) async fn run(arguments: &Arguments, shell: &Shell) -> Outcome {
    let signal = arguments.signal;
    let done = format!("got SIG{signal}");
    each(shell, &arguments.names.names, ("signalling", &done), async |client, name| client.signal(name, signal).await)
        .await
}
