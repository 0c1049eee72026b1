//! The monitor's task: sole owner of what is watched.
//!
//! It waits for news, commands, the tick, the answers of policies and of health checks, whichever comes first. A tick
//! goes through its stages as a future that owns what it needs, so nothing here ever waits for a policy, a sample or a
//! process. Without runs there is no timer.

use std::collections::HashMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior};

use super::instruments::{Instruments, Watch};
use super::probe::{Answer, Prober};
use super::teller::Teller;
use super::watchlist::{Outcome, Round, Watchlist};
use super::{MonitorConfig, MonitorParts};
use crate::decision::LimitKind;
use crate::error::{ErrorClass, Problem};
use crate::event::EventBus;
use crate::health::{HealthReport, Verdict};
use crate::link::{Enforcement, RunNews};
use crate::platform::InProcessLauncher;
use crate::policy::{AlertAnswer, HealthSubject, PolicyHost};
use crate::record::MonitorCost;
use crate::registry::Registry;
use crate::sample::SystemLoad;
use crate::spec::ProcessId;
use crate::units::Timestamp;

/// What a handle may ask.
pub(super) enum Command {
    /// Judge one process in words.
    Explain { id: ProcessId, reply: oneshot::Sender<Result<HealthReport, Problem>> },
    /// Take over a changed configuration.
    Reconfigure(MonitorConfig),
}

/// What a stage of a tick has come to.
enum Stage {
    Measured(Box<Instruments>),
    /// The measuring thread died with its instruments.
    Lost,
    Assessed(Vec<Option<Verdict>>),
    Evaluated(AlertAnswer),
}

type InFlight = Pin<Box<dyn Future<Output = Stage> + Send>>;

/// A tick on its way.
struct Tick {
    began: Instant,
    /// Known once it was measured.
    round: Option<Round>,
    stage: InFlight,
}

/// The monitor's state.
pub(super) struct Task {
    registry: Registry,
    policies: PolicyHost,
    events: Arc<EventBus>,
    news: mpsc::Receiver<RunNews>,
    enforcement: mpsc::Sender<Enforcement>,
    commands: mpsc::Receiver<Command>,
    list: Watchlist,
    prober: Prober,
    teller: Teller,
    /// At home between two ticks; the tick has them while it measures.
    instruments: Option<Box<Instruments>>,
    /// What they must learn before the next tick.
    watches: Vec<Watch>,
    children: HashMap<u64, Vec<u32>>,
    load: SystemLoad,
    ticker: Option<Interval>,
    tick: Option<Tick>,
    cost: MonitorCost,
}

impl Task {
    pub(super) fn new(parts: MonitorParts, commands: mpsc::Receiver<Command>) -> Self {
        // The launcher first: it remembers the descriptor limit that children get, and the sampler raises ours.
        let prober = Prober::new(Box::new(InProcessLauncher::default()));
        Self {
            teller: Teller::launch(parts.policies.clone(), Arc::clone(&parts.events)),
            registry: parts.registry,
            policies: parts.policies,
            events: parts.events,
            news: parts.news,
            enforcement: parts.enforcement,
            commands,
            list: Watchlist::new(parts.config),
            prober,
            instruments: Some(Box::default()),
            watches: Vec::new(),
            children: HashMap::new(),
            load: SystemLoad::default(),
            ticker: None,
            tick: None,
            cost: MonitorCost::default(),
        }
    }

    /// Work until the sender of news is gone.
    pub(super) async fn run(mut self) {
        loop {
            let fading = self.list.next_fading();
            tokio::select! {
                news = self.news.recv() => match news {
                    Some(news) => self.take_news(news),
                    None => break,
                },
                Some(command) = self.commands.recv() => self.obey(command),
                stage = in_flight(&mut self.tick) => self.advance(stage).await,
                () = next_tick(&mut self.ticker) => self.begin_tick(),
                answer = self.prober.next() => self.take_check(answer),
                () = sleep_until(fading) => {
                    let mut out = Outcome::default();
                    self.list.fade(now(), &mut out);
                    self.tell(&mut out);
                }
            }
        }
        self.prober.shut_down().await;
    }

    fn take_news(&mut self, news: RunNews) {
        match news {
            RunNews::Began(began) => {
                // A process has one live run: one that was not told to have ended has.
                let id = began.identity.process_id.clone();
                if let Some(older) = self.list.run_of(&id).map(|(_, watched)| watched.began.run_number) {
                    self.forget(&id, older, (false, false));
                }
                let (run, group) = (began.run.clone(), began.group.clone());
                let key = self.list.began(began, now());
                if let Some((_, watched)) = self.list.run_of(&id) {
                    self.prober.watch(key, &watched.began, self.list.config.health_check_interval.get());
                }
                self.watches.push(Watch::Track(key, run, group));
            }
            RunNews::Ended { process_id, run_number, failed, restarted } => {
                self.forget(&process_id, run_number, (failed, restarted));
            }
            RunNews::Paused { process_id, paused } => {
                if let Some(key) = self.list.paused(&process_id, paused) {
                    self.prober.pause(key, paused);
                }
            }
        }
        self.wind_clock();
    }

    fn forget(&mut self, id: &ProcessId, run_number: u32, how: (bool, bool)) {
        let mut out = Outcome::default();
        if let Some(key) = self.list.ended(id, run_number, how, now(), &mut out) {
            self.prober.forget(key);
            self.watches.push(Watch::Untrack(key));
        }
        self.tell(&mut out);
    }

    /// The timer runs while there is something to measure.
    fn wind_clock(&mut self) {
        if self.list.is_empty() {
            self.ticker = None;
            self.settle();
        } else if self.ticker.is_none() {
            let mut ticker = tokio::time::interval(self.list.config.interval.get());
            ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
            self.ticker = Some(ticker);
        }
    }

    /// Nothing runs: give the descriptors back now, for no tick will come and do it.
    fn settle(&mut self) {
        if let Some(instruments) = &mut self.instruments {
            instruments.learn(self.watches.drain(..));
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Explain { id, reply } => self.explain(&id, reply),
            Command::Reconfigure(config) => {
                if config.interval != self.list.config.interval {
                    self.ticker = None;
                }
                self.list.reconfigure(config);
                self.wind_clock();
            }
        }
    }

    fn explain(&self, id: &ProcessId, reply: oneshot::Sender<Result<HealthReport, Problem>>) {
        let known = self.list.run_of(id).and_then(|(_, watched)| {
            let reading = watched.health_reading(now())?;
            let subject = HealthSubject { identity: Arc::clone(&watched.began.identity), reading };
            Some((subject, watched.history().to_vec()))
        });
        let Some((subject, history)) = known else {
            let message = format!("{id} has no live run that was measured yet; health is judged while a process runs");
            // The asker may have gone, which is no error.
            let _ = reply.send(Err(Problem::new(ErrorClass::NotFound, message)));
            return;
        };
        let (policies, tick, id) = (self.policies.clone(), self.list.tick(Timestamp::now()), id.clone());
        tokio::spawn(async move {
            let report = policies.explain_health(tick, subject, history).await.answer;
            let unknown = || Problem::new(ErrorClass::Unavailable, format!("no policy could judge the health of {id}"));
            let _ = reply.send(report.ok_or_else(unknown));
        });
    }

    fn take_check(&mut self, answer: Answer) {
        let Answer { key, passed, latency, detail } = answer;
        let mut out = Outcome::default();
        self.list.take_check(key, (passed, latency), detail, now(), &mut out);
        self.list.ask_for(key, now(), offer(&self.enforcement));
        self.tell(&mut out);
    }

    fn begin_tick(&mut self) {
        if self.tick.is_some() {
            // The one before still waits for a policy or a sample; it is not held up further.
            self.cost.ticks_skipped += 1;
            return;
        }
        let mut instruments = self.instruments.take().unwrap_or_default();
        let watches = std::mem::take(&mut self.watches);
        let measured = tokio::task::spawn_blocking(move || {
            instruments.learn(watches);
            instruments.measure();
            instruments
        });
        let stage = Box::pin(async { measured.await.map_or(Stage::Lost, Stage::Measured) });
        self.tick = Some(Tick { began: Instant::now(), round: None, stage });
    }

    /// Take in what a stage has come to and begin the next.
    async fn advance(&mut self, stage: Stage) {
        let Some(Tick { began, round, .. }) = self.tick.take() else { return };
        let mut out = Outcome::default();
        let next = match (stage, round) {
            (Stage::Measured(instruments), _) => Some(self.measured(instruments, &mut out)),
            (Stage::Assessed(verdicts), Some(round)) => Some(self.assessed(round, verdicts, &mut out)),
            (Stage::Evaluated(answer), Some(round)) => {
                self.list.take_findings(&round, answer, &mut out);
                self.finish(began, &round).await;
                None
            }
            (Stage::Lost, _) => {
                self.start_over();
                None
            }
            (Stage::Assessed(_) | Stage::Evaluated(_), None) => None,
        };
        self.tick = next.map(|(round, stage)| Tick { began, round: Some(round), stage });
        count(&self.registry, &out.violations).await;
        self.tell(&mut out);
    }

    fn measured(&mut self, mut instruments: Box<Instruments>, out: &mut Outcome) -> (Round, InFlight) {
        let mut round = self.list.take_readings(&instruments.readings, now(), Timestamp::now(), out);
        self.load = instruments.load;
        self.children = std::mem::take(&mut instruments.changed_children);
        self.instruments = Some(instruments);
        if self.list.is_empty() {
            self.settle();
        }
        let (subjects, history) = self.list.health_batch(&mut round);
        let (policies, tick) = (self.policies.clone(), round.tick);
        let stage = async move {
            if subjects.is_empty() {
                return Stage::Assessed(Vec::new());
            }
            let answers = policies.assess(tick, subjects, history).await;
            Stage::Assessed(answers.into_iter().map(|(verdict, _)| verdict).collect())
        };
        (round, Box::pin(stage))
    }

    fn assessed(&mut self, mut round: Round, verdicts: Vec<Option<Verdict>>, out: &mut Outcome) -> (Round, InFlight) {
        self.list.take_verdicts(&round, verdicts, out);
        self.list.ask(round.now, offer(&self.enforcement));
        let subjects = self.list.alert_batch(&mut round);
        let (policies, tick) = (self.policies.clone(), round.tick);
        let stage = async move {
            if subjects.is_empty() {
                return Stage::Evaluated(AlertAnswer::default());
            }
            Stage::Evaluated(policies.evaluate_alerts(tick, subjects).await)
        };
        (round, Box::pin(stage))
    }

    async fn finish(&mut self, began: Instant, round: &Round) {
        let took = began.elapsed().as_secs_f64() * 1e6;
        self.cost.ticks += 1;
        self.cost.samples += round.len() as u64;
        self.cost.last_tick_us = took as u64;
        self.cost.last_tick_us_per_process = (took / round.len().max(1) as f64) as f32;
        let observations = self.list.observations(round, std::mem::take(&mut self.children));
        // Waits for a place in the registry's inbox at most; the registry waits for nobody.
        self.registry.observe(observations, self.cost, self.load).await;
    }

    /// The instruments are lost: take new ones and have them learn every run.
    fn start_over(&mut self) {
        tracing::error!("measuring failed; starting over with new instruments");
        self.instruments = Some(Box::default());
        let again = |(key, watched): (u64, &super::watched::Watched)| {
            Watch::Track(key, watched.began.run.clone(), watched.began.group.clone())
        };
        self.watches = self.list.runs().map(again).collect();
    }

    fn tell(&self, out: &mut Outcome) {
        out.events.drain(..).for_each(|event| self.events.publish(event));
        out.tells.drain(..).for_each(|tell| self.teller.tell(tell));
    }
}

async fn count(registry: &Registry, violations: &[(ProcessId, LimitKind)]) {
    for &(ref id, limit) in violations {
        registry.amend(id, move |record| *record.violations.entry(limit).or_default() += 1).await;
    }
}

/// Asks the supervisor if it has room. Full: what was asked stays due and is asked again at the next tick.
fn offer(enforcement: &mpsc::Sender<Enforcement>) -> impl FnMut(Enforcement) -> bool + '_ {
    |request| enforcement.try_send(request).is_ok()
}

/// The runtime's clock, so that a test with a paused clock sees one time everywhere.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn in_flight(tick: &mut Option<Tick>) -> Stage {
    match tick {
        Some(tick) => tick.stage.as_mut().await,
        None => pending().await,
    }
}

async fn next_tick(ticker: &mut Option<Interval>) {
    match ticker {
        Some(ticker) => {
            ticker.tick().await;
        }
        None => pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => pending().await,
    }
}
