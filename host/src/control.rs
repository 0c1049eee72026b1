//! Control: the HTTP/JSON API over a Unix socket, and the client that the command line uses.
//!
//! ```text
//!  cli ── client ── socket (0600) ── api ── Daemon ── supervisor, registry, policies, monitor, agents, events
//! ```
//!
//! Owns the socket and the form of requests and answers; every answer comes from the daemon's rooms. Who may open the
//! socket may do everything, so only its owner may. The only room that uses `axum`.

mod api;
pub mod client;
mod extract;
mod handlers;
mod logs;
mod openapi;
mod params;
mod socket;
pub mod types;

use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use crate::daemon::Daemon;
use crate::error::{ErrorClass, Problem};

pub use openapi::document as openapi_document;
pub use socket::Socket;

/// How long open requests may last after the shutdown: streams end by themselves, the rest is given up.
const LINGER: Duration = Duration::from_secs(2);

/// Answer requests at `socket` until `shutdown`.
///
/// # Errors
/// When the socket cannot be made, or another supervisor already listens there.
pub async fn serve(
    daemon: Daemon,
    socket: &Path,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Problem> {
    serve_on(Socket::bind(socket)?, daemon, shutdown).await
}

/// The same on a socket that was bound before: so that a second supervisor is refused before it starts anything.
///
/// # Errors
/// When the socket can no longer be used.
pub async fn serve_on(
    socket: Socket,
    daemon: Daemon,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Problem> {
    let (ending, ended) = watch::channel(false);
    let mut told = ended.clone();
    let signal = async move {
        shutdown.await;
        // Streams that follow something end now; nobody listening is no error.
        let _ = ending.send(true);
    };
    let router = api::router(daemon, ended);
    let (listener, guard) = socket.into_parts();
    let serving = axum::serve(listener, router).with_graceful_shutdown(signal).into_future();
    let lingering = async move {
        // The sender is dropped only after it was told.
        let _ = told.wait_for(|ending| *ending).await;
        tokio::time::sleep(LINGER).await;
    };
    let served = tokio::select! {
        served = serving => served,
        () = lingering => Ok(()),
    };
    let at = guard.path().display().to_string();
    drop(guard);
    served.map_err(|error| Problem::new(ErrorClass::Unavailable, format!("cannot answer requests at {at}: {error}")))
}
