//! The table of runs, against a plain list of what should be there.

use proptest::prelude::*;

use super::super::wire::Key;
use super::*;
use crate::sample::ExitStatus;
use crate::spec::ProcessId;
use crate::units::Timestamp;

fn key(number: u32) -> Key {
    Key { process_id: ProcessId::new(format!("p{number}")), run: 1 }
}

fn child(number: u32) -> Run {
    Run {
        key: key(number),
        pid: 1000 + number,
        start_ticks: 1,
        state: RunState::Child,
        streams: [None; 2],
        outputs: Vec::new(),
    }
}

fn end(code: i32) -> RunExit {
    let status = ExitStatus::Code(code);
    RunExit { status, at_ms: Timestamp(1), user_time_ms: 0, system_time_ms: 0, peak_memory_bytes: 0 }
}

#[test]
fn an_end_is_news_once() {
    let mut runs = Runs::new();
    let place = runs.add(child(1)).unwrap();
    assert_eq!(runs.next_news(), None);
    runs.end(place, end(3));
    runs.end(place, end(4));
    assert_eq!(runs.next_news(), Some((key(1), end(3))));
    assert_eq!(runs.next_news(), None);
}

#[test]
fn what_the_list_has_told_is_no_news() {
    let mut runs = Runs::new();
    let place = runs.add(child(1)).unwrap();
    runs.end(place, end(3));
    runs.mark_told(place);
    assert_eq!(runs.next_news(), None);
}

#[test]
fn a_run_that_lives_cannot_be_settled() {
    let mut runs = Runs::new();
    let place = runs.add(child(1)).unwrap();
    assert!(!runs.settle(&key(1)));
    runs.end(place, end(0));
    assert!(runs.settle(&key(1)) && runs.is_empty());
    assert!(!runs.settle(&key(1)));
}

#[test]
fn the_same_run_is_not_entered_twice() {
    let mut runs = Runs::new();
    assert!(runs.add(child(1)).is_some());
    assert!(runs.add(child(1)).is_none());
}

#[test]
fn a_full_table_takes_no_more_until_a_run_is_settled() {
    let mut runs = Runs::new();
    (0..PLACES as u32).for_each(|number| assert!(runs.add(child(number)).is_some()));
    assert!(runs.is_full() && runs.add(child(u32::MAX - 2000)).is_none());
    runs.end(5, end(0));
    assert!(runs.settle(&key(5)));
    assert_eq!(runs.add(child(u32::MAX - 2000)), Some(5));
}

proptest! {
    /// Against a plain list of what should be there.
    #[test]
    fn any_history_keeps_names_pids_and_news_together(steps: Vec<(u8, u8)>) {
        let mut runs = Runs::new();
        let mut model: std::collections::BTreeMap<u32, Option<bool>> = std::collections::BTreeMap::new();
        for (action, number) in steps {
            let number = u32::from(number % 16);
            match action % 4 {
                0 => {
                    let new = !model.contains_key(&number);
                    prop_assert_eq!(runs.add(child(number)).is_some(), new);
                    model.entry(number).or_insert(None);
                }
                1 => {
                    if let Some(place) = runs.child(1000 + number) {
                        runs.end(place, end(number as i32));
                        model.insert(number, Some(false));
                    }
                }
                2 => {
                    let settled = runs.settle(&key(number));
                    prop_assert_eq!(settled, matches!(model.get(&number), Some(Some(_))));
                    if settled {
                        model.remove(&number);
                    }
                }
                _ => match runs.next_news() {
                    Some((told, told_end)) => {
                        let ExitStatus::Code(code) = told_end.status else { panic!("only codes were given") };
                        prop_assert_eq!(told, key(code as u32));
                        prop_assert_eq!(model.insert(code as u32, Some(true)), Some(Some(false)));
                    }
                    None => prop_assert!(model.values().all(|state| *state != Some(false))),
                },
            }
            prop_assert_eq!(runs.all().count(), model.len());
            for (number, state) in &model {
                prop_assert_eq!(runs.child(1000 + number).is_some(), state.is_none());
            }
        }
    }
}
