//! Cases of admission policies.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Golden;
use super::words::{Who, arguments, no_function};
use crate::policy::admission::{Admissions, check};
use crate::policy::bindings::admission as wit;
use crate::policy::fault::Fault;
use crate::policy::judge::Judge;

/// The arguments of `decide`. `lookups` says what each query of the policy resolves to; what it lacks was not found.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Question {
    identity: Who,
    command: String,
    found: Option<String>,
    resolved: Option<String>,
    args: Vec<String>,
    directory: String,
    environment_keys: Vec<String>,
    memory_limit_bytes: Option<u64>,
    cpu_limit_percent: Option<f64>,
    execution_limit_ms: Option<u64>,
    now_ms: u64,
    lookups: HashMap<String, String>,
}

/// A request without the answers to the policy's look-ups, and what they will be.
pub(super) struct Asked {
    request: wit::Request,
    lookups: HashMap<String, String>,
}

impl From<Question> for Asked {
    fn from(question: Question) -> Self {
        let request = wit::Request {
            identity: question.identity.into(),
            command: question.command,
            found: question.found,
            resolved: question.resolved,
            args: question.args,
            directory: question.directory,
            environment_keys: question.environment_keys,
            memory_limit_bytes: question.memory_limit_bytes,
            cpu_limit_percent: question.cpu_limit_percent,
            execution_limit_ms: question.execution_limit_ms,
            now_ms: question.now_ms,
            lookups: Vec::new(),
        };
        Self { request, lookups: question.lookups }
    }
}

impl Golden for Admissions {
    type Question = Asked;

    fn read(ask: Option<&str>, input: toml::Table) -> Result<Asked, String> {
        match ask {
            None | Some("decide") => arguments::<Question>(input).map(Asked::from),
            Some(other) => no_function(other, "`decide`, or nothing"),
        }
    }

    fn put(judge: &mut Judge<Self>, question: &Asked) -> Result<Value, Fault> {
        let lookup =
            |query: &String| wit::Lookup { query: query.clone(), resolved: question.lookups.get(query).cloned() };
        let lookups = judge.wake()?.extra.iter().map(lookup).collect();
        let request = wit::Request { lookups, ..question.request.clone() };
        judge.ask(
            |live| live.guest.call_decide(&mut live.store, &request),
            |decision| {
                let shown = show(&decision);
                check(decision).map(|_| shown)
            },
        )
    }
}

fn show(decision: &wit::Decision) -> Value {
    match decision {
        wit::Decision::Allow => json!({ "decision": "allow" }),
        wit::Decision::Deny(denial) => json!({ "decision": "deny", "rule": denial.rule, "reason": denial.reason }),
    }
}
