//! Cases of restart policies.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Golden;
use super::words::{Who, arguments, bits, no_function};
use crate::policy::bindings::restart as wit;
use crate::policy::convert;
use crate::policy::fault::Fault;
use crate::policy::judge::Judge;
use crate::policy::restart::{Restart, call, check};
use crate::spec::Identity;

/// The arguments of `decide`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Question {
    identity: Who,
    ending: Ending,
    lasted_ms: u64,
    attempts: u32,
    max_attempts: Option<u32>,
    restarts_total: u32,
    history: Vec<Past>,
    now_ms: u64,
    #[serde(deserialize_with = "bits")]
    jitter_seed: u64,
}

/// An ending is a table with one key, or the word `unknown`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum Ending {
    Exited(i32),
    Signalled(i32),
    Unhealthy(u32),
    Limit(String),
    NotStarted(String),
    #[default]
    Unknown,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Past {
    started_ms: u64,
    lasted_ms: u64,
    ending: Ending,
}

impl Ending {
    fn to_wit(&self) -> wit::Ending<'_> {
        match self {
            Self::Exited(code) => wit::Ending::Exited(*code),
            Self::Signalled(number) => wit::Ending::Signalled(*number),
            Self::Unhealthy(score) => wit::Ending::Unhealthy(*score),
            Self::Limit(which) => wit::Ending::Limit(which),
            Self::NotStarted(why) => wit::Ending::NotStarted(why),
            Self::Unknown => wit::Ending::Unknown,
        }
    }
}

impl Past {
    fn to_wit(&self) -> wit::PastRun<'_> {
        wit::PastRun { started_ms: self.started_ms, lasted_ms: self.lasted_ms, ending: self.ending.to_wit() }
    }
}

/// A question and who it is about.
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

impl Golden for Restart {
    type Question = Asked;

    fn read(ask: Option<&str>, input: toml::Table) -> Result<Asked, String> {
        match ask {
            None | Some("decide") => arguments::<Question>(input).map(Into::into),
            Some(other) => no_function(other, "`decide`, or nothing"),
        }
    }

    fn put(judge: &mut Judge<Self>, asked: &Asked) -> Result<Value, Fault> {
        let Asked { question, identity } = asked;
        let tags = convert::texts(&identity.tags);
        let history: Vec<_> = question.history.iter().map(Past::to_wit).collect();
        let failure = wit::Failure {
            identity: convert::identity(identity, &tags),
            ending: question.ending.to_wit(),
            lasted_ms: question.lasted_ms,
            attempts: question.attempts,
            max_attempts: question.max_attempts,
            restarts_total: question.restarts_total,
            history: &history,
            now_ms: question.now_ms,
            jitter_seed: question.jitter_seed,
        };
        judge.ask(
            |live| call(live, &failure),
            |decision| {
                let shown = show(&decision);
                check(decision).map(|_| shown)
            },
        )
    }
}

fn show(decision: &wit::Decision) -> Value {
    match decision {
        wit::Decision::RestartAfter(comeback) => {
            json!({ "restart_after": { "delay_ms": comeback.delay_ms, "attempt": comeback.attempt } })
        }
        wit::Decision::GiveUp(reason) => json!({ "give_up": reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Question, String> {
        Restart::read(None, toml::from_str(text).unwrap()).map(|asked| asked.question)
    }

    #[test]
    fn an_ending_is_one_key_or_the_word_unknown() {
        let ending = |text: &str| read(text).map(|failure| failure.ending);
        assert!(matches!(ending("ending = { not_started = 'x' }"), Ok(Ending::NotStarted(why)) if why == "x"));
        assert!(matches!(ending("ending = 'unknown'"), Ok(Ending::Unknown)));
        assert!(matches!(ending(""), Ok(Ending::Unknown)));
        assert!(ending("ending = { exitted = 1 }").is_err() && ending("ending = 'exited'").is_err());
    }

    #[test]
    fn a_seed_of_minus_one_has_all_bits_set_and_no_other_number_may_be_negative() {
        assert_eq!(read("jitter_seed = -1").unwrap().jitter_seed, u64::MAX);
        assert!(read("lasted_ms = -1").is_err() && read("attempts = -1").is_err());
    }
}
