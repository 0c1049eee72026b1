//! From a core module to a component that is certainly a policy.

use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::{Resolve, WorldId, WorldItem, WorldKey};

use crate::error::Error;

/// What a policy may call.
const LOG: &str = "wasmvisor:policy/log@0.1.0";
/// What every policy exports.
const POLICY: &str = "wasmvisor:policy/policy@0.1.0";
/// What one of which every policy exports.
const KINDS: [&str; 4] = [
    "wasmvisor:policy/admission@0.1.0",
    "wasmvisor:policy/health@0.1.0",
    "wasmvisor:policy/restart@0.1.0",
    "wasmvisor:policy/alert@0.1.0",
];

/// Encode, validate, and check imports and exports.
pub(crate) fn encode(name: &str, module: &[u8]) -> Result<Vec<u8>, Error> {
    let wrong = |reason: String| Error::Encode { name: name.to_owned(), reason };
    let encoded = ComponentEncoder::default().validate(true).module(module).and_then(|encoder| encoder.encode());
    let component = encoded.map_err(|error| wrong(format!("{error:#}")))?;
    match wit_component::decode(&component).map_err(|error| wrong(format!("{error:#}")))? {
        DecodedWasm::Component(resolve, world) => check(name, &resolve, world)?,
        DecodedWasm::WitPackage(..) => return Err(wrong("it is a WIT package without code".into())),
    }
    Ok(component)
}

fn check(name: &str, resolve: &Resolve, world: WorldId) -> Result<(), Error> {
    let world = &resolve.worlds[world];
    let strange: Vec<String> = world
        .imports
        .iter()
        .filter(|(key, item)| calls(resolve, item) && resolve.name_world_key(key) != LOG)
        .map(|(key, _)| resolve.name_world_key(key))
        .collect();
    if !strange.is_empty() {
        return Err(Error::Imports { name: name.to_owned(), imports: strange.join(", ") });
    }
    let exports: Vec<String> = world.exports.keys().map(|key: &WorldKey| resolve.name_world_key(key)).collect();
    let kinds = exports.iter().filter(|export| KINDS.contains(&export.as_str())).count();
    if exports.len() != 2 || kinds != 1 || !exports.iter().any(|export| export == POLICY) {
        return Err(Error::Exports { name: name.to_owned(), exports: exports.join(", ") });
    }
    Ok(())
}

/// Whether an import can be called; an interface of types alone is only vocabulary.
fn calls(resolve: &Resolve, item: &WorldItem) -> bool {
    match item {
        WorldItem::Interface { id, .. } => !resolve.interfaces[*id].functions.is_empty(),
        WorldItem::Function(_) => true,
        WorldItem::Type { .. } => false,
    }
}

#[cfg(test)]
mod tests;
