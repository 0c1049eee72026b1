//! The typed client of the control API, over the Unix socket. The command line uses it; so may any Rust program.

mod calls;
mod lines;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

use super::params;
use super::types::ProblemDocument;
use crate::error::{ErrorClass, Problem};

pub use lines::{EventStream, Heard, LogLines};

/// Speaks to the supervisor at one socket. A connection for each request: nothing is kept open between them.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// A body that is not there.
const NO_BODY: Option<&()> = None;

impl Client {
    /// A client of the supervisor that listens at `socket`; nothing is opened yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Where it expects the supervisor.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<T, Problem> {
        let query = params::write(&serde_json::to_value(query).unwrap_or(Value::Null));
        self.call(Method::GET, &format!("{path}{query}"), NO_BODY).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Problem> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Problem> {
        let response = self.send(method, path, body).await?;
        let bytes = response.into_body().collect().await.map_err(|error| self.lost(&error))?.to_bytes();
        serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!(
                "the supervisor at {} gave an answer this program does not understand ({error}); are they of the \
                 same version?",
                self.socket.display()
            );
            Problem::new(ErrorClass::Unavailable, message)
        })
    }

    /// Send a request and give its answer, or the problem it tells.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Response<Incoming>, Problem> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.lost(&error))?;
        // It ends with the answer; what goes wrong on it is told by the request.
        tokio::spawn(connection);
        let request = request(method, path, body)?;
        let response = sender.send_request(request).await.map_err(|error| self.lost(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(|error| self.lost(&error))?.to_bytes();
        Err(serde_json::from_slice::<ProblemDocument>(&bytes).map(Problem::from).unwrap_or_else(|_| {
            let message = format!("{} answered {status}; is it a wasmvisor?", self.socket.display());
            Problem::new(ErrorClass::Unavailable, message)
        }))
    }

    fn unreachable(&self, error: &std::io::Error) -> Problem {
        let at = self.socket.display();
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Problem::new(
                ErrorClass::Unavailable,
                format!("no supervisor answers at {at}; start one with 'wasmvisor run'"),
            ),
            ErrorKind::PermissionDenied => Problem::new(
                ErrorClass::SecurityViolation,
                format!("the supervisor at {at} belongs to another user; only its owner may speak to it"),
            ),
            _ => Problem::new(ErrorClass::Unavailable, format!("cannot reach the supervisor at {at}: {error}")),
        }
    }

    fn lost(&self, error: &hyper::Error) -> Problem {
        let message = format!("the supervisor at {} did not answer to the end: {error}", self.socket.display());
        Problem::new(ErrorClass::Unavailable, message)
    }
}

fn request(method: Method, path: &str, body: Option<&impl Serialize>) -> Result<Request<Full<Bytes>>, Problem> {
    let cannot = |error: &dyn std::fmt::Display| {
        Problem::new(ErrorClass::Configuration, format!("cannot make a request of this: {error}"))
    };
    let builder = Request::builder().method(method).uri(path).header(header::HOST, "wasmvisor");
    let request = match body {
        None => builder.body(Full::default()),
        Some(body) => {
            let text = serde_json::to_vec(body).map_err(|error| cannot(&error))?;
            builder.header(header::CONTENT_TYPE, "application/json").body(Full::from(text))
        }
    };
    request.map_err(|error| cannot(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_socket_says_how_to_start_a_supervisor() {
        let problem = Client::new("/nonexistent/control.sock").statistics().await.unwrap_err();
        assert_eq!(problem.class, ErrorClass::Unavailable);
        assert_eq!(
            problem.message,
            "no supervisor answers at /nonexistent/control.sock; start one with 'wasmvisor run'"
        );
    }

    #[tokio::test]
    async fn somebody_who_is_no_supervisor_is_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let stranger = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = stream.read(&mut [0; 1024]).await.unwrap();
            assert!(asked > 0);
            stream.write_all(b"HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        });
        let problem = Client::new(&path).statistics().await.unwrap_err();
        assert!(problem.message.contains("is it a wasmvisor?"), "{problem}");
        stranger.await.unwrap();
    }
}
