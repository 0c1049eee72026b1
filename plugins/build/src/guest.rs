//! The default policies and the sources each is made from.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::Error;

/// The policies that ship inside the host.
const DEFAULT: [&str; 4] = ["command-allowlist", "health-score", "restart-backoff", "alert-threshold"];

/// One policy in source.
pub(crate) struct Guest {
    /// Name of the crate and of its directory.
    pub(crate) name: String,
    root: PathBuf,
}

/// The named policies, or all of them.
pub(crate) fn chosen(root: &Path, names: &[String]) -> Result<Vec<Guest>, Error> {
    if let Some(name) = names.iter().find(|name| !DEFAULT.contains(&name.as_str())) {
        return Err(Error::NoSuchGuest { name: name.clone(), known: DEFAULT.join(", ") });
    }
    let all = DEFAULT.iter().filter(|name| names.is_empty() || names.iter().any(|n| n == *name));
    Ok(all.map(|&name| Guest { name: name.to_owned(), root: root.to_owned() }).collect())
}

impl Guest {
    /// SHA-256 over everything of ours that goes into the component: its own sources, the SDK's and the WIT package.
    /// Paths are relative and sorted, tests are left out, and the lengths keep files apart.
    pub(crate) fn source_digest(&self) -> Result<String, Error> {
        let mut files = Vec::new();
        for directory in [format!("plugins/{}", self.name), "plugins/sdk".into(), "wit".into()] {
            collect(&self.root, Path::new(&directory), &mut files)?;
        }
        files.sort();
        let mut digest = Sha256::new();
        for file in files {
            let path = self.root.join(&file);
            let content = std::fs::read(&path).map_err(|source| Error::io("read", &path, source))?;
            let name = file.to_string_lossy().replace('\\', "/");
            digest.update(format!("{name}\0{}\0", content.len()));
            digest.update(content);
        }
        Ok(hex(&digest.finalize()))
    }
}

/// SHA-256 of some bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The sources under a directory, relative to the root: Rust, manifests and WIT, without tests.
fn collect(root: &Path, directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let full = root.join(directory);
    let entries = std::fs::read_dir(&full).map_err(|source| Error::io("list", &full, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| Error::io("list", &full, source))?;
        let path = directory.join(entry.file_name());
        let kind = entry.file_type().map_err(|source| Error::io("look at", &path, source))?;
        if kind.is_dir() {
            collect(root, &path, files)?;
        } else if is_source(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let tests = name == "tests.rs" || path.components().any(|c| c.as_os_str() == "testing") || name == "testing.rs";
    let source = name == "Cargo.toml" || name.ends_with(".rs") || name.ends_with(".wit");
    source && !tests
}
