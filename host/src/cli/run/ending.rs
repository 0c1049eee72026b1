//! How `run` ends: signals, the stop in order, and the kill for those who cannot wait.

use futures_util::future::join_all;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::teller::Teller;
use crate::daemon::Daemon;
use crate::error::{ErrorClass, Problem};
use crate::record::Query;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The end; by this signal.
    End(&'static str),
    /// That the configuration is read again.
    Reload,
    /// That the program now at our path takes over.
    Upgrade,
}

/// Signals that were sent to the program; each kind is kept until it is asked for.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user_two: Signal,
}

impl Signals {
    /// Listen; from now on none of them ends the program by itself.
    pub(super) fn listen() -> Result<Self, Problem> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Problem::new(ErrorClass::ResourceExhaustion, format!("cannot listen to signals: {error}"))
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
            user_two: listen(SignalKind::user_defined2())?,
        })
    }

    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End("SIGTERM"),
            _ = self.interrupt.recv() => Asked::End("SIGINT"),
            _ = self.hang_up.recv() => Asked::Reload,
            _ = self.user_two.recv() => Asked::Upgrade,
        }
    }

    /// The next one that asks for the end: what is being stopped is not reloaded.
    async fn end(&mut self) -> &'static str {
        loop {
            if let Asked::End(name) = self.next().await {
                return name;
            }
        }
    }
}

/// Stop everything in order and give the number of survivors. A second signal kills what is left; a third waits for
/// nothing any more.
pub(super) async fn end(daemon: &Daemon, signals: &mut Signals, reason: &str, teller: Teller) -> usize {
    let mut stopping = std::pin::pin!(daemon.shut_down(reason));
    let again = tokio::select! {
        survivors = &mut stopping => return survivors,
        again = signals.end() => again,
    };
    teller.remark(&format!("{again} again: killing what is left")).await;
    let killed = async {
        let (survivors, ()) = tokio::join!(stopping, kill_all(daemon));
        survivors
    };
    tokio::select! {
        survivors = killed => survivors,
        _ = signals.end() => live(daemon).await.len(),
    }
}

async fn live(daemon: &Daemon) -> Vec<std::sync::Arc<crate::record::ProcessRecord>> {
    let mut records = daemon.registry.query(Query::default()).await.processes;
    records.retain(|record| !record.status.is_ended());
    records
}

async fn kill_all(daemon: &Daemon) {
    let live = live(daemon).await;
    let kills = live.iter().map(|record| daemon.supervisor.kill(&record.process_id, "killed at once"));
    // One that cannot be killed is told by its event and counted by the shutdown.
    join_all(kills).await;
}
