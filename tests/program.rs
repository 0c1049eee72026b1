//! The real program as a user calls it, in an environment of its own.

use std::process::{Command, Stdio};

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) errors: String,
}

/// The program with these arguments; it finds no configuration and no state of the machine it is tested on.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasmvisor"));
    command.args(arguments).stdin(Stdio::null()).current_dir(std::env::temp_dir());
    for name in ["WASMVISOR_CONFIG", "XDG_RUNTIME_DIR", "RUST_LOG", "NO_COLOR"] {
        command.env_remove(name);
    }
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
        command.env(name, "/nonexistent/home");
    }
    command
}

/// Call the program and wait for its end.
pub(crate) fn wasmvisor(arguments: &[&str]) -> Answer {
    let output = command(arguments).output().expect("the program starts");
    Answer {
        code: output.status.code().unwrap_or(-1),
        output: String::from_utf8(output.stdout).expect("output is UTF-8"),
        errors: String::from_utf8(output.stderr).expect("errors are UTF-8"),
    }
}
