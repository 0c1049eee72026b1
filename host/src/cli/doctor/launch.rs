//! Whether a run can be made here and its end be seen: this program is started as a run would be.

use std::path::PathBuf;
use std::time::Duration;

use super::{Finding, State};
use crate::platform::{InProcessLauncher, LaunchPlan, Launcher};
use crate::sample::RunExit;
use crate::spec::ProcessId;

const SUBJECT: &str = "launch";
/// Telling a version takes milliseconds; whatever takes this long does not work.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn finding() -> Finding {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return Finding::new(SUBJECT, State::Limited, format!("not tried: who are we? {error}")),
    };
    // A task of its own: whatever goes wrong below is a finding and not the end of the doctor.
    let launched = tokio::spawn(async move {
        let pending = InProcessLauncher::default().launch(plan(program));
        let launched = pending.outcome().await.map_err(|error| error.to_string())?;
        let exit = tokio::time::timeout(PATIENCE, launched.exit.wait()).await;
        exit.map_err(|_| format!("a program was started and its end not seen for {} s", PATIENCE.as_secs()))
    });
    match launched.await {
        Ok(Ok(exit)) => ended(&exit),
        Ok(Err(message)) => Finding::new(SUBJECT, State::Bad, message),
        Err(error) => Finding::new(SUBJECT, State::Bad, format!("the launcher failed: {error}")),
    }
}

fn plan(program: PathBuf) -> LaunchPlan {
    let argv = vec![program.to_string_lossy().into_owned(), "--version".to_owned()];
    LaunchPlan::new(ProcessId::new("doctor"), program, argv, "/".into())
}

fn ended(exit: &RunExit) -> Finding {
    if exit.status.is_success() {
        return Finding::new(SUBJECT, State::Good, "a program was started and its end seen");
    }
    Finding::new(SUBJECT, State::Bad, format!("a program was started and should have ended well: {}", exit.status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::ExitStatus;
    use crate::units::Timestamp;

    #[test]
    fn only_a_good_end_is_good() {
        let exit =
            |status| RunExit { status, at_ms: Timestamp(0), user_time_ms: 0, system_time_ms: 0, peak_memory_bytes: 0 };
        assert_eq!(ended(&exit(ExitStatus::Code(0))).state, State::Good);
        let bad = ended(&exit(ExitStatus::Code(127)));
        assert!(bad.state == State::Bad && bad.detail.contains("127"), "{bad:?}");
    }
}
