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
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::child::{self, Born, Prepared, Refused, Stack, Step};
use super::exit::ExitWatch;
use super::{limits, stat, sys};
use crate::platform::{LaunchError, LaunchPlan, Launched, Launcher, PROCESS_ID_VARIABLE};
use crate::sample::RunIdentity;

/// One child to make, and where to say what came of it.
pub(super) struct Job {
    prepared: Prepared,
    reply: SyncSender<Result<Born, Refused>>,
}

/// The launcher of this platform that works in the supervisor's own process.
///
/// Make it before the `Sampler`: it remembers the descriptor limit it finds, and a child whose plan states none gets
/// that one back. Needs Linux 5.9 (pidfds, `close_range`) and a mounted `/proc`.
#[derive(Debug)]
pub struct InProcessLauncher {
    /// To the thread that makes children. Capacity 1 and one sender at a time (`launch` waits for its reply), so the
    /// queue is never full. Started at the first launch.
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
    fn launch(&mut self, plan: &LaunchPlan) -> Result<Launched, LaunchError> {
        let boot_id = self.boot_id(plan)?;
        let prepared = self.prepare(plan)?;
        let thread = self.thread(plan)?;
        let (reply, answer) = sync_channel(1);
        let gone = || fail("use the launch thread for", &plan.program, io::ErrorKind::BrokenPipe.into());
        thread.send(Job { prepared, reply }).map_err(|_| gone())?;
        let born = answer.recv().map_err(|_| gone())?.map_err(|refused| explain(refused, plan))?;
        let exit = ExitWatch::new(born.pid, born.pidfd, thread);
        // Only its `ExitWatch` reaps it, so the pid is still its own even if it has ended by now.
        match stat::read_stat(born.pid) {
            Ok(stat) => {
                let identity = RunIdentity { pid: born.pid, start_ticks: stat.start_ticks, boot_id };
                Ok(Launched { identity, exit })
            }
            Err(source) => {
                exit.destroy();
                Err(fail("read the state of", Path::new(&format!("/proc/{}/stat", born.pid)), source))
            }
        }
    }
}

impl InProcessLauncher {
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
        let (jobs, queue) = sync_channel(1);
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
            handles: plan.file_handles.map(|count| (count.into(), count.into())).or(self.inherited_handles),
            no_new_privileges: plan.no_new_privileges,
        })
    }
}

/// The launch thread: a child for every job, until nobody can send another.
fn make_children(queue: &Receiver<Job>) {
    sys::block_all_signals();
    let mut stack = Stack::default();
    for job in queue {
        // A launcher that no longer listens dropped its future in the middle; the child is then reaped by nobody but
        // the end of this process, which cannot happen as `launch` is not async.
        let _ = job.reply.send(child::start(&job.prepared, &mut stack));
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
