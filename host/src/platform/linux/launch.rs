//! The launcher that works in this process: turns a plan into what the child needs, and has it made.
//!
//! One thread of its own makes every child of a launcher. It owns the child's stack, runs with all signals blocked,
//! and gives the children a place of their own: the kernel lists a child under the thread that made it, while orphans
//! that this process adopts are listed under its main thread. So runs and adopted orphans are never taken for each
//! other, without a book to keep. The thread ends when the launcher and all its `ExitWatch`es are gone.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

use super::child::{self, Born, Prepared, Refused, Stack, Step};
use super::exit::ExitWatch;
use super::{limits, stat, sys};
use crate::platform::{LaunchError, LaunchPlan, Launched, Launcher, PROCESS_ID_VARIABLE, PendingLaunch};
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
#[derive(Debug)]
pub struct InProcessLauncher {
    /// To the thread that makes children; started at the first launch. Full (`WINDOW` launches wait): the launch is
    /// refused as one that the system has no room for.
    thread: Option<SyncSender<Job>>,
    boot_id: Option<String>,
    inherited_handles: Option<(u64, u64)>,
    own_oom_score: Option<i32>,
}

impl Default for InProcessLauncher {
    fn default() -> Self {
        let own = std::fs::read_to_string("/proc/self/oom_score_adj");
        Self {
            thread: None,
            boot_id: None,
            inherited_handles: limits::handles().ok(),
            own_oom_score: own.ok().and_then(|text| text.trim().parse().ok()),
        }
    }
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
        let prepared = self.prepare(&plan)?;
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

    fn prepare(&self, plan: &LaunchPlan) -> Result<Prepared, LaunchError> {
        let path = |path: &Path| text(path.as_os_str().as_bytes(), path);
        let argv: Result<_, _> = plan.argv.iter().map(|word| text(word.as_bytes(), &plan.program)).collect();
        let mut env = Vec::with_capacity(plan.env.len() + 1);
        for (key, value) in &plan.env {
            env.push(text(format!("{key}={value}").as_bytes(), &plan.program)?);
        }
        if !plan.env.iter().any(|(key, _)| key == PROCESS_ID_VARIABLE) {
            env.push(text(format!("{PROCESS_ID_VARIABLE}={}", plan.process_id).as_bytes(), &plan.program)?);
        }
        let wanted = plan.oom_score_adjustment.clamp(-1000, 1000);
        let oom_score = (self.own_oom_score != Some(wanted)).then(|| wanted.to_string());
        Ok(Prepared {
            program: path(&plan.program)?,
            argv: argv?,
            env,
            directory: path(&plan.directory)?,
            stdout: path(&plan.stdout)?,
            stderr: path(&plan.stderr)?,
            niceness: plan.niceness,
            oom_score: oom_score.map(|score| text(score.as_bytes(), &plan.program)).transpose()?,
            handles: plan.rlimits.file_handles.map(|count| (count.into(), count.into())).or(self.inherited_handles),
            no_new_privileges: plan.confinement.no_new_privileges,
        })
    }
}

/// The launch thread: a child for every job, until nobody can send another.
fn make_children(queue: &Receiver<Job>) {
    sys::block_all_signals();
    let mut stack = Stack::default();
    for job in queue {
        let made = child::start(&job.prepared, &mut stack).map_err(|refused| explain(refused, &job.plan));
        let launched = made.and_then(|born| known(born, job.boot_id, job.thread));
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

fn text(bytes: &[u8], path: &Path) -> Result<CString, LaunchError> {
    // The error of `CString` holds the text, which may be a secret; it is not passed on.
    let nul = "a NUL byte in a path, an argument or a variable";
    CString::new(bytes).map_err(|_| fail("prepare", path, io::Error::new(io::ErrorKind::InvalidInput, nul)))
}

fn fail(operation: &'static str, path: &Path, source: io::Error) -> LaunchError {
    LaunchError { operation, path: path.to_owned(), source }
}

fn explain(refused: Refused, plan: &LaunchPlan) -> LaunchError {
    let (operation, path): (_, PathBuf) = match refused.step {
        Step::Clone => ("make a process for", plan.program.clone()),
        Step::Session => ("start a session for", plan.program.clone()),
        Step::Descriptors => ("close inherited descriptors (needs Linux 5.9) for", plan.program.clone()),
        Step::NullInput => ("open", PathBuf::from("/dev/null")),
        Step::Output => ("open output file", plan.stdout.clone()),
        Step::ErrorOutput => ("open output file", plan.stderr.clone()),
        Step::Directory => ("change to directory", plan.directory.clone()),
        Step::Privileges => ("give up new privileges for", plan.program.clone()),
        Step::HandleLimit => ("limit file handles of", plan.program.clone()),
        Step::Execute => ("execute", plan.program.clone()),
    };
    LaunchError { operation, path, source: refused.source }
}
