//! What can be wrong with the database, told so that a person knows what to do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// What to do about a file that is of no use.
const MOVE_AWAY: &str = "move it away and start again: a new one is made, the history in it is lost, \
                         and processes that an earlier life left running are no longer known";

/// Why the database cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file is something else.
    #[error("`{}` is not a database; {MOVE_AWAY}", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of another program.
    #[error("`{}` is the database of another program; name another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("the database `{}` is damaged ({detail}); {MOVE_AWAY}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A newer version of this program has written it.
    #[error(
        "the database `{}` was written by a newer wasmvisor (schema {found}, this one knows {known}); \
         use that version, or {MOVE_AWAY}", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// The file cannot be created or written.
    #[error(
        "cannot write the database `{}` ({detail}); make the file and its directory writable for this user",
        path.display()
    )]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The disk is full.
    #[error("cannot write the database `{}`: the disk is full; make room on it", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else keeps it locked.
    #[error(
        "the database `{}` is locked by another program; end what writes it (another wasmvisor, or `sqlite3`)",
        path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Something else.
    #[error("cannot {operation} the database `{}`: {detail}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        operation: &'static str,
        /// What the system said.
        detail: String,
    },
}

impl StoreError {
    pub(super) fn other(path: &Path, operation: &'static str, error: &dyn std::fmt::Display) -> Self {
        Self::Other { path: path.to_owned(), operation, detail: error.to_string() }
    }

    pub(super) fn of_io(path: &Path, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full { path: path.to_owned() },
            _ => Self::Unwritable { path: path.to_owned(), detail: error.to_string() },
        }
    }

    pub(super) fn of_sqlite(path: &Path, operation: &'static str, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let detail = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, detail },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::Unwritable { path, detail }
            }
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            _ => Self::Other { path, operation, detail },
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn each_failure_of_the_database_names_the_file_and_what_to_do() {
        for (code, says) in [
            (ffi::SQLITE_NOTADB, "is not a database; move it away"),
            (ffi::SQLITE_CORRUPT, "move it away and start again"),
            (ffi::SQLITE_READONLY, "make the file and its directory writable"),
            (ffi::SQLITE_CANTOPEN, "make the file and its directory writable"),
            (ffi::SQLITE_FULL, "the disk is full; make room"),
            (ffi::SQLITE_BUSY, "is locked by another program; end what writes it"),
            (ffi::SQLITE_IOERR, "cannot open the database"),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let message = StoreError::of_sqlite(Path::new("/there/registry.db"), "open", &error).to_string();
            assert!(message.contains("`/there/registry.db`") && message.contains(says), "{code}: {message}");
        }
    }

    #[test]
    fn a_full_disk_is_told_as_one_whoever_noticed() {
        let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let path = Path::new("/there");
        assert_eq!(StoreError::of_io(path, &error), StoreError::Full { path: path.to_owned() });
    }
}
