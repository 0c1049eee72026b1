//! The cgroup of each run: made before its launch, read at its end.
//!
//! The supervisor owns which run has which group; what is in it is the kernel's. A group is taken away by the sweep that
//! finds it empty (`trees`).

use super::limits;
use super::run::Process;
use super::task::Task;
use crate::decision::LimitKind;
use crate::event::EventBody;
use crate::lifecycle::Input;
use crate::link::KernelHolds;
use crate::platform::{Cgroup, OutOfMemory};
use crate::sample::{ExitStatus, RunExit};
use crate::spec::{LimitEnforcement, ProcessId, StopSignal};

impl Task {
    /// Make the group of the next run, where runs get one. Some ten microseconds of system calls and no storage, so it is
    /// done here and the launch loses no place in its order.
    ///
    /// # Errors
    /// When there can be none and the process must not run without; otherwise it runs without, and its record says so.
    pub(super) fn make_group(&self, process: &mut Process, run: u32) -> Result<(), String> {
        let own = process.prepared.limits;
        let wanted = limits::of_group(&own, process.identity.priority);
        let made = self.around.groups.create(&process.identity.process_id, run, &wanted);
        let before = process.kernel;
        (process.group, process.kernel) = match made {
            Ok(Some(group)) => (Some(group), limits::kernel_holds(&own, self.around.groups.abilities())),
            Ok(None) => (None, KernelHolds::default()),
            Err(error) if own.enforcement == LimitEnforcement::Require => return Err(error.to_string()),
            Err(error) => {
                tracing::warn!(process = %process.identity.process_id, %error, "runs without a cgroup");
                (None, KernelHolds::default())
            }
        };
        if process.kernel != before {
            let shown = limits::in_force(&own, process.kernel);
            process.change(|record| record.limits = shown);
        }
        Ok(())
    }

    /// A run has ended. If the kernel has killed it for want of memory, that is told, and a kill by its own limit counts
    /// as one: what follows is not that of an unknown SIGKILL.
    pub(super) fn note_out_of_memory(&mut self, id: &ProcessId, run: u32, exit: &RunExit) {
        let killed = exit.status == ExitStatus::Signal(StopSignal::KILL.number());
        let Some(process) = self.processes.get_mut(id).filter(|_| killed) else { return };
        if process.life.state().live().is_none_or(|live| live.number != run) {
            return;
        }
        let Some(usage) = process.group.as_deref().map(|group| Cgroup::at(group).usage()) else { return };
        let Some(cause) = usage.killed_for_memory() else { return };
        let by_limit = cause == OutOfMemory::Limit;
        let who = process.who();
        if by_limit {
            process.change(|record| *record.violations.entry(LimitKind::Memory).or_default() += 1);
        }
        self.outbox.event(EventBody::OutOfMemory {
            who,
            run,
            by: if by_limit { "limit" } else { "machine" }.to_owned(),
            kills: usage.oom_kills,
            peak_memory_bytes: usage.memory_peak_bytes.unwrap_or(0),
        });
        if by_limit {
            self.note(id, Input::LimitBroken { run, limit: LimitKind::Memory });
        }
    }
}
