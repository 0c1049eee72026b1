//! How a holder begins: from the daemon's side, which makes it without copying itself, and in the new process.
//!
//! The daemon makes a helper as it would make a run; the helper makes a copy of itself, which becomes the holder, and
//! ends when the holder has its socket, or has failed. So the holder is nobody's child, and the helper's exit code says
//! how it went.
//!
//! Owns the words after the hidden verb. `main` enters by `hold`, the client by `start_holder`.

use std::ffi::{CString, OsString};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::super::child::{self, Stack};
use super::super::prepare::{Preparer, explain};
use super::super::sys::{self as calls, Child};
use super::super::{limits, stat};
use super::journal::Journal;
use super::server::{Ground, Server, upgrade};
use super::sys::{self, Forked};
use super::{LOG, SOCKET, say};
use crate::platform::{Confinement, LaunchError, LaunchPlan};
use crate::spec::ProcessId;

/// The hidden verb.
pub(super) const VERB: &str = "hold";
/// Option before the state directory of a new holder.
pub(super) const STATE: &str = "--state";
/// Option before the descriptor of a holder's state that goes over to this program.
pub(super) const RESUME: &str = "--resume";
/// Option before the form of a holder's state, to ask whether this program knows it.
pub(super) const KNOWS: &str = "--knows";
/// Exit code of a helper that found another holder at work.
const OTHER_HOLDER: u8 = 75;
/// A log that has grown beyond this is begun anew.
const LOG_BYTES: u64 = 1 << 20;
/// The kernel takes the holder last of all when memory runs out: everybody's output depends on it.
const OOM_SCORE: &str = "-900";

/// Be a holder, if that is what the arguments ask for; the exit code then. To be called first in `main`, before
/// anything else takes memory or makes a thread.
pub fn hold(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let _program = arguments.next();
    if arguments.next()? != VERB {
        return None;
    }
    let words: Vec<OsString> = arguments.collect();
    calls::block_all_signals();
    sys::return_large_blocks();
    let number = |word: &OsString| word.to_str().and_then(|word| word.parse().ok());
    Some(match words.as_slice() {
        [state, directory] if state == STATE => begin(Path::new(directory)),
        [state, _, resume, descriptor] if state == STATE && resume == RESUME => upgrade::resume(number(descriptor)),
        [knows, format] if knows == KNOWS && upgrade::knows(number(format)) => ExitCode::from(upgrade::KNOWN),
        _ => ExitCode::from(2),
    })
}

/// Leave the helper behind, and become the holder.
fn begin(directory: &Path) -> ExitCode {
    let forked = sys::pipe().and_then(|ends| sys::fork().map(|forked| (forked, ends)));
    let (mut reader, mut writer) = match forked {
        Ok((Forked::Parent, (reader, writer))) => {
            drop(writer);
            let mut code = [1];
            // A holder that ends without a word has failed.
            let _ = std::fs::File::from(reader).read(&mut code);
            return ExitCode::from(code[0]);
        }
        Ok((Forked::Child, (reader, writer))) => (Some(reader), std::fs::File::from(writer)),
        Err(error) => {
            say(format_args!("cannot make the holder's process: {error}"));
            return ExitCode::FAILURE;
        }
    };
    drop(reader.take());
    match prepare(directory) {
        Ok(mut server) => {
            let _ = writer.write_all(&[0]);
            drop(writer);
            server.serve();
            ExitCode::SUCCESS
        }
        Err(error) => {
            let busy = error.kind() == io::ErrorKind::WouldBlock;
            if !busy {
                say(format_args!("cannot hold runs for {}: {error}", directory.display()));
            }
            let _ = writer.write_all(&[if busy { OTHER_HOLDER } else { 1 }]);
            ExitCode::FAILURE
        }
    }
}

fn prepare(directory: &Path) -> io::Result<Server> {
    sys::new_session()?;
    nix::sys::prctl::set_child_subreaper(true)?;
    let directory = directory.canonicalize()?;
    let boot_id = stat::boot_id()?;
    let (journal, entries) = Journal::open(&directory, &boot_id)?;
    let handles = limits::handles().ok();
    // Both as far as the system allows. Children get the OOM score of their plan, and the descriptor limit that was
    // found here.
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let preparer = Preparer::default();
    let _ = limits::raise_descriptor_limit();
    let listener = bind(&directory)?;
    let mut server = Server::new(Ground { directory, listener, journal, boot_id, preparer, handles })?;
    server.inherit(entries);
    Ok(server)
}

/// The socket in the state directory. Its name is bound from within: the whole path may be longer than an address.
fn bind(directory: &Path) -> io::Result<std::os::fd::OwnedFd> {
    std::env::set_current_dir(directory)?;
    // The journal is ours, so this was left by a holder that is dead.
    match std::fs::remove_file(SOCKET) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = sys::listen(&CString::new(SOCKET)?)?;
    std::env::set_current_dir("/")?;
    Ok(listener)
}

/// Have a holder begin for this state directory; returns when its socket can be connected to, its own or that of one
/// that was there before.
pub(super) fn start_holder(program: &Path, directory: &Path, preparer: &Preparer) -> Result<(), LaunchError> {
    let fail = |operation, source| LaunchError { operation, path: program.to_owned(), source };
    let argv = ["wasmvisor", VERB, STATE].map(str::to_owned).into_iter();
    let Some(state) = directory.to_str() else {
        return Err(fail("pass the state directory, which is no text, to", io::ErrorKind::InvalidInput.into()));
    };
    let log = directory.join(LOG);
    begin_log(&log);
    let plan = LaunchPlan {
        stdout: log.clone(),
        stderr: log,
        // It makes runs that may be allowed what this forbids.
        confinement: Confinement::default(),
        ..LaunchPlan::new(
            ProcessId::new("holder"),
            program.to_owned(),
            argv.chain([state.to_owned()]).collect(),
            PathBuf::from("/"),
        )
    };
    let mut prepared = preparer.prepare(&plan).map_err(|refused| explain(refused, &plan))?;
    // No mark and no tag: it belongs to no process that is supervised, and what it makes could not take its own tag.
    prepared.env.clear();
    prepared.tag = None;
    let helper = std::thread::Builder::new().name("start-holder".to_owned()).spawn(move || {
        calls::block_all_signals();
        let born = child::start(&prepared, &mut Stack::default())?;
        Ok(calls::reap(Child::Pid(born.pid), true))
    });
    let helper = helper.map_err(|source| fail("start a thread to make a holder of", source))?;
    let ended = helper.join().map_err(|_| fail("make a holder of", io::ErrorKind::Other.into()))?;
    let ended = ended.map_err(|refused| explain(refused, &plan))?;
    match ended.map(|ended| ended.map(|ended| (ended.code, ended.status))) {
        Ok(Some((libc::CLD_EXITED, code))) if code == 0 || code == i32::from(OTHER_HOLDER) => Ok(()),
        Ok(_) => Err(fail("make a holder of", io::Error::other(format!("it failed; {LOG} in {state} says why")))),
        Err(source) => Err(fail("wait for the holder made of", source)),
    }
}

/// Make the log for its owner only, and begin it anew when it has grown long.
fn begin_log(log: &Path) {
    let long = std::fs::metadata(log).is_ok_and(|about| about.len() > LOG_BYTES);
    // The holder's start says it better if this fails.
    let _ = std::fs::OpenOptions::new().create(true).append(!long).write(true).truncate(long).mode(0o600).open(log);
}
