//! Where the last lines of a stream begin, found by reading backwards over its files.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::reader::{self, at};

const BLOCK: usize = 64 << 10;
/// How often a file may be put aside meanwhile.
const TRIES: usize = 16;

/// Offset in the stream at which its last `lines` lines begin; its end for none. A last line without an end counts.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn start_of_last(current: &Path, lines: u64) -> io::Result<u64> {
    for _ in 0..TRIES {
        let Some((archives, part)) = reader::snapshot(current)? else { continue };
        let mut search = Search { wanted: lines, end: 0 };
        if let Some(part) = &part {
            let length = part.file.metadata()?.len();
            search.end = part.start + length;
            if let Some(found) = search.within(&part.file, part.start, length).map_err(|error| at(current, error))? {
                return Ok(found);
            }
        } else {
            search.end = super::archives::start_of_current(&archives);
        }
        for archive in archives.iter().rev().filter(|archive| archive.bytes > 0) {
            // Removed meanwhile, and everything before it too: the lines after it are all there are.
            let Ok(file) = File::open(&archive.path) else { return Ok(archive.end()) };
            let found = search.within(&file, archive.offset, archive.bytes);
            if let Some(found) = found.map_err(|error| at(&archive.path, error))? {
                return Ok(found);
            }
        }
        return Ok(archives.first().map(|archive| archive.offset).or(part.map(|part| part.start)).unwrap_or(0));
    }
    Ok(0)
}

struct Search {
    /// Beginnings of lines still to be found.
    wanted: u64,
    /// End of the stream: the end of the last line begins no line after it.
    end: u64,
}

impl Search {
    fn within(&mut self, file: &File, start: u64, length: u64) -> io::Result<Option<u64>> {
        if self.wanted == 0 {
            return Ok(Some(self.end));
        }
        let mut block = vec![0; BLOCK];
        let mut left = length;
        while left > 0 {
            let begin = left.saturating_sub(BLOCK as u64);
            let part = &mut block[..(left - begin) as usize];
            file.read_exact_at(part, begin)?;
            for place in memchr::memrchr_iter(b'\n', part) {
                let next = start + begin + place as u64 + 1;
                if next < self.end {
                    self.wanted -= 1;
                    if self.wanted == 0 {
                        return Ok(Some(next));
                    }
                }
            }
            left = begin;
        }
        Ok(None)
    }
}
