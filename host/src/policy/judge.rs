//! A judge: one binding with its live instance. Asks one question at a time and says why there is no answer.
//!
//! Owns the store, the circuit and the figures of a binding. Owned by one lane; not shared.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::bindings::policy;
use super::bindings::types::{Refusal, SettingsProblem};
use super::breaker::Breaker;
use super::engine::TICK;
use super::fault::Fault;
use super::guest::GuestState;
use super::plugin::{LOAD_TICKS, Plugin};
use super::set::Binding;
use crate::decision::{Fallback, FaultKind, PolicyKind, Provenance};

/// One of the four kinds: which interface it is and how an instance of it is made ready.
pub(super) trait Kind: Sized + Send + 'static {
    /// Which question.
    const KIND: PolicyKind;
    /// Exports of a component, looked up once.
    type Indices: Send + Sync;
    /// Exports of an instance.
    type Guest: Send;
    /// What is kept beside an instance.
    type Extra: Send + Default;
    /// What a lane of this kind keeps from question to question.
    type Own: Send + Default;
    /// A question with the way back for its answer.
    type Job: Send;

    /// Look the exports up.
    fn indices(pre: &InstancePre<GuestState>) -> wasmtime::Result<Self::Indices>;
    /// Find them in an instance.
    fn guest(
        indices: &Self::Indices,
        store: &mut Store<GuestState>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Guest>;
    /// Called once, after `configure`.
    fn prepare(_live: &mut Live<Self>) -> wasmtime::Result<()> {
        Ok(())
    }
    /// Ask a question that every policy of this kind must be able to answer; declining is an answer.
    fn self_test(judge: &mut Judge<Self>) -> Result<(), Fault>;
    /// Answer a question.
    fn handle(lane: &mut super::lane::Lane<Self>, job: Self::Job);
}

/// A plugin bound to match, settings and budget: everything a judge is made from.
pub(super) struct Bound<K: Kind> {
    pub(super) plugin: Arc<Plugin>,
    pub(super) reference: Arc<str>,
    pub(super) binding: Binding,
    /// Settings as the plugin gets them.
    pub(super) settings: String,
    pub(super) indices: K::Indices,
}

/// An instance that was configured.
pub(super) struct Live<K: Kind> {
    pub(super) store: Store<GuestState>,
    pub(super) guest: K::Guest,
    pub(super) extra: K::Extra,
}

/// What a judge has done so far.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) calls: u64,
    pub(super) time: Duration,
    pub(super) faults: BTreeMap<&'static str, u64>,
}

/// One binding with its instance.
pub(super) struct Judge<K: Kind> {
    pub(super) bound: Bound<K>,
    live: Option<Live<K>>,
    pub(super) breaker: Breaker,
    last_failure: String,
    pub(super) figures: Figures,
    /// It has not judged a batch yet: memos are another policy's and must not reach it.
    pub(super) fresh: bool,
    /// How long the last question took; nothing when it was not asked because the circuit is open.
    pub(super) took: Duration,
    /// When a fault of it was last published.
    pub(super) told: Option<Instant>,
    /// Where its last plain answer came from, for the next one like it.
    last: Option<Arc<Provenance>>,
}

impl<K: Kind> Judge<K> {
    pub(super) fn new(bound: Bound<K>) -> Self {
        Self {
            bound,
            live: None,
            breaker: Breaker::default(),
            last_failure: String::new(),
            figures: Figures::default(),
            fresh: true,
            took: Duration::ZERO,
            told: None,
            last: None,
        }
    }

    /// Ask. `run` makes the call, `check` turns what came back into an answer or says why it is none. The caller holds
    /// the engine's `running` guard.
    pub(super) fn ask<R, T>(
        &mut self,
        run: impl FnOnce(&mut Live<K>) -> wasmtime::Result<Result<R, Refusal>>,
        check: impl FnOnce(R) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let ticks = ticks(self.bound.binding.budget.deadline.get());
        self.ask_within(ticks, run, check)
    }

    /// The same with the generous deadline of a load.
    pub(super) fn ask_at_load<R, T>(
        &mut self,
        run: impl FnOnce(&mut Live<K>) -> wasmtime::Result<Result<R, Refusal>>,
        check: impl FnOnce(R) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.ask_within(LOAD_TICKS, run, check)
    }

    fn ask_within<R, T>(
        &mut self,
        ticks: u64,
        run: impl FnOnce(&mut Live<K>) -> wasmtime::Result<Result<R, Refusal>>,
        check: impl FnOnce(R) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if let Some(left) = self.breaker.closed_for(Instant::now) {
            self.took = Duration::ZERO;
            return Err(self.count(self.shut(left)));
        }
        let started = Instant::now();
        let answer = self.call(ticks, run).and_then(check);
        self.figures.calls += 1;
        self.took = started.elapsed();
        self.figures.time += self.took;
        match answer {
            Ok(answer) => {
                self.breaker.answered();
                Ok(answer)
            }
            Err(fault) => Err(self.failed(fault)),
        }
    }

    fn call<R>(
        &mut self,
        ticks: u64,
        run: impl FnOnce(&mut Live<K>) -> wasmtime::Result<Result<R, Refusal>>,
    ) -> Result<R, Fault> {
        let live = match &mut self.live {
            Some(live) => live,
            empty => empty.insert(self.bound.instantiate()?),
        };
        live.store.data_mut().begin_call();
        live.store.set_epoch_deadline(ticks);
        let answer = run(live);
        live.store.data_mut().end_call();
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(refusal)) => Err(Fault::refused(&refusal.reason)),
            Err(error) => Err(Fault::of(&error)),
        }
    }

    /// Bookkeeping of a fault. Declining is no failure: the instance is sound and the circuit stays closed. After a
    /// failure the instance is gone: a trap leaves it in the middle of something.
    fn failed(&mut self, fault: Fault) -> Fault {
        if fault.kind == FaultKind::Refused {
            self.breaker.answered();
        } else {
            self.live = None;
            self.breaker.failed(Instant::now());
            self.last_failure.clone_from(&fault.message);
        }
        self.count(fault)
    }

    fn count(&mut self, fault: Fault) -> Fault {
        *self.figures.faults.entry(fault.kind.as_str()).or_default() += 1;
        fault
    }

    fn shut(&self, left: Duration) -> Fault {
        let message = format!(
            "its circuit is open after failures in a row; it is asked again in {} s (last: {})",
            left.as_secs() + 1,
            self.last_failure
        );
        Fault::new(FaultKind::Unusable, message)
    }

    /// Make the instance now, so that the first question does not wait for it.
    pub(super) fn wake(&mut self) -> Result<&mut Live<K>, Fault> {
        match &mut self.live {
            Some(live) => Ok(live),
            empty => Ok(empty.insert(self.bound.instantiate()?)),
        }
    }

    /// Make the instance now and ask it what it finds wrong with its settings; nothing, and it is ready.
    pub(super) fn wake_valid(&mut self) -> Result<Vec<String>, Fault> {
        match self.bound.instantiate_valid()? {
            Ok(live) => {
                self.live = Some(live);
                Ok(Vec::new())
            }
            Err(problems) => Ok(problems),
        }
    }

    /// Where a plain answer of this judge comes from. Calls take a microsecond or two, so most share the last one's.
    pub(super) fn answered(&mut self, generation: u64) -> Arc<Provenance> {
        let took_us = self.took.as_micros() as u64;
        match &self.last {
            Some(last) if (last.took_us, last.generation) == (took_us, generation) => Arc::clone(last),
            _ => {
                let new = self.provenance(generation, self.took, None);
                self.last = Some(Arc::clone(&new));
                new
            }
        }
    }

    /// Where an answer given in its name comes from.
    pub(super) fn provenance(&self, generation: u64, took: Duration, fallback: Option<Fallback>) -> Arc<Provenance> {
        Arc::new(Provenance {
            plugin: Arc::clone(&self.bound.reference),
            version: Arc::clone(&self.bound.plugin.version),
            digest: Arc::clone(&self.bound.plugin.digest),
            generation,
            took_us: took.as_micros() as u64,
            fallback,
        })
    }
}

/// A deadline in ticks of the epoch clock. One more than asked for: the clock may tick right after the call began.
fn ticks(deadline: Duration) -> u64 {
    deadline.as_micros().div_ceil(TICK.as_micros()) as u64 + 1
}

impl<K: Kind> Bound<K> {
    /// Make an instance and configure it.
    fn instantiate(&self) -> Result<Live<K>, Fault> {
        let (store, instance, policy) = self.start().map_err(|error| Fault::at_start(&error))?;
        self.configure(store, &instance, &policy)
    }

    /// The same after asking the plugin what it finds wrong with its settings; anything wrong, and there is no instance.
    fn instantiate_valid(&self) -> Result<Result<Live<K>, Vec<String>>, Fault> {
        let (mut store, instance, policy) = self.start().map_err(|error| Fault::at_start(&error))?;
        let problems = policy.call_validate_settings(&mut store, &self.settings);
        let problems = problems.map_err(|error| Fault::at_start(&error))?;
        if !problems.is_empty() {
            return Ok(Err(problems.iter().map(|p| format!("settings{}: {}", p.field, p.message)).collect()));
        }
        store.set_epoch_deadline(LOAD_TICKS);
        self.configure(store, &instance, &policy).map(Ok)
    }

    fn start(&self) -> wasmtime::Result<(Store<GuestState>, Instance, policy::Guest)> {
        let mut store = self.plugin.store(self.binding.budget);
        let instance = self.plugin.pre.instantiate(&mut store)?;
        let policy = self.plugin.policy.load(&mut store, &instance)?;
        Ok((store, instance, policy))
    }

    fn configure(
        &self,
        mut store: Store<GuestState>,
        instance: &Instance,
        policy: &policy::Guest,
    ) -> Result<Live<K>, Fault> {
        let guest = K::guest(&self.indices, &mut store, instance).map_err(|error| Fault::at_start(&error))?;
        let configured = policy.call_configure(&mut store, &self.settings).map_err(|error| Fault::at_start(&error))?;
        configured.map_err(|problems| {
            Fault::new(FaultKind::Unusable, format!("it does not take its settings: {}", told(&problems)))
        })?;
        let mut live = Live { store, guest, extra: K::Extra::default() };
        K::prepare(&mut live).map_err(|error| Fault::at_start(&error))?;
        Ok(live)
    }

    /// Settings as a value, for people.
    pub(super) fn settings_value(&self) -> Value {
        Value::Object(self.binding.settings.clone())
    }
}

fn told(problems: &[SettingsProblem]) -> String {
    problems.iter().map(|p| format!("{}: {}", p.field, p.message)).collect::<Vec<_>>().join("; ")
}
