//! A lane: the thread that owns every instance of one kind. A plugin that uses up its deadline delays its own kind and
//! no other, and no caller's thread.
//!
//! Owns the judges of a kind, the embedded stand-in and the order of questions. A swap is a message like any other, so
//! it takes over between two calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::engine::PolicyEngine;
use super::fault::Fault;
use super::judge::{Judge, Kind};
use super::set::{Mode, OnFailure};
use super::{BindingInfo, PolicyError};
use crate::decision::{AnsweredBy, Fallback, Provenance};
use crate::event::{EventBody, EventBus};
use crate::spec::Identity;

/// Questions that wait for one lane. When the queue is full the asking task waits: its thread is free meanwhile, and
/// the lane moves on because every call has a deadline.
const QUEUE: usize = 1024;
/// Time between two published faults or differences of one binding; those between are counted only.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What a lane is told.
pub(super) enum Message<K: Kind> {
    /// Answer this.
    Ask(K::Job),
    /// These take over, under this generation.
    Install(Vec<Judge<K>>, u64, oneshot::Sender<()>),
    /// What is in force?
    List(oneshot::Sender<Vec<BindingInfo>>),
}

/// The judges of one kind.
pub(super) struct Lane<K: Kind> {
    pub(super) engine: PolicyEngine,
    pub(super) judges: Vec<Judge<K>>,
    pub(super) stand_in: Judge<K>,
    pub(super) generation: u64,
    pub(super) own: K::Own,
    events: Arc<EventBus>,
    /// Who stood where in the last batch and which judge that was; a batch hardly changes from tick to tick.
    placed: Vec<(Arc<Identity>, Option<usize>)>,
}

/// Who is asked: the bound plugin, or the embedded one in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Bound,
    StandIn,
}

impl<K: Kind> Lane<K> {
    pub(super) fn new(
        engine: PolicyEngine,
        events: Arc<EventBus>,
        judges: Vec<Judge<K>>,
        stand_in: Judge<K>,
        generation: u64,
    ) -> Self {
        Self { engine, judges, stand_in, generation, own: K::Own::default(), events, placed: Vec::new() }
    }

    /// Start the thread; it ends when every sender is gone.
    pub(super) fn spawn(self) -> Result<mpsc::Sender<Message<K>>, PolicyError> {
        let (sender, inbox) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name(format!("policy-{}", K::KIND))
            .spawn(move || self.run(inbox))
            .map_err(|error| PolicyError::new(format!("cannot start the {} policy thread: {error}", K::KIND)))?;
        Ok(sender)
    }

    fn run(mut self, mut inbox: mpsc::Receiver<Message<K>>) {
        while let Some(message) = inbox.blocking_recv() {
            match message {
                Message::Ask(job) => K::handle(&mut self, job),
                Message::Install(judges, generation, done) => {
                    self.install(judges, generation);
                    // The one who asked for the swap may have gone; it has happened all the same.
                    let _ = done.send(());
                }
                Message::List(reply) => {
                    let _ = reply.send(self.list());
                }
            }
        }
    }

    pub(super) fn install(&mut self, judges: Vec<Judge<K>>, generation: u64) {
        self.judges = judges;
        self.generation = generation;
        self.placed.clear();
    }

    /// The first enforcing binding that matches.
    pub(super) fn place(&self, identity: &Identity) -> Option<usize> {
        self.judges.iter().position(|judge| {
            judge.bound.binding.mode == Mode::Enforce && judge.bound.binding.matches.accepts(identity)
        })
    }

    /// The judge of each subject of a batch, by position. A subject that stands where it stood last time costs a
    /// comparison of pointers.
    pub(super) fn place_all<'a>(
        &mut self,
        identities: impl ExactSizeIterator<Item = &'a Arc<Identity>>,
    ) -> Vec<Option<usize>> {
        self.placed.truncate(identities.len());
        identities
            .enumerate()
            .map(|(position, identity)| {
                match self.placed.get(position) {
                    Some((known, judge)) if Arc::ptr_eq(known, identity) => return *judge,
                    _ => {}
                }
                let judge = self.place(identity);
                let entry = (Arc::clone(identity), judge);
                match self.placed.get_mut(position) {
                    Some(old) => *old = entry,
                    None => self.placed.push(entry),
                }
                judge
            })
            .collect()
    }

    /// Let the judge at `index` answer, or the stand-in when no binding matches. When the judge cannot, its
    /// `on_failure` rules; `by_rule` is the answer of a rule or constant.
    pub(super) fn decide<T>(
        &mut self,
        index: Option<usize>,
        mut ask: impl FnMut(&mut Judge<K>, Asked) -> Result<T, Fault>,
        by_rule: impl FnOnce(AnsweredBy, &Fault) -> T,
    ) -> (T, Arc<Provenance>) {
        let Some(index) = index else { return self.decide_unbound(ask, by_rule) };
        let judge = &mut self.judges[index];
        let fault = match ask(judge, Asked::Bound) {
            Ok(answer) => return (answer, judge.answered(self.generation)),
            Err(fault) => fault,
        };
        let mut took = judge.took;
        let (answer, answered_by) = match judge.bound.binding.on_failure {
            OnFailure::Default => {
                let answer = ask(&mut self.stand_in, Asked::StandIn);
                took += self.stand_in.took;
                match answer {
                    Ok(answer) => (answer, AnsweredBy::Default),
                    Err(_) => (by_rule(AnsweredBy::Constant, &fault), AnsweredBy::Constant),
                }
            }
            OnFailure::Deny => (by_rule(AnsweredBy::Deny, &fault), AnsweredBy::Deny),
            OnFailure::Allow => (by_rule(AnsweredBy::Allow, &fault), AnsweredBy::Allow),
            OnFailure::Hold => (by_rule(AnsweredBy::Hold, &fault), AnsweredBy::Hold),
        };
        let fallback = fallback(fault, answered_by);
        let provenance = judge.provenance(self.generation, took, Some(fallback));
        tell(&self.events, judge, &provenance);
        (answer, provenance)
    }

    /// The stand-in's answer where no binding matches. That is what the set says and no fault.
    fn decide_unbound<T>(
        &mut self,
        mut ask: impl FnMut(&mut Judge<K>, Asked) -> Result<T, Fault>,
        by_rule: impl FnOnce(AnsweredBy, &Fault) -> T,
    ) -> (T, Arc<Provenance>) {
        let judge = &mut self.stand_in;
        let fault = match ask(judge, Asked::StandIn) {
            Ok(answer) => return (answer, judge.answered(self.generation)),
            Err(fault) => fault,
        };
        let answer = by_rule(AnsweredBy::Constant, &fault);
        let fallback = fallback(fault, AnsweredBy::Constant);
        let provenance = judge.provenance(self.generation, judge.took, Some(fallback));
        tell(&self.events, judge, &provenance);
        (answer, provenance)
    }

    /// Ask every shadow binding that `matches` and report those that answer otherwise. To be called after the answer
    /// was sent.
    pub(super) fn shadow(
        &mut self,
        matches: impl Fn(&Judge<K>) -> bool,
        mut differs: impl FnMut(&mut Judge<K>) -> Option<String>,
    ) {
        for judge in &mut self.judges {
            if judge.bound.binding.mode != Mode::Shadow || !matches(judge) {
                continue;
            }
            let Some(detail) = differs(judge) else { continue };
            if due(&mut judge.told) {
                let plugin = judge.bound.reference.to_string();
                self.events.publish(EventBody::ShadowDiffers { kind: K::KIND, plugin, detail });
            }
        }
    }

    /// Whether a shadow binding exists at all.
    pub(super) fn has_shadow(&self) -> bool {
        self.judges.iter().any(|judge| judge.bound.binding.mode == Mode::Shadow)
    }

    pub(super) fn list(&self) -> Vec<BindingInfo> {
        self.judges.iter().enumerate().map(|(index, judge)| info(index, judge, self.generation)).collect()
    }
}

/// Provenance of an answer that no plugin was asked for.
pub(super) fn nobody_asked(plugin: &str, generation: u64, fallback: Option<Fallback>) -> Arc<Provenance> {
    let none: Arc<str> = "".into();
    let digest = Arc::clone(&none);
    Arc::new(Provenance { plugin: plugin.into(), version: none, digest, generation, took_us: 0, fallback })
}

fn fallback(fault: Fault, answered_by: AnsweredBy) -> Fallback {
    Fallback { fault: fault.kind, message: fault.message, answered_by }
}

fn tell<K: Kind>(events: &EventBus, judge: &mut Judge<K>, provenance: &Arc<Provenance>) {
    if due(&mut judge.told) {
        events.publish(EventBody::PolicyFault { kind: K::KIND, provenance: Arc::clone(provenance) });
    }
}

/// Whether it is time to tell again; notes that it was told.
fn due(told: &mut Option<Instant>) -> bool {
    let now = Instant::now();
    let due = told.is_none_or(|last| now.duration_since(last) >= TELL_EVERY);
    if due {
        *told = Some(now);
    }
    due
}

fn info<K: Kind>(index: usize, judge: &Judge<K>, generation: u64) -> BindingInfo {
    let (bound, figures) = (&judge.bound, &judge.figures);
    let calls = figures.calls;
    BindingInfo {
        kind: K::KIND,
        index,
        matches: bound.binding.matches.to_string(),
        mode: bound.binding.mode.to_string(),
        plugin: bound.reference.to_string(),
        version: bound.plugin.version.to_string(),
        digest: bound.plugin.digest.to_string(),
        settings: bound.settings_value(),
        on_failure: bound.binding.on_failure.to_string(),
        circuit: judge.breaker.as_str(Instant::now()).to_owned(),
        generation,
        calls,
        faults: figures.faults.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
        mean_call_us: if calls == 0 { 0.0 } else { figures.time.as_secs_f64() * 1e6 / calls as f64 },
    }
}
