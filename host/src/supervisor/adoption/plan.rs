//! What becomes of a process that an earlier life had in its care. Pure: a record and the runs that are known in, a
//! plan out.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::care::{Care, Then};
use crate::decision::Ending;
use crate::lifecycle::State;
use crate::record::{ProcessRecord, Status};
use crate::spec::ProcessSpec;
use crate::units::Timestamp;

/// A run that somebody knows of: a holder, or the registry and the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supervisor) struct Known {
    /// Which, 1 for the first.
    pub(in crate::supervisor) run: u32,
    /// Whether it has not ended yet.
    pub(in crate::supervisor) lives: bool,
    /// Whether no holder has it: it is nobody's.
    pub(in crate::supervisor) orphaned: bool,
}

/// Where the process goes on.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::supervisor) enum Position {
    /// It waits for its first run.
    Waiting,
    /// With this one of the known runs, alive or not.
    Known(usize),
    /// With the recorded run, which ended while nobody looked: nobody can tell how.
    Vanished,
    /// The restart policy is asked.
    Deciding(Ending, Duration),
    /// It waits for its restart.
    Backoff(Duration),
    /// It has come to its end.
    Ended(State),
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::supervisor) struct Plan {
    /// Where it goes on.
    pub(in crate::supervisor) position: Position,
    /// Number of that run, or of the last.
    pub(in crate::supervisor) run: u32,
    /// Restarts by then.
    pub(in crate::supervisor) restarts: u32,
    /// Whether the clock of that run is stopped.
    pub(in crate::supervisor) paused: bool,
    /// What comes after the end of the run, when somebody wanted that end.
    pub(in crate::supervisor) then: Option<Then>,
    /// Runs before that one whose end is not on record yet, oldest first.
    pub(in crate::supervisor) missed: Vec<usize>,
}

/// Where this process goes on, given the runs of it that are known, oldest first.
pub(in crate::supervisor) fn plan(record: &ProcessRecord, care: &Care, known: &[Known], now: Timestamp) -> Plan {
    let recorded = record.run_number;
    let is_open = |run: u32| run > recorded || (run == recorded && had_run(record.status));
    let open: Vec<usize> = (0..known.len()).filter(|place| is_open(known[*place].run)).collect();
    let Some((&newest, missed)) = open.split_last() else {
        let position = without_run(record, now);
        return Plan {
            position,
            run: recorded,
            restarts: record.restarts,
            paused: false,
            then: care.then.clone(),
            missed: Vec::new(),
        };
    };
    let run = known[newest].run;
    // A run that the record does not know was made after what it says had been done.
    let as_recorded = run == recorded || record.status == Status::Starting;
    Plan {
        position: Position::Known(newest),
        run,
        restarts: record.restarts + (run - recorded.clamp(1, run)),
        paused: care.paused && run == recorded,
        then: care.then.clone().filter(|_| as_recorded),
        missed: missed.to_vec(),
    }
}

fn without_run(record: &ProcessRecord, now: Timestamp) -> Position {
    let reason = record.reason.clone();
    match record.status {
        Status::Running | Status::Idle | Status::Stopping if record.run.is_some() => Position::Vanished,
        Status::Stopped => Position::Ended(State::Stopped { reason }),
        Status::Crashed => Position::Ended(State::Crashed { reason }),
        Status::Error => Position::Ended(State::Failed { reason }),
        _ if record.run_number == 0 && record.runs.is_empty() => Position::Waiting,
        Status::Backoff => match (record.next_restart_at_ms, record.runs.first()) {
            (Some(due), _) => Position::Backoff(Duration::from_millis(due.ms().saturating_sub(now.ms()))),
            (None, Some(last)) => Position::Deciding(last.ending.clone(), Duration::from_millis(last.lasted_ms)),
            (None, None) => Position::Backoff(Duration::ZERO),
        },
        // Its next run was ordered and never born.
        _ => Position::Backoff(Duration::ZERO),
    }
}

/// Whether a process of this status had a run whose end was not on record.
const fn had_run(status: Status) -> bool {
    matches!(status, Status::Running | Status::Idle | Status::Stopping)
}

/// Whether a process is still wanted, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::supervisor) enum Wanted {
    /// The configuration says so, in the same words.
    Configured,
    /// Somebody started it, and nobody has said otherwise.
    Asked,
    /// Not any more; why.
    No(String),
}

/// Whether the process of this name is still wanted. The configuration is over what was asked for by other ways.
pub(in crate::supervisor) fn wanted(name: &str, care: &Care, configured: &BTreeMap<String, ProcessSpec>) -> Wanted {
    match configured.get(name) {
        Some(spec) if is_same(spec, &care.spec) => Wanted::Configured,
        Some(_) => Wanted::No("changed in the configuration".to_owned()),
        None if care.configured => Wanted::No("no longer in the configuration".to_owned()),
        None => Wanted::Asked,
    }
}

/// Whether two specifications say the same. One of them has been on disk, where sizes and times are words.
fn is_same(one: &ProcessSpec, other: &ProcessSpec) -> bool {
    let words = |spec: &ProcessSpec| serde_json::to_value(spec).ok();
    one == other || words(one).is_some_and(|one| words(other) == Some(one))
}

#[cfg(test)]
mod tests;
