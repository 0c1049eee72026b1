//! Going over to another program without letting go of anything: the state goes in a memory file, the descriptors stay.
//!
//! The new program is asked first whether it is one, by a run of its own that only says so. Only then does this one
//! become it, with its pid, its children, its lock and its connection. Until the very execution nothing is given up, so
//! a program that will not do costs nothing.
//!
//! Owns the form of the state that is handed over. `requests` enters, and `start` in the new program.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::super::super::child;
use super::super::super::limits;
use super::super::super::prepare::{Preparer, explain};
use super::super::super::sys::{self as calls, Child};
use super::super::bytes::{self, Field, Reader, fields};
use super::super::capture::Saved;
use super::super::journal::Journal;
use super::super::runs::{Run, RunState};
use super::super::streams::RunOutput;
use super::super::wire::{Answer, Key};
use super::super::{LOG, say, start, sys};
use super::peer::Peer;
use super::{Ground, Server};
use crate::platform::{Confinement, LaunchPlan};
use crate::sample::RunExit;
use crate::spec::ProcessId;

/// The form of the state. A program that knows another form is not gone over to.
const FORMAT: u8 = 1;
/// Exit code of a program that is asked whether it knows this form, and does. No other program answers so.
pub(in super::super) const KNOWN: u8 = 100 + FORMAT;
/// How long a program may take to say so.
const PATIENCE_MS: u64 = 2000;
/// Bytes of a state at most: every place of the table taken, with the longest names.
const STATE_BYTES: usize = 64 << 20;

/// The holder's state without its descriptors, which keep their numbers.
struct State {
    /// The request that is answered by the new program.
    about: u32,
    directory: PathBuf,
    boot_id: String,
    listener: RawFd,
    journal: RawFd,
    peer: RawFd,
    runs: Vec<SavedRun>,
    streams: Vec<SavedStream>,
}

fields!(State { about, directory, boot_id, listener, journal, peer, runs, streams });

struct SavedRun {
    key: Key,
    pid: u32,
    start_ticks: u64,
    state: SavedState,
    streams: (Option<u32>, Option<u32>),
    outputs: Vec<RunOutput>,
}

fields!(SavedRun { key, pid, start_ticks, state, streams, outputs });

enum SavedState {
    Child,
    Foreign(RawFd),
    Ended(RunExit, bool),
}

impl Field for SavedState {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Child => out.push(0),
            Self::Foreign(pidfd) => {
                out.push(1);
                pidfd.put(out);
            }
            Self::Ended(end, told) => {
                out.push(2);
                end.put(out);
                told.put(out);
            }
        }
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(Self::Child),
            1 => RawFd::take(from).map(Self::Foreign),
            2 => Some(Self::Ended(Field::take(from)?, Field::take(from)?)),
            _ => None,
        }
    }
}

struct SavedStream {
    place: u32,
    process_id: ProcessId,
    /// The capture, as JSON.
    capture: String,
}

fields!(SavedStream { place, process_id, capture });

impl Server {
    /// Become this program, with all runs; or say why not, and go on.
    pub(super) fn upgrade(&mut self, about: u32, program: &Path) {
        let failed = self.check(program).and_then(|()| self.become_program(about, program));
        let Err(error) = failed else { return };
        say(format_args!("cannot go over to {}: {error}", program.display()));
        let Some(peer) = &mut self.peer else { return };
        let (errno, reason) = (error.raw_os_error().unwrap_or(0), error.to_string());
        let (operation, path) = ("go over to".to_owned(), program.to_owned());
        peer.answer(about, &Answer::Refused { operation, path, errno, reason }, None);
    }

    /// Ask the program whether it is one that knows the form of our state.
    fn check(&mut self, program: &Path) -> io::Result<()> {
        let log = self.ground.directory.join(LOG);
        let argv = ["wasmvisor", start::VERB, start::KNOWS].map(str::to_owned).into_iter();
        let plan = LaunchPlan {
            stdout: log.clone(),
            stderr: log,
            confinement: Confinement::default(),
            ..LaunchPlan::new(
                ProcessId::new("holder"),
                program.to_owned(),
                argv.chain([FORMAT.to_string()]).collect(),
                PathBuf::from("/"),
            )
        };
        let explained = |refused| explain(refused, &plan).source;
        let mut prepared = self.ground.preparer.prepare(&plan).map_err(explained)?;
        prepared.env.clear();
        let born = child::start(&prepared, &mut self.stack).map_err(explained)?;
        let pidfd = std::os::fd::AsFd::as_fd(&born.pidfd);
        if !matches!(sys::poll([(Some(pidfd), false)], Some(PATIENCE_MS)), Ok([true])) {
            let _ = calls::signal_process(pidfd, libc::SIGKILL);
        }
        match calls::reap(Child::Pid(born.pid), true)? {
            Some(ended) if ended.code == libc::CLD_EXITED && ended.status == i32::from(KNOWN) => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no program that can hold these runs")),
        }
    }

    /// Execute it. Returns only when that fails.
    fn become_program(&mut self, about: u32, program: &Path) -> io::Result<()> {
        let Some(peer) = &self.peer else { return Err(io::ErrorKind::NotConnected.into()) };
        let state = self.state(about, peer.socket().as_raw_fd());
        let mut content = Vec::new();
        state.put(&mut content);
        let carrier = sys::memory_file(&content)?;
        let kept = kept(&state, &carrier)?;
        let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::from);
        let (carrier, directory) = (carrier.as_raw_fd().to_string(), self.ground.directory.as_os_str().as_bytes());
        let argv = [
            text(b"wasmvisor")?,
            text(start::VERB.as_bytes())?,
            text(start::STATE.as_bytes())?,
            text(directory)?,
            text(start::RESUME.as_bytes())?,
            text(carrier.as_bytes())?,
        ];
        let program = text(program.as_os_str().as_bytes())?;
        kept.iter().try_for_each(|fd| sys::keep_across_execution(*fd, true))?;
        // The new program finds the limit that this one has found.
        let raised = self.ground.handles.map(|handles| limits::set_handles(handles).is_ok());
        let Err(errno) = nix::unistd::execve::<&CStr, &CStr>(&program, &argv.each_ref().map(CString::as_c_str), &[]);
        if raised == Some(true) {
            let _ = limits::raise_descriptor_limit();
        }
        for fd in kept {
            let _ = sys::keep_across_execution(fd, false);
        }
        Err(errno.into())
    }

    fn state(&self, about: u32, peer: RawFd) -> State {
        let number = |place: Option<usize>| place.and_then(|place| u32::try_from(place).ok());
        let runs = self.runs.all().map(|run| SavedRun {
            key: run.key.clone(),
            pid: run.pid,
            start_ticks: run.start_ticks,
            state: match &run.state {
                RunState::Child => SavedState::Child,
                RunState::Foreign(pidfd) => SavedState::Foreign(pidfd.as_raw_fd()),
                RunState::Ended { end, told } => SavedState::Ended(*end, *told),
                RunState::Lost => SavedState::Ended(super::exit::end_of(None), false),
            },
            streams: (number(run.streams[0]), number(run.streams[1])),
            outputs: run.outputs.clone(),
        });
        let streams = self.streams.all().map(|(place, capture, process_id)| SavedStream {
            place: u32::try_from(place).unwrap_or(u32::MAX),
            process_id: process_id.clone(),
            // Numbers and a path: what cannot be told as text is not, and the new program says so.
            capture: serde_json::to_string(&capture.save()).unwrap_or_default(),
        });
        State {
            about,
            directory: self.ground.directory.clone(),
            boot_id: self.ground.boot_id.clone(),
            listener: self.ground.listener.as_raw_fd(),
            journal: self.ground.journal.descriptor().as_raw_fd(),
            peer,
            runs: runs.collect(),
            streams: streams.collect(),
        }
    }
}

/// The descriptors that the new program gets.
fn kept(state: &State, carrier: &OwnedFd) -> io::Result<Vec<RawFd>> {
    let mut kept = vec![state.listener, state.journal, state.peer, carrier.as_raw_fd()];
    kept.extend(state.runs.iter().filter_map(|run| match run.state {
        SavedState::Foreign(pidfd) => Some(pidfd),
        SavedState::Child | SavedState::Ended(..) => None,
    }));
    for stream in &state.streams {
        kept.extend(serde_json::from_str::<Saved>(&stream.capture)?.descriptors());
    }
    Ok(kept)
}

/// Whether this program can go on with a state of this form.
pub(in super::super) fn knows(format: Option<i32>) -> bool {
    format == Some(i32::from(FORMAT))
}

/// Go on where another program has stopped. Without its state nothing can be done for the runs: the daemon watches them.
pub(in super::super) fn resume(descriptor: Option<RawFd>) -> ExitCode {
    let state = descriptor.ok_or_else(|| io::ErrorKind::InvalidInput.into()).and_then(|descriptor| {
        let content = sys::memory_content(sys::take_over(descriptor)?, STATE_BYTES)?;
        bytes::read(&content).ok_or_else(|| io::ErrorKind::InvalidData.into())
    });
    match state.and_then(Server::go_on) {
        Ok(mut server) => {
            server.serve();
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(format_args!("cannot go on with the runs of the program before: {error}"));
            ExitCode::FAILURE
        }
    }
}

impl Server {
    fn go_on(state: State) -> io::Result<Self> {
        let State { about, directory, boot_id, listener, journal, peer, runs, streams } = state;
        let handles = limits::handles().ok();
        let preparer = Preparer::default();
        let _ = limits::raise_descriptor_limit();
        let journal_path = directory.join(super::super::journal::NAME);
        let journal = Journal::resume(sys::take_over(journal)?, journal_path, boot_id.clone());
        let listener = sys::take_over(listener)?;
        let mut server = Self::new(Ground { directory, listener, journal, boot_id, preparer, handles })?;
        let mut places = std::collections::BTreeMap::new();
        for SavedStream { place, process_id, capture } in streams {
            let restored = serde_json::from_str::<Saved>(&capture).map_err(io::Error::from).and_then(Saved::restore);
            match restored.and_then(|capture| server.streams.add(capture, process_id.clone())) {
                Ok(now) => drop(places.insert(place, now)),
                Err(error) => say(format_args!("lost a stream of {process_id}: {error}")),
            }
        }
        let place = |before: Option<u32>| before.and_then(|before| places.get(&before).copied());
        for SavedRun { key, pid, start_ticks, state, streams, outputs } in runs {
            let state = match state {
                SavedState::Child => RunState::Child,
                SavedState::Foreign(pidfd) => sys::take_over(pidfd).map_or(RunState::Lost, RunState::Foreign),
                SavedState::Ended(end, told) => RunState::Ended { end, told },
            };
            let streams = [place(streams.0), place(streams.1)];
            server.runs.add(Run { key, pid, start_ticks, state, streams, outputs });
        }
        server.watch_inherited();
        server.keep_peer(Peer::resume(sys::take_over(peer)?), about)?;
        Ok(server)
    }

    fn keep_peer(&mut self, mut peer: Peer, about: u32) -> io::Result<()> {
        self.epoll.add(peer.socket(), sys::Interest::Readable, super::token::PEER)?;
        peer.answer(about, &Answer::Upgraded { version: env!("CARGO_PKG_VERSION").to_owned() }, None);
        self.peer = Some(peer);
        // So the first turn waits for nothing.
        self.more_ends = true;
        Ok(())
    }
}
