//! One process as the task keeps it: its life, what its runs need, and what is still to be said of it.

use std::path::PathBuf;
use std::sync::Arc;

use super::admission::{Accepted, Prepared};
use super::outbox::{Change, Outbox};
use super::timers::Key;
use super::waiting::Waiting;
use crate::care::Care;
use crate::decision::{Ending, PastRun};
use crate::event::Who;
use crate::lifecycle::{Life, Live};
use crate::link::KernelHolds;
use crate::platform::Tree;
use crate::queue::Ticket;
use crate::record::{ProcessRecord, Status};
use crate::sample::RunIdentity;
use crate::spec::{Identity, Priority};
use crate::units::Timestamp;

/// Ended runs that are kept, newest first; as many as a restart policy is shown besides the one it is asked about.
const HISTORY: usize = 17;
/// Ended runs that a record shows.
const RECORDED: usize = 16;

pub(super) struct Process {
    pub(super) identity: Arc<Identity>,
    pub(super) prepared: Prepared,
    /// Changes through `lifecycle::step` only.
    pub(super) life: Life,
    /// Whether the configuration asked for it.
    pub(super) configured: bool,
    /// Whether memory and load gates do not hold it back.
    pub(super) exempt: bool,
    pub(super) holds_place: bool,
    pub(super) ticket: Option<Ticket>,
    /// Position in the queue as the record shows it.
    pub(super) position: Option<usize>,
    pub(super) timer: Option<Key>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) last_run: Option<Arc<RunIdentity>>,
    /// When the last run began.
    pub(super) began_at: Timestamp,
    /// When a run ended, until that is shown.
    pub(super) ended_at: Option<Timestamp>,
    /// Who made the last run and adopts its orphans; 0 before the first.
    pub(super) keeper: u32,
    /// The cgroup of the last run, which may be gone by now.
    pub(super) group: Option<PathBuf>,
    /// What the kernel keeps for it.
    pub(super) kernel: KernelHolds,
    pub(super) history: Vec<PastRun>,
    /// How often it outlived a limit of time.
    pub(super) overtimes: u32,
    /// Whether something of its last stopped run survived.
    pub(super) unstoppable: bool,
    /// Whether leftovers of its last run are being ended; it cannot start meanwhile, for they could not be told apart.
    pub(super) cleaning: bool,
    /// How often it has come to an end.
    pub(super) endings: u64,
    shown: Option<(Status, String)>,
    care: Option<Arc<Care>>,
    /// The record before it is entered in the registry.
    draft: Option<Box<ProcessRecord>>,
    changes: Vec<Change>,
}

impl Process {
    pub(super) fn new(accepted: Accepted, configured: bool) -> Self {
        let Accepted { identity, prepared, rules, record, kernel } = accepted;
        Self { draft: Some(record), ..Self::with_life(identity, prepared, kernel, Life::new(rules), configured) }
    }

    /// One whose record is in the registry already.
    pub(super) fn with_life(
        identity: Arc<Identity>,
        prepared: Prepared,
        kernel: KernelHolds,
        life: Life,
        configured: bool,
    ) -> Self {
        Self {
            configured,
            exempt: configured || identity.priority == Priority::Critical,
            identity,
            prepared,
            life,
            holds_place: false,
            ticket: None,
            position: None,
            timer: None,
            waiting: Vec::new(),
            last_run: None,
            began_at: Timestamp(0),
            ended_at: None,
            keeper: 0,
            group: None,
            kernel,
            history: Vec::new(),
            overtimes: 0,
            unstoppable: false,
            cleaning: false,
            endings: 0,
            shown: None,
            care: None,
            draft: None,
            changes: Vec::new(),
        }
    }

    pub(super) fn who(&self) -> Who {
        Who { process_id: self.identity.process_id.clone(), name: self.identity.name.clone() }
    }

    pub(super) fn tree(&self, live: &Live) -> Tree {
        let process_id = self.identity.process_id.clone();
        Tree { leader: (*live.run).clone(), process_id, keeper: self.keeper, cgroup: self.group.clone() }
    }

    /// Know again what an earlier life knew of it; of a run that is known, when it began and who made it.
    pub(super) fn remind(&mut self, record: &ProcessRecord, run: Option<(Timestamp, u32)>) {
        self.history = record.runs.clone();
        self.overtimes = record.violations.values().sum();
        self.last_run = record.run.clone().map(Arc::new);
        let (began_at, keeper) = run.unwrap_or((record.started_at_ms.unwrap_or(record.registered_at_ms), 0));
        (self.began_at, self.keeper) = (began_at, keeper);
    }

    /// The process in a message.
    pub(super) fn title(&self) -> String {
        format!("`{}` ({})", self.identity.name, self.identity.process_id)
    }

    /// Change its record with the next `show`.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut ProcessRecord) + Send + 'static) {
        match &mut self.draft {
            Some(draft) => change(draft),
            None => self.changes.push(Box::new(change)),
        }
    }

    /// Keep a run that is over, in memory and on record.
    pub(super) fn remember(&mut self, started_at_ms: Timestamp, lasted_ms: u64, ending: Ending) {
        let past = PastRun { started_at_ms, lasted_ms, ending };
        self.history.insert(0, past.clone());
        self.history.truncate(HISTORY);
        self.change(move |record| {
            record.runs.insert(0, past);
            record.runs.truncate(RECORDED);
        });
    }

    /// Have the next life know what it must.
    fn take_care(&mut self) {
        let (attempts, then) = (self.life.attempts(), self.life.state().then());
        let paused = self.life.state().live().is_some_and(|live| live.paused);
        let same = |care: &Care| (care.attempts, care.paused) == (attempts, paused) && care.then == then;
        if self.care.as_deref().is_some_and(same) {
            return;
        }
        let spec = Arc::clone(&self.prepared.spec);
        let care = Arc::new(Care { spec, configured: self.configured, attempts, paused, then });
        self.care = Some(Arc::clone(&care));
        self.change(move |record| record.care = Some(care));
    }

    /// Have the registry show where it is now: one message for everything that has changed since the last.
    pub(super) fn show(&mut self, outbox: &mut Outbox, at: Timestamp) {
        let (status, reason) = (self.life.status(), self.life.state().reason());
        // An end that a run brought is the moment of that run's end, even when nobody saw it then.
        let at = self.ended_at.take().unwrap_or(at);
        self.take_care();
        if self.shown.as_ref().is_none_or(|(shown, why)| (*shown, why) != (status, &reason)) {
            self.shown = Some((status, reason.clone()));
            let ended = status.is_ended();
            self.change(move |record| {
                (record.status, record.reason) = (status, reason);
                record.ended_at_ms = ended.then_some(at);
                if ended {
                    (record.next_restart_at_ms, record.queue_position) = (None, None);
                    record.child_pids.clear();
                }
            });
        }
        if let Some(record) = self.draft.take() {
            outbox.insert(record);
        } else if !self.changes.is_empty() {
            outbox.amend(&self.identity.process_id, std::mem::take(&mut self.changes));
        }
    }
}
