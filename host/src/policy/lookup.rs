//! Facts about the file system that admission policies ask for.
//!
//! Looked up just before each question and shared by the policies that are asked the same; never kept longer, because
//! the file system changes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Look-ups for one question.
#[derive(Default)]
pub(super) struct Lookups {
    known: Vec<Known>,
}

/// What one policy wanted, and what was found, in the same order.
struct Known {
    queries: Arc<[String]>,
    resolved: Vec<Option<String>>,
}

impl Lookups {
    /// What each query resolves to, in order; looked up now unless an earlier policy asked the same.
    pub(super) fn answer(&mut self, queries: &Arc<[String]>, search_path: &str) -> &[Option<String>] {
        let resolved = {
            // Empty while the first policy is asked, the usual case: an empty map allocates nothing.
            let pairs = self.known.iter().flat_map(|known| known.queries.iter().zip(&known.resolved));
            let known: HashMap<&String, &Option<String>> = pairs.collect();
            let answer =
                |query: &String| known.get(query).map_or_else(|| resolve(query, search_path), |found| (*found).clone());
            queries.iter().map(answer).collect()
        };
        self.known.push(Known { queries: Arc::clone(queries), resolved });
        self.known.last().map(|known| known.resolved.as_slice()).unwrap_or_default()
    }
}

/// The file a name or path means, every link resolved. A bare name is an executable file on the search path; a path
/// must be absolute. Paths that are not UTF-8 cannot be shown to a policy and count as not found.
fn resolve(query: &str, search_path: &str) -> Option<String> {
    let path = Path::new(query);
    let found: PathBuf = if path.is_absolute() {
        path.to_owned()
    } else if query.is_empty() || path.components().count() != 1 || query.contains('/') {
        return None;
    } else {
        std::env::split_paths(search_path)
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(query))
            .find(|candidate| is_executable(candidate))?
    };
    std::fs::canonicalize(found).ok()?.into_os_string().into_string().ok()
}

fn is_executable(path: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(path) else { return false };
    #[cfg(unix)]
    let runs = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let runs = true;
    metadata.is_file() && runs
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_bare_name_is_the_first_executable_on_the_path_with_links_resolved() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for directory in ["a", "b", "real"] {
            std::fs::create_dir(root.join(directory)).unwrap();
        }
        std::fs::write(root.join("a/tool"), "no program").unwrap();
        std::fs::write(root.join("real/tool-1"), "#!/bin/sh").unwrap();
        std::fs::set_permissions(root.join("real/tool-1"), PermissionsExt::from_mode(0o755)).unwrap();
        symlink(root.join("real/tool-1"), root.join("b/tool")).unwrap();
        let path = format!("{0}/a:{0}/b", root.display());
        assert_eq!(resolve("tool", &path), Some(format!("{}/real/tool-1", root.display())));
        assert_eq!(resolve(&format!("{}/b/tool", root.display()), ""), Some(format!("{}/real/tool-1", root.display())));
    }

    #[test]
    fn relative_paths_and_empty_names_are_never_found() {
        for query in ["", "./sh", "../sh", "bin/sh", "sh/", "."] {
            assert_eq!(resolve(query, "/bin:/usr/bin"), None, "{query}");
        }
    }
}
