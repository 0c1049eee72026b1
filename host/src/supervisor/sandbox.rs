//! The sandbox of one process: what its specification and the configuration say together, with every name and path
//! resolved.
//!
//! Owns nothing. Only `admission` enters. It looks at files and asks for users, so it runs in the small task of one
//! admission.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SandboxConfig;
use super::entry::text;
use crate::error::{ErrorClass, Problem};
use crate::platform::{self, Account, Confinement, FileRules, PathRefusal, PathRules, ProcessLimits, UserRequest};
use crate::spec::{Limits, NameOrNumber, ProcessSpec};

/// The rule that refuses what cannot be held.
const RULE: &str = "sandbox";

/// What every run of a process is confined by.
#[derive(Debug, Clone, Default)]
pub(super) struct Sandbox {
    pub(super) confinement: Arc<Confinement>,
    pub(super) paths: PathRules,
    /// The same for a person, by key.
    pub(super) shown: BTreeMap<String, String>,
}

/// Who a process is to be; `None` when it stays who we are.
///
/// # Errors
/// Names the user or group that is not known.
pub(super) async fn account(spec: &ProcessSpec, config: &SandboxConfig) -> Result<Option<Account>, Problem> {
    let request = request(spec, config);
    if request == UserRequest::default() {
        return Ok(None);
    }
    // The answer may come from a directory service.
    let looked = tokio::task::spawn_blocking(move || look_up(&request)).await;
    looked.map_err(|error| Problem::new(ErrorClass::Unavailable, error.to_string()))?
}

/// The same for a caller that may block.
///
/// # Errors
/// As `account`.
pub(super) fn account_now(spec: &ProcessSpec, config: &SandboxConfig) -> Result<Option<Account>, Problem> {
    let request = request(spec, config);
    if request == UserRequest::default() { Ok(None) } else { look_up(&request) }
}

fn look_up(request: &UserRequest) -> Result<Option<Account>, Problem> {
    platform::find_user(request).map(Some).map_err(|error| refuse(ErrorClass::Configuration, &error))
}

/// A process that names its user names its groups as well: those of the configuration belong to another.
fn request(spec: &ProcessSpec, config: &SandboxConfig) -> UserRequest {
    let own = &spec.sandbox;
    let inherits = own.user.is_none();
    let pick = |own: &Option<NameOrNumber>, inherited: &Option<NameOrNumber>| {
        own.as_ref().or(inherited.as_ref().filter(|_| inherits)).map(NameOrNumber::to_string)
    };
    let groups = own.groups.as_ref().or(config.groups.as_ref().filter(|_| inherits));
    UserRequest {
        user: pick(&own.user, &config.user),
        group: pick(&own.group, &config.group),
        groups: groups.map(|groups| groups.iter().map(NameOrNumber::to_string).collect()),
    }
}

/// Whether the user is another's by the specification or the configuration, so that its home is another as well.
pub(super) fn names_user(spec: &ProcessSpec, config: &SandboxConfig) -> bool {
    spec.sandbox.user.is_some() || config.user.is_some()
}

/// Everything together, judged: where the directory and the path arguments lead, and whether this machine can hold it.
///
/// # Errors
/// The first rule that refuses.
pub(super) fn of(
    spec: &ProcessSpec,
    config: &SandboxConfig,
    program: &Path,
    directory: &Path,
    account: Option<Account>,
    limits: &Limits,
) -> Result<Sandbox, Problem> {
    let own = &spec.sandbox;
    let private_tmp = own.private_tmp.unwrap_or(config.private_tmp);
    let confinement = Confinement {
        no_new_privileges: own.no_new_privileges.or(config.no_new_privileges).unwrap_or(config.enabled),
        user: account.as_ref().map(|account| account.ids.clone()),
        umask: own.umask.or(config.umask).map(|mask| mask.0),
        files: file_rules(spec, config, directory, private_tmp)?,
        private_tmp,
    };
    platform::check_confinement(&confinement, program, directory)
        .map_err(|error| refuse(ErrorClass::Configuration, &error))?;
    let restricted = if config.enabled { config.restricted_paths.clone() } else { Vec::new() };
    let written = own.path_arguments.iter().flat_map(|argument| argument.find(&spec.command));
    let arguments: Vec<PathBuf> = written.map(|path| directory.join(path)).collect();
    let paths = PathRules { pinned: true, restricted, arguments };
    for argument in &paths.arguments {
        platform::judge_argument(argument, &paths, &confinement).map_err(|refusal| refuse_path(&refusal))?;
    }
    let mut shown = shown(&confinement, account.as_ref(), &paths);
    shown.extend(shown_limits(limits));
    Ok(Sandbox { confinement: Arc::new(confinement), paths, shown })
}

/// Which files it may use, resolved: a link that is put in their way later is not followed.
fn file_rules(
    spec: &ProcessSpec,
    config: &SandboxConfig,
    directory: &Path,
    private_tmp: bool,
) -> Result<Option<FileRules>, Problem> {
    let read = spec.sandbox.read.as_ref().or(config.read.as_ref());
    let write = spec.sandbox.write.as_ref().or(config.write.as_ref());
    if read.is_none() && write.is_none() {
        return Ok(None);
    }
    let resolve = |key: &str, roots: Option<&Vec<PathBuf>>| -> Result<Vec<PathBuf>, Problem> {
        let wanted = roots.into_iter().flatten().map(|root| directory.join(root));
        // Its own /tmp is empty: what lies in ours cannot be meant.
        let wanted =
            wanted.filter(|root| !(private_tmp && (root == Path::new("/tmp") || root == Path::new("/var/tmp"))));
        let resolved = wanted.map(|root| {
            std::fs::canonicalize(&root).map_err(|error| {
                let message = format!("sandbox {key} names `{}`: {error}; make it or leave it out", root.display());
                refuse(ErrorClass::Configuration, &message)
            })
        });
        resolved.collect()
    };
    Ok(Some(FileRules { read: resolve("read", read)?, write: resolve("write", write)? }))
}

/// The limits that the kernel keeps for each process of a run.
pub(super) fn process_limits(limits: &Limits) -> ProcessLimits {
    ProcessLimits {
        file_handles: limits.file_handles,
        core_bytes: limits.core.map(|bytes| bytes.get()),
        file_size_bytes: limits.file_size.map(|bytes| bytes.get()),
        io_priority: limits.io_priority,
    }
}

/// The sandbox for a person: what is in force, and nothing of the environment.
fn shown(confinement: &Confinement, account: Option<&Account>, paths: &PathRules) -> BTreeMap<String, String> {
    let list = |paths: &[PathBuf]| paths.iter().map(|path| text(path)).collect::<Vec<_>>().join(", ");
    let numbers = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let some = |list: String| if list.is_empty() { "nothing of its own".to_owned() } else { list };
    let name = account.and_then(|account| account.name.as_ref());
    let user = confinement.user.as_ref();
    let files = confinement.files.as_ref();
    let entries = [
        ("user", user.map(|ids| name.map_or_else(|| ids.uid.to_string(), |name| format!("{name} ({})", ids.uid)))),
        ("group", user.map(|ids| ids.gid.to_string())),
        ("groups", user.map(|ids| numbers(&ids.groups))),
        ("umask", confinement.umask.map(|mask| format!("{mask:04o}"))),
        ("read", files.map(|files| some(list(&files.read)))),
        ("write", files.map(|files| some(list(&files.write)))),
        ("private_tmp", confinement.private_tmp.then(|| "yes".to_owned())),
        ("no_new_privileges", Some(if confinement.no_new_privileges { "yes" } else { "no" }.to_owned())),
        ("restricted_paths", Some(list(&paths.restricted))),
        ("path_arguments", Some(list(&paths.arguments))),
    ];
    let said = entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    said.filter(|(_, value)| !value.is_empty()).collect()
}

/// What the kernel keeps for each process besides the limits on the whole tree, by its key.
fn shown_limits(limits: &Limits) -> impl Iterator<Item = (String, String)> {
    let entries = [
        ("core", limits.core.map(|bytes| bytes.to_string())),
        ("file_size", limits.file_size.map(|bytes| bytes.to_string())),
        ("io_priority", limits.io_priority.map(|priority| priority.to_string())),
    ];
    entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)))
}

fn refuse(class: ErrorClass, why: &impl ToString) -> Problem {
    Problem::new(class, why.to_string()).by_rule(RULE)
}

fn refuse_path(refusal: &PathRefusal) -> Problem {
    let (class, rule) = match refusal {
        PathRefusal::Unresolved { .. } => (ErrorClass::Configuration, "path-argument"),
        PathRefusal::Restricted { .. } => (ErrorClass::SecurityViolation, "restricted-path"),
        PathRefusal::Outside { .. } => (ErrorClass::SecurityViolation, "path-argument"),
    };
    Problem::new(class, format!("argument {refusal}")).by_rule(rule)
}

#[cfg(test)]
mod tests;
