//! `wasmvisor policy`: the plugins that judge, those in force and those on disk.

mod test;
mod words;

use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::arguments::{absolute, object, plugin};
use super::progress::waiting;
use super::shell::{Outcome, Shell};
use crate::control::types::SwapRequest;
use crate::error::{ErrorClass, Problem};
use crate::event::EventBus;
use crate::policy::{self, PolicyError, PolicyHost, PolicyHostConfig, PolicySet};

const LIST_EXAMPLES: &str = "\
Examples:
  wasmvisor policy list
  wasmvisor policy list --json | jq '.[] | select(.kind == \"health\") | .settings'";
const INSPECT_EXAMPLES: &str = "\
Examples:
  wasmvisor policy inspect builtin:health-score
  wasmvisor policy inspect mine.wasm --json | jq .settings_schema

Needs no supervisor.";
const CHECK_EXAMPLES: &str = "\
Examples:
  wasmvisor policy check policies/default.toml
  wasmvisor policy check mine.wasm --settings '{\"warning_below\": 70}'

Checks what a swap would check: that each plugin can be loaded, answers the question it is bound to, and accepts its
settings. Needs no supervisor, and changes nothing.";
const SWAP_EXAMPLES: &str = "\
Examples:
  wasmvisor policy swap policies/strict.toml                      every binding
  wasmvisor policy swap mine.wasm --settings '{\"step\": 2}'        the first binding of its kind
  wasmvisor policy swap builtin:restart-backoff

The new ones take over between two calls, or everything stays as it is.";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the policies in force
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Look at a plugin without installing it
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect {
        /// A path, or builtin:NAME
        plugin: String,
    },
    /// Check a plugin with settings, or a whole policy set
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Subject),
    /// Put questions with known answers to a plugin
    #[command(after_help = test::EXAMPLES)]
    Test(test::Arguments),
    /// Let another plugin or policy set take over
    #[command(after_help = SWAP_EXAMPLES)]
    Swap(Subject),
}

#[derive(Debug, Args)]
pub(super) struct Subject {
    /// A policy set (NAME.toml), or a plugin: a path or builtin:NAME
    #[arg(value_name = "SET|PLUGIN")]
    name: String,
    /// Settings of the plugin, a JSON object
    #[arg(long, value_name = "JSON", value_parser = object)]
    settings: Option<Map<String, Value>>,
}

impl Subject {
    /// The path of the policy set, when it is one.
    fn set(&self) -> Result<Option<&Path>, Problem> {
        let path = Path::new(&self.name);
        if path.extension().is_none_or(|extension| extension != "toml") {
            return Ok(None);
        }
        if self.settings.is_some() {
            let message = format!("{} is a policy set: its settings stand in it, without --settings", self.name);
            return Err(Problem::new(ErrorClass::Configuration, message));
        }
        Ok(Some(path))
    }
}

pub(super) async fn run(verb: Verb, shell: &Shell) -> Outcome {
    match verb {
        Verb::List => shell.answer(&shell.client()?.policies().await?, |list| words::bindings(list, shell.colour)),
        Verb::Inspect { plugin: name } => {
            let info = waiting(shell, &format!("loading {name}"), inspect(plugin(&name)?)).await?;
            shell.answer(&info, words::plugin)
        }
        Verb::Check(subject) => check(subject, shell).await,
        Verb::Test(arguments) => test::run(arguments, shell).await,
        Verb::Swap(subject) => swap(subject, shell).await,
    }
}

async fn inspect(name: String) -> Result<policy::PluginInfo, Problem> {
    off_thread(move || policy::inspect(&name)).await
}

async fn check(subject: Subject, shell: &Shell) -> Outcome {
    let what = format!("checking {}", subject.name);
    if let Some(path) = subject.set()? {
        let path = absolute(path)?;
        waiting(shell, &what, check_set(move || PolicySet::load(&path))).await?;
        return shell.answer(&json!({ "set": subject.name, "ok": true }), |_| format!("{}: ok\n", subject.name));
    }
    let name = plugin(&subject.name)?;
    let settings = Value::Object(subject.settings.unwrap_or_default());
    let info = waiting(shell, &what, off_thread(move || policy::check(&name, &settings))).await?;
    shell.answer(&info, |info| format!("{}: ok, {} {} for {}\n", subject.name, info.name, info.version, info.kind))
}

/// Load a set as the supervisor would: read it, compile its plugins, check their settings.
pub(super) async fn check_set(
    load: impl FnOnce() -> Result<PolicySet, PolicyError> + Send + 'static,
) -> Result<(), Problem> {
    off_thread(move || {
        // Made only to see whether it can be; gone at once.
        let _host = PolicyHost::start(PolicyHostConfig::default(), load()?, Arc::new(EventBus::default()))?;
        Ok(())
    })
    .await
}

async fn swap(subject: Subject, shell: &Shell) -> Outcome {
    let request = match subject.set()? {
        Some(path) => SwapRequest::Set { set: absolute(path)? },
        None => SwapRequest::Plugin { plugin: plugin(&subject.name)?, settings: subject.settings.map(Value::Object) },
    };
    let client = shell.client()?;
    let swapped = waiting(shell, &format!("checking {}", subject.name), client.swap(&request)).await?;
    shell.answer(&swapped, |swapped| words::swapped(swapped))
}

/// Compiling takes long: the line that says so must go on meanwhile.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PolicyError> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Problem::new(ErrorClass::Unavailable, format!("the plugin could not be loaded: {error}")))?
        .map_err(|error| Problem::new(ErrorClass::Configuration, error.message).by_rule("policy"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(name: &str, settings: Option<Map<String, Value>>) -> Subject {
        Subject { name: name.to_owned(), settings }
    }

    #[test]
    fn a_toml_file_is_a_set_and_everything_else_a_plugin() {
        assert_eq!(subject("a/b.toml", None).set().unwrap(), Some(Path::new("a/b.toml")));
        assert_eq!(subject("a/b.wasm", None).set().unwrap(), None);
        assert_eq!(subject("builtin:health-score", Some(Map::new())).set().unwrap(), None);
    }

    #[test]
    fn settings_for_a_whole_set_are_refused() {
        let problem = subject("a.toml", Some(Map::new())).set().unwrap_err();
        assert_eq!(problem.class, ErrorClass::Configuration);
        assert!(problem.message.contains("--settings"), "{problem}");
    }
}
