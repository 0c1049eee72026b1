//! Swaps: a new policy set takes over between two calls, or nothing changes.
//!
//! Owns what is installed. One swap at a time; questions go on meanwhile.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use super::judge::{Judge, Kind};
use super::lane::Message;
use super::prepare::{Prepared, prepare};
use super::set::{Binding, PolicySet};
use super::{PolicyError, PolicyHost, Swapped};
use crate::decision::PolicyKind;
use crate::event::EventBody;

/// What is in force.
pub(super) struct Installed {
    pub(super) set: PolicySet,
    pub(super) generation: u64,
    /// Digest and binding of each judge, by kind in the order of `PolicyKind::ALL`.
    pub(super) prints: [Print; 4],
}

/// What tells one installation of a kind from another: a file may change behind an unchanged reference.
pub(super) type Print = Vec<(Arc<str>, Binding)>;

pub(super) fn print<K: Kind>(judges: &[Judge<K>]) -> Print {
    judges.iter().map(|judge| (Arc::clone(&judge.bound.plugin.digest), judge.bound.binding.clone())).collect()
}

pub(super) fn prints(prepared: &Prepared) -> [Print; 4] {
    [print(&prepared.admission), print(&prepared.health), print(&prepared.restart), print(&prepared.alert)]
}

impl PolicyHost {
    /// Let `set` take over between two calls, or leave everything as it is. Kinds in which nothing changed go on
    /// undisturbed; the others get a new generation, in which policies remember nothing (memos are 0).
    ///
    /// # Errors
    /// Why the new set was refused: every plugin or setting that cannot be used.
    pub async fn swap(&self, set: PolicySet) -> Result<Vec<Swapped>, PolicyError> {
        let mut installed = self.shared.installed.lock().await;
        self.swap_locked(&mut installed, set).await
    }

    /// Let one plugin (path or `builtin:NAME`) take the place of the first binding of its kind that uses another
    /// plugin file or settings; `settings` replace the binding's when given. A pin (`sha256`) of another plugin is
    /// dropped with it.
    ///
    /// # Errors
    /// Why the new plugin was refused.
    pub async fn swap_plugin(&self, plugin: &str, settings: Option<Value>) -> Result<Swapped, PolicyError> {
        let started = Instant::now();
        let settings = settings.map(|value| object(&value)).transpose()?;
        let mut installed = self.shared.installed.lock().await;
        let kind = self.kind_of(plugin.to_owned()).await?;
        let mut set = installed.set.clone();
        replace(set.of_mut(kind), plugin, settings);
        let swapped = self.swap_locked(&mut installed, set).await?;
        Ok(swapped.into_iter().find(|swapped| swapped.kind == kind).unwrap_or_else(|| Swapped {
            kind,
            plugins: installed.set.of(kind).iter().map(|binding| binding.plugin.clone()).collect(),
            generation: installed.generation,
            took_us: started.elapsed().as_micros() as u64,
        }))
    }

    async fn kind_of(&self, plugin: String) -> Result<PolicyKind, PolicyError> {
        let shared = Arc::clone(&self.shared);
        let name = plugin.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            name.parse().and_then(|reference| shared.loader.load(&reference, None)).map(|plugin| plugin.kind)
        });
        match loaded.await {
            Ok(Ok(kind)) => Ok(kind),
            Ok(Err(reason)) => Err(self.refuse(&plugin, PolicyError::new(reason))),
            Err(_) => Err(self.refuse(&plugin, PolicyError::new("loading it failed inside the compiler"))),
        }
    }

    async fn swap_locked(&self, installed: &mut Installed, set: PolicySet) -> Result<Vec<Swapped>, PolicyError> {
        let started = Instant::now();
        let (shared, wanted) = (Arc::clone(&self.shared), set.clone());
        let prepared = tokio::task::spawn_blocking(move || prepare(&shared.loader, &wanted)).await;
        let prepared = prepared
            .unwrap_or_else(|_| Err(PolicyError::new("loading the policy set failed inside the compiler")))
            .map_err(|error| self.refuse(&changed_plugins(&installed.set, &set), error))?;
        let prints = prints(&prepared);
        let changed: Vec<bool> = prints.iter().zip(&installed.prints).map(|(new, old)| new != old).collect();
        let generation = installed.generation + u64::from(changed.contains(&true));
        let (generations, lanes) = (generation, &self.shared.lanes);
        let mut swapped = Vec::new();
        // From here on nothing can fail: every judge is awake and has answered a question.
        if changed[0] {
            swapped.push(self.take_over(&lanes.admission, prepared.admission, generations, started).await);
        }
        if changed[1] {
            swapped.push(self.take_over(&lanes.health, prepared.health, generations, started).await);
        }
        if changed[2] {
            swapped.push(self.take_over(&lanes.restart, prepared.restart, generations, started).await);
        }
        if changed[3] {
            swapped.push(self.take_over(&lanes.alert, prepared.alert, generations, started).await);
        }
        *installed = Installed { set, generation, prints };
        Ok(swapped)
    }

    /// Hand the judges to their lane and wait until they rule.
    async fn take_over<K: Kind>(
        &self,
        lane: &mpsc::Sender<Message<K>>,
        judges: Vec<Judge<K>>,
        generation: u64,
        started: Instant,
    ) -> Swapped {
        let plugins = judges.iter().map(|judge| judge.bound.reference.to_string()).collect();
        let first = judges.first().map(|judge| judge.provenance(generation, std::time::Duration::ZERO, None));
        let (done, taken) = oneshot::channel();
        if lane.send(Message::Install(judges, generation, done)).await.is_ok() {
            // An error means that the lane is gone, and with it everything that could be swapped.
            let _ = taken.await;
        }
        let took_us = started.elapsed().as_micros() as u64;
        let text = |part: fn(&crate::decision::Provenance) -> &Arc<str>| {
            first.as_ref().map_or_else(|| "none".to_owned(), |first| part(first).to_string())
        };
        self.shared.events.publish(EventBody::PolicySwapped {
            kind: K::KIND,
            plugin: text(|p| &p.plugin),
            version: text(|p| &p.version),
            digest: text(|p| &p.digest),
            generation,
            took_us,
        });
        Swapped { kind: K::KIND, plugins, generation, took_us }
    }

    fn refuse(&self, plugin: &str, error: PolicyError) -> PolicyError {
        self.shared
            .events
            .publish(EventBody::PolicyRefused { plugin: plugin.to_owned(), reason: error.message.clone() });
        error
    }
}

/// The plugins of `new` whose bindings are not in `old`, for a person.
fn changed_plugins(old: &PolicySet, new: &PolicySet) -> String {
    let changed = PolicyKind::ALL.iter().flat_map(|kind| {
        new.of(*kind).iter().filter(move |binding| !old.of(*kind).contains(binding)).map(|binding| &*binding.plugin)
    });
    let names: Vec<_> = changed.collect();
    if names.is_empty() { "policy set".to_owned() } else { names.join(", ") }
}

/// Put `plugin` in the place of the first binding that it would change.
fn replace(bindings: &mut Vec<Binding>, plugin: &str, settings: Option<Map<String, Value>>) {
    let same = |binding: &Binding| {
        binding.plugin == plugin && settings.as_ref().is_none_or(|settings| *settings == binding.settings)
    };
    let index = bindings.iter().position(|binding| !same(binding)).unwrap_or(0);
    let Some(binding) = bindings.get_mut(index) else {
        bindings.push(Binding { settings: settings.unwrap_or_default(), ..Binding::new(plugin) });
        return;
    };
    if binding.plugin != plugin {
        binding.sha256 = None;
        plugin.clone_into(&mut binding.plugin);
    }
    if let Some(settings) = settings {
        binding.settings = settings;
    }
}

/// Settings must be a JSON object.
pub(super) fn object(settings: &Value) -> Result<Map<String, Value>, PolicyError> {
    match settings {
        Value::Object(map) => Ok(map.clone()),
        Value::Null => Ok(Map::new()),
        other => Err(PolicyError::new(format!("settings must be an object of names and values, not {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plugin_takes_the_first_place_it_would_change() {
        let mut bindings = vec![Binding::new("a"), Binding { sha256: Some("x".into()), ..Binding::new("b") }];
        replace(&mut bindings, "a", None);
        assert_eq!(bindings, [Binding::new("a"), Binding::new("a")]);
        let settings = object(&json!({ "k": 1 })).unwrap();
        replace(&mut bindings, "a", Some(settings.clone()));
        assert_eq!((&bindings[0].settings, bindings[1].settings.is_empty()), (&settings, true));
        let mut none = Vec::new();
        replace(&mut none, "a", None);
        assert_eq!(none, [Binding::new("a")]);
    }
}
