//! `wasmvisor policy test`: golden cases against a plugin.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::off_thread;
use crate::cli::arguments::plugin;
use crate::cli::progress::waiting;
use crate::cli::shell::{Outcome, Shell};
use crate::cli::table::{Cell, Tint, table};
use crate::error::{ErrorClass, Problem};
use crate::policy::golden::{CaseOutcome, run_cases};

pub(super) const EXAMPLES: &str = "\
Examples:
  wasmvisor policy test mine.wasm --cases cases.toml
  wasmvisor policy test builtin:health-score --cases plugins/health-score/cases.toml
  wasmvisor policy test mine.wasm --cases cases.toml --json | jq '.[] | select(.passed | not)'

Each case is a question with settings and an expected answer; plugins/README.md describes the format.
The plugin is asked in the sandbox it would judge in. Exits with 1 when a case fails.
Needs no supervisor, and changes nothing.";

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// A path, or builtin:NAME
    plugin: String,
    /// The cases, TOML
    #[arg(long, value_name = "FILE")]
    cases: PathBuf,
}

pub(super) async fn run(arguments: Arguments, shell: &Shell) -> Outcome {
    let text = std::fs::read_to_string(&arguments.cases).map_err(|error| {
        let message = format!("cannot read the cases {}: {error}", arguments.cases.display());
        Problem::new(ErrorClass::Configuration, message)
    })?;
    let name = plugin(&arguments.plugin)?;
    let what = format!("testing {}", arguments.plugin);
    let outcomes = waiting(shell, &what, off_thread(move || run_cases(&name, &text))).await?;
    shell.answer(&outcomes, |outcomes| words(outcomes, shell.colour))?;
    Ok(code(&outcomes))
}

/// 1, as for a supervised command that failed.
fn code(outcomes: &[CaseOutcome]) -> ExitCode {
    if outcomes.iter().all(|outcome| outcome.passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A row for each case, and how many there were.
fn words(outcomes: &[CaseOutcome], colour: bool) -> String {
    let rows: Vec<_> = outcomes.iter().map(row).collect();
    let passed = outcomes.iter().filter(|outcome| outcome.passed).count();
    let failed = outcomes.len() - passed;
    let heads: &[&str] = if failed == 0 { &["RESULT", "CASE"] } else { &["RESULT", "CASE", "DIFFERENCE"] };
    format!("{}\n{passed} passed, {failed} failed\n", table(heads, &rows, colour))
}

fn row(outcome: &CaseOutcome) -> Vec<Cell> {
    let result =
        if outcome.passed { Cell::new("passed").tinted(Tint::Good) } else { Cell::new("failed").tinted(Tint::Bad) };
    vec![result, Cell::new(&outcome.name), Cell::new(&outcome.detail)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &str, detail: &str) -> CaseOutcome {
        CaseOutcome { name: name.to_owned(), passed: detail.is_empty(), detail: detail.to_owned() }
    }

    #[test]
    fn every_case_has_a_line_and_a_failed_one_says_why() {
        let text = words(&[outcome("calm", ""), outcome("wild", "/score: expected 1, got 2")], false);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "passed  calm");
        assert_eq!(lines[2], "failed  wild  /score: expected 1, got 2");
        assert_eq!(lines[4], "1 passed, 1 failed");
    }

    #[test]
    fn without_a_failure_there_is_no_column_of_differences() {
        assert_eq!(words(&[outcome("calm", "")], false), "RESULT  CASE\npassed  calm\n\n1 passed, 0 failed\n");
    }
}
