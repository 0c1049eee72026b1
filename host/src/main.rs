//! The program: does what the command line says.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything takes memory or makes a thread: a holder stays small for as long as any run lives.
    if let Some(code) = wasmvisor::platform::hold(std::env::args_os()) {
        return code;
    }
    wasmvisor::cli::main(std::env::args_os())
}
