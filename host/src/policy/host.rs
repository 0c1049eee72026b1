//! The handle: starts the lanes and carries questions to them and answers back.
//!
//! Owns the senders. Every question gets an answer, whatever happens to a plugin or a lane.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::admission::{AdmissionJob, Admissions};
use super::alert::{AlertJob, Alerts};
use super::cache::Cache;
use super::engine::PolicyEngine;
use super::health::{Health, HealthJob};
use super::judge::Kind;
use super::lane::{Lane, Message, nobody_asked};
use super::plugin::Loader;
use super::prepare::{Prepared, prepare, stand_in};
use super::restart::{Restart, RestartJob};
use super::set::PolicySet;
use super::swap::{Installed, prints};
use super::{AlertAnswer, AlertSubject, BindingInfo, HealthSubject, PolicyError, PolicyHostConfig, PolicyTick};
use crate::alert::Finding;
use crate::decision::{
    Admission, AdmissionRequest, AnsweredBy, Decided, Fallback, FaultKind, Provenance, RestartDecision, RestartQuestion,
};
use crate::event::EventBus;
use crate::health::{HealthReport, Verdict};

/// A handle to the policy host; cheap to clone. Every question gets an answer: a plugin that fails is stood in for.
/// Dropping the last handle ends the policy threads.
#[derive(Clone)]
pub struct PolicyHost {
    pub(super) shared: Arc<Shared>,
}

impl std::fmt::Debug for PolicyHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyHost").finish_non_exhaustive()
    }
}

pub(super) struct Shared {
    pub(super) loader: Loader,
    pub(super) events: Arc<EventBus>,
    pub(super) lanes: Lanes,
    /// Held for a whole swap, so that swaps follow each other; no question needs it.
    pub(super) installed: Mutex<Installed>,
}

/// The way to each lane. What happens when a queue is full is said in `lane`.
pub(super) struct Lanes {
    pub(super) admission: mpsc::Sender<Message<Admissions>>,
    pub(super) health: mpsc::Sender<Message<Health>>,
    pub(super) restart: mpsc::Sender<Message<Restart>>,
    pub(super) alert: mpsc::Sender<Message<Alerts>>,
}

pub(super) fn loader(cache_dir: Option<PathBuf>) -> Result<Loader, PolicyError> {
    let cache = Cache::new(cache_dir).map_err(PolicyError::new)?;
    Ok(Loader::new(PolicyEngine::new()?, cache))
}

impl PolicyHost {
    /// Load, check and install `set` and start the policy threads. Blocks for as long as compiling takes: about a
    /// millisecond when everything is in the cache, a second when nothing is.
    ///
    /// # Errors
    /// Every plugin or setting that cannot be used; nothing is started then.
    pub fn start(config: PolicyHostConfig, set: PolicySet, events: Arc<EventBus>) -> Result<Self, PolicyError> {
        let loader = loader(config.cache_dir)?;
        let prepared = prepare(&loader, &set)?;
        let prints = prints(&prepared);
        let Prepared { admission, health, restart, alert } = prepared;
        let lanes = Lanes {
            admission: Lane::new(loader.engine().clone(), Arc::clone(&events), admission, stand_in(&loader)?, 1)
                .spawn()?,
            health: Lane::new(loader.engine().clone(), Arc::clone(&events), health, stand_in(&loader)?, 1).spawn()?,
            restart: Lane::new(loader.engine().clone(), Arc::clone(&events), restart, stand_in(&loader)?, 1).spawn()?,
            alert: Lane::new(loader.engine().clone(), Arc::clone(&events), alert, stand_in(&loader)?, 1).spawn()?,
        };
        let installed = Mutex::new(Installed { set, generation: 1, prints });
        Ok(Self { shared: Arc::new(Shared { loader, events, lanes, installed }) })
    }

    /// May this run? Every matching binding must allow; when none matches the rule `no-admission-policy` denies.
    pub async fn admit(&self, request: AdmissionRequest) -> Decided<Admission> {
        let answer = ask(&self.shared.lanes.admission, |reply| AdmissionJob { request, reply }).await;
        answer.unwrap_or_else(|| unheard(super::admission::constant("the policy thread has ended")))
    }

    /// Does it come back? Time and jitter seed are added here.
    pub async fn decide_restart(&self, question: RestartQuestion) -> Decided<RestartDecision> {
        let attempts = question.attempts;
        let answer = ask(&self.shared.lanes.restart, |reply| RestartJob { question, reply }).await;
        answer.unwrap_or_else(|| unheard(super::restart::constant(attempts)))
    }

    /// How healthy are these? `history` holds `HISTORY_LENGTH` values (MiB, oldest first, NaN where younger) for each
    /// subject, in order. One answer for each subject; no verdict means unknown, or, when the provenance says that
    /// `hold` answered, unchanged.
    pub async fn assess(
        &self,
        tick: PolicyTick,
        subjects: Vec<HealthSubject>,
        history: Vec<f32>,
    ) -> Vec<(Option<Verdict>, Arc<Provenance>)> {
        let count = subjects.len();
        let job = |reply| HealthJob::Assess { tick, subjects, history, reply };
        let answer = ask(&self.shared.lanes.health, job).await;
        answer.unwrap_or_else(|| vec![(None, unheard(()).provenance); count])
    }

    /// The same for one process, in words. `history` as in `assess`, at most 64 values.
    pub async fn explain_health(
        &self,
        tick: PolicyTick,
        subject: HealthSubject,
        history: Vec<f32>,
    ) -> Decided<Option<HealthReport>> {
        let job = |reply| HealthJob::Explain { tick, subject, history, reply };
        ask(&self.shared.lanes.health, job).await.unwrap_or_else(|| unheard(None))
    }

    /// What deserves attention here?
    pub async fn evaluate_alerts(&self, tick: PolicyTick, subjects: Vec<AlertSubject>) -> AlertAnswer {
        let count = subjects.len();
        let answer = ask(&self.shared.lanes.alert, |reply| AlertJob::Evaluate { tick, subjects, reply }).await;
        answer.unwrap_or_else(|| AlertAnswer { findings: Vec::new(), memos: vec![0; count] })
    }

    /// One finding in words.
    pub async fn explain_alert(&self, subject: AlertSubject, finding: Finding) -> Decided<String> {
        let job = |reply| AlertJob::Explain { subject, finding, reply };
        let answer = ask(&self.shared.lanes.alert, job).await;
        answer.unwrap_or_else(|| unheard(super::alert::constant(&finding)))
    }

    /// The bindings in force: admission, health, restart, alert, each in order.
    pub async fn list(&self) -> Vec<BindingInfo> {
        let lanes = &self.shared.lanes;
        let mut all = listed(&lanes.admission).await;
        all.extend(listed(&lanes.health).await);
        all.extend(listed(&lanes.restart).await);
        all.extend(listed(&lanes.alert).await);
        all
    }
}

/// Put a question into a lane's queue and wait for the answer; none when the lane is gone.
async fn ask<K: Kind, T>(lane: &mpsc::Sender<Message<K>>, job: impl FnOnce(oneshot::Sender<T>) -> K::Job) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    lane.send(Message::Ask(job(reply))).await.ok()?;
    answer.await.ok()
}

async fn listed<K: Kind>(lane: &mpsc::Sender<Message<K>>) -> Vec<BindingInfo> {
    let (reply, answer) = oneshot::channel();
    if lane.send(Message::List(reply)).await.is_err() {
        return Vec::new();
    }
    answer.await.unwrap_or_default()
}

/// The constant of a kind, because its lane is gone.
fn unheard<T>(answer: T) -> Decided<T> {
    let fallback = Fallback {
        fault: FaultKind::Unusable,
        message: "the policy thread has ended".to_owned(),
        answered_by: AnsweredBy::Constant,
    };
    Decided { answer, provenance: nobody_asked("none", 0, Some(fallback)) }
}
