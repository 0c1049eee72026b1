//! Every file in `policies/` is used as it is shipped.

use crate::support::{wasmvisor, workspace};

/// A policy set has bindings at its top level; a configuration has them under `[policies]`, or none.
fn is_set(text: &str) -> bool {
    ["[[admission]]", "[[health]]", "[[restart]]", "[[alert]]"].iter().any(|table| text.contains(table))
}

#[test]
fn every_shipped_set_and_configuration_can_be_loaded() {
    let mut checked = 0;
    for entry in std::fs::read_dir(workspace().join("policies")).expect("it is there").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let noun = if is_set(&text) { "policy" } else { "config" };
        let output = wasmvisor().args([noun, "check"]).arg(&path).output().expect("the binary can be started");
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
        checked += 1;
    }
    assert!(checked >= 4, "only {checked} files were found");
}
