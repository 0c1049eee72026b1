//! What a directory watch tells.

use std::ffi::OsString;

/// Something that happened in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Key of the directory (`DirectoryWatch::add`).
    pub key: i32,
    /// What happened.
    pub kind: ChangeKind,
    /// Name of the file in it; empty when it is about the directory itself.
    pub name: OsString,
}

/// What happened in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// A file was written.
    Written,
    /// A file, or directory, was made or was given this name.
    Appeared,
    /// The directory is gone, and its key with it.
    Gone,
    /// More than could be told: anything may have happened anywhere.
    Unknown,
}
