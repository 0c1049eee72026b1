//! Captures on real pipes, files and full disks.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::logs::{Lines, LogStream, Merge, Range};

const TURN: usize = 1 << 20;
const EMPTY: Pumped = Pumped::Empty { rest: true };

struct Stream {
    _home: tempfile::TempDir,
    capture: Capture,
    end: Option<File>,
}

fn stream(max_bytes: u64, keep: u32) -> Stream {
    let home = tempfile::tempdir().unwrap();
    let (capture, end) = opened(&home.path().join("out.log"), max_bytes, keep);
    Stream { _home: home, capture, end: Some(end) }
}

fn opened(path: &Path, max_bytes: u64, keep: u32) -> (Capture, File) {
    match Capture::open(path, Rotation { max_bytes, keep }).unwrap() {
        Output::Captured(capture, end) => (capture, File::from(end)),
        Output::Direct(_) => panic!("{} is no regular file", path.display()),
    }
}

impl Stream {
    fn write(&mut self, text: &str) {
        self.end.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
        assert_eq!(self.capture.pump(TURN), EMPTY);
    }

    fn current(&self) -> String {
        std::fs::read_to_string(self.capture.path()).unwrap()
    }

    fn archived(&self) -> Vec<(u64, String)> {
        let archives = archives::list(self.capture.path()).unwrap();
        archives.iter().map(|one| (one.offset, std::fs::read_to_string(&one.path).unwrap())).collect()
    }

    /// Everything that is kept, in order.
    fn all(&self) -> String {
        self.archived().into_iter().map(|(_, text)| text).chain([self.current()]).collect()
    }
}

#[test]
fn output_reaches_its_file_as_it_was_written() {
    let mut stream = stream(0, 5);
    stream.write("one\n");
    stream.write("two, no end");
    assert_eq!(stream.current(), "one\ntwo, no end");
    stream.end = None;
    assert_eq!(stream.capture.pump(TURN), Pumped::Ended);
    assert_eq!(stream.capture.take_loss(), None);
}

#[test]
fn an_end_of_the_stream_is_seen_with_its_last_bytes() {
    let mut stream = stream(0, 5);
    stream.end.take().unwrap().write_all(b"last words").unwrap();
    assert_eq!(stream.capture.pump(TURN), Pumped::Ended);
    assert_eq!(stream.current(), "last words");
}

#[test]
fn files_are_put_aside_at_ends_of_lines_and_named_by_their_place() {
    let mut stream = stream(10, 5);
    stream.write("0123456789abc\nnext\nand more of it\nx\n");
    assert_eq!(stream.archived(), [(0, "0123456789abc\n".to_owned()), (14, "next\nand more of it\n".to_owned())]);
    assert_eq!(stream.current(), "x\n");
}

#[test]
fn only_so_many_archives_are_kept_and_the_oldest_goes_first() {
    let mut stream = stream(4, 2);
    stream.write("aaa\nbbb\nccc\nddd\neee\n");
    assert_eq!(stream.archived(), [(8, "ccc\n".to_owned()), (12, "ddd\n".to_owned())]);
    assert_eq!(stream.current(), "eee\n");
}

#[test]
fn offsets_go_on_when_no_archive_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("out.log");
    for word in ["aaa\n", "bbb\n"] {
        let (mut capture, mut end) = opened(&path, 4, 0);
        end.write_all(word.as_bytes()).unwrap();
        end.write_all(b"z\n").unwrap();
        assert_eq!(capture.pump(TURN), EMPTY);
    }
    // "aaa", then "z bbb" as one file, since a file ends where it is full.
    let archives = archives::list(&path).unwrap();
    assert_eq!(archives::start_of_current(&archives), 4 + 2 + 4);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "z\n");
}

#[test]
fn a_line_without_an_end_is_cut_rather_than_kept_in_one_file_for_ever() {
    let mut stream = stream(1000, 100);
    let piece = "x".repeat(60_000);
    for _ in 0..40 {
        stream.write(&piece);
    }
    let sizes: Vec<_> = stream.archived().iter().map(|(_, text)| text.len()).collect();
    assert!(!sizes.is_empty() && sizes.iter().all(|size| *size <= (1 << 20) + 61_000), "{sizes:?}");
    assert_eq!(stream.all().len(), 40 * 60_000);
}

#[test]
fn a_new_run_appends_to_the_file_of_the_one_before() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("out.log");
    for word in ["first\n", "second\n"] {
        let (mut capture, mut end) = opened(&path, 0, 5);
        end.write_all(word.as_bytes()).unwrap();
        drop(end);
        assert_eq!(capture.pump(TURN), Pumped::Ended);
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\nsecond\n");
}

#[test]
fn a_second_end_keeps_the_stream_open_when_the_first_is_gone() {
    let mut stream = stream(0, 5);
    let mut second = File::from(stream.capture.another_end().unwrap());
    stream.end = None;
    second.write_all(b"still here\n").unwrap();
    assert_eq!(stream.capture.pump(TURN), EMPTY);
    drop(second);
    assert_eq!(stream.capture.pump(TURN), Pumped::Ended);
    assert_eq!(stream.current(), "still here\n");
}

#[test]
fn what_is_no_regular_file_is_given_to_the_run_itself() {
    assert!(matches!(Capture::open(Path::new("/dev/null"), Rotation::default()).unwrap(), Output::Direct(_)));
}

#[test]
fn a_file_that_somebody_removed_is_made_anew() {
    let mut stream = stream(0, 5);
    stream.write("gone\n");
    std::fs::remove_file(stream.capture.path()).unwrap();
    stream.write("here\n");
    assert_eq!(stream.current(), "here\n");
}

#[test]
fn a_file_that_somebody_emptied_has_no_hole() {
    let mut stream = stream(0, 5);
    stream.write("gone\n");
    std::fs::write(stream.capture.path(), "").unwrap();
    stream.write("here\n");
    assert_eq!(stream.current(), "here\n");
    assert_eq!(stream.capture.start, 5);
}

#[test]
fn a_turn_takes_no_more_than_it_may() {
    let mut stream = stream(0, 5);
    stream.end.as_mut().unwrap().write_all(&[b'x'; 60_000]).unwrap();
    assert_eq!(stream.capture.pump(20_000), Pumped::More);
    assert_eq!(stream.current().len(), 20_000);
}

#[test]
fn what_a_killed_writer_had_written_is_all_there() {
    let mut stream = stream(100_000, 1000);
    let end = stream.end.take().unwrap();
    let script = "i=0; while :; do echo line $i; i=$((i+1)); done";
    let mut writer = Command::new("/bin/sh").args(["-c", script]).stdout(Stdio::from(end)).spawn().unwrap();
    while stream.all().len() < 300_000 {
        assert_ne!(stream.capture.pump(TURN), Pumped::Ended);
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    while stream.capture.pump(TURN) != Pumped::Ended {}
    let all = stream.all();
    let whole = all.rsplit_once('\n').unwrap().0;
    for (number, line) in whole.lines().enumerate() {
        assert_eq!(line, format!("line {number}"));
    }
    assert!(!stream.archived().is_empty());
}

#[test]
fn a_capture_goes_on_in_the_next_program_where_it_was() {
    let mut stream = stream(4, 5);
    stream.write("one\ntw");
    let saved = stream.capture.save();
    let text = serde_json::to_string(&saved).unwrap();
    // Stands for the old program, whose descriptors live on without their owner.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = opened(&elsewhere.path().join("other.log"), 0, 0).0;
    std::mem::forget(std::mem::replace(&mut stream.capture, other));
    stream.capture = serde_json::from_str::<Saved>(&text).unwrap().restore().unwrap();
    stream.write("o\nthree\n");
    assert_eq!(stream.all(), "one\ntwo\nthree\n");
    assert_eq!(stream.archived().len(), 2);
}

#[test]
fn a_follower_hears_every_line_of_a_fast_writer_once_while_files_are_put_aside() {
    let mut stream = stream(64 << 10, 10_000);
    let end = stream.end.take().unwrap();
    let lines = Lines::new(stream.capture.path(), Range::default()).unwrap();
    let mut follower = Merge::new(vec![(LogStream::Stdout, lines)]);
    let script = "seq -f 'line %.0f' 0 199999";
    let mut writer = Command::new("/bin/sh").args(["-c", script]).stdout(Stdio::from(end)).spawn().unwrap();
    let mut heard = 0;
    let mut hear = |last: bool| {
        while let Some(entry) = follower.next(last).unwrap() {
            assert_eq!(String::from_utf8_lossy(entry.text), format!("line {heard}"));
            heard += 1;
        }
        heard
    };
    while stream.capture.pump(16 << 10) != Pumped::Ended {
        hear(false);
    }
    assert_eq!(hear(true), 200_000);
    assert!(writer.wait().unwrap().success());
    assert!(stream.archived().len() > 20);
}

/// A directory on a file system of its own with room for `kib`; nothing when we may not mount.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(kib: u32) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let size = format!("size={kib}k,mode=700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(home.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("skipped: mounting a small disk needs root");
        }
        mounted.then(|| Self(home))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("out.log")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

fn numbered(range: std::ops::Range<u32>) -> String {
    range.map(|number| format!("line {number:08}\n")).collect()
}

#[test]
fn a_full_disk_costs_the_oldest_archives_first() {
    let Some(disk) = SmallDisk::new(256) else { return };
    let (mut capture, mut end) = opened(&disk.path(), 64 << 10, 100);
    for from in (0..50_000).step_by(1000) {
        end.write_all(numbered(from..from + 1000).as_bytes()).unwrap();
        assert_eq!(capture.pump(TURN), EMPTY);
    }
    let loss = capture.take_loss().unwrap();
    assert_eq!((loss.lost_bytes, loss.errno), (0, libc::ENOSPC));
    assert!(loss.archives_removed > 5, "{loss:?}");
    assert!(std::fs::read_to_string(disk.path()).unwrap().ends_with("line 00049999\n"));
}

#[test]
fn a_disk_without_any_room_loses_whole_lines_says_so_and_recovers() {
    let Some(disk) = SmallDisk::new(128) else { return };
    let (mut capture, mut end) = opened(&disk.path(), 0, 5);
    let mut written = 0_u64;
    for from in (0..40_000).step_by(1000) {
        let text = numbered(from..from + 1000);
        written += text.len() as u64;
        end.write_all(text.as_bytes()).unwrap();
        assert_eq!(capture.pump(TURN), EMPTY, "a full disk never holds up a writer");
    }
    let before = std::fs::read(disk.path()).unwrap();
    let lost = capture.take_loss().unwrap().lost_bytes;
    assert_eq!(lost + before.len() as u64, written);
    // Room again: what somebody else, or the total cap, removed.
    capture.file.set_len(64 << 10).unwrap();
    end.write_all(b"here again\n").unwrap();
    assert_eq!(capture.pump(TURN), EMPTY);
    let after = std::fs::read_to_string(disk.path()).unwrap();
    let (_, tail) = after.split_at(64 << 10);
    let lines: Vec<_> = tail.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines[0].contains(&format!("{lost} bytes of output are missing here")), "{tail}");
    assert_eq!(lines[1..], ["here again"]);
}

#[test]
fn a_file_system_that_takes_no_splice_gets_the_same_bytes() {
    let mut stream = stream(1000, 1000);
    stream.capture.copies = true;
    stream.write(&numbered(0..4000));
    assert_eq!(stream.all(), numbered(0..4000));
}
