//! The lock on a state directory: one daemon at a time.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::{ErrorClass, Problem};

/// Held while a daemon uses its state directory. The kernel releases it when the holder dies, however it dies, so a
/// stale lock cannot exist; the pid inside is for people.
#[derive(Debug)]
pub(super) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Take the lock.
    ///
    /// # Errors
    /// When another daemon holds it, naming its pid, or the file cannot be written.
    pub(super) fn take(state_dir: &Path) -> Result<Self, Problem> {
        let path = state_dir.join("lock");
        let fail = |operation: &str, error: std::io::Error| {
            Problem::new(ErrorClass::Unavailable, format!("cannot {operation} {}: {error}", path.display()))
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| fail("open", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who holds it is a courtesy; that somebody does is certain.
                let _ = file.read_to_string(&mut holder);
                return Err(Problem::new(
                    ErrorClass::Unavailable,
                    format!(
                        "another supervisor (pid {}) already uses the state directory {}; stop it, or choose another \
                         directory with --state-dir",
                        holder.trim(),
                        state_dir.display()
                    ),
                )
                .by_rule("state-directory-in-use"));
            }
            Err(TryLockError::Error(error)) => return Err(fail("lock", error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(|error| fail("write", error))?;
        writeln!(file, "{}", std::process::id()).map_err(|error| fail("write", error))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_on_the_same_directory_is_refused_and_told_who_is_first() {
        let directory = tempfile::tempdir().unwrap();
        let first = StateLock::take(directory.path()).unwrap();
        let problem = StateLock::take(directory.path()).unwrap_err();
        assert!(problem.message.contains(&format!("pid {}", std::process::id())), "{problem}");
        drop(first);
        assert!(StateLock::take(directory.path()).is_ok());
    }
}
