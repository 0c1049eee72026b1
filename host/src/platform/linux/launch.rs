//! The launcher that works in this process: turns a plan into what the child needs, and has it made.
//!
//! One thread of its own makes every child of a launcher. It owns the child's stack, runs with all signals blocked,
//! and gives the children a place of their own: the kernel lists a child under the thread that made it, while orphans
//! that this process adopts are listed under its main thread. So runs and adopted orphans are never taken for each
//! other, without a book to keep. The thread ends when the launcher and all its `ExitWatch`es are gone.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

use super::child::{self, Born, Prepared, Stack};
use super::exit::ExitWatch;
use super::prepare::{Preparer, check_paths, explain};
use super::{stat, sys};
use crate::platform::{LaunchError, LaunchPlan, Launched, Launcher, PendingLaunch};
use crate::sample::RunIdentity;

/// Launches that may wait for the launch thread; a caller beyond that waits for a place.
const WINDOW: usize = 4096;

/// One child to make, and where to say what came of it. No debug form: the environment is secret.
pub(super) struct Job {
    plan: LaunchPlan,
    prepared: Prepared,
    boot_id: String,
    /// For the child's `ExitWatch`: it keeps this thread alive.
    thread: SyncSender<Job>,
    reply: oneshot::Sender<Result<Launched, LaunchError>>,
}

/// The launcher of this platform that works in the supervisor's own process.
///
/// Make it before the `Sampler`: it remembers the descriptor limit it finds, and a child whose plan states none gets
/// that one back. Needs Linux 5.9 (pidfds, `close_range`) and a mounted `/proc`.
#[derive(Debug, Default)]
pub struct InProcessLauncher {
    /// To the thread that makes children; started at the first launch. Full (`WINDOW` launches wait): the launch is
    /// refused as one that the system has no room for.
    thread: Option<SyncSender<Job>>,
    boot_id: Option<String>,
    preparer: Preparer,
}

impl Launcher for InProcessLauncher {
    fn launch(&mut self, plan: LaunchPlan) -> PendingLaunch {
        let (reply, outcome) = oneshot::channel();
        if let Err(refused) = self.hand_over(plan, reply) {
            let (reply, outcome) = oneshot::channel();
            // The receiver is right below.
            let _ = reply.send(Err(refused));
            return PendingLaunch::new(outcome);
        }
        PendingLaunch::new(outcome)
    }
}

impl InProcessLauncher {
    fn hand_over(
        &mut self,
        plan: LaunchPlan,
        reply: oneshot::Sender<Result<Launched, LaunchError>>,
    ) -> Result<(), LaunchError> {
        let boot_id = self.boot_id(&plan)?;
        let prepared = self.preparer.prepare(&plan).map_err(|refused| explain(refused, &plan))?;
        let thread = self.thread(&plan)?;
        let job = Job { plan, prepared, boot_id, thread: thread.clone(), reply };
        thread.try_send(job).map_err(|error| match error {
            TrySendError::Full(job) => fail("queue a launch of", &job.plan.program, io::ErrorKind::WouldBlock.into()),
            TrySendError::Disconnected(job) => {
                fail("use the launch thread for", &job.plan.program, io::ErrorKind::BrokenPipe.into())
            }
        })
    }

    fn boot_id(&mut self, plan: &LaunchPlan) -> Result<String, LaunchError> {
        if self.boot_id.is_none() {
            let read = stat::boot_id().map_err(|source| fail("read the boot id from /proc for", &plan.program, source));
            self.boot_id = Some(read?);
        }
        Ok(self.boot_id.clone().unwrap_or_default())
    }

    fn thread(&mut self, plan: &LaunchPlan) -> Result<SyncSender<Job>, LaunchError> {
        if let Some(thread) = &self.thread {
            return Ok(thread.clone());
        }
        let (jobs, queue) = sync_channel(WINDOW);
        std::thread::Builder::new()
            .name("launch".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || make_children(&queue))
            .map_err(|source| fail("start the launch thread for", &plan.program, source))?;
        self.thread = Some(jobs.clone());
        Ok(jobs)
    }
}

/// The launch thread: a child for every job, until nobody can send another.
fn make_children(queue: &Receiver<Job>) {
    sys::block_all_signals();
    let mut stack = Stack::default();
    for job in queue {
        // The paths last: the shorter the time until the child, the less can change.
        let made = check_paths(&job.plan).and_then(|()| child::start(&job.prepared, &mut stack));
        let launched =
            made.map_err(|refused| explain(refused, &job.plan)).and_then(|born| known(born, job.boot_id, job.thread));
        if let Err(Ok(unwanted)) = job.reply.send(launched) {
            // Whoever asked no longer listens: nobody would ever know of this run.
            unwanted.exit.destroy();
        }
    }
}

/// A child with its identity. Only its `ExitWatch` reaps it, so the pid is still its own even if it has ended by now.
fn known(born: Born, boot_id: String, thread: SyncSender<Job>) -> Result<Launched, LaunchError> {
    let exit = ExitWatch::new(born.pid, born.pidfd, thread);
    match stat::read_stat(born.pid) {
        Ok(stat) => {
            let identity = RunIdentity { pid: born.pid, start_ticks: stat.start_ticks, boot_id };
            Ok(Launched { identity, exit, keeper: std::process::id() })
        }
        Err(source) => {
            exit.destroy();
            Err(fail("read the state of", Path::new(&format!("/proc/{}/stat", born.pid)), source))
        }
    }
}

fn fail(operation: &'static str, path: &Path, source: io::Error) -> LaunchError {
    LaunchError { operation, path: path.to_owned(), source }
}
