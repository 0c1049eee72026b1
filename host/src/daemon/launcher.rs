//! Who makes runs: the supervisor itself, or a holder process that outlives it.

use std::path::Path;

use super::configuration;
use crate::error::{ErrorClass, Problem};
use crate::platform::{HolderLauncher, HolderSettings, InProcessLauncher, Launcher};
use crate::supervisor::LauncherKind;

/// The launcher that the configuration asks for, given the program that can be a holder, if there is one.
///
/// # Errors
/// When a holder is asked for and no program is at hand, or it cannot be reached.
pub(super) async fn choose(
    kind: Option<LauncherKind>,
    program: Option<&Path>,
    state_dir: &Path,
) -> Result<Box<dyn Launcher>, Problem> {
    match (kind, program) {
        (Some(LauncherKind::InProcess), _) | (None, None) => Ok(Box::new(InProcessLauncher::default())),
        (Some(LauncherKind::Holder) | None, Some(program)) => attach(program, state_dir).await,
        (Some(LauncherKind::Holder), None) => Err(configuration(
            "supervisor.launcher = \"holder\" needs the program `wasmvisor`; start with Daemon::start_with_holder, or \
             write \"in-process\""
                .to_owned(),
        )),
    }
}

/// Starting a holder takes some milliseconds: it must not hold up the runtime.
async fn attach(program: &Path, state_dir: &Path) -> Result<Box<dyn Launcher>, Problem> {
    let settings = HolderSettings { state_dir: state_dir.to_owned(), program: program.to_owned() };
    let attached = tokio::task::spawn_blocking(move || HolderLauncher::attach(settings)).await;
    let unavailable = |message: String| Problem::new(ErrorClass::Unavailable, message);
    match attached {
        Ok(Ok(launcher)) => Ok(Box::new(launcher)),
        Ok(Err(error)) => Err(unavailable(format!("{error}; the last words of a holder are in holder.log there"))),
        Err(error) => Err(unavailable(format!("attaching to the holder was given up: {error}"))),
    }
}
