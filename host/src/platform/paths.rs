//! Where paths lead, and whether they may.
//!
//! Owns no state. Whoever judges a specification enters, and the launchers, which judge once more when a run is made.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::{Confinement, FileRules};

/// Rules about paths, held once more when the run is made, so that what was judged is what runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathRules {
    /// Whether `program` and `directory` were judged as they stand, resolved: a symbolic link that has taken a place in
    /// one of them since makes the launch fail.
    pub pinned: bool,
    /// Neither a pinned directory nor an argument may be one of these or lie in it. Absolute.
    pub restricted: Vec<PathBuf>,
    /// Paths that arguments name, absolute. The program opens them itself, later: what may not be opened whatever
    /// happens until then is held by `Confinement::files`.
    pub arguments: Vec<PathBuf>,
}

/// Why a path may not be used.
#[derive(Debug, thiserror::Error)]
pub enum PathRefusal {
    /// It cannot be told where it leads.
    #[error("`{path}` cannot be resolved: {source}")]
    Unresolved {
        /// As given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It leads into a restricted path.
    #[error("`{path}` leads to `{target}` in the restricted path `{rule}`")]
    Restricted {
        /// As given.
        path: PathBuf,
        /// Resolved.
        target: PathBuf,
        /// The restricted path.
        rule: PathBuf,
    },
    /// It leads out of what the file rules allow.
    #[error("`{path}` leads to `{target}`, which sandbox `read` and `write` do not allow")]
    Outside {
        /// As given.
        path: PathBuf,
        /// Resolved.
        target: PathBuf,
    },
}

/// The path with every link resolved. Its last parts may be missing, for a program may be about to make them.
///
/// # Errors
/// When a part cannot be looked at, or `..` follows one that is missing.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    let missing = match std::fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => error,
        other => return other,
    };
    // A link that leads nowhere yet is not a missing part: what is made through it is made where it leads.
    if let Ok(target) = std::fs::read_link(path) {
        let parent = path.parent().unwrap_or(Path::new("/"));
        return resolve_link(&parent.join(target), 40);
    }
    match (path.parent(), path.components().next_back()) {
        (Some(parent), Some(Component::Normal(name))) => Ok(resolve(parent)?.join(name)),
        _ => Err(missing),
    }
}

/// Follow links that lead nowhere yet, no further than the kernel would.
fn resolve_link(path: &Path, left: u32) -> io::Result<PathBuf> {
    match std::fs::read_link(path) {
        Ok(target) if left > 0 => resolve_link(&path.parent().unwrap_or(Path::new("/")).join(target), left - 1),
        Ok(_) => Err(io::ErrorKind::InvalidInput.into()),
        Err(_) => resolve(path),
    }
}

/// The restricted path that a resolved path is or lies in. Compared component by component, so `/etc` does not match
/// `/etcetera`; a restricted path that is itself a link restricts where it leads as well.
pub fn restriction<'a>(resolved: &Path, restricted: &'a [PathBuf]) -> Option<&'a Path> {
    let lies_in = |rule: &Path| {
        resolved.starts_with(rule) || std::fs::canonicalize(rule).is_ok_and(|target| resolved.starts_with(target))
    };
    restricted.iter().map(PathBuf::as_path).find(|rule| lies_in(rule))
}

/// Judge a path that an argument names: where it leads, when it may lead there.
///
/// # Errors
/// Which rule it breaks.
pub fn judge_argument(path: &Path, rules: &PathRules, confinement: &Confinement) -> Result<PathBuf, PathRefusal> {
    let own = || path.to_owned();
    let target = resolve(path).map_err(|source| PathRefusal::Unresolved { path: own(), source })?;
    if let Some(rule) = restriction(&target, &rules.restricted) {
        return Err(PathRefusal::Restricted { path: own(), target, rule: rule.to_owned() });
    }
    let allowed = |files: &FileRules| super::system::allows(files, confinement.private_tmp, &target);
    if confinement.files.as_ref().is_some_and(|files| !allowed(files)) {
        return Err(PathRefusal::Outside { path: own(), target });
    }
    Ok(target)
}

#[cfg(test)]
mod tests;
