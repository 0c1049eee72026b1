//! A life that goes on in another process: the daemon leaves its runs to the holder, and the next one goes on with them.

use std::fs::File;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::Daemon;
use crate::error::{ErrorClass, Problem};
use crate::supervisor::OnShutdown;

/// In the state directory: whoever left meant the next one to go on where it was, with ended processes as well.
const MARK: &str = "handover";

/// What an upgrade has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Upgrading {
    /// The program that takes over.
    pub program: PathBuf,
    /// The pid it will have, which is that of the supervisor now.
    pub pid: u32,
}

/// Whether the last daemon here left on purpose.
pub(super) fn is_announced(state_dir: &Path) -> bool {
    state_dir.join(MARK).exists()
}

/// The next death is one of its own.
pub(super) fn done(state_dir: &Path) {
    // One that stays makes the next life remember more than it must, which hurts nobody.
    let _ = std::fs::remove_file(state_dir.join(MARK));
}

impl Daemon {
    /// Leave every run as it is and end; the next daemon on this state directory goes on with all of them, and with
    /// ended processes as if this one had gone on. Runs that were made in process become orphans of the system.
    pub async fn leave(&self, reason: &str) {
        if let Err(error) = File::create(self.state_dir.join(MARK)) {
            tracing::warn!(%error, "cannot announce the handover: ended processes of the configuration will start anew");
        }
        self.supervisor.leave(reason).await;
        self.registry.flush().await;
    }

    /// Whether runs are to go on when the supervisor is told to end, and can.
    pub async fn keeps_on_shutdown(&self) -> bool {
        let wanted = self.in_force.lock().await.config.supervisor.on_shutdown == OnShutdown::Keep;
        wanted && self.supervisor.check_outlives().await.is_ok()
    }

    /// Hear of upgrades. Whoever calls this becomes the program that it is given, after `leave`.
    pub async fn upgrades(&self) -> mpsc::Receiver<PathBuf> {
        // One place: the first upgrade is the last thing that this life does, so a second one is refused.
        let (sender, receiver) = mpsc::channel(1);
        self.in_force.lock().await.upgrades = Some(sender);
        receiver
    }

    /// Have another program take over, the present one anew when none is named: the holder goes over to it at once,
    /// leaving every run alone, and so does this process as soon as this has answered.
    ///
    /// # Errors
    /// When runs are not held, the program cannot be executed, or this daemon lives in somebody else's program.
    /// Everything goes on as before then.
    pub async fn upgrade(&self, program: Option<PathBuf>) -> Result<Upgrading, Problem> {
        let in_force = self.in_force.lock().await;
        let refuse = |message: &str| Problem::new(ErrorClass::Unavailable, message);
        let upgrades = in_force.upgrades.as_ref();
        let upgrades =
            upgrades.ok_or_else(|| refuse("this supervisor is part of another program: upgrade that one"))?;
        let program = program.or_else(|| in_force.program.clone());
        let program = program.ok_or_else(|| refuse("no program is known to take over; name one"))?;
        check_program(&program)?;
        let place = upgrades.try_reserve().map_err(|_| refuse("an upgrade is under way already"))?;
        self.supervisor.upgrade_holder(program.clone()).await?;
        place.send(program.clone());
        Ok(Upgrading { program, pid: std::process::id() })
    }
}

fn check_program(program: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::PermissionsExt;
    let refuse = |why: String| {
        let message = format!("{} cannot take over: {why}", program.display());
        Err(Problem::new(ErrorClass::Configuration, message))
    };
    match std::fs::metadata(program) {
        _ if !program.is_absolute() => refuse("write the whole path".to_owned()),
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(_) => refuse("it is no file that can be executed".to_owned()),
        Err(error) => refuse(error.to_string()),
    }
}
