//! What every verb needs: where the supervisor is, how to answer, and how to fail.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use serde::Serialize;

use crate::config::{self, Config, ConfigError};
use crate::control::client::Client;
use crate::control::types::ProblemDocument;
use crate::error::{ErrorClass, Problem};

/// What a verb comes to.
pub(super) type Outcome = Result<ExitCode, Failure>;

/// Why a verb did not come to its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was refused or failed.
    Problem(Problem),
    /// The answer could not be written.
    Output(std::io::Error),
}

impl<P: Into<Problem>> From<P> for Failure {
    fn from(problem: P) -> Self {
        Self::Problem(problem.into())
    }
}

/// The answers of one call of the program.
#[derive(Debug)]
pub(super) struct Shell {
    /// Whether answers are for programs.
    pub(super) json: bool,
    /// Whether answers may have colour.
    pub(super) colour: bool,
    state_dir: Option<PathBuf>,
    socket: Option<PathBuf>,
    /// The program that takes this one's place when everything has been put away.
    successor: OnceLock<PathBuf>,
}

impl Shell {
    pub(super) fn new(json: bool, state_dir: Option<PathBuf>, socket: Option<PathBuf>) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        let colour = !json && !unwanted && std::io::stdout().is_terminal();
        Self { json, colour, state_dir, socket, successor: OnceLock::new() }
    }

    /// Have this program take our place, with the same arguments and the same pid, as the last thing of all.
    pub(super) fn become_afterwards(&self, program: PathBuf) {
        // The first word counts; there is only one that says it.
        let _ = self.successor.set(program);
    }

    /// Take the step that `become_afterwards` has announced. Returns only when there is none or it failed: then the
    /// present program goes on, under the same pid, as if it had been started anew.
    pub(super) fn become_the_successor(&self) -> Outcome {
        let Some(program) = self.successor.get() else { return Ok(ExitCode::SUCCESS) };
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_else(|| program.clone().into());
        let arguments: Vec<_> = arguments.collect();
        let become_it =
            |program: &std::path::Path| std::process::Command::new(program).arg0(&name).args(&arguments).exec();
        let error = become_it(program);
        let again = become_it(std::path::Path::new("/proc/self/exe"));
        let message = format!(
            "cannot become {} ({error}) nor start anew ({again}); everything runs on, `wasmvisor run` goes on with it",
            program.display()
        );
        Err(Problem::new(ErrorClass::Unavailable, message).into())
    }

    /// The state directory, absolute: as said on the command line, by `config`, or the usual one.
    pub(super) fn state_dir(&self, config: Option<&Config>) -> Result<PathBuf, ConfigError> {
        match (&self.state_dir, config) {
            (Some(directory), _) => std::path::absolute(directory).map_err(|error| {
                ConfigError::new(format!("cannot find the state directory {}: {error}", directory.display()))
            }),
            (None, Some(config)) => config.state_dir(),
            (None, None) => config::state_dir(),
        }
    }

    /// The control socket of `state_dir`, or as said on the command line.
    pub(super) fn socket(&self, state_dir: &std::path::Path) -> Result<PathBuf, ConfigError> {
        self.socket.clone().map_or_else(|| config::socket_path(state_dir), Ok)
    }

    /// Where a client looks for its supervisor: a configuration in the usual place may name another state directory.
    pub(super) fn client_socket(&self) -> Result<PathBuf, ConfigError> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        // A configuration that cannot be used is told by the verbs that need one.
        let located = if self.state_dir.is_none() { config::locate() } else { None };
        let config = located.and_then(|path| Config::load(&path).ok());
        self.socket(&self.state_dir(config.as_ref())?)
    }

    /// A client of the supervisor.
    pub(super) fn client(&self) -> Result<Client, ConfigError> {
        self.client_socket().map(Client::new)
    }

    /// Write text as it is.
    pub(super) fn print(&self, text: impl Display) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        write!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::Output)
    }

    /// Write one line.
    pub(super) fn line(&self, text: impl Display) -> Result<(), Failure> {
        self.print(format_args!("{text}\n"))
    }

    /// Write a value as one line of JSON.
    pub(super) fn document(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Problem::new(ErrorClass::Unavailable, format!("cannot write the answer: {error}")))?;
        self.line(text)
    }

    /// Write `value` for programs, or what `text` makes of it for people.
    pub(super) fn answer<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Outcome {
        if self.json {
            self.document(value)?
        } else {
            self.print(text(value))?
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Tell a problem.
    pub(super) fn complain(&self, problem: Problem) {
        let text = if self.json {
            serde_json::to_string(&ProblemDocument::from(problem)).unwrap_or_default()
        } else {
            let rule = problem.rule.as_ref().map(|rule| format!(" (rule {rule})")).unwrap_or_default();
            format!("error: {}{rule}", problem.message)
        };
        // Nowhere is left to tell it when the terminal is gone.
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// The exit code of an outcome, after telling what went wrong.
    pub(super) fn conclude(&self, outcome: Outcome) -> ExitCode {
        match outcome {
            Ok(code) => code,
            // The reader has seen enough (`ps | head`).
            Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(Failure::Output(error)) => {
                self.complain(Problem::new(ErrorClass::Unavailable, format!("cannot write the answer: {error}")));
                ExitCode::from(ErrorClass::Unavailable.exit_code())
            }
            Err(Failure::Problem(problem)) => {
                let code = problem.class.exit_code();
                self.complain(problem);
                ExitCode::from(code)
            }
        }
    }
}

/// A runtime for this call.
pub(super) fn runtime(many_threads: bool) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = if many_threads {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build().map_err(|error| {
        Problem::new(ErrorClass::ResourceExhaustion, format!("the system gives no threads or descriptors: {error}"))
            .into()
    })
}
