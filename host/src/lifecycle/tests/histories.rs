//! Random histories: whatever happens in whatever order, some things always hold.

use std::collections::BTreeSet;

use super::*;
use crate::decision::{Ending, RestartDecision};
use proptest::prelude::*;

/// What may happen next; a choice that has no object in the present world is left out.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Start,
    Stop,
    Kill,
    Restart,
    Pause(bool),
    Grant,
    Launch { succeeds: bool },
    Exit { code: u8 },
    Timer,
    Decide { give_up: bool, delay: u16, attempt: u8 },
    Sweep { left: u8 },
    Late { kind: u8, back: u8 },
    Unhealthy,
    LimitBroken,
    Idle(bool),
    Wait { ms: u16 },
}

/// The world around one process, as faithful as a test needs it: it answers only what was asked.
struct World {
    life: Life,
    now: Instant,
    live: BTreeSet<u32>,
    next_pid: u32,
    wants_place: bool,
    holds_place: bool,
    launching: bool,
    timer: Option<u64>,
    question: Option<u64>,
    sweep: Option<u64>,
    allowed_restarts: u32,
    asked_starts: u32,
    launches: u32,
}

impl World {
    fn new(restart: RestartMode) -> Self {
        Self {
            life: Life::new(Rules { restart, ..rules() }),
            now: Instant::now(),
            live: BTreeSet::new(),
            next_pid: 1000,
            wants_place: false,
            holds_place: false,
            launching: false,
            timer: None,
            question: None,
            sweep: None,
            allowed_restarts: 0,
            asked_starts: 0,
            launches: 0,
        }
    }

    /// The same in the middle of a life that an earlier supervisor has begun.
    fn inherited(restart: RestartMode, was: u8) -> Self {
        let mut world = Self::new(restart);
        let then = [None, Some(Then::Restart), Some(Then::Down { reason: "asked".to_owned() })];
        let ending = Ending::Ended(ExitStatus::Code(1));
        let was = match was % 6 {
            place @ 0..3 => {
                world.live.insert(100);
                let (identity, began, then) = (identity(100), world.now, then[usize::from(place)].clone());
                Was::Running { identity, began, paused: false, lives: place != 0, then }
            }
            3 => Was::Deciding { ending, lasted: Duration::from_secs(1) },
            4 => Was::Backoff { left: Duration::from_secs(1) },
            _ => Was::Waiting,
        };
        // A pending restart was allowed, or asked for, in the earlier life.
        world.allowed_restarts = u32::from(matches!(was, Was::Backoff { .. } | Was::Running { then: Some(_), .. }));
        world.asked_starts = u32::from(was == Was::Waiting);
        world.holds_place = was != Was::Waiting;
        let rules = Rules { restart, ..rules() };
        let (life, effects) = Life::adopted(Past { rules, run: 1, attempts: 0, restarts: 0, was }, world.now);
        world.life = life;
        effects.into_iter().for_each(|effect| world.take_in(effect));
        world
    }

    fn input_for(&mut self, happening: Happening) -> Option<Input> {
        let (generation, run) = (self.life.generation(), self.life.run_number());
        let reason = "asked".to_owned();
        match happening {
            Happening::Start => Some(Input::Start),
            Happening::Stop => Some(Input::Stop { reason }),
            Happening::Kill => Some(Input::Kill { reason }),
            Happening::Restart => Some(Input::Restart),
            Happening::Pause(paused) => Some(Input::Pause(paused)),
            Happening::Grant => std::mem::take(&mut self.wants_place).then(|| {
                self.holds_place = true;
                Input::PlaceGranted
            }),
            Happening::Launch { succeeds } => std::mem::take(&mut self.launching).then(|| self.launch(succeeds)),
            Happening::Exit { code } => self.live.pop_first().map(|_| {
                let status = if code == 0 { ExitStatus::Code(0) } else { ExitStatus::Signal(9) };
                Input::Exited { run, exit: exit(status), ago: Duration::ZERO }
            }),
            Happening::Timer => self.timer.take().map(|generation| Input::Timer { generation }),
            Happening::Decide { give_up, delay, attempt } => self.question.take().map(|generation| {
                if give_up {
                    return Input::Decided { generation, decision: RestartDecision::GiveUp { reason } };
                }
                if generation == self.life.generation() {
                    self.allowed_restarts += 1;
                }
                let (delay_ms, attempt) = (u64::from(delay), u32::from(attempt) + 1);
                Input::Decided { generation, decision: RestartDecision::RestartAfter { delay_ms, attempt } }
            }),
            Happening::Sweep { left } => self.sweep.take().map(|generation| {
                let mut survivors: Vec<u32> = self.live.iter().copied().collect();
                survivors.extend((0..u32::from(left % 3)).map(|n| 50_000 + n));
                Input::Swept { generation, survivors }
            }),
            Happening::Late { kind, back } => {
                let generation = generation.checked_sub(1 + u64::from(back))?;
                Some(match kind % 4 {
                    0 => Input::Timer { generation },
                    1 => Input::Swept { generation, survivors: vec![] },
                    2 => {
                        Input::Exited { run: run.checked_sub(1)?, exit: exit(ExitStatus::Code(0)), ago: Duration::ZERO }
                    }
                    _ => {
                        let decision = RestartDecision::RestartAfter { delay_ms: 0, attempt: 99 };
                        Input::Decided { generation, decision }
                    }
                })
            }
            Happening::Unhealthy => Some(Input::Unhealthy { run, score: 5 }),
            Happening::LimitBroken => Some(Input::LimitBroken { run, limit: LimitKind::Memory }),
            Happening::Idle(idle) => Some(Input::Idle { run, idle }),
            Happening::Wait { ms } => {
                self.now += Duration::from_millis(u64::from(ms));
                None
            }
        }
    }

    fn launch(&mut self, succeeds: bool) -> Input {
        if !succeeds {
            return Input::Launched(Launch::Failed("no such file".to_owned()));
        }
        self.next_pid += 1;
        assert!(self.live.insert(self.next_pid));
        Input::Launched(Launch::Made(identity(self.next_pid)))
    }

    /// Let it happen and check everything that must hold at every step.
    fn happen(&mut self, happening: Happening) {
        let Some(input) = self.input_for(happening) else { return };
        let late = matches!(happening, Happening::Late { .. });
        let was = self.life.clone();
        let person = matches!(input, Input::Start | Input::Restart);
        let Ok((life, effects)) = step(&self.life, input, self.now) else {
            assert!(
                person || matches!(happening, Happening::Pause(_)),
                "the world's own news are always legal: {happening:?} in {was:?}"
            );
            return;
        };
        if late {
            assert!(life == was && effects.is_empty(), "what is late changes nothing");
        }
        if was.state().is_ended() && life.state() != was.state() {
            assert!(person, "nothing but a start leaves an end: {happening:?}");
        }
        self.life = life;
        self.asked_starts += u32::from(person);
        for effect in effects {
            self.take_in(effect);
        }
        assert!(self.live.len() <= 1, "never two live runs: {:?}", self.live);
        assert!(!(self.life.state().is_ended() && self.holds_place), "an end gives its place back");
        assert!(self.timer.is_none_or(|generation| generation == self.life.generation()), "no timer outlives its wait");
        let allowed = self.asked_starts + self.allowed_restarts;
        assert!(self.launches <= allowed, "a launch takes a person's word or the policy's, each good for one");
    }

    fn take_in(&mut self, effect: Effect) {
        match effect {
            Effect::SeekPlace => self.wants_place = true,
            Effect::LeaveQueue => self.wants_place = false,
            Effect::ReleasePlace => self.holds_place = false,
            Effect::Launch { .. } => {
                assert!(self.live.is_empty(), "a launch needs the run before to be gone");
                assert!(self.holds_place, "a launch needs a place");
                self.launching = true;
                self.launches += 1;
            }
            Effect::Arm { generation, .. } => self.timer = Some(generation),
            Effect::Disarm => self.timer = None,
            Effect::Sweep { generation, .. } => self.sweep = Some(generation),
            Effect::AskRestart { generation, .. } => self.question = Some(generation),
            _ => {}
        }
    }

    /// Everything that a stop waits for happens; nothing else does.
    fn let_it_end(&mut self) -> bool {
        self.happen(Happening::Stop);
        for _ in 0..40 {
            if self.life.state().is_ended() {
                return true;
            }
            self.happen(Happening::Launch { succeeds: true });
            self.happen(Happening::Exit { code: 1 });
            self.happen(Happening::Sweep { left: 0 });
            self.happen(Happening::Timer);
        }
        false
    }
}

fn happenings() -> impl Strategy<Value = Happening> {
    prop_oneof![
        2 => Just(Happening::Start),
        1 => Just(Happening::Stop),
        1 => Just(Happening::Kill),
        1 => Just(Happening::Restart),
        1 => any::<bool>().prop_map(Happening::Pause),
        5 => Just(Happening::Grant),
        5 => prop::bool::weighted(0.8).prop_map(|succeeds| Happening::Launch { succeeds }),
        4 => (0u8..3).prop_map(|code| Happening::Exit { code }),
        4 => Just(Happening::Timer),
        4 => (prop::bool::weighted(0.2), 0u16..3, 0u8..5)
            .prop_map(|(give_up, delay, attempt)| Happening::Decide { give_up, delay, attempt }),
        5 => prop_oneof![3 => Just(0u8), 1 => 0u8..3].prop_map(|left| Happening::Sweep { left }),
        2 => (any::<u8>(), 0u8..4).prop_map(|(kind, back)| Happening::Late { kind, back }),
        1 => Just(Happening::Unhealthy),
        1 => Just(Happening::LimitBroken),
        1 => any::<bool>().prop_map(Happening::Idle),
        2 => (0u16..20_000).prop_map(|ms| Happening::Wait { ms }),
    ]
}

fn modes() -> impl Strategy<Value = RestartMode> {
    prop::sample::select(vec![RestartMode::No, RestartMode::OnFailure, RestartMode::Always])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_to_an_adopted_one_the_rules_hold_and_a_stop_always_ends(
        mode in modes(),
        was in any::<u8>(),
        history in prop::collection::vec(happenings(), 0..80)
    ) {
        let mut world = World::inherited(mode, was);
        for happening in history {
            world.happen(happening);
        }
        prop_assert!(world.let_it_end(), "did not end: {:?}", world.life);
        prop_assert!(world.live.is_empty());
    }

    #[test]
    fn whatever_happens_the_rules_hold_and_a_stop_always_ends(
        mode in modes(),
        history in prop::collection::vec(happenings(), 0..80)
    ) {
        let mut world = World::new(mode);
        for happening in history {
            world.happen(happening);
        }
        prop_assert!(world.let_it_end(), "did not end: {:?}", world.life);
        prop_assert!(world.live.is_empty());
    }
}
