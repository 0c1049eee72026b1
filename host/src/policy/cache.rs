//! Compiled plugins on disk, so that a start does not compile.
//!
//! Owns the cache directory. An entry is named after what it was made from and by (component digest, hash of the
//! engine's settings and version) and after the sum of its content. It is native code, so two things must hold:
//!
//! - *Nobody else wrote it.* Whoever can write an entry runs as us, and could name it as we do whatever the sum: so the
//!   directory must belong to us and be writable by us alone, and no sum is asked to prove more.
//! - *It is whole.* Entries appear by a rename and are never written in place, and the sum finds what a disk or a crash
//!   made of them since. It is not cryptographic, because it guards against accidents; that makes it 15 times as fast.
//!
//! A whole entry is mapped, not copied: its pages are the file's, are read when they are needed, and can be given up.

#![allow(unsafe_code)]

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

use self::sum::Sum;
use super::source::Fetched;

mod sum;

/// Where compiled plugins are kept; none: nowhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Cache {
    directory: Option<PathBuf>,
}

impl Cache {
    /// Use this directory, made if need be for its owner alone.
    pub(super) fn new(directory: Option<PathBuf>) -> Result<Self, String> {
        if let Some(path) = &directory {
            prepare(path).map_err(|error| format!("cannot use plugin cache {}: {error}", path.display()))?;
        }
        Ok(Self { directory })
    }

    /// The compiled component: from the cache, or compiled now and put there. A cache that cannot be written costs
    /// time and nothing else.
    pub(super) fn component(&self, engine: &Engine, fetched: &Fetched) -> Result<Component, String> {
        let Some(directory) = &self.directory else { return compile(engine, fetched) };
        let prefix = format!("{}-{:016x}-", fetched.digest, engine_hash(engine));
        if let Some(component) = load(engine, directory, &prefix) {
            return Ok(component);
        }
        let component = compile(engine, fetched)?;
        if let Err(error) = store(&component, directory, &prefix) {
            tracing::warn!(directory = %directory.display(), %error, "cannot keep a compiled plugin");
        }
        Ok(component)
    }
}

fn compile(engine: &Engine, fetched: &Fetched) -> Result<Component, String> {
    Component::from_binary(engine, &fetched.bytes).map_err(|error| format!("is not a usable component: {error:#}"))
}

fn engine_hash(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// Make the directory, or check that it is ours and that nobody else can write to it.
fn prepare(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(directory)?;
        if found.mode() & 0o022 != 0 {
            return Err(std::io::Error::other("others can write to it; run `chmod 700` on it"));
        }
        // The owner of our own entry there is our effective user; without /proc the modes must do.
        if std::fs::metadata("/proc/self").is_ok_and(|us| us.uid() != found.uid()) {
            return Err(std::io::Error::other(
                "it belongs to another user, who could run code as us; give us one of our own",
            ));
        }
    }
    Ok(())
}

/// An entry with this prefix whose content still is what it was when it was written. A damaged one is removed.
fn load(engine: &Engine, directory: &Path, prefix: &str) -> Option<Component> {
    let name = std::fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| name.starts_with(prefix))?;
    let path = directory.join(&name);
    let sum = Sum::of(std::fs::File::open(&path).ok()?).ok()?;
    if sum.to_string() != name[prefix.len()..].trim_end_matches(".cwasm") {
        tracing::warn!(file = %path.display(), "a compiled plugin is damaged and will be compiled anew");
        let _ = std::fs::remove_file(&path);
        return None;
    }
    // SAFETY: the file is an artifact that this program made with an engine of the same settings and version: the name
    // says so, the sum says that it is what was written, and only the owner of the directory could have written a name
    // that lies. It does not change while it is mapped: entries are renamed into place and removed, never written.
    match unsafe { Component::deserialize_file(engine, &path) } {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::warn!(file = %path.display(), "a compiled plugin cannot be used and will be compiled anew: {error:#}");
            let _ = std::fs::remove_file(&path);
            None
        }
    }
}

/// Write an entry whole or not at all.
fn store(component: &Component, directory: &Path, prefix: &str) -> Result<(), String> {
    let bytes = component.serialize().map_err(|error| error.to_string())?;
    let sum = Sum::of(&bytes[..]).map_err(|error| error.to_string())?;
    let name = format!("{prefix}{sum}.cwasm");
    // Several hosts may share a cache: the unfinished file is this process' and thread's own.
    let unfinished = directory.join(format!(".{}-{:?}-{name}", std::process::id(), std::thread::current().id()));
    std::fs::write(&unfinished, &bytes)
        .and_then(|()| std::fs::rename(&unfinished, directory.join(name)))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::PolicyKind;
    use crate::policy::engine::PolicyEngine;
    use crate::policy::source::Reference;

    fn entry(directory: &Path) -> PathBuf {
        std::fs::read_dir(directory).unwrap().next().unwrap().unwrap().path()
    }

    #[test]
    fn a_second_load_takes_the_entry_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        let engine = PolicyEngine::new().unwrap();
        let fetched = Reference::default_of(PolicyKind::Restart).fetch().unwrap();
        let cache = Cache::new(Some(path.clone())).unwrap();
        cache.component(engine.engine(), &fetched).unwrap();
        let prefix = format!("{}-{:016x}-", fetched.digest, engine_hash(engine.engine()));
        assert!(load(engine.engine(), &path, &prefix).is_some());
    }

    #[test]
    fn a_damaged_entry_is_removed_and_compiled_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        let engine = PolicyEngine::new().unwrap();
        let fetched = Reference::default_of(PolicyKind::Restart).fetch().unwrap();
        let cache = Cache::new(Some(path.clone())).unwrap();
        cache.component(engine.engine(), &fetched).unwrap();
        let file = entry(&path);
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let damaged = directory.path().join("damaged");
        std::fs::write(&damaged, &bytes).unwrap();
        std::fs::rename(&damaged, &file).unwrap();
        cache.component(engine.engine(), &fetched).unwrap();
        bytes[middle] ^= 1;
        assert!(std::fs::read(entry(&path)).unwrap() == bytes);
    }

    #[cfg(unix)]
    #[test]
    fn a_cache_that_others_can_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let error = Cache::new(Some(directory.path().to_owned())).unwrap_err();
        assert!(error.contains("chmod 700"), "{error}");
    }
}
