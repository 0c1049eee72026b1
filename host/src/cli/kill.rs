//! `wasmvisor kill`.

use clap::Args;

use super::each::{Names, each};
use super::shell::{Outcome, Shell};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wasmvisor kill web            SIGKILL to everything it started; nothing is asked first"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    names: Names,
}

pub(super) async fn run(arguments: &Arguments, shell: &Shell) -> Outcome {
    each(shell, &arguments.names.names, ("killing", "killed"), async |client, name| client.kill(name).await).await
}
