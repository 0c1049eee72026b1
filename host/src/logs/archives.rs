//! The files of one output stream: the current one keeps its plain name, those put aside carry their place in the
//! stream.
//!
//! ```text
//! stdout.log.0000000000000000   bytes 0 to 10485799 of the stream
//! stdout.log.0000000000a00028   the next ones
//! stdout.log                    what comes after the newest archive
//! stdout.log.stamps             when lines were seen (see `stamps`)
//! ```
//!
//! So order and offsets survive every restart without a book to keep. Owns the names; who writes streams and who reads
//! them enter.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// Digits of an offset in a name.
const DIGITS: usize = 16;

/// A file put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Where it is.
    pub path: PathBuf,
    /// Offset of its first byte in the whole stream.
    pub offset: u64,
    /// Its size in bytes. An empty one holds nothing but the place where the stream goes on.
    pub bytes: u64,
}

impl Archive {
    /// Offset of the first byte after it.
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes)
    }
}

/// `current` with `extra` appended to its name.
pub(crate) fn beside(current: &Path, extra: impl AsRef<OsStr>) -> PathBuf {
    let mut name = OsString::from(current.as_os_str());
    name.push(".");
    name.push(extra);
    PathBuf::from(name)
}

/// Name of the archive of `current` whose first byte is at `offset` of the stream.
pub fn name(current: &Path, offset: u64) -> PathBuf {
    beside(current, format!("{offset:0DIGITS$x}"))
}

/// The offset in the name of an archive of `current`; `None` for any other file.
pub fn offset_in_name(current: &OsStr, name: &OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_prefix(current.to_str()?)?.strip_prefix('.')?;
    let plain = digits.len() == DIGITS && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// The archives of `current`, the oldest first. None when their directory does not exist.
///
/// # Errors
/// When the directory cannot be read.
pub fn list(current: &Path) -> io::Result<Vec<Archive>> {
    let (Some(directory), Some(file)) = (current.parent(), current.file_name()) else { return Ok(Vec::new()) };
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut archives = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(offset) = offset_in_name(file, &entry.file_name()) else { continue };
        // Removed meanwhile: it is none any more.
        let Ok(about) = entry.metadata() else { continue };
        archives.push(Archive { path: entry.path(), offset, bytes: about.len() });
    }
    archives.sort_unstable_by_key(|archive| archive.offset);
    Ok(archives)
}

/// Offset of the first byte of the current file, given its archives.
pub fn start_of_current(archives: &[Archive]) -> u64 {
    archives.iter().map(Archive::end).max().unwrap_or(0)
}

/// Remove the oldest archive that holds anything, and the empty ones before it; tells how many bytes that freed. The
/// newest leaves an empty archive in its place, so that offsets go on where they were.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_oldest(current: &Path, archives: &[Archive]) -> io::Result<Option<u64>> {
    let Some(place) = archives.iter().position(|archive| archive.bytes > 0) else { return Ok(None) };
    let (Some(emptied), Some(oldest)) = (archives.get(..place), archives.get(place)) else { return Ok(None) };
    let is_newest = place + 1 == archives.len();
    let mark = name(current, oldest.end());
    // A full disk may refuse the mark before room is made.
    let marked = !is_newest || std::fs::File::create_new(&mark).is_ok();
    gone(std::fs::remove_file(&oldest.path))?;
    if !marked {
        std::fs::File::create_new(&mark)?;
    }
    for archive in emptied {
        gone(std::fs::remove_file(&archive.path))?;
    }
    Ok(Some(oldest.bytes))
}

/// Removed by somebody else is removed as well.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_place_in_the_stream_and_sort_by_it() {
        let current = Path::new("/logs/stdout.log");
        let names: Vec<_> = [0, 255, 10 << 20].iter().map(|offset| name(current, *offset)).collect();
        assert!(names.is_sorted());
        assert_eq!(names[1], Path::new("/logs/stdout.log.00000000000000ff"));
        let read = |text: &str| offset_in_name("stdout.log".as_ref(), text.as_ref());
        assert_eq!(read("stdout.log.00000000000000ff"), Some(255));
        for other in ["stdout.log", "stdout.log.ff", "stdout.log.stamps", "stderr.log.00000000000000ff"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn offsets_go_on_when_even_the_newest_archive_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let current = home.path().join("out.log");
        std::fs::write(name(&current, 0), "12345").unwrap();
        std::fs::write(name(&current, 5), "678").unwrap();
        let mut freed = Vec::new();
        while let Some(bytes) = remove_oldest(&current, &list(&current).unwrap()).unwrap() {
            freed.push(bytes);
            assert_eq!(start_of_current(&list(&current).unwrap()), 8);
        }
        assert_eq!(freed, [5, 3]);
        assert_eq!(list(&current).unwrap().len(), 1, "one empty archive keeps the place");
    }

    #[test]
    fn a_directory_that_is_gone_holds_no_archives() {
        assert_eq!(list(Path::new("/nonexistent/out.log")).unwrap(), []);
    }
}
