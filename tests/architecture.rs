//! The house rules that a machine can hold: who may name whom, and who may use what.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::workspace;

/// The rooms from left to right: none may use a room of a later group. Rooms of one group may use each other, except
/// supervisor and monitor.
const LAYERS: [&[&str]; 11] = [
    &["units", "glob", "spec", "sample", "health", "alert", "decision", "record", "error", "event", "care", "link"],
    &["lifecycle", "queue", "trend"],
    &["platform", "policy", "store", "logs"],
    &["registry"],
    &["supervisor", "monitor"],
    &["agents"],
    &["config"],
    &["daemon"],
    &["control"],
    &["cli"],
    &["lib", "main"],
];

/// Crates that only some rooms may name.
const FENCED: [(&str, &[&str]); 6] = [
    ("wasmtime", &["policy"]),
    ("rusqlite", &["store"]),
    ("nix", &["platform"]),
    ("libc", &["platform"]),
    ("sysinfo", &["platform"]),
    ("axum", &["control"]),
];

/// Every source file of the host with the room it belongs to.
fn sources() -> Vec<(PathBuf, String, String)> {
    let root = workspace().join("host/src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files
        .into_iter()
        .map(|path| {
            let first = path.strip_prefix(&root).expect("below the root").iter().next().expect("a name");
            let room = Path::new(first).file_stem().and_then(|stem| stem.to_str()).expect("text").to_owned();
            let text = std::fs::read_to_string(&path).expect("source can be read");
            (path, room, text)
        })
        .collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("source can be listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Whether a file holds nothing but tests of the room beside it.
fn is_test(path: &Path) -> bool {
    path.iter().any(|part| part == "tests" || part == "tests.rs" || part == "fixture.rs")
}

fn layer_of(room: &str) -> usize {
    LAYERS
        .iter()
        .position(|rooms| rooms.contains(&room))
        .unwrap_or_else(|| panic!("`{room}` is no room; enter it in LAYERS with its layer"))
}

/// The rooms that a text names through `crate::`.
fn named_rooms(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for after in line.split("crate::").skip(1) {
            if let Some(list) = after.strip_prefix('{') {
                rooms.extend(list.split(',').filter_map(first_word));
            } else {
                rooms.extend(first_word(after));
            }
        }
    }
    rooms.retain(|room| LAYERS.iter().any(|rooms| rooms.contains(&room.as_str())));
    rooms
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

#[test]
fn no_room_uses_a_room_to_its_right() {
    let mut wrong = Vec::new();
    for (path, room, text) in sources() {
        // What tests borrow binds nobody.
        let code = if is_test(&path) { "" } else { text.split("#[cfg(test)]").next().unwrap_or_default() };
        for named in named_rooms(code) {
            let sideways =
                matches!((room.as_str(), named.as_str()), ("supervisor", "monitor") | ("monitor", "supervisor"));
            if layer_of(&named) > layer_of(&room) || sideways {
                wrong.push(format!("{} uses {named}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn foreign_crates_stay_in_the_room_that_owns_them() {
    let mut wrong = Vec::new();
    for (path, room, text) in sources() {
        for (name, owners) in FENCED {
            let used = text.lines().any(|line| {
                !line.trim_start().starts_with("//")
                    && line
                        .split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':'))
                        .any(|path| path == name || path.starts_with(&format!("{name}::")))
            });
            if used && !owners.contains(&room.as_str()) {
                wrong.push(format!("{} uses {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_is_only_in_the_platform_and_the_cache_of_compiled_plugins() {
    let mut wrong = Vec::new();
    for (path, room, text) in sources() {
        let used = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("unsafe {"));
        if used && room != "platform" && !path.ends_with("policy/cache.rs") {
            wrong.push(path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pure_rooms_have_no_clock_no_task_and_no_lock() {
    let mut wrong = Vec::new();
    for (path, room, text) in sources() {
        if is_test(&path) {
            continue;
        }
        let code: String = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        let impure = ["Instant::now", "SystemTime", "tokio::", "Mutex", "std::fs", "std::thread", "std::net"];
        if layer_of(&room) == 1 {
            wrong.extend(
                impure.iter().filter(|word| code.contains(**word)).map(|word| format!("{}: {word}", path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_owns() {
    let silent: Vec<_> =
        sources().into_iter().filter(|(_, _, text)| !text.starts_with("//!")).map(|(path, _, _)| path).collect();
    assert!(silent.is_empty(), "files without a module header: {silent:?}");
}

#[test]
fn the_top_level_holds_what_the_readme_says_and_nothing_else() {
    let expected: BTreeSet<_> = [
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "host",
        "plugins",
        "policies",
        "tests",
        "wit",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    let found: BTreeSet<_> = std::fs::read_dir(workspace())
        .expect("the workspace can be listed")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    assert_eq!(found, expected);
}
