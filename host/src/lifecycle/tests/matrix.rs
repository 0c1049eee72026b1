//! Every input in every state.

use super::*;
use crate::decision::RestartDecision;

/// One letter for each kind of state.
fn letter(state: &State) -> char {
    match state {
        State::Queued => 'Q',
        State::Starting { .. } => 'S',
        State::Running(_) => 'R',
        State::Stopping { stage: Stage::Grace { .. }, .. } => 'G',
        State::Stopping { stage: Stage::Killing, .. } => 'K',
        State::Stopping { stage: Stage::LastLook, .. } => 'L',
        State::Clearing { patience: Patience { kill: true, .. }, .. } => 'C',
        State::Clearing { patience: Patience { kill: false, .. }, .. } => 'H',
        State::Stuck { .. } => 'U',
        State::Deciding { .. } => 'D',
        State::Backoff { .. } => 'B',
        State::Stopped { .. } => 'o',
        State::Crashed { .. } => 'c',
        State::Failed { .. } => 'f',
    }
}

/// A process in each kind of state, reached as it is in life.
fn in_state(wanted: char) -> Driven {
    let mut driven = Driven::running(rules());
    let failure = ExitStatus::Code(1);
    let later = RestartDecision::RestartAfter { delay_ms: 5000, attempt: 1 };
    match wanted {
        'Q' => driven = Driven::new(rules()),
        'S' => driven = Driven::new(rules()),
        'R' => return driven,
        'G' => {
            return {
                driven.stop();
                driven
            };
        }
        'K' => {
            return {
                driven.stop().timer();
                driven
            };
        }
        'L' => {
            return {
                driven.stop().timer().timer();
                driven
            };
        }
        'C' => {
            return {
                driven.stop().timer().exited(failure);
                driven
            };
        }
        'H' => {
            return {
                driven.stop().exited(failure);
                driven
            };
        }
        'U' => {
            return {
                driven.stop().timer().timer().swept(&[100]);
                driven
            };
        }
        'D' => {
            return {
                driven.exited(failure).swept(&[]);
                driven
            };
        }
        'B' => {
            return {
                driven.exited(failure).swept(&[]).decided(later);
                driven
            };
        }
        'o' => return Driven::new(rules()),
        'c' => {
            driven = Driven::running(Rules { restart: RestartMode::No, ..rules() });
            driven.exited(failure).swept(&[]);
            return driven;
        }
        'f' => {
            let reason = "enough".to_owned();
            driven.exited(failure).swept(&[]).decided(RestartDecision::GiveUp { reason });
            return driven;
        }
        other => panic!("no state is called {other}"),
    }
    driven.give(Input::Start);
    if wanted == 'S' {
        driven.give(Input::PlaceGranted);
    }
    driven
}

fn input(name: &str, life: &Life) -> Input {
    let (generation, run) = (life.generation(), life.run_number());
    let reason = String::from("asked");
    match name {
        "start" => Input::Start,
        "place granted" => Input::PlaceGranted,
        "launched" => Input::Launched(Launch::Made(identity(200))),
        "launch failed" => Input::Launched(Launch::Failed("no such file".to_owned())),
        "exited" => Input::Exited { run, exit: exit(ExitStatus::Code(1)), ago: Duration::ZERO },
        "stop" => Input::Stop { reason },
        "kill" => Input::Kill { reason },
        "restart" => Input::Restart,
        "pause" => Input::Pause(true),
        "signal" => Input::Signal(StopSignal::TERM),
        "timer" => Input::Timer { generation },
        "restart after" => {
            Input::Decided { generation, decision: RestartDecision::RestartAfter { delay_ms: 5000, attempt: 1 } }
        }
        "give up" => Input::Decided { generation, decision: RestartDecision::GiveUp { reason } },
        "swept clean" => Input::Swept { generation, survivors: vec![] },
        "swept, some left" => Input::Swept { generation, survivors: vec![101] },
        "unhealthy" => Input::Unhealthy { run, score: 10 },
        "limit broken" => Input::LimitBroken { run, limit: LimitKind::Memory },
        "throttle" => Input::Throttle { run },
        "idle" => Input::Idle { run, idle: true },
        "late timer" => Input::Timer { generation: generation.wrapping_sub(1) },
        "late decision" => Input::Decided {
            generation: generation.wrapping_sub(1),
            decision: RestartDecision::RestartAfter { delay_ms: 0, attempt: 9 },
        },
        "late sweep" => Input::Swept { generation: generation.wrapping_sub(1), survivors: vec![] },
        "earlier run's exit" => {
            Input::Exited { run: run.wrapping_sub(1), exit: exit(ExitStatus::Code(0)), ago: Duration::ZERO }
        }
        other => panic!("no input is called {other}"),
    }
}

const STATES: &str = "QSRGKLCHUDBocf";

/// A letter is the state that follows, `=` the same kind of state, `.` nothing at all, `x` illegal.
/// Legend: Q queued, S starting, R running, G stopping in grace, K killing, L last look, C clearing (killing), H clearing
/// (in grace), U stuck, D deciding, B backoff, o stopped, c crashed, f failed.
const MATRIX: [(&str, &str); 23] = [
    //                    QSRGKLCHUDBocf
    ("start", "xxxxxxxxxSSQQQ"),
    ("place granted", "Sxxxxxxxxxxxxx"),
    ("launched", "xRxxxxxxxxxxxx"),
    ("launch failed", "xDxxxxxxxxxxxx"),
    ("exited", "..CHCC..C....."),
    ("stop", "o=G.....Koo..."),
    ("kill", "o=KK...CKoo..."),
    ("restart", "..G=====xSSQQQ"),
    ("pause", "xx=xxxxxxxxxxx"),
    ("signal", "xx====xx=xxxxx"),
    ("timer", "xxGKL===xxSxxx"),
    ("restart after", "xxxxxxxxxBxxxx"),
    ("give up", "xxxxxxxxxfxxxx"),
    ("swept clean", "xxxxxKooxxxxxx"),
    ("swept, some left", "xxxxxU==xxxxxx"),
    ("unhealthy", "..G..........."),
    ("limit broken", "..G..........."),
    ("throttle", "..=..........."),
    ("idle", "..=..........."),
    ("late timer", ".............."),
    ("late decision", ".............."),
    ("late sweep", ".............."),
    ("earlier run's exit", ".............."),
];

#[test]
fn every_input_in_every_state_does_what_the_table_says() {
    for (name, row) in MATRIX {
        assert_eq!(row.len(), STATES.len(), "{name}");
        for (from, expected) in STATES.chars().zip(row.chars()) {
            let driven = in_state(from);
            assert_eq!(letter(driven.life.state()), from, "the test reaches the state it means");
            let outcome = step(&driven.life, input(name, &driven.life), driven.now);
            let seen = match &outcome {
                Err(_) => 'x',
                Ok((life, effects)) if *life == driven.life && effects.is_empty() => '.',
                Ok((life, _)) if letter(life.state()) == from => '=',
                Ok((life, _)) => letter(life.state()),
            };
            assert_eq!(seen, expected, "{name} in state {from}: {outcome:?}");
        }
    }
}

#[test]
fn every_state_has_the_status_that_outsiders_expect() {
    use Status::*;
    let statuses = [
        Queued, Starting, Running, Stopping, Stopping, Stopping, Stopping, Stopping, Error, Backoff, Backoff, Stopped,
        Crashed, Error,
    ];
    for (state, status) in STATES.chars().zip(statuses) {
        assert_eq!(in_state(state).life.status(), status, "{state}");
    }
}

#[test]
fn a_refusal_says_what_was_asked_and_where_the_process_is() {
    let driven = in_state('R');
    let refusal = step(&driven.life, Input::Start, driven.now).unwrap_err();
    assert_eq!(refusal.to_string(), "cannot start a process that is running");
}
