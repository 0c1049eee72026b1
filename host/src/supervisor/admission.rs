//! From a specification to something that can be launched, or to the rule that refuses it.
//!
//! Looks things up and asks the admission policy, so it runs in a small task of its own and owns nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::environment::{self, Environment, Sources};
use super::paths::{self, OutputFiles};
use super::sandbox::{self, Sandbox};
use super::{SandboxConfig, entry, limits};
use crate::decision::{Admission, AdmissionRequest};
use crate::error::{ErrorClass, Problem};
use crate::lifecycle::Rules;
use crate::link::KernelHolds;
use crate::logs::LogsConfig;
use crate::platform::{self, Cgroups, LaunchPlan, Rotation};
use crate::policy::PolicyHost;
use crate::record::ProcessRecord;
use crate::spec::{Identity, Limits, ProcessId, ProcessSpec};
use crate::units::Timestamp;

/// What judging a specification needs besides itself.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) sandbox: Arc<SandboxConfig>,
    pub(super) state_dir: Arc<Path>,
    pub(super) default_directory: Arc<Path>,
    pub(super) own_environment: Arc<Environment>,
    pub(super) defaults: Limits,
    pub(super) groups: Cgroups,
    pub(super) logs: LogsConfig,
    pub(super) grace: std::time::Duration,
    pub(super) kill_wait: std::time::Duration,
}

/// How an admission came out.
pub(super) struct Admitted {
    pub(super) id: ProcessId,
    pub(super) outcome: Result<Box<Accepted>, Problem>,
}

/// A process that may run.
pub(super) struct Accepted {
    pub(super) identity: Arc<Identity>,
    pub(super) prepared: Prepared,
    pub(super) rules: Rules,
    pub(super) record: Box<ProcessRecord>,
    pub(super) kernel: KernelHolds,
}

/// What every run of a process needs. No debug form: the environment is secret.
pub(super) struct Prepared {
    pub(super) spec: Arc<ProcessSpec>,
    pub(super) program: PathBuf,
    pub(super) env: Arc<BTreeMap<String, String>>,
    pub(super) directory: PathBuf,
    pub(super) output: OutputFiles,
    pub(super) rotation: Rotation,
    pub(super) limits: Limits,
    pub(super) sandbox: Sandbox,
    /// Why no run can be made any more, for one that was adopted: its user or a path of its sandbox has gone since.
    pub(super) obstacle: Option<String>,
}

impl Prepared {
    /// How to make this run.
    pub(super) fn plan(&self, identity: &Identity, run: u32) -> LaunchPlan {
        let mut env: Vec<_> = self.env.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        env.push(("WASMVISOR_RUN".to_owned(), run.to_string()));
        LaunchPlan {
            process_id: identity.process_id.clone(),
            run,
            program: self.program.clone(),
            argv: self.spec.command.clone(),
            env,
            directory: self.directory.clone(),
            stdout: self.output.stdout.clone(),
            stderr: self.output.stderr.clone(),
            rotation: self.rotation,
            niceness: identity.priority.niceness(),
            oom_score_adjustment: identity.priority.oom_score_adjustment(),
            rlimits: sandbox::process_limits(&self.limits),
            confinement: (*self.sandbox.confinement).clone(),
            paths: self.sandbox.paths.clone(),
            cgroup: None,
        }
    }
}

/// What was found out while a specification was judged.
pub(super) struct Judged {
    program: PathBuf,
    directory: PathBuf,
    env: Environment,
    limits: Limits,
    sandbox: Sandbox,
}

/// Admission policy, then paths: the order of the checks after the specification's own. Changes nothing.
///
/// # Errors
/// The first rule that refuses.
pub(super) async fn judge(
    spec: &ProcessSpec,
    identity: &Arc<Identity>,
    around: &Surroundings,
    policies: &PolicyHost,
) -> Result<Judged, Problem> {
    let limits = spec.effective_limits(around.defaults);
    limits::check_enforceable(&limits, around.groups.abilities())?;
    // The policy judges the resolved directory, so one that does not exist is refused before it is asked.
    let directory = paths::working_directory(spec.directory.as_deref(), &around.default_directory)?;
    let config = &around.sandbox;
    let account = sandbox::account(spec, config).await?;
    let named = account.as_ref().filter(|_| sandbox::names_user(spec, config));
    let from = Sources { own: &around.own_environment, rules: &config.env, account: named, spec };
    let env = environment::of_child(from, identity, &limits);
    let (request, program) = request(spec, identity, &directory, &env, limits);
    // Nor is there anything to judge in a command that does not exist: it is a mistake, not an attempt.
    let program = program.ok_or_else(|| not_found(spec))?;
    if let Admission::Deny { rule, reason } = policies.admit(request).await.answer {
        return Err(Problem::new(ErrorClass::SecurityViolation, reason).by_rule(rule));
    }
    check_restrictions(spec.directory.as_deref(), &directory, config)?;
    let sandbox = sandbox::of(spec, config, &program, &directory, account, &limits)?;
    Ok(Judged { program, directory, env, limits, sandbox })
}

/// Judge a specification and prepare what its runs need.
///
/// # Errors
/// The first rule that refuses, or output that cannot be kept.
pub(super) async fn admit(
    spec: Box<ProcessSpec>,
    identity: Arc<Identity>,
    around: Surroundings,
    policies: PolicyHost,
) -> Result<Box<Accepted>, Problem> {
    let Judged { program, directory, env, limits, sandbox } = judge(&spec, &identity, &around, &policies).await?;
    let output = OutputFiles::prepare(&around.state_dir, &identity.name, &identity.process_id)?;
    let kernel = limits::kernel_holds(&limits, around.groups.abilities());
    let shown = limits::in_force(&limits, kernel);
    let mut record = Box::new(entry::of(&spec, &directory, &output, shown, &identity.process_id));
    record.sandbox.clone_from(&sandbox.shown);
    let rules = rules(&spec, &around, &limits);
    let rotation = around.logs.rotation(&spec.logs);
    let prepared = Prepared {
        spec: spec.into(),
        program,
        env: Arc::new(env),
        directory,
        output,
        rotation,
        limits,
        sandbox,
        obstacle: None,
    };
    Ok(Box::new(Accepted { identity, prepared, rules, record, kernel }))
}

/// Prepare what the runs of a process need that an earlier supervisor has admitted: it is not judged again. What has
/// gone since (its directory, its command) is told by its next launch and hurts no run that lives.
pub(super) fn readmit(
    spec: Arc<ProcessSpec>,
    identity: &Arc<Identity>,
    around: &Surroundings,
    record: &ProcessRecord,
) -> (Prepared, Rules) {
    let limits = spec.effective_limits(around.defaults);
    let directory = paths::working_directory(spec.directory.as_deref(), &around.default_directory)
        .unwrap_or_else(|_| PathBuf::from(&record.directory));
    let config = &around.sandbox;
    let account = sandbox::account_now(&spec, config);
    let named = account.as_ref().ok().and_then(Option::as_ref).filter(|_| sandbox::names_user(&spec, config));
    let from = Sources { own: &around.own_environment, rules: &config.env, account: named, spec: &spec };
    let env = environment::of_child(from, identity, &limits);
    let found = platform::find_program(&record.command, environment::search_path(&env), &directory);
    let program = found.and_then(|found| std::fs::canonicalize(found).ok());
    let program = program.unwrap_or_else(|| PathBuf::from(&record.command));
    let sandbox = account.and_then(|account| sandbox::of(&spec, config, &program, &directory, account, &limits));
    let (sandbox, obstacle) = match sandbox {
        Ok(sandbox) => (sandbox, None),
        Err(problem) => (Sandbox::default(), Some(problem.message)),
    };
    let rules = rules(&spec, around, &limits);
    let prepared = Prepared {
        program,
        env: Arc::new(env),
        directory,
        output: OutputFiles::prepare(&around.state_dir, &identity.name, &identity.process_id)
            .unwrap_or_else(|_| recorded_output(record)),
        rotation: around.logs.rotation(&spec.logs),
        limits,
        sandbox,
        obstacle,
        spec,
    };
    (prepared, rules)
}

fn recorded_output(record: &ProcessRecord) -> OutputFiles {
    let path = |path: &Option<String>| path.as_ref().map_or_else(|| PathBuf::from("/dev/null"), PathBuf::from);
    OutputFiles { stdout: path(&record.stdout_path), stderr: path(&record.stderr_path) }
}

/// What the policy is asked, and the file that would be executed.
fn request(
    spec: &ProcessSpec,
    identity: &Arc<Identity>,
    directory: &Path,
    env: &Environment,
    limits: Limits,
) -> (AdmissionRequest, Option<PathBuf>) {
    let command = spec.command.first().cloned().unwrap_or_default();
    let search_path = environment::search_path(env);
    let found = platform::find_program(&command, search_path, directory);
    let program = found.as_ref().and_then(|found| std::fs::canonicalize(found).ok());
    let request = AdmissionRequest {
        identity: Arc::clone(identity),
        command,
        found: found.as_deref().map(entry::text),
        resolved: program.as_deref().map(entry::text),
        args: spec.command.get(1..).unwrap_or_default().to_vec(),
        directory: entry::text(directory),
        environment_keys: env.keys().cloned().collect(),
        search_path: search_path.to_owned(),
        limits,
        now: Timestamp::now(),
    };
    (request, program)
}

fn rules(spec: &ProcessSpec, around: &Surroundings, limits: &Limits) -> Rules {
    Rules {
        restart: spec.restart,
        stop_signal: spec.stop_signal,
        grace: spec.graceful_shutdown_timeout.map_or(around.grace, crate::units::Span::get),
        kill_wait: around.kill_wait,
        deadline: Rules::deadline_of(limits),
    }
}

fn check_restrictions(written: Option<&Path>, directory: &Path, sandbox: &SandboxConfig) -> Result<(), Problem> {
    let restricted = if sandbox.enabled { sandbox.restricted_paths.as_slice() } else { &[] };
    platform::restriction(directory, restricted).map_or(Ok(()), |rule| {
        let leads = written.filter(|written| *written != directory);
        let leads = leads.map_or_else(String::new, |written| format!("`{}` leads to ", written.display()));
        let message = format!("directory {leads}`{}` in the restricted path `{}`", directory.display(), rule.display());
        Err(Problem::new(ErrorClass::SecurityViolation, message).by_rule("restricted-path"))
    })
}

/// Says no PATH: values of the environment are secret.
fn not_found(spec: &ProcessSpec) -> Problem {
    let command = spec.command.first().map_or("", String::as_str);
    let message = if command.contains('/') {
        format!("command `{command}` does not exist or is not executable")
    } else {
        format!("command `{command}` is in no directory of the child's PATH; write its absolute path or set PATH")
    };
    Problem::new(ErrorClass::Configuration, message).by_rule("command-not-found")
}
