//! `wasmvisor pause`.

use clap::Args;

use super::each::{Names, each};
use super::shell::{Outcome, Shell};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wasmvisor pause worker-1      it keeps its memory and uses no processor until `resume`"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    names: Names,
}

pub(super) async fn run(arguments: &Arguments, shell: &Shell) -> Outcome {
    each(shell, &arguments.names.names, ("pausing", "paused"), async |client, name| client.pause(name, true).await)
        .await
}
