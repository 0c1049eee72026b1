//! Plugins: components that were compiled and found to be policies.
//!
//! Owns the check of a component's interface and description. Entered by `prepare`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::de::IgnoredAny;
use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre};

use super::bindings::{policy, types};
use super::cache::Cache;
use super::convert;
use super::engine::PolicyEngine;
use super::fault::Fault;
use super::guest::GuestState;
use super::set::Budget;
use super::source::{Fetched, Reference};
use crate::decision::PolicyKind;

/// Time for what is done once at load (describe, validate, configure, a first question), in ticks of the epoch. Loads
/// happen off the hot path and first calls are slow, so this is not the binding's deadline.
pub(super) const LOAD_TICKS: u64 = 2000;

/// What a policy may import: the types it shares with the host, and `log`.
const ALLOWED_IMPORTS: [&str; 2] = ["wasmvisor:policy/types@0.1.0", "wasmvisor:policy/log@0.1.0"];
/// Largest settings schema, bytes; the contract's figure.
const MAX_SCHEMA: usize = 64 << 10;

/// A component that is a policy.
pub(super) struct Plugin {
    pub(super) digest: Arc<str>,
    pub(super) size: u64,
    pub(super) kind: PolicyKind,
    pub(super) name: String,
    /// The plugin's own version.
    pub(super) release: String,
    /// Name and version, as provenance has them.
    pub(super) version: Arc<str>,
    pub(super) summary: String,
    /// JSON Schema of its settings; text that is JSON.
    schema: String,
    pub(super) imports: Vec<String>,
    pub(super) pre: InstancePre<GuestState>,
    pub(super) policy: policy::GuestIndices,
}

/// Makes plugins; each component once, however many bindings use it.
pub(super) struct Loader {
    engine: PolicyEngine,
    cache: Cache,
    /// By digest. A plugin that no binding uses any more is forgotten. The lock is never held while compiling.
    loaded: Mutex<HashMap<String, Weak<Plugin>>>,
}

impl Loader {
    pub(super) fn new(engine: PolicyEngine, cache: Cache) -> Self {
        Self { engine, cache, loaded: Mutex::default() }
    }

    pub(super) fn engine(&self) -> &PolicyEngine {
        &self.engine
    }

    /// Fetch, compile and check a plugin.
    pub(super) fn load(&self, reference: &Reference, sha256: Option<&str>) -> Result<Arc<Plugin>, String> {
        let fetched = reference.fetch()?;
        if let Some(wanted) = sha256
            && !wanted.eq_ignore_ascii_case(&fetched.digest)
        {
            return Err(format!("plugin {reference} has sha256 {} and must have {wanted}", fetched.digest));
        }
        if let Some(known) = self.known(&fetched.digest) {
            return Ok(known);
        }
        let component = self.cache.component(self.engine.engine(), &fetched);
        let plugin = component
            .and_then(|component| Plugin::check(&self.engine, &component, &fetched))
            .map_err(|problem| format!("plugin {reference} {problem}"))?;
        let plugin = Arc::new(plugin);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|_, plugin| plugin.strong_count() > 0);
        loaded.insert(fetched.digest, Arc::downgrade(&plugin));
        Ok(plugin)
    }

    fn known(&self, digest: &str) -> Option<Arc<Plugin>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(digest)?.upgrade()
    }
}

impl Plugin {
    /// Check the component's imports, exports and description.
    fn check(engine: &PolicyEngine, component: &Component, fetched: &Fetched) -> Result<Self, String> {
        let imports = imports(engine, component)?;
        let kind = world(engine, component)?;
        let unfit = |error: wasmtime::Error| format!("does not fit the contract: {error:#}");
        let pre = engine.linker().instantiate_pre(component).map_err(unfit)?;
        let policy = policy::GuestIndices::new(&pre).map_err(unfit)?;
        let description = describe(engine, &pre, &policy)?;
        check_description(&description, kind)?;
        Ok(Self {
            digest: fetched.digest.as_str().into(),
            size: fetched.bytes.len() as u64,
            kind,
            version: format!("{} {}", description.name, description.version).into(),
            name: description.name,
            release: description.version,
            summary: description.summary,
            schema: description.settings_schema,
            imports,
            pre,
            policy,
        })
    }

    /// The JSON Schema of its settings, read anew: it is large, and asked for only when somebody writes settings.
    pub(super) fn schema(&self) -> Value {
        // It was found to be JSON when the plugin was loaded.
        serde_json::from_str(&self.schema).unwrap_or_default()
    }

    /// A fresh store for an instance with this much memory.
    pub(super) fn store(&self, budget: Budget) -> Store<GuestState> {
        let name: Arc<str> = Arc::clone(&self.version);
        store(&self.pre, name, budget)
    }
}

fn store(pre: &InstancePre<GuestState>, name: Arc<str>, budget: Budget) -> Store<GuestState> {
    let memory = usize::try_from(budget.memory.get()).unwrap_or(usize::MAX);
    let mut store = Store::new(pre.engine(), GuestState::new(name, memory));
    store.limiter(|state| state);
    store.set_epoch_deadline(LOAD_TICKS);
    store
}

fn imports(engine: &PolicyEngine, component: &Component) -> Result<Vec<String>, String> {
    let ty = component.component_type();
    let imports: Vec<String> = ty.imports(engine.engine()).map(|(name, _)| name.to_owned()).collect();
    let extra: Vec<_> = imports.iter().filter(|name| !ALLOWED_IMPORTS.contains(&name.as_str())).cloned().collect();
    if extra.is_empty() {
        return Ok(imports);
    }
    Err(format!("imports {}; a policy may import nothing but {}", extra.join(", "), ALLOWED_IMPORTS[1]))
}

/// Which of the four worlds the component implements.
fn world(engine: &PolicyEngine, component: &Component) -> Result<PolicyKind, String> {
    let ty = component.component_type();
    let exports: Vec<String> = ty.exports(engine.engine()).map(|(name, _)| name.to_owned()).collect();
    let has = |interface: &str| exports.iter().any(|name| *name == format!("wasmvisor:policy/{interface}@0.1.0"));
    let kinds: Vec<PolicyKind> = PolicyKind::ALL.iter().copied().filter(|kind| has(kind.as_str())).collect();
    match kinds[..] {
        [kind] if has("policy") => Ok(kind),
        _ => {
            let found = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
            Err(format!(
                "is not a policy: it exports {found}; a policy exports wasmvisor:policy/policy@0.1.0 and exactly one of \
                 admission, health, restart, alert"
            ))
        }
    }
}

fn describe(
    engine: &PolicyEngine,
    pre: &InstancePre<GuestState>,
    policy: &policy::GuestIndices,
) -> Result<types::Description, String> {
    let _running = engine.running();
    let mut store = store(pre, "a new policy".into(), Budget::default());
    let described = pre
        .instantiate(&mut store)
        .and_then(|instance| policy.load(&mut store, &instance))
        .and_then(|guest| guest.call_describe(&mut store));
    described.map_err(|error| format!("cannot describe itself: {}", Fault::of(&error)))
}

fn check_description(description: &types::Description, kind: PolicyKind) -> Result<(), String> {
    let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let name = &description.name;
    if name.is_empty() || name.len() > 64 || !name.chars().all(named) {
        return Err(format!("calls itself `{name}`; a name has 1 to 64 of a-z 0-9 -"));
    }
    if description.version.is_empty() || description.version.len() > 64 || description.summary.len() > 200 {
        return Err("must have a version of 1 to 64 bytes and a summary of at most 200".to_owned());
    }
    let said = convert::kind(description.kind);
    if said != kind {
        return Err(format!("says it is of kind {said} and implements {kind}"));
    }
    if description.settings_schema.len() > MAX_SCHEMA {
        return Err(format!("has a settings schema of more than {MAX_SCHEMA} bytes"));
    }
    serde_json::from_str::<IgnoredAny>(&description.settings_schema)
        .map(drop)
        .map_err(|error| format!("has a settings schema that is not JSON: {error}"))
}
