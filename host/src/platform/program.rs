//! Where the file of a command is.
//!
//! Owns no state. Whoever makes a launch plan enters.

use std::path::{Path, PathBuf};

/// The file that `command` names: with a slash, that file, relative to `directory`; without, the first of that name in
/// the directories of `search_path` (separated by `:`; an empty one is `directory`, as in POSIX). Only regular files
/// that this user may execute count.
pub fn find_program(command: &str, search_path: &str, directory: &Path) -> Option<PathBuf> {
    if command.is_empty() {
        return None;
    }
    if command.contains('/') {
        return Some(directory.join(command)).filter(|file| is_executable(file));
    }
    search_path.split(':').map(|place| directory.join(place).join(command)).find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    file.is_file() && nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok()
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_searched_and_a_path_is_not() {
        let root = Path::new("/");
        assert_eq!(find_program("sh", "/nowhere:/bin", root), Some("/bin/sh".into()));
        assert_eq!(find_program("sh", "/nowhere", root), None);
        assert_eq!(find_program("bin/sh", "/nowhere", root), Some("/bin/sh".into()));
        assert_eq!(find_program("./sh", "/bin", root), None);
    }

    #[test]
    fn directories_and_plain_files_are_no_programs() {
        assert_eq!(find_program("/bin", "", Path::new("/")), None);
        assert_eq!(find_program("/etc/passwd", "", Path::new("/")), None);
    }
}
