//! Making a run: its output first, then the child, then the record.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::super::super::child::{self, Born, Output, Prepared, Refused};
use super::super::super::prepare::{check_paths, explain};
use super::super::super::stat;
use super::super::super::sys::{self as calls, Child};
use super::super::journal::Entry;
use super::super::runs::{Run, RunState};
use super::super::say;
use super::super::streams::{Opened, RunOutput};
use super::super::wire::{Answer, Key};
use super::Server;
use crate::platform::{LaunchError, LaunchPlan};

impl Server {
    /// Make the run, and answer what came of it.
    pub(super) fn launch(&mut self, about: u32, plan: &LaunchPlan) {
        let (answer, pidfd) = match self.make(plan) {
            Ok((answer, pidfd)) => (answer, Some(pidfd)),
            Err(error) => (refusal(&error), None),
        };
        if let Some(peer) = &mut self.peer {
            peer.answer(about, &answer, pidfd);
        }
    }

    fn make(&mut self, plan: &LaunchPlan) -> Result<(Answer, OwnedFd), LaunchError> {
        let key = Key { process_id: plan.process_id.clone(), run: plan.run };
        if self.runs.is_full() {
            return Err(fail("find a place in the holder for", &plan.program, io::ErrorKind::QuotaExceeded.into()));
        }
        if self.runs.contains(&key) {
            let again = io::Error::new(io::ErrorKind::AlreadyExists, "the holder has this very run already");
            return Err(fail("make a run of", &plan.program, again));
        }
        let (stdout, stderr) = self.outputs(plan)?;
        let explained = |refused| explain(refused, plan);
        let mut prepared = self.ground.preparer.prepare(plan).map_err(explained)?;
        prepared.stdout = Output::Descriptor(stdout.end.as_raw_fd());
        prepared.stderr = Output::Descriptor(stderr.as_ref().unwrap_or(&stdout).end.as_raw_fd());
        // The paths last: the shorter the time until the child, the less can change.
        check_paths(plan).map_err(explained)?;
        let born = self.bear(plan, prepared).map_err(explained)?;
        let streams = [stdout.stream, stderr.as_ref().and_then(|stderr| stderr.stream)];
        let both = [(1, Some(&stdout), &plan.stdout), (2, stderr.as_ref(), &plan.stderr)];
        let outputs = both.into_iter().filter_map(|(number, opened, path)| {
            opened.and_then(|opened| RunOutput::of(opened, number, path, plan.rotation))
        });
        self.enter(key, born, streams, outputs.collect())
    }

    /// Make the child, in its group if it has one.
    fn bear(&mut self, plan: &LaunchPlan, prepared: Prepared) -> Result<Born, Refused> {
        let directory = |path| OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path);
        match plan.cgroup.as_ref().map(directory) {
            Some(Ok(group)) => child::start_in(group.as_fd(), prepared, &mut self.stack),
            // If there is no such group, joining it says so.
            _ => child::start(&prepared, &mut self.stack),
        }
    }

    /// Where the two streams of the run go; one and the same when it is one file.
    fn outputs(&mut self, plan: &LaunchPlan) -> Result<(Opened, Option<Opened>), LaunchError> {
        let mut open = |path: &PathBuf| {
            let opened = self.streams.open(path, plan.rotation, &plan.process_id);
            opened.map_err(|source| fail("open output file", path, source))
        };
        let stdout = open(&plan.stdout)?;
        let stderr = if plan.stderr == plan.stdout { None } else { Some(open(&plan.stderr)?) };
        Ok((stdout, stderr))
    }

    /// The child exists: enter it in the table and the journal.
    fn enter(
        &mut self,
        key: Key,
        born: Born,
        streams: [Option<usize>; 2],
        outputs: Vec<RunOutput>,
    ) -> Result<(Answer, OwnedFd), LaunchError> {
        let Born { pid, pidfd } = born;
        // Only `reap` waits for it, so the pid is still its own even if it has ended by now.
        let start_ticks = match stat::read_stat(pid) {
            Ok(stat) => stat.start_ticks,
            Err(source) => {
                let _ = calls::signal_process(pidfd.as_fd(), libc::SIGKILL);
                let _ = calls::reap(Child::Pid(pid), true);
                return Err(fail("read the state of", Path::new(&format!("/proc/{pid}/stat")), source));
            }
        };
        self.record(&Entry::Born { key: key.clone(), pid, start_ticks, outputs: outputs.clone() });
        let state = RunState::Child;
        let added = self.runs.add(Run { key: key.clone(), pid, start_ticks, state, streams, outputs });
        if added.is_none() {
            say(format_args!("a run has no place, though there was one"));
        }
        Ok((Answer::Launched { key, pid, start_ticks }, pidfd))
    }
}

fn fail(operation: &'static str, path: &Path, source: io::Error) -> LaunchError {
    LaunchError { operation, path: path.to_owned(), source }
}

/// The error as it crosses the wire.
fn refusal(error: &LaunchError) -> Answer {
    Answer::Refused {
        operation: error.operation.to_owned(),
        path: error.path.clone(),
        errno: error.source.raw_os_error().unwrap_or(0),
        reason: error.source.to_string(),
    }
}
