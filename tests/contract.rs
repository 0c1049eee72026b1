//! The policy contract is frozen: what was released never changes.

use sha2::{Digest, Sha256};

use crate::support::workspace;

/// SHA-256 over names and contents of a released directory, sorted by name.
fn digest_of(version: &str) -> String {
    let directory = workspace().join("wit").join(version);
    let mut files: Vec<_> =
        std::fs::read_dir(&directory).expect("the contract is there").flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.file_name().expect("a file has a name").as_encoded_bytes());
        hash.update([0]);
        hash.update(std::fs::read(&file).expect("the contract can be read"));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A policy that was built against 0.1 must load for ever. If this fails, undo the change to `wit/0.1` and make a new
/// interface name or a new directory instead (wit/README.md).
#[test]
fn the_released_contract_0_1_has_not_changed() {
    assert_eq!(digest_of("0.1"), "a69049e2a538ededaccd4ab65cc24b6767ef5373e048c5961a18c81979016662");
}
