//! What a run may not do or see, once every name is resolved.

use std::path::PathBuf;

/// What a child may not do or see, put in force between its birth and its program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Whether it may not gain privileges by executing set-uid files.
    pub no_new_privileges: bool,
    /// User and groups to become; `None` stays who we are.
    pub user: Option<UserIds>,
    /// File mode creation mask; inherited when absent.
    pub umask: Option<u32>,
    /// File rules of the kernel (Landlock); `None` for none.
    pub files: Option<FileRules>,
    /// Whether `/tmp` and `/var/tmp` are its own (a mount namespace with an empty tmpfs).
    pub private_tmp: bool,
}

/// Numbers of a user and its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserIds {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups, the primary one aside.
    pub groups: Vec<u32>,
}

/// Directories and files that a child may use, besides those that every program needs; all else is closed to it.
/// Absolute paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileRules {
    /// May be read and executed, with everything below.
    pub read: Vec<PathBuf>,
    /// May be read, executed, written, created and removed, with everything below.
    pub write: Vec<PathBuf>,
}
