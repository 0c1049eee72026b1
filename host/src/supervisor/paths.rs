//! Directories and files of a process: where it works, where its output goes, and where it may not be.

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

/// The restricted path that a resolved directory is or lies in. Compared component by component, so `/etc` does not
/// match `/etcetera`; a restricted path that is itself a link restricts where it leads as well.
pub(super) fn restriction<'a>(directory: &Path, restricted: &'a [PathBuf]) -> Option<&'a Path> {
    let lies_in = |rule: &Path| {
        directory.starts_with(rule) || std::fs::canonicalize(rule).is_ok_and(|target| directory.starts_with(target))
    };
    restricted.iter().map(PathBuf::as_path).find(|rule| lies_in(rule))
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

    #[test]
    fn restrictions_are_compared_component_by_component() {
        let rules = [PathBuf::from("/nonexistent/etc")];
        assert!(restriction(Path::new("/nonexistent/etc/ssl"), &rules).is_some());
        assert!(restriction(Path::new("/nonexistent/etc"), &rules).is_some());
        assert!(restriction(Path::new("/nonexistent/etcetera"), &rules).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn links_hide_nothing_in_either_direction() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        std::fs::create_dir(home.join("secret")).unwrap();
        std::os::unix::fs::symlink(home.join("secret"), home.join("harmless")).unwrap();
        let resolved = working_directory(Some(Path::new("harmless")), &home).unwrap();
        assert!(restriction(&resolved, &[home.join("secret")]).is_some(), "a link into a restricted path");
        assert!(restriction(&resolved, &[home.join("harmless")]).is_some(), "a restricted path that is a link");
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
