//! Plugins made for tests from the readable components in `fixtures/`, with other code put into their holes.

use std::path::{Path, PathBuf};

/// A component text of `fixtures/` whose holes, comments such as `(;decide;)`, can be filled.
pub(crate) struct Fixture(String);

/// Code for the hole `decide` of a restart policy: `code` runs only when the process has 7 attempts behind it, so that
/// the plugin passes the check of a load. 64 is the place of `failure.attempts`.
pub(crate) fn at_attempt_7(code: &str) -> String {
    format!("(if (i32.eq (i32.load offset=64 (local.get $failure)) (i32.const 7)) (then {code}))")
}

/// A loop without end.
pub(crate) const ENDLESS: &str = "(loop $forever (br $forever))";

impl Fixture {
    /// The fixture of this name.
    pub(crate) fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(format!("{name}.wat"));
        Self(std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// The same with `code` in the hole.
    pub(crate) fn with(self, hole: &str, code: &str) -> Self {
        let marker = format!("(;{hole};)");
        assert!(self.0.contains(&marker), "the fixture has no hole {hole}");
        Self(self.0.replace(&marker, code))
    }

    /// A restart policy that always answers this delay.
    pub(crate) fn restart_after(delay_ms: u64) -> Self {
        let text = Self::read("restart").0;
        assert!(text.contains("(;delay;)1000"));
        Self(text.replace("(;delay;)1000", &delay_ms.to_string()))
    }

    /// Write the component into `directory`; returns its path as a plugin reference.
    pub(crate) fn write(self, directory: &Path, name: &str) -> String {
        let path: PathBuf = directory.join(format!("{name}.wasm"));
        let component = wat::parse_str(&self.0).unwrap_or_else(|error| panic!("{error}"));
        std::fs::write(&path, component).expect("the test directory is writable");
        path.display().to_string()
    }
}
