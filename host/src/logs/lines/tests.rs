//! Streams read while they are written, put aside and removed.

use std::fs::OpenOptions;
use std::io::Write;

use super::super::archives;
use super::super::stamps::{Stamp, StampWriter};
use super::*;

struct Stream {
    _home: tempfile::TempDir,
    current: PathBuf,
    start: u64,
}

impl Stream {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let current = home.path().join("out.log");
        Self { _home: home, current, start: 0 }
    }

    fn write(&self, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.current).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Put the current file aside, as a launcher does.
    fn rotate(&mut self) {
        let length = std::fs::metadata(&self.current).unwrap().len();
        std::fs::rename(&self.current, archives::name(&self.current, self.start)).unwrap();
        self.start += length;
        self.write("");
    }

    fn lines(&self, range: Range) -> Lines {
        Lines::new(&self.current, range).unwrap()
    }

    fn stamp(&self, end: u64, ms: u64) {
        let mut writer = StampWriter::open(&self.current).unwrap();
        writer.add(Stamp { end, at: Timestamp(ms), approximate: false }).unwrap();
    }
}

fn all(lines: &mut Lines, finish: bool) -> Vec<String> {
    let mut texts = Vec::new();
    while lines.head(finish).unwrap().is_some() {
        texts.push(String::from_utf8_lossy(lines.take()).into_owned());
    }
    texts
}

fn last(count: u64) -> Range {
    Range { last: Some(count), ..Range::default() }
}

fn numbered(range: std::ops::Range<u32>) -> String {
    range.map(|number| format!("line {number}\n")).collect()
}

#[test]
fn lines_come_in_order_over_archives_and_the_current_file() {
    let mut stream = Stream::new();
    for text in ["one\ntwo\n", "three\n", "four"] {
        stream.write(text);
        if text != "four" {
            stream.rotate();
        }
    }
    assert_eq!(all(&mut stream.lines(Range::default()), true), ["one", "two", "three", "four"]);
}

#[test]
fn the_last_lines_are_found_from_the_end_over_all_files() {
    let mut stream = Stream::new();
    stream.write(&numbered(0..20_000));
    stream.rotate();
    stream.write("a\n\nb");
    for (count, wanted) in [(0, vec![]), (1, vec!["b"]), (3, vec!["a", "", "b"]), (4, vec!["line 19999", "a", "", "b"])]
    {
        assert_eq!(all(&mut stream.lines(last(count)), true), wanted, "{count}");
    }
    let most = all(&mut stream.lines(last(15_003)), true);
    assert_eq!((most.len(), most[0].as_str()), (15_003, "line 5000"));
    assert_eq!(all(&mut stream.lines(last(1_000_000)), true).len(), 20_003);
}

#[test]
fn a_follower_waits_for_the_end_of_a_line() {
    let stream = Stream::new();
    let mut lines = stream.lines(Range::default());
    assert_eq!(all(&mut lines, false), Vec::<String>::new(), "no file yet is no error");
    stream.write("one\ntw");
    assert_eq!(all(&mut lines, false), ["one"]);
    stream.write("o\n");
    assert_eq!(all(&mut lines, false), ["two"]);
}

#[test]
fn a_follower_loses_and_doubles_nothing_when_files_are_put_aside() {
    let mut stream = Stream::new();
    let mut lines = stream.lines(Range::default());
    let mut told = Vec::new();
    for round in 0..50 {
        stream.write(&numbered(round * 100..round * 100 + 50));
        if round % 3 == 0 {
            told.extend(all(&mut lines, false));
        }
        stream.write(&numbered(round * 100 + 50..round * 100 + 100));
        if round % 2 == 0 {
            stream.rotate();
        }
    }
    told.extend(all(&mut lines, false));
    assert_eq!(told.join("\n") + "\n", numbered(0..5000));
}

#[test]
fn a_follower_that_is_too_slow_is_told_what_was_removed() {
    let mut stream = Stream::new();
    let mut lines = stream.lines(Range::default());
    stream.write("one\n");
    assert_eq!(all(&mut lines, false), ["one"]);
    stream.rotate();
    for text in ["lost\n", "three\n"] {
        stream.write(text);
        stream.rotate();
    }
    let list = archives::list(&stream.current).unwrap();
    std::fs::remove_file(&list[1].path).unwrap();
    assert_eq!(all(&mut lines, false), ["[wasmvisor: 5 bytes of output were removed before they were read]", "three"]);
}

#[test]
fn what_was_removed_before_anybody_asked_is_not_missed() {
    let mut stream = Stream::new();
    stream.write("gone\n");
    stream.rotate();
    stream.write("here\n");
    std::fs::remove_file(archives::name(&stream.current, 0)).unwrap();
    std::fs::write(archives::name(&stream.current, 5), "").unwrap();
    assert_eq!(all(&mut stream.lines(Range::default()), true), ["here"]);
}

#[test]
fn a_file_begun_anew_is_read_from_its_beginning() {
    let stream = Stream::new();
    stream.write("one\ntwo\n");
    let mut lines = stream.lines(Range::default());
    assert_eq!(all(&mut lines, false).len(), 2);
    std::fs::write(&stream.current, "new\n").unwrap();
    assert_eq!(all(&mut lines, false), ["new"]);
}

#[test]
fn a_line_without_an_end_is_told_in_pieces() {
    let stream = Stream::new();
    stream.write(&"x".repeat(5 << 20));
    let mut lines = stream.lines(Range::default());
    let pieces = all(&mut lines, true);
    assert!(pieces.iter().all(|piece| piece.len() <= LONGEST_LINE + BLOCK), "bounded in memory");
    assert_eq!(pieces.concat().len(), 5 << 20);
}

#[test]
fn lines_have_the_moment_when_they_were_first_seen() {
    let stream = Stream::new();
    stream.write("one\ntwo\nthree\n");
    stream.stamp(4, 1000);
    stream.stamp(14, 2000);
    let mut lines = stream.lines(Range::default());
    let mut moments = Vec::new();
    while let Some(head) = lines.head(true).unwrap() {
        moments.push((lines.take().len(), head.at.ms(), head.approximate));
    }
    assert_eq!(moments, [(3, 1000, false), (3, 2000, false), (5, 2000, false)]);
}

#[test]
fn lines_that_nobody_has_stamped_have_the_time_of_their_file() {
    let stream = Stream::new();
    stream.write("old\n");
    let file = OpenOptions::new().write(true).open(&stream.current).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(5)).unwrap();
    let head = stream.lines(Range::default()).head(true).unwrap().unwrap();
    assert_eq!((head.at.ms(), head.approximate), (5000, true));
}

#[test]
fn a_range_of_time_holds_whole_lines() {
    let stream = Stream::new();
    stream.write("one\ntwo\nthree\nfour\n");
    // The second look saw the middle of a line: it belongs to the moment of its beginning.
    for (end, ms) in [(4, 1000), (6, 2000), (14, 3000), (19, 4000)] {
        stream.stamp(end, ms);
    }
    let between = |since: Option<u64>, until: Option<u64>| {
        let range = Range { last: None, since: since.map(Timestamp), until: until.map(Timestamp) };
        all(&mut stream.lines(range), true)
    };
    assert_eq!(between(Some(2000), None), ["two", "three", "four"]);
    assert_eq!(between(Some(2001), None), ["three", "four"]);
    assert_eq!(between(None, Some(2999)), ["one", "two"]);
    assert_eq!(between(Some(2500), Some(3000)), ["three"]);
    assert_eq!(between(Some(9000), None), Vec::<String>::new());
}
