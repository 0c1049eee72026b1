//! Cases of health policies.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Golden;
use super::words::{GOOD, Who, arguments, direction, issues, no_function};
use crate::policy::bindings::{health as wit, types};
use crate::policy::convert;
use crate::policy::fault::Fault;
use crate::policy::health::{Health, check, check_report};
use crate::policy::judge::Judge;
use crate::spec::Identity;

/// A question and its arguments.
pub(super) enum Question {
    Assess { tick: wit::Tick, readings: Vec<wit::Reading>, history: Vec<f32> },
    Explain { tick: wit::Tick, who: Identity, reading: wit::Reading, history: Vec<f32> },
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Assess {
    now_ms: u64,
    interval_ms: u32,
    history_length: u32,
    history: Vec<f32>,
    reading: Vec<One>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Explain {
    now_ms: u64,
    interval_ms: u32,
    history_length: u32,
    history: Vec<f32>,
    identity: Who,
    reading: One,
}

/// A reading where it stands by itself.
#[derive(Deserialize)]
struct One(#[serde(with = "Reading")] wit::Reading);

impl Default for One {
    fn default() -> Self {
        Self(well())
    }
}

/// The fields of a reading as a case writes them.
#[derive(Deserialize)]
#[serde(remote = "wit::Reading", default = "well", deny_unknown_fields)]
struct Reading {
    memory_bytes: u64,
    memory_limit_bytes: u64,
    cpu_percent: f32,
    cpu_limit_percent: f32,
    execution_ms: u64,
    execution_limit_ms: u64,
    file_handles: u32,
    file_handle_limit: u32,
    threads: u32,
    thread_limit: u32,
    responsiveness: u32,
    stability: u32,
    memory_slope: f32,
    memory_limit_in_ms: u64,
    cpu_slope: f32,
    #[serde(deserialize_with = "direction")]
    memory_direction: types::Direction,
    #[serde(deserialize_with = "direction")]
    cpu_direction: types::Direction,
    previous_score: u32,
    memo: u64,
}

/// A process without limits with which all is well.
fn well() -> wit::Reading {
    wit::Reading {
        memory_bytes: 0,
        memory_limit_bytes: 0,
        cpu_percent: 0.0,
        cpu_limit_percent: 0.0,
        execution_ms: 0,
        execution_limit_ms: 0,
        file_handles: 0,
        file_handle_limit: 0,
        threads: 0,
        thread_limit: 0,
        responsiveness: GOOD,
        stability: GOOD,
        memory_slope: 0.0,
        memory_limit_in_ms: 0,
        cpu_slope: 0.0,
        memory_direction: types::Direction::Unknown,
        cpu_direction: types::Direction::Unknown,
        previous_score: GOOD,
        memo: 0,
    }
}

fn tick(now_ms: u64, interval_ms: u32, history_length: u32) -> wit::Tick {
    wit::Tick { now_ms, interval_ms: interval_ms.max(1), history_length }
}

impl From<Assess> for Question {
    fn from(case: Assess) -> Self {
        Self::Assess {
            tick: tick(case.now_ms, case.interval_ms, case.history_length),
            readings: case.reading.into_iter().map(|one| one.0).collect(),
            history: case.history,
        }
    }
}

impl From<Explain> for Question {
    fn from(case: Explain) -> Self {
        Self::Explain {
            tick: tick(case.now_ms, case.interval_ms, case.history_length),
            who: case.identity.into(),
            reading: case.reading.0,
            history: case.history,
        }
    }
}

impl Golden for Health {
    type Question = Question;

    fn read(ask: Option<&str>, input: toml::Table) -> Result<Question, String> {
        match ask {
            None | Some("assess") => arguments::<Assess>(input).map(Into::into),
            Some("explain") => arguments::<Explain>(input).map(Into::into),
            Some(other) => no_function(other, "`assess`, `explain`, or nothing for `assess`"),
        }
    }

    fn put(judge: &mut Judge<Self>, question: &Question) -> Result<Value, Fault> {
        match question {
            Question::Assess { tick, readings, history } => judge.ask(
                |live| live.guest.call_assess(&mut live.store, *tick, readings, history),
                |verdicts| {
                    let shown: Vec<Value> = verdicts.iter().map(verdict).collect();
                    check(verdicts, readings.len()).map(|_| json!({ "verdict": shown }))
                },
            ),
            Question::Explain { tick, who, reading, history } => {
                let tags = convert::texts(&who.tags);
                let who = convert::identity(who, &tags);
                judge.ask(
                    |live| live.guest.call_explain(&mut live.store, *tick, who, *reading, history),
                    |explanation| {
                        let shown = report(&explanation);
                        check_report(explanation).map(|_| shown)
                    },
                )
            }
        }
    }
}

fn verdict(verdict: &wit::Verdict) -> Value {
    json!({
        "score": verdict.score,
        "status": convert::from_status(verdict.status),
        "issues": issues(verdict.issues),
        "memo": verdict.memo,
    })
}

fn report(explanation: &wit::Explanation) -> Value {
    json!({
        "verdict": verdict(&explanation.verdict),
        "issue": explanation.issues.iter().map(issue).collect::<Vec<_>>(),
        "recommendations": explanation.recommendations,
    })
}

fn issue(issue: &wit::Issue) -> Value {
    json!({
        // An answer with more or less than one kind is none; `check_report` says so.
        "kind": issues(issue.kind)[0],
        "severity": convert::from_severity(issue.severity),
        "description": issue.description,
        "value": issue.value,
        "threshold": issue.threshold,
        "trend": convert::from_direction(issue.trend),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ask: Option<&str>, text: &str) -> Result<Question, String> {
        Health::read(ask, toml::from_str(text).unwrap())
    }

    #[test]
    fn what_a_case_does_not_mention_is_a_process_with_which_all_is_well() {
        let Ok(Question::Assess { tick, readings, .. }) = read(None, "[[reading]]\nthreads = 3") else { panic!() };
        assert_eq!((tick.interval_ms, readings[0].threads, readings[0].stability), (1, 3, 100));
        let Ok(Question::Explain { reading, .. }) = read(Some("explain"), "") else { panic!() };
        assert_eq!(reading.previous_score, 100);
    }

    #[test]
    fn a_history_may_have_gaps() {
        let Ok(Question::Assess { history, .. }) = read(None, "history = [nan, 1]") else { panic!() };
        assert!(history[0].is_nan() && history[1] == 1.0);
    }

    #[test]
    fn an_unknown_field_word_or_function_is_a_mistake() {
        let mistake = |ask, text| read(ask, text).err().unwrap_or_default();
        assert!(mistake(None, "[[reading]]\nthread = 3").contains("did you mean `threads`?"));
        assert!(mistake(None, "[[reading]]\nmemory_direction = 'up'").contains("`up`"));
        assert!(mistake(Some("explian"), "").contains("`explian`"));
    }
}
