//! What can go wrong, said so that the reader knows what to do.

use std::path::{Path, PathBuf};

/// Any failure of the tool.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Usage(&'static str),
    #[error("there is no default policy `{name}`; there are {known}")]
    NoSuchGuest { name: String, known: String },
    #[error("cannot {operation} {}: {source}", path.display())]
    Io { operation: &'static str, path: PathBuf, source: std::io::Error },
    #[error(
        "no toolchain builds for wasm32-unknown-unknown; either run `rustup target add wasm32-unknown-unknown`, or on \
         Debian `apt-get install rustc-web cargo-web rust-web-src lld-19`"
    )]
    NoToolchain,
    #[error("building {name} failed ({status}); the compiler says why above")]
    Compile { name: String, status: std::process::ExitStatus },
    #[error("{name} cannot be made a component: {reason}")]
    Encode { name: String, reason: String },
    #[error("{name} imports {imports}, but a policy may import nothing except wasmvisor:policy/log@0.1.0")]
    Imports { name: String, imports: String },
    #[error("{name} exports {exports}, but a policy exports `policy` and the interface of its kind")]
    Exports { name: String, exports: String },
    #[error("{} is not a record of a build: {reason}", path.display())]
    Stamp { path: PathBuf, reason: String },
    #[error("stale, build them again with `cargo run -p wasmvisor-plugins-build`:\n  {0}")]
    Stale(String),
}

impl Error {
    pub(crate) fn io(operation: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { operation, path: path.to_owned(), source }
    }
}
