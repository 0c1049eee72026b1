//! Cases of admission policies.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Golden;
use super::words::{Who, arguments, no_function};
use crate::policy::admission::{Admissions, call, check};
use crate::policy::bindings::admission as wit;
use crate::policy::convert;
use crate::policy::fault::Fault;
use crate::policy::judge::Judge;
use crate::spec::Identity;

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

/// A question, and what the policy's look-ups resolve to.
pub(super) struct Asked {
    question: Question,
    identity: Identity,
}

impl From<Question> for Asked {
    fn from(mut question: Question) -> Self {
        let identity = std::mem::take(&mut question.identity).into();
        Self { question, identity }
    }
}

impl Asked {
    fn put(&self, judge: &mut Judge<Admissions>, resolved: &[Option<String>]) -> Result<Value, Fault> {
        let Self { question, identity } = self;
        let tags = convert::texts(&identity.tags);
        let request = wit::Request {
            identity: convert::identity(identity, &tags),
            command: &question.command,
            found: question.found.as_deref(),
            resolved: question.resolved.as_deref(),
            args: &convert::texts(&question.args),
            directory: &question.directory,
            environment_keys: &convert::texts(&question.environment_keys),
            memory_limit_bytes: question.memory_limit_bytes,
            cpu_limit_percent: question.cpu_limit_percent,
            execution_limit_ms: question.execution_limit_ms,
            now_ms: question.now_ms,
            lookups: &[],
        };
        judge.ask(
            |live| call(live, &request, resolved),
            |decision| {
                let shown = show(&decision);
                check(decision).map(|_| shown)
            },
        )
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
        let resolve = |query: &String| question.question.lookups.get(query).cloned();
        let resolved: Vec<_> = judge.wake()?.extra.iter().map(resolve).collect();
        question.put(judge, &resolved)
    }
}

fn show(decision: &wit::Decision) -> Value {
    match decision {
        wit::Decision::Allow => json!({ "decision": "allow" }),
        wit::Decision::Deny(denial) => json!({ "decision": "deny", "rule": denial.rule, "reason": denial.reason }),
    }
}
