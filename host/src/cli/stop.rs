//! `wasmvisor stop`.

use clap::Args;

use super::each::{Names, each};
use super::shell::{Outcome, Shell};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wasmvisor stop web            asks it to stop, kills what is left after its grace, waits for the end\n  wasmvisor stop web worker-1"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    names: Names,
}

pub(super) async fn run(arguments: &Arguments, shell: &Shell) -> Outcome {
    each(shell, &arguments.names.names, ("stopping", "stopped"), async |client, name| client.stop(name).await).await
}
