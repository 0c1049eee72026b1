//! From a plan to what the child needs, and from a failed step to a sentence.
//!
//! Owns what launchers remember of their own process. The launchers enter: the one of this process and the holder.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid, getgroups};

use super::child::{Become, Claims, FileRights, Limits, Maps, Output, Prepared, PrivateTmp, Program, Refused, Step};
use super::{capabilities, landlock, limits, tag};
use crate::platform::{
    Confinement, ConfinementError, IoPriority, LaunchError, LaunchPlan, PROCESS_ID_VARIABLE, ProcessLimits, UserIds,
    paths,
};

/// Turns plans into what a child needs. Remembers the descriptor limit and the OOM score it finds when it is made, and
/// what this process may do.
#[derive(Debug, Clone)]
pub(super) struct Preparer {
    handles: Option<(u64, u64)>,
    own_oom_score: Option<i32>,
    may_mount: bool,
}

impl Default for Preparer {
    fn default() -> Self {
        let own = std::fs::read_to_string("/proc/self/oom_score_adj");
        Self {
            handles: limits::handles().ok(),
            own_oom_score: own.ok().and_then(|text| text.trim().parse().ok()),
            may_mount: capabilities::effective().is_some_and(|set| capabilities::has(set, capabilities::SYS_ADMIN)),
        }
    }
}

impl Preparer {
    /// Everything the child needs for this plan; looks at no file of it.
    ///
    /// # Errors
    /// The step that could never succeed.
    pub(super) fn prepare(&self, plan: &LaunchPlan) -> Result<Prepared, Refused> {
        let argv: Result<_, _> = plan.argv.iter().map(|word| text(OsStr::new(word))).collect();
        Ok(Prepared {
            program: program(&plan.program)?,
            argv: argv?,
            env: environment(plan)?,
            directory: path_text(&plan.directory)?,
            pinned: plan.paths.pinned,
            stdout: Output::File(path_text(&plan.stdout)?),
            stderr: Output::File(path_text(&plan.stderr)?),
            cgroup: plan.cgroup.as_ref().map(|group| path_text(&group.join("cgroup.procs"))).transpose()?,
            tag: Some(tag::of(&plan.process_id)),
            claims: self.claims(plan)?,
            limits: self.limits(&plan.rlimits),
            umask: plan.confinement.umask.map(|mask| mask & 0o777),
            private_tmp: self.private_tmp(plan)?,
            no_new_privileges: plan.confinement.no_new_privileges,
            files: file_rights(plan)?,
            user: plan.confinement.user.as_ref().and_then(other_user),
        })
    }

    fn claims(&self, plan: &LaunchPlan) -> Result<Claims, Refused> {
        let wanted = plan.oom_score_adjustment.clamp(-1000, 1000);
        let oom_score = (self.own_oom_score != Some(wanted)).then(|| wanted.to_string());
        Ok(Claims {
            niceness: plan.niceness,
            oom_score: oom_score.map(|score| text(OsStr::new(&score))).transpose()?,
            io_priority: plan.rlimits.io_priority.map(|priority| match priority {
                IoPriority::Idle => Claims::idle(),
                IoPriority::BestEffort(level) => Claims::best_effort(level),
            }),
        })
    }

    fn limits(&self, limits: &ProcessLimits) -> Limits {
        Limits {
            handles: limits.file_handles.map(|count| (count.into(), count.into())).or(self.handles),
            core_bytes: limits.core_bytes,
            file_size_bytes: limits.file_size_bytes,
        }
    }

    fn private_tmp(&self, plan: &LaunchPlan) -> Result<Option<PrivateTmp>, Refused> {
        if !plan.confinement.private_tmp {
            return Ok(None);
        }
        if is_temporary(&plan.directory) || is_temporary(&plan.program) {
            return Err(refused(Step::Hidden, 0, libc::EINVAL));
        }
        if self.may_mount {
            return Ok(Some(PrivateTmp { maps: None }));
        }
        let same = |id: u32| text(OsStr::new(&format!("{id} {id} 1")));
        let maps = Maps { users: same(geteuid().as_raw())?, groups: same(getegid().as_raw())? };
        Ok(Some(PrivateTmp { maps: Some(maps) }))
    }
}

/// Whether a private /tmp would hide this path.
fn is_temporary(path: &Path) -> bool {
    landlock::TEMPORARY.iter().any(|covered| path.starts_with(covered))
}

/// Why a run of this program in this directory could never be confined so, here and now; `None` when it can, as far as
/// can be told beforehand.
pub(crate) fn cannot_confine(confinement: &Confinement, program: &Path, directory: &Path) -> Option<ConfinementError> {
    let may = |capability| capabilities::effective().is_some_and(|set| capabilities::has(set, capability));
    let switches = confinement.user.as_ref().is_some_and(|user| other_user(user).is_some());
    if switches && !(may(capabilities::SETUID) && may(capabilities::SETGID)) {
        return Some(ConfinementError::UserSwitch);
    }
    if confinement.files.is_some() && landlock::version().is_none() {
        return Some(ConfinementError::FileRules);
    }
    if confinement.files.is_some() && !confinement.no_new_privileges && !may(capabilities::SYS_ADMIN) {
        return Some(ConfinementError::Privileges);
    }
    let hidden = || [directory, program].into_iter().find(|path| is_temporary(path)).map(Path::to_owned);
    if confinement.private_tmp { hidden().map(ConfinementError::Hidden) } else { None }
}

/// Hold the rules about paths that no single system call holds, just before the launch: where restricted paths and path
/// arguments lead by now. Looks at files, so it may wait for a disk.
///
/// # Errors
/// The directory or the first argument that is where it must not be.
pub(super) fn check_paths(plan: &LaunchPlan) -> Result<(), Refused> {
    if plan.paths.pinned && paths::restriction(&plan.directory, &plan.paths.restricted).is_some() {
        return Err(refused(Step::Restricted, 0, libc::EPERM));
    }
    let wrong = |argument: &PathBuf| paths::judge_argument(argument, &plan.paths, &plan.confinement).is_err();
    match plan.paths.arguments.iter().position(wrong) {
        Some(place) => Err(refused(Step::Argument, u32::try_from(place).unwrap_or(u32::MAX), libc::EPERM)),
        None => Ok(()),
    }
}

fn environment(plan: &LaunchPlan) -> Result<Vec<CString>, Refused> {
    let mut env = Vec::with_capacity(plan.env.len() + 1);
    for (key, value) in &plan.env {
        env.push(text(OsStr::new(&format!("{key}={value}")))?);
    }
    if !plan.env.iter().any(|(key, _)| key == PROCESS_ID_VARIABLE) {
        env.push(text(OsStr::new(&format!("{PROCESS_ID_VARIABLE}={}", plan.process_id)))?);
    }
    Ok(env)
}

fn program(path: &Path) -> Result<Program, Refused> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default();
    Ok(Program { path: path_text(path)?, directory: path_text(directory)?, name: text(name)? })
}

fn file_rights(plan: &LaunchPlan) -> Result<Option<FileRights>, Refused> {
    let Some(rules) = &plan.confinement.files else { return Ok(None) };
    let version = landlock::version().ok_or_else(|| refused(Step::NoLandlock, 0, libc::EOPNOTSUPP))?;
    landlock::rights(rules, &plan.program, plan.confinement.private_tmp, version).map(Some)
}

/// The user to become; `None` when that is who we are, for which nobody needs a right.
fn other_user(wanted: &UserIds) -> Option<Become> {
    let mut groups = wanted.groups.clone();
    groups.push(wanted.gid);
    let mut own: Vec<u32> = getgroups().unwrap_or_default().into_iter().map(|group| group.as_raw()).collect();
    own.push(getegid().as_raw());
    for list in [&mut groups, &mut own] {
        list.sort_unstable();
        list.dedup();
    }
    let same = (geteuid().as_raw(), getegid().as_raw()) == (wanted.uid, wanted.gid) && groups == own;
    (!same).then(|| Become { uid: wanted.uid, gid: wanted.gid, groups: wanted.groups.clone() })
}

fn path_text(path: &Path) -> Result<CString, Refused> {
    text(path.as_os_str())
}

/// Text as the kernel takes it. The error of `CString` holds the text, which may be a secret; it is not passed on.
pub(super) fn text(text: &OsStr) -> Result<CString, Refused> {
    CString::new(text.as_bytes()).map_err(|_| refused(Step::Prepare, 0, libc::EINVAL))
}

fn refused(step: Step, detail: u32, errno: i32) -> Refused {
    Refused { step, detail, source: io::Error::from_raw_os_error(errno) }
}

/// A failed step as an error that names what was being done, and to what.
pub(super) fn explain(refused: Refused, plan: &LaunchPlan) -> LaunchError {
    let Refused { step, detail, source } = refused;
    let linked = plan.paths.pinned && source.raw_os_error() == Some(libc::ELOOP);
    let (operation, path): (_, &Path) = match step {
        Step::Output => ("open output file", &plan.stdout),
        Step::ErrorOutput => ("open output file", &plan.stderr),
        Step::NullInput => ("open", Path::new("/dev/null")),
        Step::Directory if linked => (
            "change to directory, in which a symbolic link has taken a place since it was judged: start it anew. It is",
            &plan.directory,
        ),
        Step::Directory => ("change to directory", &plan.directory),
        Step::Restricted => ("work in what is a restricted path by now:", &plan.directory),
        Step::DirectoryAgain => ("change, as the user of the sandbox, to directory", &plan.directory),
        Step::Execute if linked => (
            "execute what is not what was judged: a symbolic link has taken a place in it since; start it anew. It is",
            &plan.program,
        ),
        Step::Execute => ("execute", &plan.program),
        Step::Cgroup => ("join the cgroup", plan.cgroup.as_deref().unwrap_or(&plan.program)),
        Step::Argument => {
            let argument = usize::try_from(detail).ok().and_then(|place| plan.paths.arguments.get(place));
            let operation = "hand over an argument that leads by now where the sandbox forbids:";
            (operation, argument.map_or(plan.program.as_path(), PathBuf::as_path))
        }
        Step::Rule => {
            let path = plan.confinement.files.as_ref().and_then(|rules| landlock::path_of(rules, detail));
            ("make a file rule of the sandbox for", path.unwrap_or(&plan.program))
        }
        other => (for_program(other), &plan.program),
    };
    LaunchError { operation, path: path.to_owned(), source }
}

/// What failed, for the steps that concern the run as a whole.
const fn for_program(step: Step) -> &'static str {
    match step {
        Step::Prepare => "use a text with a NUL byte (a path, an argument or a variable) for",
        Step::Hidden => "give a private /tmp, which would hide its directory or its file, to",
        Step::NoLandlock => "confine the files (sandbox read and write; needs Linux 5.13 with Landlock enabled) of",
        Step::UserNamespace => "give a private /tmp (needs CAP_SYS_ADMIN or user namespaces) to",
        Step::PrivateTmp => "mount a private /tmp (needs CAP_SYS_ADMIN) for",
        Step::Session => "start a session for",
        Step::Descriptors => "close inherited descriptors (needs Linux 5.9) for",
        Step::IoPriority => "set the I/O priority of",
        Step::CoreLimit => "limit core dumps of",
        Step::FileSizeLimit => "limit the size of files of",
        Step::HandleLimit => "limit file handles of",
        Step::Privileges => "give up new privileges for",
        Step::Landlock => "confine the files (needs no_new_privileges or CAP_SYS_ADMIN) of",
        Step::Groups => "set the groups (sandbox groups; needs CAP_SETGID) of",
        Step::Group => "set the group (sandbox group; needs CAP_SETGID) of",
        Step::User => "set the user (sandbox user; needs CAP_SETUID) of",
        _ => "make a process for",
    }
}
