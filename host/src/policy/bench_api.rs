//! The lanes without their threads, for benchmarks of a call itself. Not part of the public API.

use std::path::PathBuf;
use std::sync::Arc;

use super::admission::Admissions;
use super::alert::Alerts;
use super::bindings::alert as wit;
use super::engine::PolicyEngine;
use super::health::Health;
use super::host::loader;
use super::lane::Lane;
use super::plugin::{LOAD_TICKS, Loader};
use super::prepare::{Prepared, prepare, stand_in};
use super::restart::{Parts, Restart, call, failure};
use super::set::PolicySet;
use super::{AlertAnswer, AlertSubject, HealthSubject, PolicyError, PolicyTick};
use crate::alert::Finding;
use crate::decision::{Admission, AdmissionRequest, Decided, Provenance, RestartDecision, RestartQuestion};
use crate::event::EventBus;
use crate::health::{HealthReport, Verdict};
use crate::units::Timestamp;

/// An engine with a cache, for measuring loads alone.
pub struct Loading(Loader);

impl Loading {
    pub fn new(cache_dir: Option<PathBuf>) -> Result<Self, PolicyError> {
        loader(cache_dir).map(Self)
    }

    /// Load, check, instantiate and ask a first question.
    pub fn load(&self, set: &PolicySet) -> Result<Ready, PolicyError> {
        prepare(&self.0, set).map(Ready)
    }
}

/// A set ready to take over.
pub struct Ready(Prepared);

/// Four lanes called directly.
pub struct Direct {
    engine: PolicyEngine,
    admission: Lane<Admissions>,
    health: Lane<Health>,
    restart: Lane<Restart>,
    alert: Lane<Alerts>,
}

impl Direct {
    pub fn new(loading: &Loading, ready: Ready) -> Result<Self, PolicyError> {
        let (engine, events) = (loading.0.engine().clone(), Arc::new(EventBus::default()));
        let Prepared { admission, health, restart, alert } = ready.0;
        Ok(Self {
            admission: Lane::new(engine.clone(), Arc::clone(&events), admission, stand_in(&loading.0)?, 1),
            health: Lane::new(engine.clone(), Arc::clone(&events), health, stand_in(&loading.0)?, 1),
            restart: Lane::new(engine.clone(), Arc::clone(&events), restart, stand_in(&loading.0)?, 1),
            alert: Lane::new(engine.clone(), events, alert, stand_in(&loading.0)?, 1),
            engine,
        })
    }

    /// The exchange of a swap, as a lane does it.
    pub fn install(&mut self, ready: Ready) {
        let Prepared { admission, health, restart, alert } = ready.0;
        self.admission.install(admission, 2);
        self.health.install(health, 2);
        self.restart.install(restart, 2);
        self.alert.install(alert, 2);
    }

    /// The same without any bookkeeping: what the engine itself takes.
    pub fn bare_empty_call(&mut self) -> bool {
        let _running = self.engine.running();
        let tick = wit::Tick { now_ms: 0, interval_ms: 1000 };
        self.alert.judges[0].wake().is_ok_and(|live| {
            live.store.set_epoch_deadline(LOAD_TICKS);
            live.guest.call_evaluate(&mut live.store, tick, &[]).is_ok()
        })
    }

    /// The same without any bookkeeping.
    pub fn bare_decide_restart(&mut self, question: &RestartQuestion) -> bool {
        let _running = self.engine.running();
        let parts = Parts::of(question);
        let failure = failure(question, &parts, Timestamp::now(), self.restart.own.next());
        self.restart.judges[0].wake().is_ok_and(|live| {
            live.store.set_epoch_deadline(LOAD_TICKS);
            call(live, &failure).is_ok()
        })
    }

    /// The smallest call there is: an alert batch of nobody, host bookkeeping included.
    pub fn empty_call(&mut self) -> bool {
        let _running = self.engine.running();
        let tick = wit::Tick { now_ms: 0, interval_ms: 1000 };
        self.alert.judges[0].ask(|live| live.guest.call_evaluate(&mut live.store, tick, &[]), Ok).is_ok()
    }

    pub fn admit(&mut self, request: &AdmissionRequest) -> Decided<Admission> {
        let _running = self.engine.running();
        self.admission.admit(request)
    }

    pub fn decide_restart(&mut self, question: &RestartQuestion) -> Decided<RestartDecision> {
        let _running = self.engine.running();
        let parts = Parts::of(question);
        let failure = failure(question, &parts, Timestamp::now(), self.restart.own.next());
        self.restart.decide_restart(question, &failure)
    }

    pub fn assess(
        &mut self,
        tick: PolicyTick,
        subjects: &[HealthSubject],
        history: &[f32],
    ) -> Vec<(Option<Verdict>, Arc<Provenance>)> {
        let _running = self.engine.running();
        self.health.assess(tick, subjects, history)
    }

    pub fn explain_health(
        &mut self,
        tick: PolicyTick,
        subject: &HealthSubject,
        history: &[f32],
    ) -> Decided<Option<HealthReport>> {
        let _running = self.engine.running();
        self.health.explain_health(tick, subject, history)
    }

    pub fn evaluate(&mut self, tick: PolicyTick, subjects: &[AlertSubject]) -> AlertAnswer {
        let _running = self.engine.running();
        self.alert.evaluate(tick, subjects)
    }

    pub fn explain_alert(&mut self, subject: &AlertSubject, finding: &Finding) -> Decided<String> {
        let _running = self.engine.running();
        self.alert.explain_alert(subject, finding)
    }
}
