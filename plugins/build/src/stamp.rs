//! The record beside a component: what it was made from, with what, and what came out.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::guest::{Guest, sha256};

const HEADER: &str = "# Written by `cargo run -p wasmvisor-plugins-build`; do not edit.\n\n";

/// The record of one build.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stamp {
    pub(crate) source: Source,
    pub(crate) component: Component,
}

/// What went in.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// SHA-256 over the sources, see `Guest::source_digest`.
    pub(crate) sha256: String,
    /// Version line of the compiler. For information: another compiler gives other bytes that do the same.
    pub(crate) toolchain: String,
}

/// What came out.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Component {
    pub(crate) sha256: String,
    pub(crate) bytes: usize,
}

impl Stamp {
    pub(crate) fn new(guest: &Guest, toolchain: &str, component: &[u8]) -> Result<Self, Error> {
        let source = Source { sha256: guest.source_digest()?, toolchain: toolchain.to_owned() };
        Ok(Self { source, component: Component { sha256: sha256(component), bytes: component.len() } })
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let wrong = |reason: toml::ser::Error| Error::Stamp { path: path.to_owned(), reason: reason.to_string() };
        let text = format!("{HEADER}{}", toml::to_string(self).map_err(wrong)?);
        std::fs::write(path, text).map_err(|source| Error::io("write", path, source))
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
        let wrong = |reason: toml::de::Error| Error::Stamp { path: path.to_owned(), reason: reason.to_string() };
        toml::from_str(&text).map_err(wrong)
    }
}

/// Why a component is stale, or none when it is not.
pub(crate) fn staleness(guest: &Guest, out: &Path) -> Result<Option<&'static str>, Error> {
    let record = out.join(format!("{}.toml", guest.name));
    let path = out.join(format!("{}.wasm", guest.name));
    if !record.exists() || !path.exists() {
        return Ok(Some("never built"));
    }
    let stamp = Stamp::read(&record)?;
    let component = std::fs::read(&path).map_err(|source| Error::io("read", &path, source))?;
    if stamp.component.sha256 != sha256(&component) {
        return Ok(Some("the component is not the one that was recorded"));
    }
    Ok((stamp.source.sha256 != guest.source_digest()?).then_some("the sources have changed since it was built"))
}

#[cfg(test)]
mod tests;
