//! The task with the kernel's own notices, on real files.

use super::super::lines::{Lines, Range};
use super::super::{LogStream, Merge, archives};
use super::*;
use crate::event::Received;
use crate::units::Bytes;

struct House {
    home: tempfile::TempDir,
    events: Arc<EventBus>,
}

impl House {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), events: Arc::default() }
    }

    fn launch(&self, total: OrOff<Bytes>, known: &[&str]) -> Logs {
        let known: HashSet<_> = known.iter().map(ProcessId::new).collect();
        Logs::launch(LogsParts {
            directory: self.home.path().join("logs"),
            config: LogsConfig { total, ..LogsConfig::default() },
            events: Arc::clone(&self.events),
            known: Box::new(move || {
                let known = known.clone();
                Box::pin(async move { known })
            }),
        })
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.path().join("logs").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }
}

fn stamped(current: &Path) -> bool {
    let stamps = std::fs::metadata(archives::beside(current, "stamps"));
    stamps.is_ok_and(|about| about.len() > 0)
}

#[tokio::test]
async fn lines_of_a_new_process_are_stamped_and_its_followers_told() {
    let house = House::new();
    let logs = house.launch(OrOff::Off, &[]);
    // The answer comes when the task looks after its directory.
    drop(logs.follow(Path::new("/nowhere")).await);
    let before = Timestamp::now();
    let folder = house.folder("web-p1");
    let mut growth = logs.follow(&folder).await;
    let current = folder.join("stdout.log");
    std::fs::write(&current, "hello\n").unwrap();
    while !stamped(&current) {
        growth.changed().await;
    }
    let lines = Lines::new(&current, Range::default()).unwrap();
    let mut merged = Merge::new(vec![(LogStream::Stdout, lines)]);
    let entry = merged.next(true).unwrap().unwrap();
    assert_eq!((entry.text, entry.approximate), (b"hello".as_slice(), false));
    assert!(entry.at >= before && entry.at <= Timestamp::now());
}

#[tokio::test]
async fn too_many_logs_are_trimmed_and_it_is_told() {
    let house = House::new();
    let current = house.folder("web-p1").join("stdout.log");
    std::fs::write(archives::name(&current, 0), [b'x'; 5000]).unwrap();
    std::fs::write(&current, "here\n").unwrap();
    let mut events = house.events.subscribe();
    let _logs = house.launch(OrOff::Of(Bytes(1000)), &["p1"]);
    let Received::Event(event) = events.next().await else { panic!("the bus is there") };
    let EventBody::LogsTrimmed { archives, freed_bytes, cap_bytes, .. } = event.body else { panic!("{event:?}") };
    assert_eq!((archives, freed_bytes, cap_bytes), (1, 5000, 1000));
    assert_eq!(std::fs::read_to_string(&current).unwrap(), "here\n");
}

#[tokio::test]
async fn a_followed_folder_may_be_removed() {
    let house = House::new();
    let folder = house.folder("gone-p1");
    std::fs::write(folder.join("stdout.log"), "x\n").unwrap();
    let logs = house.launch(OrOff::Off, &["p2"]);
    let mut growth = logs.follow(&folder).await;
    assert!(!folder.exists(), "nobody remembers it, and it was there at the start");
    let other = house.folder("live-p2");
    std::fs::write(other.join("stdout.log"), "x\n").unwrap();
    tokio::select! {
        () = growth.changed() => panic!("nothing of it has changed"),
        () = async { while !stamped(&other.join("stdout.log")) { tokio::task::yield_now().await } } => {}
    }
}
