use std::path::{Path, PathBuf};

use super::{Stamp, staleness};
use crate::guest::{Guest, chosen};

/// A workspace with one policy in it, and a place for what is built; gone at the end of the test.
struct Workspace {
    root: PathBuf,
}

impl Workspace {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("wasmvisor-plugins-build-{name}-{}", std::process::id()));
        let workspace = Self { root };
        for (path, text) in [
            ("plugins/health-score/src/lib.rs", "// code"),
            ("plugins/health-score/src/tests.rs", "// tests"),
            ("plugins/health-score/README.md", "words"),
            ("plugins/sdk/src/lib.rs", "// sdk"),
            ("wit/0.1/types.wit", "// contract"),
        ] {
            workspace.write(path, text);
        }
        workspace
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(&self.root)).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }

    fn guest(&self) -> Guest {
        chosen(&self.root, &["health-score".into()]).expect("a known policy").remove(0)
    }

    fn out(&self) -> PathBuf {
        self.root.join("dist")
    }

    fn build(&self) {
        self.write("dist/health-score.wasm", "component");
        let stamp = Stamp::new(&self.guest(), "rustc 1.0", b"component").expect("a record");
        stamp.write(&self.out().join("health-score.toml")).expect("a file");
    }

    fn staleness(&self) -> Option<&'static str> {
        staleness(&self.guest(), &self.out()).expect("an answer")
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // Nothing can be done about a directory that stays.
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

#[test]
fn what_was_just_built_is_not_stale() {
    let workspace = Workspace::new("fresh");
    workspace.build();
    assert_eq!(workspace.staleness(), None);
}

#[test]
fn what_was_never_built_is_stale() {
    assert_eq!(Workspace::new("never").staleness(), Some("never built"));
}

#[test]
fn a_change_of_policy_sdk_or_contract_makes_it_stale() {
    for path in ["plugins/health-score/src/lib.rs", "plugins/sdk/src/new.rs", "wit/0.1/types.wit"] {
        let workspace = Workspace::new("changed");
        workspace.build();
        workspace.write(path, "// changed");
        assert_eq!(workspace.staleness(), Some("the sources have changed since it was built"), "{path}");
    }
}

#[test]
fn a_change_of_tests_or_words_does_not() {
    let workspace = Workspace::new("unchanged");
    workspace.build();
    workspace.write("plugins/health-score/src/tests.rs", "// more tests");
    workspace.write("plugins/health-score/README.md", "more words");
    assert_eq!(workspace.staleness(), None);
}

#[test]
fn a_component_that_is_not_the_recorded_one_is_stale() {
    let workspace = Workspace::new("swapped");
    workspace.build();
    workspace.write("dist/health-score.wasm", "another");
    assert_eq!(workspace.staleness(), Some("the component is not the one that was recorded"));
}

#[test]
fn an_unreadable_record_is_an_error_that_names_the_file() {
    let workspace = Workspace::new("broken");
    workspace.build();
    workspace.write("dist/health-score.toml", "nonsense");
    let error = staleness(&workspace.guest(), &workspace.out()).expect_err("no record");
    assert!(error.to_string().contains("health-score.toml"), "{error}");
}

#[test]
fn a_policy_that_nobody_knows_is_an_error_that_names_the_known_ones() {
    let error = chosen(Path::new("."), &["health".into()]).err().expect("no such policy");
    assert!(error.to_string().contains("health-score"), "{error}");
}
