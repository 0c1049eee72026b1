//! Who a run is to be, by name, and whether it can be confined at all.
//!
//! Owns no state. Whoever judges a specification enters.

use std::io;
use std::path::{Path, PathBuf};

use super::{Confinement, UserIds};

/// A user and groups as written: names or numbers. What is absent stays as it is, or follows from the user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserRequest {
    /// User.
    pub user: Option<String>,
    /// Primary group; the user's own when absent.
    pub group: Option<String>,
    /// Supplementary groups; those the user is a member of when absent.
    pub groups: Option<Vec<String>>,
}

/// Who that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its numbers.
    pub ids: UserIds,
    /// Its name; `None` when no account has this number, or the user was not asked for.
    pub name: Option<String>,
    /// Its home directory.
    pub home: Option<String>,
    /// Its shell.
    pub shell: Option<String>,
}

/// Why a user or group cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is no such user.
    #[error("this machine knows no user `{0}`; see `getent passwd`, or write its number")]
    UnknownUser(String),
    /// There is no such group.
    #[error("this machine knows no group `{0}`; see `getent group`, or write its number")]
    UnknownGroup(String),
    /// No account has this number, so nothing says its group.
    #[error("no account has the number {0}, so its group is not known; write `group` beside `user`")]
    NoPrimaryGroup(u32),
    /// The machine could not be asked.
    #[error("cannot look up `{name}`: {source}")]
    Lookup {
        /// Whom.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a run cannot be confined on this machine.
#[derive(Debug, thiserror::Error)]
pub enum ConfinementError {
    /// It is to be another user.
    #[error("sandbox user, group and groups of others need CAP_SETUID and CAP_SETGID, which this supervisor lacks")]
    UserSwitch,
    /// The kernel cannot hold file rules.
    #[error(
        "sandbox read and write need Landlock (Linux 5.13, `landlock` in lsm= of its boot line), which is not in force"
    )]
    FileRules,
    /// File rules need that no privileges can be gained.
    #[error("sandbox read and write need no_new_privileges = true, or a supervisor with CAP_SYS_ADMIN")]
    Privileges,
    /// A private `/tmp` would hide this directory or program.
    #[error("sandbox private_tmp would hide `{0}` from it; put that elsewhere")]
    Hidden(PathBuf),
}

/// Whether a run of `program` in `directory`, both resolved, can be confined so on this machine, as far as can be told
/// beforehand.
///
/// # Errors
/// What stands in the way.
pub fn check_confinement(confinement: &Confinement, program: &Path, directory: &Path) -> Result<(), ConfinementError> {
    super::system::cannot_confine(confinement, program, directory).map_or(Ok(()), Err)
}
