//! `wasmvisor restart`.

use clap::Args;

use super::each::{Names, each};
use super::shell::{Outcome, Shell};
use crate::supervisor::RestartWait;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wasmvisor restart web\n  wasmvisor restart --no-wait web      returns while it is still being stopped"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    names: Names,
    /// Return as soon as it is being stopped, not when it runs again
    #[arg(long)]
    no_wait: bool,
}

pub(super) async fn run(arguments: &Arguments, shell: &Shell) -> Outcome {
    let (wait, done) =
        if arguments.no_wait { (RestartWait::Asked, "is restarting") } else { (RestartWait::Started, "restarted") };
    each(shell, &arguments.names.names, ("restarting", done), async |client, name| client.restart(name, wait).await)
        .await
}
