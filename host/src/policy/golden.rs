//! Golden cases: questions whose answers are known, put to a plugin in the sandbox it will judge in.
//!
//! Owns the reading of a file of cases and the comparison of answers. Entered by the command line and by tests; it
//! installs nothing. A case passes through the same schema, instance, deadline, memory budget and checks as a question
//! of a lane; the arguments are made from the case alone, so that policies can be asked what no process would.

mod admission;
mod alert;
mod compare;
mod file;
mod health;
mod restart;
mod words;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::file::{Case, Expected};
use super::admission::Admissions;
use super::alert::Alerts;
use super::fault::Fault;
use super::health::Health;
use super::judge::{Judge, Kind};
use super::plugin::Loader;
use super::prepare;
use super::restart::Restart;
use super::set::Binding;
use super::source::Reference;
use super::{PolicyError, host};
use crate::decision::{FaultKind, PolicyKind};

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseOutcome {
    /// The name of the case, a sentence.
    pub name: String,
    /// Whether the plugin did what the case expects.
    pub passed: bool,
    /// What was expected and what came instead, for a person; empty when it passed.
    pub detail: String,
}

/// Run the cases of `cases`, the text of a file in the format of `plugins/README.md`, against `plugin` (a path or
/// `builtin:NAME`). Each case has an instance of its own. Compiles the plugin, so it takes a while.
///
/// # Errors
/// Why the plugin cannot be loaded, or every mistake in the cases. A plugin that answers otherwise, refuses settings or
/// fails is no error but an outcome.
pub fn run_cases(plugin: &str, cases: &str) -> Result<Vec<CaseOutcome>, PolicyError> {
    let cases = file::read(cases)?;
    let loader = host::loader(None)?;
    let reference: Reference = plugin.parse().map_err(PolicyError::new)?;
    // Held to the end: the loader forgets a plugin that nobody uses, and every case binds it anew.
    let loaded = loader.load(&reference, None).map_err(PolicyError::new)?;
    match loaded.kind {
        PolicyKind::Admission => run::<Admissions>(&loader, plugin, cases),
        PolicyKind::Health => run::<Health>(&loader, plugin, cases),
        PolicyKind::Restart => run::<Restart>(&loader, plugin, cases),
        PolicyKind::Alert => run::<Alerts>(&loader, plugin, cases),
    }
}

/// A kind as cases see it.
trait Golden: Kind {
    /// The arguments of one call.
    type Question;

    /// Make the arguments from a case. `ask` is the function that is asked, the usual one when none is named.
    fn read(ask: Option<&str>, input: toml::Table) -> Result<Self::Question, String>;

    /// Ask, check the answer as a lane does, and show it in the words of the contract. The caller holds the engine's
    /// `running` guard.
    fn put(judge: &mut Judge<Self>, question: &Self::Question) -> Result<Value, Fault>;
}

/// Every case is read before the first is run: a mistake in the file is told at once.
fn run<K: Golden>(loader: &Loader, plugin: &str, cases: Vec<Case>) -> Result<Vec<CaseOutcome>, PolicyError> {
    let mut questions = Vec::with_capacity(cases.len());
    let mut mistakes = Vec::new();
    for Case { name, ask, settings, input, expected } in cases {
        match K::read(ask.as_deref(), input) {
            Ok(question) => questions.push((name, settings, question, expected)),
            Err(mistake) => mistakes.push(format!("case `{name}`: {mistake}")),
        }
    }
    if !mistakes.is_empty() {
        return Err(PolicyError::of(mistakes));
    }
    let outcome = |(name, settings, question, expected)| {
        let binding = Binding { settings, ..Binding::new(plugin) };
        let wrong = wrong::<K>(loader, &binding, &question, &expected);
        CaseOutcome { name, passed: wrong.is_empty(), detail: wrong.join("; ") }
    };
    Ok(questions.into_iter().map(outcome).collect())
}

/// Everything in which the plugin did not do what was expected.
fn wrong<K: Golden>(loader: &Loader, binding: &Binding, question: &K::Question, expected: &Expected) -> Vec<String> {
    match (prepare::judge::<K>(loader, binding), expected) {
        (Ok(_), Expected::Problems(fields)) => {
            vec![format!("expected problems at {}, got an instance: the settings were accepted", fields.join(", "))]
        }
        (Ok(mut judge), Expected::Answer(expected)) => {
            let _running = loader.engine().running();
            match K::put(&mut judge, question) {
                Ok(answer) => compare::differences(expected, &answer),
                Err(fault) if fault.kind == FaultKind::Refused => {
                    compare::differences(expected, &json!({ "refusal": fault.message }))
                }
                Err(fault) => vec![format!("expected {expected}, got no answer: {fault}")],
            }
        }
        (Err(refusal), Expected::Problems(fields)) => compare::unnamed(fields, &binding.plugin, &refusal),
        (Err(refusal), Expected::Answer(expected)) => {
            vec![format!("expected {expected}, got no instance: {}", refusal.join("; "))]
        }
    }
}

#[cfg(test)]
mod tests;
