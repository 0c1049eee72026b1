//! The torture program, compiled once for all tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{Fleet, workspace};

static BUILT: OnceLock<PathBuf> = OnceLock::new();

/// Put a copy of the program into a directory of this name in that of the fleet: one of the marks that it is known by.
pub(crate) fn install(fleet: &Fleet, name: &str) -> PathBuf {
    std::fs::create_dir(fleet.path().join(name)).expect("a directory");
    let own = fleet.path().join(name).join("torture");
    // By another process: a file that this one has open for writing could not be executed by a child made meanwhile.
    let status = Command::new("cp").arg(built()).arg(&own).status();
    assert!(status.is_ok_and(|status| status.success()), "the program can be copied");
    own
}

/// The program; in C because it must be able to throw everything away that a process has.
pub(crate) fn built() -> &'static Path {
    BUILT.get_or_init(|| {
        let directory = tempfile::Builder::new().prefix("torture-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let made = directory.path().join("program");
        let output = Command::new("cc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
            .arg(&made)
            .arg(workspace().join("tests/torture/program.c"))
            .output()
            .expect("a C compiler is there, as for the rest of the build");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // In one step, as another test binary may do the same now.
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("torture-program");
        std::fs::rename(&made, &place).expect("the program can be put in its place");
        place
    })
}
