//! From a policy set to judges that have proved themselves: everything that can be wrong is found here, off the hot
//! path, before anything takes over.
//!
//! Entered at the start, by a swap, and by `inspect` and `check`.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::PolicyError;
use super::admission::Admissions;
use super::alert::Alerts;
use super::health::Health;
use super::judge::{Bound, Judge, Kind};
use super::plugin::{Loader, Plugin};
use super::restart::Restart;
use super::set::{Binding, PolicySet, place};
use super::settings::{canonical, violations};
use super::source::Reference;
use crate::decision::{FaultKind, PolicyKind};

/// A policy set that works: an awake judge for each binding.
pub(super) struct Prepared {
    pub(super) admission: Vec<Judge<Admissions>>,
    pub(super) health: Vec<Judge<Health>>,
    pub(super) restart: Vec<Judge<Restart>>,
    pub(super) alert: Vec<Judge<Alerts>>,
}

/// Load, check and try every plugin of a set, the four kinds side by side.
pub(super) fn prepare(loader: &Loader, set: &PolicySet) -> Result<Prepared, PolicyError> {
    let problems = set.problems();
    if !problems.is_empty() {
        return Err(PolicyError::of(problems));
    }
    let (admission, health, restart, alert) = std::thread::scope(|scope| {
        let admission = scope.spawn(|| kind(loader, &set.admission));
        let health = scope.spawn(|| kind(loader, &set.health));
        let restart = scope.spawn(|| kind(loader, &set.restart));
        let alert = kind(loader, &set.alert);
        (joined(admission.join()), joined(health.join()), joined(restart.join()), alert)
    });
    match (admission, health, restart, alert) {
        (Ok(admission), Ok(health), Ok(restart), Ok(alert)) => Ok(Prepared { admission, health, restart, alert }),
        (a, h, r, l) => {
            let parts = [a.err(), h.err(), r.err(), l.err()];
            Err(PolicyError::of(parts.into_iter().flatten().flatten().collect()))
        }
    }
}

type Judges<K> = Result<Vec<Judge<K>>, Vec<String>>;

/// A compiler that panics on a component refuses that component; it does not take the host with it.
fn joined<K: Kind>(result: std::thread::Result<Judges<K>>) -> Judges<K> {
    result.unwrap_or_else(|_| Err(vec![format!("{}: loading a plugin failed inside the compiler", K::KIND)]))
}

fn kind<K: Kind>(loader: &Loader, bindings: &[Binding]) -> Judges<K> {
    let mut judges = Vec::with_capacity(bindings.len());
    let mut problems = Vec::new();
    for (index, binding) in bindings.iter().enumerate() {
        match judge(loader, binding) {
            Ok(judge) => judges.push(judge),
            Err(found) => {
                let place = place(K::KIND, index);
                problems.extend(found.into_iter().map(|problem| format!("{place}: {problem}")));
            }
        }
    }
    if problems.is_empty() { Ok(judges) } else { Err(problems) }
}

/// A judge that was configured and has answered a first question.
pub(super) fn judge<K: Kind>(loader: &Loader, binding: &Binding) -> Result<Judge<K>, Vec<String>> {
    let bound = bound::<K>(loader, binding)?;
    let _running = loader.engine().running();
    let reference = Arc::clone(&bound.reference);
    let failed = |fault: super::fault::Fault| vec![format!("plugin {reference} failed its check: {fault}")];
    let mut judge = Judge::new(bound);
    let problems = judge.wake_valid().map_err(failed)?;
    if !problems.is_empty() {
        return Err(problems.into_iter().map(|problem| format!("plugin {reference}: {problem}")).collect());
    }
    match K::self_test(&mut judge) {
        Err(fault) if fault.kind != FaultKind::Refused => return Err(failed(fault)),
        _ => {}
    }
    // Figures count the questions of processes, not our own.
    judge.figures = Default::default();
    Ok(judge)
}

/// The embedded plugin of a kind with its default settings; it sleeps until it is needed.
pub(super) fn stand_in<K: Kind>(loader: &Loader) -> Result<Judge<K>, PolicyError> {
    let binding = Binding::new(Reference::default_of(K::KIND).to_string());
    bound(loader, &binding).map(Judge::new).map_err(PolicyError::of)
}

fn bound<K: Kind>(loader: &Loader, binding: &Binding) -> Result<Bound<K>, Vec<String>> {
    let one = |problem: String| vec![problem];
    let reference: Reference = binding.plugin.parse().map_err(one)?;
    let plugin = loader.load(&reference, binding.sha256.as_deref()).map_err(one)?;
    if plugin.kind != K::KIND {
        let (is, wanted) = (plugin.kind, K::KIND);
        return Err(vec![format!("plugin {reference} is of kind {is} and cannot be a policy of kind {wanted}")]);
    }
    let settings = canonical(&binding.settings).map_err(one)?;
    let violations = schema_violations(&plugin, &reference, binding).map_err(one)?;
    if !violations.is_empty() {
        return Err(violations.into_iter().map(|problem| format!("plugin {reference}: {problem}")).collect());
    }
    let indices = K::indices(&plugin.pre)
        .map_err(|error| vec![format!("plugin {reference} does not fit the contract: {error:#}")])?;
    Ok(Bound { plugin, reference: reference.to_string().into(), binding: binding.clone(), settings, indices })
}

/// What the plugin's schema finds wrong with the settings. The embedded plugins need no settings, which a test holds, so a
/// start with nothing but defaults does not pay for the schema machinery (its tables of formats and meta-schemas).
fn schema_violations(plugin: &Plugin, reference: &Reference, binding: &Binding) -> Result<Vec<String>, String> {
    if matches!(reference, Reference::Builtin(_)) && binding.settings.is_empty() {
        return Ok(Vec::new());
    }
    let settings = Value::Object(binding.settings.clone());
    violations(&plugin.schema(), &settings).map_err(|problem| format!("plugin {reference} {problem}"))
}

/// Check a plugin with settings as a swap would.
pub(super) fn check(
    loader: &Loader,
    reference: &str,
    settings: Map<String, Value>,
) -> Result<Arc<Plugin>, PolicyError> {
    let parsed: Reference = reference.parse().map_err(PolicyError::new)?;
    let plugin = loader.load(&parsed, None).map_err(PolicyError::new)?;
    let binding = Binding { settings, ..Binding::new(reference) };
    let checked = match plugin.kind {
        PolicyKind::Admission => judge::<Admissions>(loader, &binding).map(drop),
        PolicyKind::Health => judge::<Health>(loader, &binding).map(drop),
        PolicyKind::Restart => judge::<Restart>(loader, &binding).map(drop),
        PolicyKind::Alert => judge::<Alerts>(loader, &binding).map(drop),
    };
    checked.map(|()| plugin).map_err(PolicyError::of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::host::loader;

    #[test]
    fn the_embedded_plugins_need_no_settings() {
        let loader = loader(None).unwrap();
        for kind in PolicyKind::ALL {
            let plugin = loader.load(&Reference::default_of(*kind), None).unwrap();
            assert_eq!(violations(&plugin.schema(), &Value::Object(Map::new())), Ok(Vec::new()), "{kind}");
        }
    }
}
