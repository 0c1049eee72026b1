//! When the bytes of a stream were first seen: a file of small records beside the stream.
//!
//! A record of 16 bytes, little endian: the offset in the stream up to which bytes had been seen, and the moment in
//! milliseconds since the Unix epoch times two, plus one when it is approximate. Both grow from record to record, so a
//! moment is found by halving. One record is added for each time the stream was looked at and had grown, however many
//! lines that were.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::archives;
use crate::units::Timestamp;

const RECORD: usize = 16;
/// More records than this are thinned out: 1 MiB for each stream at most.
const MOST_RECORDS: u64 = 64 << 10;

/// Up to where a stream had been seen, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Offset of the first byte in the stream that had not been seen.
    pub(super) end: u64,
    /// The moment.
    pub(super) at: Timestamp,
    /// Whether the moment is the nearest known and not the one when the bytes were written.
    pub(super) approximate: bool,
}

impl Stamp {
    fn encode(self) -> [u8; RECORD] {
        let moment = self.at.ms() << 1 | u64::from(self.approximate);
        let mut record = [0; RECORD];
        let (end, at) = record.split_at_mut(RECORD / 2);
        end.copy_from_slice(&self.end.to_le_bytes());
        at.copy_from_slice(&moment.to_le_bytes());
        record
    }

    fn decode(record: [u8; RECORD]) -> Self {
        // The low half is the end, the high half the moment.
        let both = u128::from_le_bytes(record);
        let moment = (both >> 64) as u64;
        Self { end: both as u64, at: Timestamp(moment >> 1), approximate: moment & 1 == 1 }
    }
}

fn path_of(current: &Path) -> PathBuf {
    archives::beside(current, "stamps")
}

fn decode_all(bytes: &[u8]) -> impl Iterator<Item = Stamp> {
    let (records, _) = bytes.as_chunks::<RECORD>();
    records.iter().map(|record| Stamp::decode(*record))
}

/// The side that adds stamps.
#[derive(Debug)]
pub(super) struct StampWriter {
    path: PathBuf,
    last: Option<Stamp>,
    records: u64,
}

impl StampWriter {
    /// Go on with what is there.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(super) fn open(current: &Path) -> io::Result<Self> {
        let path = path_of(current);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, last: None, records: 0 });
            }
            other => other?,
        };
        let records = file.metadata()?.len() / RECORD as u64;
        let mut last = None;
        if let Some(before) = records.checked_sub(1) {
            let mut record = [0; RECORD];
            file.seek(SeekFrom::Start(before * RECORD as u64))?;
            file.read_exact(&mut record)?;
            last = Some(Stamp::decode(record));
        }
        Ok(Self { path, last, records })
    }

    /// Up to where the stream has been seen.
    pub(super) fn seen(&self) -> u64 {
        self.last.map_or(0, |last| last.end)
    }

    /// Bytes that the records take.
    pub(super) const fn bytes(&self) -> u64 {
        self.records * RECORD as u64
    }

    /// Add one. A clock that was set back does not make a later line look older than an earlier one.
    ///
    /// # Errors
    /// When it cannot be written; the bytes are then seen the next time.
    pub(super) fn add(&mut self, stamp: Stamp) -> io::Result<()> {
        let at = self.last.map_or(stamp.at, |last| last.at.max(stamp.at));
        let stamp = Stamp { at, ..stamp };
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&self.path)?;
        // Not to its end: half a record that a full disk or a crash left there is written over.
        file.seek(SeekFrom::Start(self.bytes()))?;
        file.write_all(&stamp.encode())?;
        self.last = Some(stamp);
        self.records += 1;
        Ok(())
    }

    /// Forget what is known of bytes before `oldest`, which are gone. When far too much is left, every second record
    /// goes: the lines of both then have the time of the later.
    ///
    /// # Errors
    /// When the shorter file cannot take the place of the longer.
    pub(super) fn prune(&mut self, oldest: u64) -> io::Result<()> {
        let mut kept: Vec<_> = decode_all(&std::fs::read(&self.path)?).filter(|stamp| stamp.end > oldest).collect();
        if kept.len() as u64 > MOST_RECORDS / 2 {
            kept = kept.chunks(2).filter_map(|pair| Some(Stamp { approximate: true, ..*pair.last()? })).collect();
        }
        if kept.len() as u64 == self.records {
            return Ok(());
        }
        let shorter = archives::beside(&self.path, "next");
        let bytes: Vec<u8> = kept.iter().flat_map(|stamp| stamp.encode()).collect();
        std::fs::write(&shorter, bytes)?;
        std::fs::rename(&shorter, &self.path)?;
        self.records = kept.len() as u64;
        Ok(())
    }

    /// Whether there are so many that some must go.
    pub(super) const fn is_full(&self) -> bool {
        self.records >= MOST_RECORDS
    }
}

/// The side that looks moments up.
#[derive(Debug)]
pub(super) struct StampTable {
    path: PathBuf,
    stamps: Vec<Stamp>,
    inode: u64,
}

impl StampTable {
    /// What is known of a stream; nothing when nobody has written it down.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(super) fn load(current: &Path) -> io::Result<Self> {
        let mut table = Self { path: path_of(current), stamps: Vec::new(), inode: 0 };
        table.refresh()?;
        Ok(table)
    }

    /// Read what was added.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let inode = file.metadata()?.ino();
        if inode != self.inode {
            self.stamps.clear();
            self.inode = inode;
        }
        file.seek(SeekFrom::Start((self.stamps.len() * RECORD) as u64))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        self.stamps.extend(decode_all(&bytes));
        Ok(())
    }

    /// When the byte at `offset` was first seen, looking first at the record `hint`, which is then the one that was
    /// found: going through a stream line by line costs the same for every line.
    pub(super) fn at(&self, offset: u64, hint: &mut usize) -> Option<Stamp> {
        let fits = |place: usize| {
            let begins = place.checked_sub(1).and_then(|before| self.stamps.get(before)).map_or(0, |stamp| stamp.end);
            self.stamps.get(place).filter(|stamp| (begins..stamp.end).contains(&offset)).copied()
        };
        if let Some(stamp) = fits(*hint) {
            return Some(stamp);
        }
        *hint = self.stamps.partition_point(|stamp| stamp.end <= offset);
        self.stamps.get(*hint).copied()
    }

    /// Offset from which on bytes were seen at `moment` or later.
    pub(super) fn since(&self, moment: Timestamp) -> u64 {
        let place = self.stamps.partition_point(|stamp| stamp.at < moment);
        place.checked_sub(1).and_then(|before| self.stamps.get(before)).map_or(0, |stamp| stamp.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(end: u64, ms: u64) -> Stamp {
        Stamp { end, at: Timestamp(ms), approximate: false }
    }

    fn written(stamps: &[Stamp]) -> (tempfile::TempDir, PathBuf, StampWriter) {
        let home = tempfile::tempdir().unwrap();
        let current = home.path().join("out.log");
        let mut writer = StampWriter::open(&current).unwrap();
        for stamp in stamps {
            writer.add(*stamp).unwrap();
        }
        (home, current, writer)
    }

    #[test]
    fn every_byte_has_the_moment_when_it_was_first_seen() {
        let (_home, current, _) = written(&[stamp(10, 1000), Stamp { approximate: true, ..stamp(30, 2000) }]);
        let table = StampTable::load(&current).unwrap();
        let mut hint = 0;
        assert_eq!(table.at(0, &mut hint), Some(stamp(10, 1000)));
        assert_eq!(table.at(9, &mut hint), Some(stamp(10, 1000)));
        assert_eq!(table.at(10, &mut hint).map(|stamp| (stamp.at.ms(), stamp.approximate)), Some((2000, true)));
        assert_eq!(table.at(30, &mut hint), None);
        assert_eq!(table.at(3, &mut hint), Some(stamp(10, 1000)), "a hint that is wrong does no harm");
    }

    #[test]
    fn a_moment_is_found() {
        let (_home, current, _) = written(&[stamp(10, 1000), stamp(30, 2000)]);
        let table = StampTable::load(&current).unwrap();
        assert_eq!([0, 1000, 1001, 2000, 2001].map(|ms| table.since(Timestamp(ms))), [0, 0, 10, 10, 30]);
    }

    #[test]
    fn a_writer_goes_on_where_the_one_before_was_killed() {
        let (_home, current, writer) = written(&[stamp(10, 1000)]);
        OpenOptions::new().append(true).open(&writer.path).unwrap().write_all(b"half").unwrap();
        let mut writer = StampWriter::open(&current).unwrap();
        assert_eq!(writer.seen(), 10);
        writer.add(stamp(20, 500)).unwrap();
        let table = StampTable::load(&current).unwrap();
        assert_eq!(table.stamps, [stamp(10, 1000), stamp(20, 1000)], "time does not run backwards");
    }

    #[test]
    fn a_reader_sees_what_is_added_and_what_was_removed() {
        let (_home, current, mut writer) = written(&[stamp(10, 1000), stamp(20, 2000)]);
        let mut table = StampTable::load(&current).unwrap();
        writer.add(stamp(30, 3000)).unwrap();
        table.refresh().unwrap();
        assert_eq!(table.at(25, &mut 0), Some(stamp(30, 3000)));
        writer.prune(15).unwrap();
        writer.add(stamp(40, 4000)).unwrap();
        table.refresh().unwrap();
        assert_eq!(table.stamps, [stamp(20, 2000), stamp(30, 3000), stamp(40, 4000)]);
    }

    #[test]
    fn stamps_are_bounded_and_become_coarser_where_they_are_old() {
        let many: Vec<_> = (1..=40_000).map(|number| stamp(number * 10, number)).collect();
        let (_home, current, mut writer) = written(&[]);
        let bytes: Vec<u8> = many.iter().flat_map(|stamp| stamp.encode()).collect();
        std::fs::write(path_of(&current), bytes).unwrap();
        writer = StampWriter { records: 40_000, ..writer };
        writer.prune(0).unwrap();
        assert_eq!(writer.records, 20_000);
        let table = StampTable::load(&current).unwrap();
        assert_eq!(table.at(0, &mut 0), Some(Stamp { approximate: true, ..stamp(20, 2) }));
    }
}
