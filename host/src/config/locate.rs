//! Where the configuration, the state directory and the socket are, when nobody says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ConfigError;

/// Longest path of a socket in bytes; `sun_path` has 108 with its final NUL on Linux and 104 elsewhere (unix(7)).
const LONGEST_SOCKET: usize = 100;

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The configuration to use when none is named: `$WASMVISOR_CONFIG`, `./wasmvisor.toml`,
/// `$XDG_CONFIG_HOME/wasmvisor/config.toml` (`~/.config` when unset), `/etc/wasmvisor/config.toml`; the first that
/// exists. What the variable names is taken even when it does not exist, so that the mistake is told.
pub fn locate() -> Option<PathBuf> {
    locate_by(variable, |path| path.exists())
}

fn locate_by(variable: impl Fn(&str) -> Option<OsString>, exists: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    if let Some(named) = variable("WASMVISOR_CONFIG") {
        return Some(named.into());
    }
    let own = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".config")))
        .map(|directory| directory.join("wasmvisor/config.toml"));
    [Some("wasmvisor.toml".into()), own, Some("/etc/wasmvisor/config.toml".into())]
        .into_iter()
        .flatten()
        .find(|path| exists(path))
}

/// The state directory when none is named, absolute: `$XDG_STATE_HOME/wasmvisor`, else `~/.local/state/wasmvisor`.
///
/// # Errors
/// When neither variable is set.
pub fn state_dir() -> Result<PathBuf, ConfigError> {
    state_dir_by(variable)
}

fn state_dir_by(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, ConfigError> {
    variable("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".local/state")))
        .filter(|path| path.is_absolute())
        .map(|path| path.join("wasmvisor"))
        .ok_or_else(|| {
            ConfigError::new("neither XDG_STATE_HOME nor HOME is an absolute path; name a directory with --state-dir")
        })
}

/// The control socket of this state directory: `control.sock` in it, or one in `$XDG_RUNTIME_DIR` when that path is
/// too long for a socket.
///
/// # Errors
/// When both are too long, or the second is needed and there is no such directory.
pub fn socket_path(state_dir: &Path) -> Result<PathBuf, ConfigError> {
    socket_path_by(state_dir, variable)
}

fn socket_path_by(state_dir: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, ConfigError> {
    let beside = state_dir.join("control.sock");
    let fits = |path: &PathBuf| path.as_os_str().len() <= LONGEST_SOCKET;
    if fits(&beside) {
        return Ok(beside);
    }
    let digest = Sha256::digest(state_dir.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    variable("XDG_RUNTIME_DIR")
        .map(|directory| Path::new(&directory).join(format!("wasmvisor-{name}.sock")))
        .filter(fits)
        .ok_or_else(|| {
            ConfigError::new(format!(
                "{} is too long for a socket (at most {LONGEST_SOCKET} bytes); name a shorter one with --socket",
                beside.display()
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn the_variable_wins_over_every_file() {
        let found = locate_by(|name| (name == "WASMVISOR_CONFIG").then(|| "/a.toml".into()), |_| true);
        assert_eq!(found, Some("/a.toml".into()));
    }

    #[test]
    fn without_a_variable_the_first_file_that_exists_is_used() {
        let home = |name: &str| (name == "HOME").then(|| "/home/u".into());
        let found = locate_by(home, |path| path == Path::new("/home/u/.config/wasmvisor/config.toml"));
        assert_eq!(found, Some("/home/u/.config/wasmvisor/config.toml".into()));
        assert_eq!(locate_by(nothing, |_| false), None);
    }

    #[test]
    fn without_home_the_error_says_what_to_name() {
        let error = state_dir_by(nothing).unwrap_err().to_string();
        assert!(error.contains("--state-dir"), "{error}");
    }

    #[test]
    fn a_long_state_directory_has_its_socket_in_the_runtime_directory() {
        let long = PathBuf::from(format!("/{}", "d".repeat(120)));
        let runtime = |name: &str| (name == "XDG_RUNTIME_DIR").then(|| "/run/user/1".into());
        let socket = socket_path_by(&long, runtime).unwrap();
        assert!(socket.starts_with("/run/user/1"), "{}", socket.display());
        assert!(socket_path_by(&long, nothing).unwrap_err().to_string().contains("--socket"));
    }
}
