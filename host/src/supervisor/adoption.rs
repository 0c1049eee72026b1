//! What an earlier life left, found and sorted: which processes go on and where, and which runs are nobody's.
//!
//! It looks through processes and prepares what launches need, so it runs in a small task of its own and owns nothing
//! but what it was given.
//!
//! ```text
//!  registry: unfinished records ─┐           ┌─▶ adoptees ──▶ task: lives, timers, exit watches
//!  launcher: survivors ──────────┼─▶ gather ─┼─▶ strays ────▶ ended before anything starts
//!  kernel: recorded runs alive ──┘           └─▶ settled ───▶ launcher
//! ```

mod plan;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::admission::{self, Prepared, Surroundings};
use super::settings::Orphans;
use crate::care::Care;
use crate::lifecycle::Rules;
use crate::platform::{self, Launched, Survivor, Tree};
use crate::record::ProcessRecord;
use crate::registry::LastLife;
use crate::spec::{Identity, ProcessId, ProcessSpec};
use crate::units::Timestamp;
use plan::Known;
pub(super) use plan::{Plan, Position, Wanted};

/// What an earlier life left, before anybody has looked at it.
pub(super) struct Legacy {
    pub(super) last_life: LastLife,
    pub(super) survivors: Vec<Survivor>,
}

/// A process to go on with.
pub(super) struct Adoptee {
    pub(super) identity: Arc<Identity>,
    pub(super) prepared: Prepared,
    pub(super) rules: Rules,
    pub(super) record: ProcessRecord,
    pub(super) attempts: u32,
    pub(super) wanted: Wanted,
    pub(super) plan: Plan,
    /// The run that `Position::Known` means.
    pub(super) run: Option<Found>,
    /// Earlier runs whose end is not on record yet, oldest first.
    pub(super) missed: Vec<(u32, Found)>,
}

/// A run of an earlier life.
pub(super) struct Found {
    pub(super) launched: Launched,
    pub(super) lives: bool,
    pub(super) began_at: Timestamp,
    /// How long ago it began.
    pub(super) age: Duration,
}

/// All of it, sorted.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) adoptees: Vec<Adoptee>,
    /// Processes that cannot go on, as their records or the configuration have it.
    pub(super) closed: Vec<ProcessId>,
    /// Runs that are nobody's and live.
    pub(super) strays: Vec<Tree>,
    /// Ends that are on record, or concern nobody.
    pub(super) settled: Vec<(ProcessId, u32)>,
    /// Recorded runs of which nothing was found.
    pub(super) stale: usize,
}

/// What to go by.
pub(super) struct Rule {
    /// The processes of the configuration.
    pub(super) configured: BTreeMap<String, ProcessSpec>,
    pub(super) orphans: Orphans,
}

/// Find and sort. Looks through processes and files: not for the runtime's own threads.
pub(super) fn gather(legacy: Legacy, rule: &Rule, around: &Surroundings) -> Gathered {
    let mut gathered = Gathered::default();
    let mut runs: HashMap<ProcessId, Vec<Candidate>> = HashMap::new();
    for survivor in legacy.survivors {
        let lives = platform::is_alive(&survivor.launched.identity);
        let known = Known { run: survivor.run, lives, orphaned: survivor.launched.keeper == 0 };
        let candidate = Candidate { known, launched: survivor.launched };
        runs.entry(survivor.process_id).or_default().push(candidate);
    }
    let LastLife { unfinished, ended } = legacy.last_life;
    for record in unfinished.into_iter().chain(ended) {
        let mut candidates = runs.remove(&record.process_id).unwrap_or_default();
        candidates.extend(recorded_run(&record, &candidates));
        candidates.sort_by_key(|candidate| candidate.known.run);
        gathered.sort(record, candidates, rule, around);
    }
    for (id, candidates) in runs {
        gathered.discard(&id, candidates);
    }
    gathered
}

/// A run that somebody knows of, with the means to watch it.
struct Candidate {
    known: Known,
    launched: Launched,
}

impl Candidate {
    fn found(self, record: &ProcessRecord) -> Found {
        let age = platform::age_of(&self.launched.identity).unwrap_or_default();
        let recorded = record.started_at_ms.filter(|_| self.known.run == record.run_number);
        let began_at = recorded.unwrap_or_else(|| Timestamp(Timestamp::now().ms().saturating_sub(ms(age))));
        Found { launched: self.launched, lives: self.known.lives, began_at, age }
    }
}

/// The run that the record names, when it lives and no holder has it.
fn recorded_run(record: &ProcessRecord, candidates: &[Candidate]) -> Option<Candidate> {
    let identity = record.run.as_ref()?;
    if record.status.is_ended() || candidates.iter().any(|held| held.known.run == record.run_number) {
        return None;
    }
    let launched = platform::find_run(identity)?;
    let known = Known { run: record.run_number, lives: true, orphaned: true };
    Some(Candidate { known, launched })
}

impl Gathered {
    fn sort(&mut self, record: ProcessRecord, candidates: Vec<Candidate>, rule: &Rule, around: &Surroundings) {
        let Some(care) = record.care.clone() else { return self.close(record, candidates, around) };
        let orphaned = candidates.iter().any(|candidate| candidate.known.lives && candidate.known.orphaned);
        if orphaned && rule.orphans == Orphans::Stop {
            return self.close(record, candidates, around);
        }
        let known: Vec<Known> = candidates.iter().map(|candidate| candidate.known).collect();
        let plan = plan::plan(&record, &care, &known, Timestamp::now());
        self.stale += usize::from(plan.position == Position::Vanished);
        let (mut run, mut missed, mut surplus) = (None, Vec::new(), Vec::new());
        for (place, candidate) in candidates.into_iter().enumerate() {
            if plan.position == Position::Known(place) {
                run = Some(candidate.found(&record));
            } else if plan.missed.contains(&place) && !candidate.known.lives {
                missed.push((candidate.known.run, candidate.found(&record)));
            } else {
                surplus.push(candidate);
            }
        }
        self.discard(&record.process_id, surplus);
        self.adopt(record, &care, plan, (run, missed), rule, around);
    }

    fn adopt(
        &mut self,
        record: ProcessRecord,
        care: &Care,
        plan: Plan,
        (run, missed): (Option<Found>, Vec<(u32, Found)>),
        rule: &Rule,
        around: &Surroundings,
    ) {
        let identity = Identity::of(record.process_id.clone(), &care.spec);
        let (prepared, rules) = admission::readmit(Arc::clone(&care.spec), &identity, around, &record);
        let wanted = plan::wanted(&record.name, care, &rule.configured);
        let attempts = care.attempts;
        self.adoptees.push(Adoptee { identity, prepared, rules, record, attempts, wanted, plan, run, missed });
    }

    /// A process that does not go on: what lives of it is nobody's.
    fn close(&mut self, record: ProcessRecord, candidates: Vec<Candidate>, around: &Surroundings) {
        self.stale += usize::from(record.run.is_some() && candidates.iter().all(|candidate| !candidate.known.lives));
        let is_held = candidates.iter().any(|held| held.known.lives && held.known.run == record.run_number);
        self.discard(&record.process_id, candidates);
        if let Some(leader) = record.run.filter(|_| !is_held && !record.status.is_ended()) {
            // What its run left behind is found by its mark, when the run itself is gone.
            let process_id = record.process_id.clone();
            let cgroup = around.groups.existing(&process_id, record.run_number);
            self.strays.push(Tree { leader, process_id, keeper: 0, cgroup });
        }
        if !record.status.is_ended() {
            self.closed.push(record.process_id);
        }
    }

    fn discard(&mut self, id: &ProcessId, candidates: Vec<Candidate>) {
        for Candidate { known, launched } in candidates {
            if known.lives {
                self.strays.push(Tree::of(&launched, id.clone()));
            }
            self.settled.push((id.clone(), known.run));
        }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
