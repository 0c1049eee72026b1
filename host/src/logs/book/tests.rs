//! Books over real directories.

use super::super::lines::{Lines, Range};
use super::*;

const NOW: Timestamp = Timestamp(5000);

struct House {
    home: tempfile::TempDir,
    book: Book,
}

impl House {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), book: Book::default() }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A process with archives of these sizes, written at these moments, and ten bytes in its current file.
    fn process(&mut self, key: i32, name: &str, archives: &[(u64, u64)]) -> PathBuf {
        let current = self.folder(name).join("stdout.log");
        std::fs::create_dir_all(self.folder(name)).unwrap();
        let mut start = 0;
        for (bytes, written) in archives {
            let path = archives::name(&current, start);
            std::fs::write(&path, vec![b'x'; *bytes as usize]).unwrap();
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(*written)).unwrap();
            start += bytes;
        }
        std::fs::write(&current, "0123456789").unwrap();
        self.book.enter(key, &self.folder(name), true, NOW);
        current
    }
}

fn moments(current: &Path) -> Vec<(u64, bool)> {
    let mut lines = Lines::new(current, Range::default()).unwrap();
    let mut moments = Vec::new();
    while let Some(head) = lines.head(true).unwrap() {
        lines.take();
        moments.push((head.at.ms(), head.approximate));
    }
    moments
}

#[test]
fn what_is_written_is_stamped_when_it_is_first_looked_at() {
    let mut house = House::new();
    let folder = house.folder("web-p1");
    let current = folder.join("stdout.log");
    std::fs::create_dir(&folder).unwrap();
    house.book.enter(1, &folder, false, Timestamp(1000));
    std::fs::write(&current, "one\n").unwrap();
    assert_eq!(house.book.changed(1, "stdout.log".as_ref(), true, Timestamp(2000)), Some(folder));
    std::fs::write(&current, "one\ntwo\nthree\n").unwrap();
    house.book.changed(1, "stdout.log".as_ref(), false, Timestamp(3000));
    assert_eq!(moments(&current), [(2000, false), (3000, false), (3000, false)]);
}

#[test]
fn what_was_written_while_nobody_looked_has_the_time_of_its_file_and_says_so() {
    let mut house = House::new();
    let current = house.process(1, "web-p1", &[]);
    let written = std::fs::metadata(&current).unwrap().mtime() as u64 * 1000;
    // The file is younger than the moment of the look that this test pretends.
    assert!(written > NOW.ms());
    assert_eq!(moments(&current), [(NOW.ms(), true)]);
}

#[test]
fn stamps_go_on_over_files_that_are_put_aside() {
    let mut house = House::new();
    let folder = house.folder("web-p1");
    let current = folder.join("stdout.log");
    std::fs::create_dir(&folder).unwrap();
    house.book.enter(1, &folder, false, Timestamp(1000));
    std::fs::write(&current, "one\n").unwrap();
    house.book.changed(1, "stdout.log".as_ref(), true, Timestamp(2000));
    std::fs::write(&current, "one\ntwo\n").unwrap();
    std::fs::rename(&current, archives::name(&current, 0)).unwrap();
    std::fs::write(&current, "three\n").unwrap();
    house.book.changed(1, "stdout.log".as_ref(), false, Timestamp(3000));
    assert_eq!(moments(&current), [(2000, false), (3000, false), (3000, false)]);
}

#[test]
fn the_oldest_archives_of_anybody_go_first_when_all_logs_are_too_large() {
    let mut house = House::new();
    let web = house.process(1, "web-p1", &[(1000, 10), (1000, 40)]);
    let db = house.process(2, "db-p2", &[(1000, 20), (1000, 30)]);
    assert_eq!(house.book.trim(1 << 20, NOW), None);
    let total = house.book.total_bytes();
    let trimmed = house.book.trim(total - 1500, NOW).unwrap();
    assert_eq!((trimmed.archives, trimmed.freed_bytes, trimmed.total_bytes), (2, 2000, total - 2000));
    let left = |current| archives::list(current).unwrap().iter().map(|one| one.offset).collect::<Vec<_>>();
    assert_eq!((left(&web), left(&db)), (vec![1000], vec![1000]));
}

#[test]
fn current_files_are_never_removed_and_not_asked_for_again() {
    let mut house = House::new();
    let current = house.process(1, "web-p1", &[(1000, 10)]);
    assert_eq!(house.book.trim(1, NOW).map(|trimmed| trimmed.archives), Some(1));
    assert_eq!(house.book.trim(1, NOW), None);
    assert!(current.exists());
    assert_eq!(archives::start_of_current(&archives::list(&current).unwrap()), 1000);
}

#[test]
fn only_folders_of_processes_that_were_known_are_removed() {
    let mut house = House::new();
    for (key, name, of_earlier_life) in [(1, "old-p1", true), (2, "live-p2", true), (3, "new-p3", false)] {
        std::fs::create_dir(house.folder(name)).unwrap();
        house.book.enter(key, &house.folder(name), of_earlier_life, NOW);
    }
    let known = |ids: &[&str]| ids.iter().map(ProcessId::new).collect::<HashSet<_>>();
    house.book.sweep(&known(&["p2"]));
    let there = |house: &House| ["old-p1", "live-p2", "new-p3"].map(|name| house.folder(name).exists());
    assert_eq!(there(&house), [false, true, true]);
    house.book.sweep(&known(&["p3"]));
    assert_eq!(there(&house), [false, false, true], "once known, a folder is forgotten with its process");
    house.book.sweep(&known(&["p4"]));
    assert_eq!(there(&house), [false, false, false]);
}
