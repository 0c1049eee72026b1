//! The journal: what was written is read, up to what was damaged.

use proptest::prelude::*;

use super::*;
use crate::sample::ExitStatus;
use crate::spec::ProcessId;
use crate::units::Timestamp;

fn key(run: u32) -> Key {
    Key { process_id: ProcessId::new("web"), run }
}

fn born(run: u32) -> Entry {
    let output =
        RunOutput { number: 1, path: "/var/log/x".into(), pipe: 7, rotation: crate::platform::Rotation::default() };
    Entry::Born { key: key(run), pid: 100 + run, start_ticks: 5, outputs: vec![output] }
}

fn ended(run: u32) -> Entry {
    let status = ExitStatus::Code(run as i32);
    let end = RunExit { status, at_ms: Timestamp(9), user_time_ms: 1, system_time_ms: 2, peak_memory_bytes: 3 };
    Entry::Ended { key: key(run), end }
}

fn open(directory: &tempfile::TempDir) -> (Journal, Vec<Entry>) {
    Journal::open(directory.path(), "boot").unwrap()
}

#[test]
fn what_was_written_is_read_by_the_next_holder() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, before) = open(&directory);
    assert_eq!(before, []);
    journal.rewrite(std::iter::empty()).unwrap();
    let written = [born(1), ended(1), Entry::Settled { key: key(1) }, born(2)];
    written.iter().for_each(|entry| journal.write(entry).unwrap());
    drop(journal);
    let boot = Entry::Boot { id: "boot".to_owned() };
    assert_eq!(open(&directory).1, [&[boot][..], &written].concat());
}

#[test]
fn a_second_holder_of_the_same_directory_is_kept_out() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(&directory);
    let refused = || Journal::open(directory.path(), "boot").err().map(|error| error.kind());
    assert_eq!(refused(), Some(io::ErrorKind::WouldBlock));
    journal.rewrite([born(1)].into_iter()).unwrap();
    assert_eq!(refused(), Some(io::ErrorKind::WouldBlock), "also after it was written anew");
}

#[test]
fn a_journal_written_anew_holds_what_it_was_given_and_takes_more() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(&directory);
    (1..100).for_each(|run| journal.write(&born(run)).unwrap());
    journal.rewrite([born(3), ended(3)].into_iter()).unwrap();
    journal.write(&born(4)).unwrap();
    drop(journal);
    assert_eq!(open(&directory).1[1..], [born(3), ended(3), born(4)]);
}

#[test]
fn a_record_that_was_cut_ends_the_reading_and_costs_nothing_before_it() {
    let mut content = Vec::new();
    [born(1), ended(1), born(2)].iter().for_each(|entry| append(entry, &mut content));
    for length in 0..content.len() {
        let read = entries(&content[..length]);
        assert!(read.len() < 3 && [born(1), ended(1), born(2)].starts_with(&read), "{length} bytes: {read:?}");
    }
    assert_eq!(entries(&content), [born(1), ended(1), born(2)]);
}

proptest! {
    #[test]
    fn a_flipped_bit_never_makes_another_record(place: prop::sample::Index, bit in 0_u8..8) {
        let mut content = Vec::new();
        append(&born(1), &mut content);
        let place = place.index(content.len());
        content[place] ^= 1 << bit;
        prop_assert_eq!(entries(&content), []);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(content: Vec<u8>) {
        entries(&content);
    }
}
