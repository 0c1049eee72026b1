//! Reload: read the configuration again and apply what changed, and nothing else.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::{Daemon, InForce, Reloaded, base_directory, configuration};
use crate::config::Config;
use crate::error::Problem;
use crate::event::EventBody;
use crate::policy::PolicySet;
use crate::spec::{Limits, ProcessSpec};

impl Daemon {
    /// Read the configuration again and apply what changed. Refused whole when anything in it cannot be used.
    ///
    /// # Errors
    /// Why it was refused; the old configuration stays in force then.
    pub async fn reload(&self) -> Result<Reloaded, Problem> {
        let Some(file) = &self.config_file else {
            return Err(configuration("there is no configuration file to read again".to_owned()));
        };
        let mut in_force = self.in_force.lock().await;
        let config = Config::load(file).map_err(|error| configuration(error.to_string()))?;
        let base = base_directory(Some(file))?;
        let set = config.policy_set(&base).map_err(|error| configuration(error.to_string()))?;
        let plan = plan(&in_force.config.process, &config.process);
        let fresh: Vec<_> =
            plan.added.iter().chain(&plan.changed).filter_map(|name| config.process.get(name)).cloned().collect();
        self.check_all(&fresh).await?;
        if set != in_force.set {
            self.policies.swap(set.clone()).await.map_err(|error| configuration(error.to_string()))?;
        }
        self.apply(&mut in_force, config, set, &plan).await?;
        self.events.publish(EventBody::SupervisorReloaded {
            added: plan.added.clone(),
            removed: plan.removed.clone(),
            changed: plan.changed.clone(),
        });
        Ok(plan)
    }

    async fn apply(
        &self,
        in_force: &mut InForce,
        config: Config,
        set: PolicySet,
        plan: &Reloaded,
    ) -> Result<(), Problem> {
        let limits = Limits::default().overridden_by(&config.limits);
        self.supervisor.reconfigure(config.supervisor.clone(), config.sandbox.clone(), limits, config.logs).await;
        self.logs.reconfigure(config.logs).await;
        self.monitor.reconfigure(config.monitor.clone()).await;
        self.agents.reconfigure(config.agent.clone()).await;
        let mut failures = Vec::new();
        for name in plan.removed.iter().chain(&plan.changed) {
            if let Some(id) = in_force.configured.remove(name)
                && let Err(problem) = self.supervisor.stop(&id, "removed from or changed in the configuration").await
            {
                failures.push((name.clone(), problem));
            }
        }
        for name in plan.added.iter().chain(&plan.changed) {
            let Some(spec) = config.process.get(name) else { continue };
            match self.supervisor.start_configured(spec.clone()).await {
                Ok(id) => {
                    in_force.configured.insert(name.clone(), id);
                }
                Err(problem) => failures.push((name.clone(), problem)),
            }
        }
        in_force.config = config;
        in_force.set = set;
        all_or_first(failures)
    }

    /// Check everything that a start would check, for all of these, and report every refusal at once.
    pub(super) async fn check_all(&self, specs: &[ProcessSpec]) -> Result<(), Problem> {
        let mut failures = Vec::new();
        for spec in specs {
            if let Err(problem) = self.supervisor.check(spec.clone()).await {
                failures.push((spec.name.clone(), problem));
            }
        }
        all_or_first(failures)
    }
}

/// One problem that tells all of them, of the class of the first.
fn all_or_first(failures: Vec<(impl Display, Problem)>) -> Result<(), Problem> {
    let message = failures.iter().map(|(name, problem)| format!("process {name}: {problem}")).collect::<Vec<_>>();
    match failures.into_iter().next() {
        None => Ok(()),
        Some((_, first)) => Err(Problem { message: message.join("\n"), ..first }),
    }
}

/// Which processes differ between two configurations.
fn plan(old: &BTreeMap<String, ProcessSpec>, new: &BTreeMap<String, ProcessSpec>) -> Reloaded {
    let missing_from = |map: &BTreeMap<String, ProcessSpec>, other: &BTreeMap<String, ProcessSpec>| {
        map.keys().filter(|name| !other.contains_key(*name)).cloned().collect::<Vec<_>>()
    };
    Reloaded {
        added: missing_from(new, old),
        removed: missing_from(old, new),
        changed: new
            .iter()
            .filter(|(name, spec)| old.get(*name).is_some_and(|before| before != *spec))
            .map(|(name, _)| name.clone())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processes(list: &[(&str, &str)]) -> BTreeMap<String, ProcessSpec> {
        list.iter().map(|(name, command)| ((*name).to_owned(), ProcessSpec::new(*name, [*command]))).collect()
    }

    #[test]
    fn a_reload_touches_only_what_differs() {
        let old = processes(&[("kept", "a"), ("changed", "b"), ("gone", "c")]);
        let new = processes(&[("kept", "a"), ("changed", "B"), ("new", "d")]);
        let expected =
            Reloaded { added: vec!["new".into()], removed: vec!["gone".into()], changed: vec!["changed".into()] };
        assert_eq!(plan(&old, &new), expected);
    }

    #[test]
    fn an_unchanged_configuration_changes_nothing() {
        let same = processes(&[("one", "a")]);
        assert_eq!(plan(&same, &same), Reloaded::default());
    }
}
