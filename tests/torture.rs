//! Trees that behave as badly as real software does: whatever they do, nobody is left when `stop` has answered.
//!
//! `WASMVISOR_TORTURE_ROUNDS` says how many random trees each kind of launching is given, 100 when absent;
//! `WASMVISOR_TORTURE_SEED` makes the trees of one run again.

mod launching;
mod pid_reuse;

use std::path::PathBuf;

pub(crate) use launching::{Groups, Launching, head};

use crate::support::search::{Found, left_below, left_of};
use crate::support::{Fleet, eventually, number_from_environment, send, torture_program};

/// Everything that the program can make, as in `torture/program.c`.
const KINDS: [&str; 14] = [
    "session",
    "group",
    "deaf",
    "orphan",
    "daemonise",
    "replaced",
    "login",
    "halted",
    "runner",
    "breeder",
    "storm",
    "bomb",
    "threads",
    "guardian",
];

/// Random trees that run at once.
const AT_ONCE: u64 = 4;

/// A supervisor for bad trees: one process for each of `commands`, none of them wanted back.
fn torturer(launching: &Launching, commands: &[(String, String)]) -> Fleet {
    let mut text = head(launching, "");
    for (name, words) in commands {
        let words: Vec<_> = words.split(' ').map(|word| format!("\"{word}\"")).collect();
        text += &format!(
            "[process.{name}]\ndirectory = \"{{dir}}/{name}\"\ncommand = [\"{{dir}}/{name}/torture\", {}]\nrestart = \"no\"\n\
             env = {{ TORTURE_TAG = \"{{marker}}-{name}-\" }}\n",
            words.join(", ")
        );
    }
    let fleet = Fleet::prepare(&text);
    commands.iter().for_each(|(name, _)| drop(torture_program::install(&fleet, name)));
    fleet
}

/// One process of each kind.
fn one_of_each(launching: &Launching) -> Fleet {
    let commands: Vec<_> = KINDS.iter().map(|kind| ((*kind).to_owned(), (*kind).to_owned())).collect();
    torturer(launching, &commands)
}

fn sign_of(fleet: &Fleet, name: &str) -> PathBuf {
    fleet.path().join(name).join(format!("ready.{name}"))
}

/// Wait until these have made their trees.
fn await_trees(fleet: &Fleet, names: &[&str]) {
    for name in names {
        eventually(&format!("{name} has made its tree"), || sign_of(fleet, name).exists().then_some(()));
    }
}

/// Begin again with the signs that trees are made.
fn forget_trees(fleet: &Fleet, names: &[&str]) {
    for name in names {
        let _ = std::fs::remove_file(sign_of(fleet, name));
    }
}

#[track_caller]
fn assert_nobody(fleet: &Fleet, when: &str) {
    let left: Vec<Found> = left_of(fleet);
    assert!(left.is_empty(), "left {when}: {left:#?}\n{}", fleet.end_of_log());
}

fn every_kind_is_stopped_whole(launching: &Launching) {
    let mut fleet = one_of_each(launching);
    fleet.launch();
    await_trees(&fleet, &KINDS);
    assert!(left_of(&fleet).len() >= 2 * KINDS.len(), "the search sees what there is");
    let mut failed = Vec::new();
    for kind in KINDS {
        fleet.text(&["stop", kind]);
        let left = left_below(&fleet.path().join(kind), &format!("{}-{kind}-", fleet.marker()));
        failed.extend(left.into_iter().map(|found| (kind, found)));
    }
    assert!(failed.is_empty(), "left after their stop: {failed:#?}");
    assert_nobody(&fleet, "after every stop");
}

#[test]
fn no_kind_of_tree_made_in_process_survives_its_stop() {
    every_kind_is_stopped_whole(&Launching::InProcess);
}

#[test]
fn no_kind_of_tree_made_by_the_holder_survives_its_stop() {
    every_kind_is_stopped_whole(&Launching::ByHolder);
}

#[test]
fn no_kind_of_tree_in_a_cgroup_survives_its_stop() {
    if let Some(groups) = Groups::make("kinds") {
        every_kind_is_stopped_whole(&Launching::InCgroups(groups));
    }
}

/// Start and stop random trees, every second time while they are still being made.
fn many_rounds(launching: &Launching) {
    let rounds = number_from_environment("WASMVISOR_TORTURE_ROUNDS", 100).div_ceil(AT_ONCE);
    let seed = number_from_environment("WASMVISOR_TORTURE_SEED", std::process::id().into());
    eprintln!("WASMVISOR_TORTURE_SEED={seed}");
    let names: Vec<_> = (0..AT_ONCE).map(|place| format!("tree-{place}")).collect();
    let commands: Vec<_> =
        names.iter().zip(seed..).map(|(name, seed)| (name.clone(), format!("tree {seed}"))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut fleet = torturer(launching, &commands);
    fleet.launch();
    for round in 1..=rounds {
        if round % 2 == 0 {
            await_trees(&fleet, &names);
        }
        fleet.text(&[&["stop"], &*names].concat());
        assert_nobody(&fleet, &format!("in round {round} of seed {seed}"));
        forget_trees(&fleet, &names);
        if round < rounds {
            names.iter().for_each(|name| drop(fleet.text(&["start", name])));
        }
    }
}

#[test]
fn random_trees_made_in_process_leave_nobody_behind() {
    many_rounds(&Launching::InProcess);
}

#[test]
fn random_trees_made_by_the_holder_leave_nobody_behind() {
    many_rounds(&Launching::ByHolder);
}

#[test]
fn random_trees_in_cgroups_leave_nobody_behind() {
    if let Some(groups) = Groups::make("rounds") {
        many_rounds(&Launching::InCgroups(groups));
    }
}

#[test]
fn a_supervisor_asked_to_end_in_the_middle_of_it_all_leaves_nobody_behind() {
    for launching in [Launching::InProcess, Launching::ByHolder] {
        let mut fleet = one_of_each(&launching);
        fleet.launch();
        await_trees(&fleet, &["storm", "runner", "bomb"]);
        fleet.signal("TERM");
        assert_eq!(fleet.await_end(), Some(0), "{}", fleet.log());
        assert_nobody(&fleet, "after the end of the supervisor");
        eventually("the holder has ended as well", || fleet.holders().is_empty().then_some(()));
    }
}

#[test]
fn what_a_killed_leader_leaves_behind_is_cleaned_up_whatever_it_is() {
    for launching in [Launching::InProcess, Launching::ByHolder] {
        let mut fleet = one_of_each(&launching);
        fleet.launch();
        await_trees(&fleet, &KINDS);
        for kind in KINDS {
            send("KILL", fleet.process(kind)["run"]["pid"].as_u64().expect("it runs"));
        }
        for kind in KINDS {
            fleet.await_status(kind, "crashed");
        }
        let left = || left_of(&fleet).is_empty().then_some(());
        eventually("nothing is left of any of them", left);
    }
}
