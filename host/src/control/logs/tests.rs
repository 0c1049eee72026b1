//! Output as it is told to a client.

use super::*;

fn source(stream: LogStream, path: &Path) -> (LogStream, Lines) {
    (stream, Lines::new(path, Range::default()).unwrap())
}

#[test]
fn a_line_is_told_with_its_stream_and_time() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("stderr.log");
    std::fs::write(&path, b"quote \" and \xff\n").unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(7)).unwrap();
    let bytes = piece(&mut Merge::new(vec![source(LogStream::Stderr, &path)]), true).unwrap();
    let line: super::super::types::LogLine = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((line.stream, line.at_ms.ms(), line.approximate), (LogStream::Stderr, 7000, true));
    assert_eq!(line.text, "quote \" and \u{fffd}");
}

#[test]
fn a_large_log_is_told_in_pieces() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("stdout.log");
    let text: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
    std::fs::write(&path, &text).unwrap();
    let mut merge = Merge::new(vec![source(LogStream::Stdout, &path)]);
    let mut count = 0;
    loop {
        let bytes = piece(&mut merge, true).unwrap();
        assert!(bytes.len() < PIECE + 200);
        if bytes.is_empty() {
            break;
        }
        count += bytes.split_inclusive(|byte| *byte == b'\n').count();
    }
    assert_eq!(count, 20_000);
}

#[test]
fn logs_outlive_what_is_known_of_their_process_and_are_found_by_its_id() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("my-web-p123")).unwrap();
    let output = Output::of_forgotten(home.path(), "p123").unwrap();
    assert!(output.process.is_none());
    assert_eq!(output.folder().unwrap(), home.path().join("my-web-p123"));
    for other in ["p12", "123", "web", ""] {
        assert!(Output::of_forgotten(home.path(), other).is_none(), "{other}");
    }
}
