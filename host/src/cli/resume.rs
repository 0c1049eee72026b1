//! `wasmvisor resume`.

use clap::Args;

use super::each::{Names, each};
use super::shell::{Outcome, Shell};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wasmvisor resume worker-1")]
pub(super) struct Arguments {
    #[command(flatten)]
    names: Names,
}

pub(super) async fn run(arguments: &Arguments, shell: &Shell) -> Outcome {
    each(shell, &arguments.names.names, ("resuming", "resumed"), async |client, name| client.pause(name, false).await)
        .await
}
