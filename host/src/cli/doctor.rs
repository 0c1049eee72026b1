//! `wasmvisor doctor`: what this machine can do and what is missing.

mod abilities;
mod launch;

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::progress::waiting;
use super::ps::round;
use super::shell::{Outcome, Shell};
use super::table::{Cell, Tint, table};
use crate::config::{self, Config};
use crate::decision::PolicyKind;
use crate::error::ErrorClass;
use crate::platform::{self, SystemProbe};
use crate::policy;
use crate::units::{Bytes, Percent};

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    /// Works with less.
    Limited,
    /// Nothing works without it.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    subject: &'static str,
    state: State,
    detail: String,
    /// What is lost by it; absent when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    costs: Option<&'static str>,
}

impl Finding {
    fn new(subject: &'static str, state: State, detail: impl Into<String>) -> Self {
        Self { subject, state, detail: detail.into(), costs: None }
    }

    fn of<T, E: ToString>(subject: &'static str, outcome: Result<T, E>, good: impl FnOnce(T) -> String) -> Self {
        match outcome {
            Ok(value) => Self::new(subject, State::Good, good(value)),
            Err(error) => Self::new(subject, State::Bad, error.to_string()),
        }
    }
}

pub(super) async fn run(shell: &Shell) -> Outcome {
    let (launched, policies) = waiting(shell, "looking", async { (launch::finding().await, policies().await) }).await;
    let mut findings = vec![machine()];
    findings.extend(abilities::findings(platform::abilities()));
    findings.push(launched);
    findings.extend(policies);
    findings.extend([configuration(), state_directory(shell), supervisor(shell).await]);
    let bad = findings.iter().any(|finding| finding.state == State::Bad);
    shell.answer(&findings, |findings| text(findings, shell.colour))?;
    Ok(if bad { ExitCode::from(ErrorClass::Configuration.exit_code()) } else { ExitCode::SUCCESS })
}

fn machine() -> Finding {
    let system = SystemProbe::default().read();
    let detail = format!(
        "{} cores, {} memory, {} of it in use",
        system.cores,
        Bytes(system.memory_total_bytes),
        Percent(round(system.memory_in_use_percent))
    );
    Finding::new("machine", State::Good, detail)
}

fn configuration() -> Finding {
    match config::locate() {
        None => Finding::new("configuration", State::Good, "none found; every default is used"),
        Some(path) => Finding::of("configuration", Config::load(&path), |config| {
            format!("{}: {} processes, {} agent types", path.display(), config.process.len(), config.agent.len())
        }),
    }
}

fn state_directory(shell: &Shell) -> Finding {
    let config = config::locate().and_then(|path| Config::load(&path).ok());
    let outcome = shell.state_dir(config.as_ref()).map_err(|error| error.to_string()).and_then(|path| {
        let made = writable(&path).map_err(|error| format!("cannot write to {}: {error}", path.display()))?;
        Ok(if made { path.display().to_string() } else { format!("{} will be made", path.display()) })
    });
    Finding::of("state directory", outcome, |detail| detail)
}

/// Whether it is there; when not, its nearest directory must let it be made. Leaves nothing behind.
fn writable(path: &Path) -> std::io::Result<bool> {
    let there = path.is_dir();
    let nearest = path.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(Path::new("/"));
    let probe = nearest.join(format!(".wasmvisor-doctor-{}", std::process::id()));
    std::fs::File::create_new(&probe)?;
    std::fs::remove_file(&probe)?;
    Ok(there)
}

async fn supervisor(shell: &Shell) -> Finding {
    let client = match shell.client() {
        Ok(client) => client,
        Err(error) => return Finding::new("supervisor", State::Bad, error.message),
    };
    match client.about().await {
        Ok(about) => {
            let detail = format!("version {}, pid {}, at {}", about.version, about.pid, client.socket().display());
            Finding::new("supervisor", State::Good, detail)
        }
        Err(problem) => Finding::new("supervisor", State::Limited, problem.message),
    }
}

/// Whether the sandbox works here: the policies inside the program can be compiled and asked who they are.
async fn policies() -> Vec<Finding> {
    let look = |kind: PolicyKind| {
        let outcome = policy::inspect(builtin(kind)).map_err(|error| error.message);
        Finding::of(subject(kind), outcome, |info| format!("{} {} can be loaded", info.name, info.version))
    };
    // Compiling takes long: the line that says so must go on meanwhile.
    let looked = tokio::task::spawn_blocking(move || PolicyKind::ALL.iter().copied().map(look).collect());
    looked
        .await
        .unwrap_or_else(|error| vec![Finding::new("policies", State::Bad, format!("the sandbox failed: {error}"))])
}

const fn builtin(kind: PolicyKind) -> &'static str {
    match kind {
        PolicyKind::Admission => "builtin:command-allowlist",
        PolicyKind::Health => "builtin:health-score",
        PolicyKind::Restart => "builtin:restart-backoff",
        PolicyKind::Alert => "builtin:alert-threshold",
    }
}

const fn subject(kind: PolicyKind) -> &'static str {
    match kind {
        PolicyKind::Admission => "admission policy",
        PolicyKind::Health => "health policy",
        PolicyKind::Restart => "restart policy",
        PolicyKind::Alert => "alert policy",
    }
}

fn text(findings: &[Finding], colour: bool) -> String {
    let rows: Vec<_> = findings
        .iter()
        .map(|finding| {
            let (word, tint) = match finding.state {
                State::Good => ("good", Tint::Good),
                State::Limited => ("limited", Tint::Doubtful),
                State::Bad => ("bad", Tint::Bad),
            };
            let costs = finding.costs.map_or_else(String::new, |costs| format!("; {costs}"));
            let detail = format!("{}{costs}", finding.detail);
            vec![Cell::new(finding.subject), Cell::new(word).tinted(tint), Cell::new(detail)]
        })
        .collect();
    table(&["SUBJECT", "STATE", "DETAIL"], &rows, colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_can_be_made_is_no_problem_and_is_not_made() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state/wasmvisor");
        assert!(!writable(&path).unwrap());
        assert!(writable(root.path()).unwrap());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn findings_for_programs_have_words_as_states() {
        let finding = Finding::new("kernel", State::Limited, "x");
        let text = serde_json::to_string(&finding).unwrap();
        assert_eq!(text, r#"{"subject":"kernel","state":"limited","detail":"x"}"#);
    }
}
