//! The messages: what is sent arrives, and nothing else is taken for one.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::bytes;
use super::*;
use crate::platform::{Confinement, FileRules, IoPriority, LaunchPlan, ProcessLimits, Rotation, UserIds};

fn rich_plan() -> LaunchPlan {
    let argv = vec!["a".to_owned(), String::new(), "ü\n".to_owned()];
    LaunchPlan {
        run: 7,
        env: vec![("KEY".to_owned(), "value=with=signs".to_owned())],
        stdout: "/var/log/out".into(),
        rotation: Rotation { max_bytes: u64::MAX, keep: 3 },
        niceness: -20,
        oom_score_adjustment: 1000,
        rlimits: ProcessLimits {
            file_handles: Some(64),
            core_bytes: Some(0),
            file_size_bytes: None,
            io_priority: Some(IoPriority::BestEffort(7)),
        },
        confinement: Confinement {
            user: Some(UserIds { uid: 1, gid: 2, groups: vec![3, 4] }),
            umask: Some(0o077),
            files: Some(FileRules { read: vec!["/usr".into()], write: Vec::new() }),
            ..Confinement::default()
        },
        cgroup: Some("/sys/fs/cgroup/x".into()),
        ..LaunchPlan::new(ProcessId::new("web-1"), "/bin/x".into(), argv, "/tmp".into())
    }
}

fn read_request(packet: &[u8]) -> Option<(u32, Request)> {
    let (about, request) = Request::read(packet);
    request.ok().map(|request| (about, request))
}

#[test]
fn a_plan_arrives_as_it_was_sent() {
    let packet = Request::Launch { plan: Box::new(rich_plan()) }.packet(77);
    let Some((77, Request::Launch { plan })) = read_request(&packet) else { panic!("it was a launch") };
    assert_eq!(Request::Launch { plan }.packet(77), packet);
}

#[test]
fn a_request_may_get_its_number_later() {
    let mut packet = Request::Ping {}.packet(0);
    set_number(&mut packet, 0xDEAD_BEEF);
    assert_eq!(packet, Request::Ping {}.packet(0xDEAD_BEEF));
}

#[test]
fn what_a_newer_version_adds_to_a_message_is_passed_over() {
    let key = Key { process_id: ProcessId::new("web"), run: 2 };
    let mut packet = Request::Settle { key: key.clone() }.packet(5);
    packet.extend_from_slice(b"and more");
    assert!(matches!(read_request(&packet), Some((5, Request::Settle { key: read })) if read == key));
}

#[test]
fn a_message_of_a_newer_version_is_unknown_and_a_cut_one_malformed() {
    assert_eq!(Answer::read(&[0xE7, 3, 1, 0, 0, 0]).1.unwrap_err(), Unreadable::Unknown(999));
    let packet = Request::Launch { plan: Box::new(rich_plan()) }.packet(1);
    for length in 0..packet.len() {
        assert_eq!(Request::read(&packet[..length]).1.err(), Some(Unreadable::Malformed), "{length} bytes");
    }
}

#[test]
fn every_message_has_a_number_of_its_own() {
    let key = || Key { process_id: ProcessId::new("web"), run: 2 };
    let end = RunExit {
        status: ExitStatus::Signal(9),
        at_ms: Timestamp(5),
        user_time_ms: 1,
        system_time_ms: 2,
        peak_memory_bytes: 3,
    };
    let (version, path, text) = (String::new, PathBuf::new, String::new);
    let answers = [
        Answer::Welcome { major: 1, minor: 2, pid: 3, version: version() },
        Answer::Held { key: key(), pid: 1, start_ticks: 2, adopts: true, end: Some(end) },
        Answer::Listed {},
        Answer::Launched { key: key(), pid: 1, start_ticks: 2 },
        Answer::Refused { operation: text(), path: path(), errno: 1, reason: text() },
        Answer::Ended { key: key(), end },
        Answer::OutputLost { process_id: ProcessId::new("web"), lost_bytes: 1, archives_removed: 2, errno: 3 },
        Answer::Pong {},
        Answer::Unsupported { number: 1 },
        Answer::Busy { pid: 1 },
        Answer::Upgraded { version: version() },
        Answer::Incompatible { major: 1, minor: 2 },
    ];
    let packets: Vec<_> = answers.iter().map(|answer| answer.packet(3)).collect();
    let numbers: BTreeSet<_> = packets.iter().map(|packet| [packet[0], packet[1]]).collect();
    assert_eq!(numbers.len(), answers.len());
    for packet in packets {
        let (3, Ok(read)) = Answer::read(&packet) else { panic!("{packet:?} cannot be read") };
        assert_eq!(read.packet(3), packet);
    }
}

#[test]
fn a_list_that_lies_about_its_length_reserves_nothing() {
    assert_eq!(bytes::read::<Vec<(String, String)>>(&[255, 255, 255, 255, 0]), None);
    assert_eq!(bytes::read::<Vec<u8>>(&[255, 255, 255, 255, 0]), None);
    assert_eq!(bytes::read::<String>(&[4, 0, 0, 128, b'x']), None);
}

#[test]
fn an_id_longer_than_the_table_holds_is_no_id() {
    let mut packet = Vec::new();
    "x".repeat(ID_BYTES).put(&mut packet);
    assert!(bytes::read::<ProcessId>(&packet).is_some());
    packet.clear();
    "x".repeat(ID_BYTES + 1).put(&mut packet);
    assert!(bytes::read::<ProcessId>(&packet).is_none());
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(packet: Vec<u8>) {
        let _ = (Request::read(&packet), Answer::read(&packet));
    }

    #[test]
    fn a_damaged_launch_is_read_or_refused(place in 0_usize..400, byte: u8) {
        let mut packet = Request::Launch { plan: Box::new(rich_plan()) }.packet(1);
        let place = place % packet.len();
        packet[place] = byte;
        let _ = Request::read(&packet);
    }

    #[test]
    fn any_environment_arrives_whole(env: Vec<(String, String)>, argv: Vec<String>) {
        let plan = LaunchPlan { env: env.clone(), argv: argv.clone(), ..rich_plan() };
        let packet = Request::Launch { plan: Box::new(plan) }.packet(1);
        let Some((_, Request::Launch { plan })) = read_request(&packet) else { panic!("it was a launch") };
        prop_assert_eq!((plan.env, plan.argv), (env, argv));
    }
}
