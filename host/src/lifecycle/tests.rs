//! The machine against its whole matrix, its rules one by one, and random histories.

mod adopted;
mod histories;
mod matrix;
mod rules;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::sample::{ExitStatus, RunExit, RunIdentity};
use crate::units::Timestamp;

pub(super) const GRACE: Duration = Duration::from_secs(10);
pub(super) const KILL_WAIT: Duration = Duration::from_secs(5);

pub(super) fn rules() -> Rules {
    Rules {
        restart: RestartMode::OnFailure,
        stop_signal: StopSignal::TERM,
        grace: GRACE,
        kill_wait: KILL_WAIT,
        deadline: Some((LimitKind::ExecutionTime, Duration::from_secs(600))),
    }
}

pub(super) fn identity(pid: u32) -> Arc<RunIdentity> {
    Arc::new(RunIdentity { pid, start_ticks: 7, boot_id: "boot".to_owned() })
}

pub(super) fn exit(status: ExitStatus) -> RunExit {
    RunExit { status, at_ms: Timestamp(0), user_time_ms: 1, system_time_ms: 1, peak_memory_bytes: 4096 }
}

/// A life with its effects, driven by hand.
pub(super) struct Driven {
    pub(super) life: Life,
    pub(super) effects: Vec<Effect>,
    pub(super) now: Instant,
}

impl Driven {
    pub(super) fn new(rules: Rules) -> Self {
        Self { life: Life::new(rules), effects: Vec::new(), now: Instant::now() }
    }

    /// A process whose first run lives.
    pub(super) fn running(rules: Rules) -> Self {
        let mut driven = Self::new(rules);
        driven.give(Input::Start);
        driven.give(Input::PlaceGranted);
        driven.give(Input::Launched(Launch::Made(identity(100))));
        driven
    }

    pub(super) fn give(&mut self, input: Input) -> &mut Self {
        let (life, effects) = step(&self.life, input, self.now).expect("the test gives legal input");
        self.life = life;
        self.effects = effects;
        self
    }

    pub(super) fn exited(&mut self, status: ExitStatus) -> &mut Self {
        let run = self.life.run_number();
        self.give(Input::Exited { run, exit: exit(status), ago: Duration::ZERO })
    }

    pub(super) fn timer(&mut self) -> &mut Self {
        let generation = self.life.generation();
        self.give(Input::Timer { generation })
    }

    pub(super) fn swept(&mut self, survivors: &[u32]) -> &mut Self {
        let generation = self.life.generation();
        self.give(Input::Swept { generation, survivors: survivors.to_vec() })
    }

    pub(super) fn decided(&mut self, decision: crate::decision::RestartDecision) -> &mut Self {
        let generation = self.life.generation();
        self.give(Input::Decided { generation, decision })
    }

    pub(super) fn stop(&mut self) -> &mut Self {
        self.give(Input::Stop { reason: "asked".to_owned() })
    }

    pub(super) fn pass(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    pub(super) fn moments(&self) -> Vec<&Moment> {
        self.effects
            .iter()
            .filter_map(|effect| if let Effect::Tell(moment) = effect { Some(moment) } else { None })
            .collect()
    }

    pub(super) fn signals(&self) -> Vec<StopSignal> {
        self.effects
            .iter()
            .filter_map(|effect| if let Effect::SignalTree { signal, .. } = effect { Some(*signal) } else { None })
            .collect()
    }
}
