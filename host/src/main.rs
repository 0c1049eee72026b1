//! The program: does what the command line says.

use std::process::ExitCode;

fn main() -> ExitCode {
    wasmvisor::cli::main(std::env::args_os())
}
