//! One line of a list.

use crate::glob;

/// A bare name or an absolute path, which the host looks up, or a glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A bare name or an absolute path.
    Exact(String),
    /// A glob over whole paths.
    Glob(String),
}

/// The file that was asked for: where it was found and what it really is.
#[derive(Clone, Copy, Debug)]
pub struct File<'r> {
    /// As found, links not resolved.
    pub found: &'r str,
    /// Links resolved.
    pub resolved: &'r str,
    /// Whether it does different things under different names.
    pub multi_call: bool,
}

/// The last component of a path.
#[must_use]
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Entry {
    /// Read an entry.
    ///
    /// # Errors
    /// What is wrong with it and what would be right.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_glob = text.contains(['*', '?']);
        match text {
            "" => Err("must not be empty"),
            _ if is_glob && (text.starts_with('/') || text.starts_with("**")) => Ok(Self::Glob(text.to_owned())),
            _ if is_glob => Err("a glob is compared with the whole path: begin it with `/` or `**/`"),
            _ if text.starts_with('/') || !text.contains('/') => Ok(Self::Exact(text.to_owned())),
            _ => Err("must be a bare name, an absolute path or a glob"),
        }
    }

    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        let (Self::Exact(text) | Self::Glob(text)) = self;
        text
    }

    /// Whether the file that would be executed is this one. `looked_up` is what the host found for an exact entry.
    #[must_use]
    pub fn covers(&self, file: File<'_>, looked_up: Option<&str>) -> bool {
        match self {
            Self::Exact(text) => {
                looked_up == Some(file.resolved) && (!file.multi_call || file_name(text) == file_name(file.found))
            }
            Self::Glob(pattern) => {
                glob::matches(pattern, file.resolved) && (!file.multi_call || glob::matches(pattern, file.found))
            }
        }
    }

    /// Whether the file was found in a place that this entry names: what a link points to does not matter.
    #[must_use]
    pub fn names(&self, file: File<'_>) -> bool {
        match self {
            Self::Exact(text) => text == file.found,
            Self::Glob(pattern) => glob::matches(pattern, file.found),
        }
    }
}
