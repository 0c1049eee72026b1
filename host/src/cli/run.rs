//! `wasmvisor run`: a supervisor in the foreground, until it is told to end.
//!
//! ```text
//!  signals ── heed ── wish for a reload ──> one task that reloads
//!               └──── the end ──> ending: stop in order, kill at the second signal
//!  events ── teller ──> standard error (lines) or standard output (JSON)
//! ```

mod ending;
mod teller;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tokio::sync::{mpsc, oneshot};

use super::shell::{Outcome, Shell};
use crate::config::{self, Config};
use crate::control::{self, Socket};
use crate::daemon::Daemon;
use crate::error::{ErrorClass, Problem};
use crate::platform;
use ending::{Asked, Signals};
use teller::Teller;

const EXAMPLES: &str = "\
Examples:
  wasmvisor run                                      the configuration from its usual place, or none
  wasmvisor run policies/demo.toml
  wasmvisor run /etc/wasmvisor.d                     a directory of fragments
  wasmvisor --state-dir /tmp/w run a.toml            a second supervisor beside the usual one

Signals: TERM or INT stops everything in order (or, with on_shutdown = \"keep\", leaves everything to the holder);
a second one kills what is left at once; HUP reads the configuration again; USR2 upgrades to the program that
is now at the same path. What happens is told on standard error, with --json as JSON lines on standard output.
RUST_LOG=debug shows the program's own log as well.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A file, or a directory of fragments [default: $WASMVISOR_CONFIG, ./wasmvisor.toml,
    /// $XDG_CONFIG_HOME/wasmvisor/config.toml, /etc/wasmvisor/config.toml]
    #[arg(value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// Do not tell people every event
    #[arg(short, long)]
    quiet: bool,
}

pub(super) async fn run(arguments: Arguments, shell: &Shell) -> Outcome {
    log_to_stderr(arguments.quiet);
    let teller = Teller::new(shell, arguments.quiet);
    let file = arguments.config.or_else(config::locate);
    let mut config = file.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?;
    for note in config.notes() {
        teller.remark(&format!("note: {note}")).await;
    }
    let state_dir = shell.state_dir(Some(&config))?;
    config.supervisor.state_dir = Some(state_dir.clone());
    // First of all: a second supervisor must be refused before it starts anything, and no signal may be missed.
    let at = shell.socket(&state_dir)?;
    let socket = Socket::bind(&at)?;
    let signals = Signals::listen()?;
    adopt_orphans(teller).await;
    let daemon = Daemon::start_with_holder(config, file.as_deref(), &own_program()?).await?;
    teller.remark(&ready(file.as_deref(), &at)).await;
    // This process is the supervisor's alone, and from here on it does the same few things for a long time.
    platform::release_startup_pages();
    supervise(&daemon, socket, signals, teller, shell).await
}

/// Where this program is. Asked for early: when it has been replaced, the path is that of the new one.
pub(super) fn own_program() -> Result<PathBuf, Problem> {
    std::env::current_exe().map_err(|error| {
        let message = format!("cannot find out where this program is, to hold runs with it: {error}");
        Problem::new(ErrorClass::Unavailable, message)
    })
}

/// This process is the supervisor's alone, so it may become the parent of what its runs leave behind.
async fn adopt_orphans(teller: Teller) {
    match platform::become_subreaper() {
        Ok(reaping) => drop(tokio::spawn(reaping)),
        Err(error) => {
            let lost = "descendants that outlive their parent are harder to find";
            teller.remark(&format!("note: the kernel lets us adopt no orphans ({error}); {lost}")).await;
        }
    }
}

fn ready(file: Option<&Path>, socket: &Path) -> String {
    let from = file.map_or_else(|| "no configuration, every default".to_owned(), |file| file.display().to_string());
    format!("ready; {from}; control socket {}", socket.display())
}

/// How a supervisor ends.
enum End {
    /// Everything is stopped, by this signal.
    Stop(&'static str),
    /// Everything goes on, under this program.
    Become(PathBuf),
}

/// Answer requests until a signal, then stop everything in order, answering on; or leave everything to the next.
async fn supervise(daemon: &Daemon, socket: Socket, mut signals: Signals, teller: Teller, shell: &Shell) -> Outcome {
    let telling = tokio::spawn(teller.follow(daemon.events.since(0)));
    let (end, ended) = oneshot::channel::<()>();
    let serving = async {
        let shutdown = async move {
            // Its sender being gone means the same.
            let _ = ended.await;
        };
        let served = control::serve_on(socket, daemon.clone(), shutdown).await;
        if let Err(problem) = &served {
            // The processes matter more than the conversation about them: they are supervised on.
            teller.problem("no more requests are answered, everything runs on", problem).await;
        }
        served
    };
    let living = async {
        let survivors = match heed(daemon, &mut signals, teller).await {
            End::Become(program) => {
                teller.remark(&format!("{} takes over; everything runs on", program.display())).await;
                daemon.leave("an upgrade").await;
                shell.become_afterwards(program);
                0
            }
            End::Stop(reason) if daemon.keeps_on_shutdown().await => {
                teller.remark(&format!("{reason}: everything runs on; the next `wasmvisor run` goes on with it")).await;
                daemon.leave(reason).await;
                0
            }
            End::Stop(reason) => {
                teller.remark(&format!("{reason}: stopping everything; once more to kill at once")).await;
                ending::end(daemon, &mut signals, reason, teller).await
            }
        };
        // The answers under way and the streams end now, when they have not before.
        let _ = end.send(());
        survivors
    };
    let (served, survivors) = tokio::join!(serving, living);
    teller::finish(telling).await;
    served?;
    conclude(survivors)
}

/// Heed signals until one asks for the end, or an upgrade does.
async fn heed(daemon: &Daemon, signals: &mut Signals, teller: Teller) -> End {
    let mut upgrades = daemon.upgrades().await;
    // One place: a wish that finds it taken is dropped, for the one that waits will read the newest file as well.
    let (wish, mut wishes) = mpsc::channel::<()>(1);
    let reloading = daemon.clone();
    // A task of its own: a reload waits for processes to stop, and a signal must not wait for a reload.
    tokio::spawn(async move {
        while wishes.recv().await.is_some() {
            // What a reload changed is an event.
            if let Err(problem) = reloading.reload().await {
                teller.problem("not reloaded, the old configuration stays in force", &problem).await;
            }
        }
    });
    loop {
        let asked = tokio::select! {
            asked = signals.next() => asked,
            Some(program) = upgrades.recv() => return End::Become(program),
        };
        match asked {
            Asked::End(reason) => return End::Stop(reason),
            Asked::Reload => drop(wish.try_send(())),
            Asked::Upgrade => drop(tokio::spawn(upgrade(daemon.clone(), teller))),
        }
    }
}

/// What it leads to is heard from the daemon, as when it was asked for through the API.
async fn upgrade(daemon: Daemon, teller: Teller) {
    if let Err(problem) = daemon.upgrade(None).await {
        teller.problem("not upgraded, everything goes on as it was", &problem).await;
    }
}

fn conclude(survivors: usize) -> Outcome {
    if survivors == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let message = format!("{survivors} processes survived being killed; `wasmvisor run` looks for them when it starts");
    Err(Problem::new(ErrorClass::ProcessFailure, message).into())
}

/// What the rooms log, from `warn` on or as `RUST_LOG` says. Alerts are left out then: they are told as events.
fn log_to_stderr(quiet: bool) {
    let usual = if quiet { "warn" } else { "warn,wasmvisor::monitor::teller=off" };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(usual));
    // An embedding program that has a subscriber keeps its own.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::shell::Failure;

    #[test]
    fn survivors_are_a_failure_of_processes() {
        assert!(conclude(0).is_ok());
        let Err(Failure::Problem(problem)) = conclude(2) else { panic!("survivors must be told") };
        assert_eq!(problem.class, ErrorClass::ProcessFailure);
        assert!(problem.message.starts_with("2 processes"), "{problem}");
    }

    #[test]
    fn the_first_line_says_where_to_ask() {
        let text = ready(Some(Path::new("a.toml")), Path::new("/s/control.sock"));
        assert_eq!(text, "ready; a.toml; control socket /s/control.sock");
    }
}
