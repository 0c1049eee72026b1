//! `wasmvisor config`: check, show and reload the configuration.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::policy::check_set;
use super::progress::waiting;
use super::shell::{Outcome, Shell};
use crate::config::{self, Config, base_directory};
use crate::daemon::Reloaded;
use crate::error::{ErrorClass, Problem};
use crate::policy::PolicyError;

const CHECK_EXAMPLES: &str = "\
Examples:
  wasmvisor config check                     the one in its usual place
  wasmvisor config check policies/demo.toml
  wasmvisor config check conf.d              a directory of fragments

Tells every mistake with its file and line, and loads the policies as `run` would. Starts nothing.";
const DEFAULT_EXAMPLES: &str = "\
Examples:
  wasmvisor config default > wasmvisor.toml";
const SCHEMA_EXAMPLES: &str = "\
Examples:
  wasmvisor config schema > wasmvisor.schema.json";
const RELOAD_EXAMPLES: &str = "\
Examples:
  wasmvisor config reload

The running supervisor reads its configuration again and applies what changed, and nothing else. A configuration with
a mistake is refused whole.";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Check a configuration without starting anything
    #[command(after_help = CHECK_EXAMPLES)]
    Check(File),
    /// Print a commented configuration with every default
    #[command(after_help = DEFAULT_EXAMPLES)]
    Default,
    /// Print the JSON Schema of the configuration, for editors
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
    /// Let the running supervisor read its configuration again
    #[command(after_help = RELOAD_EXAMPLES)]
    Reload,
}

#[derive(Debug, Args)]
pub(super) struct File {
    /// A file, or a directory of fragments [default: as for `run`]
    #[arg(value_name = "CONFIG")]
    path: Option<PathBuf>,
}

pub(super) async fn run(verb: Verb, shell: &Shell) -> Outcome {
    match verb {
        Verb::Check(file) => check(file, shell).await,
        Verb::Default => shell.answer(&Config::default(), |_| config::default_text().to_owned()),
        Verb::Schema => shell.answer(&config::schema(), |schema| format!("{schema:#}\n")),
        Verb::Reload => {
            let client = shell.client()?;
            let reloaded = waiting(shell, "reloading", client.reload()).await?;
            shell.answer(&reloaded, changes)
        }
    }
}

/// What a check found; a configuration with mistakes gets a problem instead.
#[derive(Debug, Serialize)]
struct Checked {
    config: PathBuf,
    ok: bool,
    processes: Vec<String>,
    agents: Vec<String>,
    notes: Vec<String>,
}

async fn check(file: File, shell: &Shell) -> Outcome {
    let path = file.path.or_else(config::locate).ok_or_else(|| {
        let message = "no configuration found: name one, or write `wasmvisor config default > wasmvisor.toml`";
        Problem::new(ErrorClass::NotFound, message)
    })?;
    let config = Config::load(&path)?;
    let checked = checked(&path, &config);
    let base = base_directory(&path)?;
    let load = move || config.policy_set(&base).map_err(|error| PolicyError { message: error.message });
    waiting(shell, "loading the policies", check_set(load)).await?;
    shell.answer(&checked, words)
}

fn checked(path: &Path, config: &Config) -> Checked {
    Checked {
        config: path.to_owned(),
        ok: true,
        processes: config.process.keys().cloned().collect(),
        agents: config.agent.keys().cloned().collect(),
        notes: config.notes(),
    }
}

fn words(checked: &Checked) -> String {
    let mut text = format!("{}: ok; {}", checked.config.display(), listed("process", "processes", &checked.processes));
    text.push_str(&format!("; {}\n", listed("agent type", "agent types", &checked.agents)));
    for note in &checked.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

fn listed(one: &str, many: &str, names: &[String]) -> String {
    match names {
        [] => format!("no {many}"),
        [name] => format!("1 {one} ({name})"),
        names => format!("{} {many} ({})", names.len(), names.join(", ")),
    }
}

fn changes(reloaded: &Reloaded) -> String {
    let changes = [("added", &reloaded.added), ("removed", &reloaded.removed), ("changed", &reloaded.changed)];
    let said: Vec<_> = changes
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} {}", names.join(", ")))
        .collect();
    if said.is_empty() {
        "reloaded; no process changed\n".to_owned()
    } else {
        format!("reloaded: {}\n", said.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_tells_what_changed_and_nothing_else() {
        assert_eq!(changes(&Reloaded::default()), "reloaded; no process changed\n");
        let reloaded =
            Reloaded { added: vec!["a".into(), "b".into()], changed: vec!["c".into()], ..Reloaded::default() };
        assert_eq!(changes(&reloaded), "reloaded: added a, b; changed c\n");
    }

    #[test]
    fn a_checked_configuration_is_told_with_its_notes() {
        let checked = Checked {
            config: "a.toml".into(),
            ok: true,
            processes: vec!["web".into()],
            agents: Vec::new(),
            notes: vec!["mind this".into()],
        };
        assert_eq!(words(&checked), "a.toml: ok; 1 process (web); no agent types\nnote: mind this\n");
    }
}
