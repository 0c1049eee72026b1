//! Directories and files of a process: where it works and where its output goes.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{ErrorClass, Problem};
use crate::spec::ProcessId;

/// The working directory with every link resolved.
///
/// # Errors
/// Names it when it does not exist, cannot be reached or is no directory.
pub(super) fn working_directory(wanted: Option<&Path>, default: &Path) -> Result<PathBuf, Problem> {
    let path = wanted.map_or_else(|| default.to_owned(), |wanted| default.join(wanted));
    let refuse = |why: String| {
        let message = format!("directory `{}` {why}", path.display());
        Problem::new(ErrorClass::Configuration, message).by_rule("directory")
    };
    let resolved = std::fs::canonicalize(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => refuse("does not exist; create it or name another".to_owned()),
        _ => refuse(format!("cannot be used: {error}")),
    })?;
    if resolved.is_dir() { Ok(resolved) } else { Err(refuse("is not a directory".to_owned())) }
}

/// Files that receive the output of a process over all its runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutputFiles {
    pub(super) stdout: PathBuf,
    pub(super) stderr: PathBuf,
}

impl OutputFiles {
    /// Make the directory `logs/NAME-ID` of the state directory, for the owner only, and say where the files go.
    ///
    /// # Errors
    /// Names the directory that cannot be made.
    pub(super) fn prepare(state_dir: &Path, name: &str, id: &ProcessId) -> Result<Self, Problem> {
        let directory = state_dir.join("logs").join(format!("{name}-{id}"));
        make_private(&directory).map_err(|error| {
            let message = format!("cannot make the log directory `{}`: {error}", directory.display());
            Problem::new(ErrorClass::Unavailable, message)
        })?;
        Ok(Self { stdout: directory.join("stdout.log"), stderr: directory.join("stderr.log") })
    }
}

fn make_private(directory: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_missing_or_no_directory_is_named() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("file"), "").unwrap();
        for (wanted, text) in [("nowhere", "does not exist"), ("file", "is not a directory")] {
            let problem = working_directory(Some(Path::new(wanted)), home.path()).unwrap_err();
            assert_eq!(problem.class, ErrorClass::Configuration);
            assert!(problem.message.contains(wanted) && problem.message.contains(text), "{problem}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn output_is_for_the_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let files = OutputFiles::prepare(home.path(), "web", &ProcessId::new("p1")).unwrap();
        let directory = files.stdout.parent().unwrap();
        assert!(directory.ends_with("logs/web-p1"));
        assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}
