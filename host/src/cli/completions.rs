//! `wasmvisor completions`.

use std::process::ExitCode;

use clap::{Args, CommandFactory};

use super::Cli;
use super::shell::{Outcome, Shell};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wasmvisor completions bash > ~/.local/share/bash-completion/completions/wasmvisor\n  wasmvisor completions zsh > ~/.zfunc/_wasmvisor\n  wasmvisor completions fish > ~/.config/fish/completions/wasmvisor.fish"
)]
pub(super) struct Arguments {
    /// For which
    shell: clap_complete::Shell,
}

pub(super) fn run(arguments: &Arguments, shell: &Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "wasmvisor", &mut script);
    shell.print(String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
