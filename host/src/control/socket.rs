//! The control socket: made for its owner alone, and never taken from a supervisor that lives.

use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::error::{ErrorClass, Problem};

/// A bound control socket. Its file goes when it is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

/// Removes the file of a socket when it is dropped.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already, and there is nobody to tell.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Socket {
    /// Bind `path` for the owner alone (0600); a missing directory is made (0700). A socket that nobody answers is
    /// replaced. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// When another supervisor listens there, something else has that name, or the system refuses.
    pub fn bind(path: &Path) -> Result<Self, Problem> {
        let cannot = |doing: &str, error: std::io::Error| {
            let message = format!("cannot {doing} the control socket {}: {error}", path.display());
            Problem::new(ErrorClass::Unavailable, message)
        };
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        private_directory(directory).map_err(|error| cannot("make the directory of", error))?;
        refuse_taken(path)?;
        // Bound in a directory nobody else can enter and then moved: at no moment may others connect.
        let workshop = directory.join(format!(".wv{}", std::process::id()));
        private_directory(&workshop).map_err(|error| cannot("prepare", error))?;
        let made = workshop.join("s");
        let bound = UnixListener::bind(&made).and_then(|listener| {
            std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))?;
            std::fs::rename(&made, path)?;
            Ok(listener)
        });
        // Whether it worked or not, the workshop has no more use; a leftover harms nobody.
        let _ = std::fs::remove_dir_all(&workshop);
        let listener = bound.map_err(|error| cannot("bind", error))?;
        Ok(Self { listener, file: SocketFile(path.to_owned()) })
    }

    pub(super) fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

fn private_directory(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A name is free when nothing has it, or a socket that nobody answers any more.
fn refuse_taken(path: &Path) -> Result<(), Problem> {
    let Ok(present) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !present.file_type().is_socket() {
        let message = format!("{} exists and is not a socket; it is left as it is, name another", path.display());
        return Err(Problem::new(ErrorClass::Configuration, message));
    }
    match UnixStream::connect(path) {
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => Ok(()),
        Err(error) => {
            let message = format!("cannot find out who listens at {}: {error}", path.display());
            Err(Problem::new(ErrorClass::Unavailable, message))
        }
        Ok(_) => {
            let message = format!(
                "another supervisor already listens at {}; stop it, or use another --state-dir",
                path.display()
            );
            Err(Problem::new(ErrorClass::Unavailable, message).by_rule("already-running"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_and_its_directory_are_for_the_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state/control.sock");
        let socket = Socket::bind(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_nobody_answers_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let _socket = Socket::bind(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[tokio::test]
    async fn a_living_supervisor_keeps_its_socket() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("control.sock");
        let _first = Socket::bind(&path).unwrap();
        let refused = Socket::bind(&path).unwrap_err();
        assert_eq!(refused.rule.as_deref(), Some("already-running"));
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("control.sock");
        std::fs::write(&path, "mine").unwrap();
        assert!(Socket::bind(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
