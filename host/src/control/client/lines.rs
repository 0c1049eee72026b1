//! Answers that come line by line: output, and server-sent events.

use std::collections::VecDeque;

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;

use super::Client;
use crate::control::types::LogLine;
use crate::error::{ErrorClass, Problem};
use crate::event::Event;

/// Splits what arrives into lines.
#[derive(Debug, Default)]
struct Splitter {
    partial: Vec<u8>,
    lines: VecDeque<String>,
}

impl Splitter {
    fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.partial);
                self.lines.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        }
    }
}

#[derive(Debug)]
struct Lines {
    client: Client,
    body: Incoming,
    splitter: Splitter,
}

impl Lines {
    fn new(client: Client, response: Response<Incoming>) -> Self {
        Self { client, body: response.into_body(), splitter: Splitter::default() }
    }

    async fn next(&mut self) -> Result<Option<String>, Problem> {
        loop {
            if let Some(line) = self.splitter.lines.pop_front() {
                return Ok(Some(line));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.client.lost(&error)),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.splitter.push(bytes);
                    }
                }
            }
        }
    }
}

fn not_understood(error: &serde_json::Error) -> Problem {
    let message = format!("the supervisor told something this program does not understand: {error}");
    Problem::new(ErrorClass::Unavailable, message)
}

/// The output of a process, line by line.
#[derive(Debug)]
pub struct LogLines(Lines);

impl LogLines {
    pub(super) fn new(client: Client, response: Response<Incoming>) -> Self {
        Self(Lines::new(client, response))
    }

    /// The next line; none when there will be no more.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub async fn next(&mut self) -> Result<Option<LogLine>, Problem> {
        let Some(line) = self.0.next().await? else { return Ok(None) };
        serde_json::from_str(&line).map(Some).map_err(|error| not_understood(&error))
    }
}

/// What an event stream tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// An event, as the JSON text that came: a program that passes it on changes nothing.
    Event(String),
    /// This reader was too slow: as many events are gone.
    Missed(u64),
}

impl Heard {
    /// The event, when it is one.
    ///
    /// # Errors
    /// When it is of a type that this version does not know.
    pub fn event(&self) -> Result<Option<Event>, Problem> {
        match self {
            Self::Event(text) => serde_json::from_str(text).map(Some).map_err(|error| not_understood(&error)),
            Self::Missed(_) => Ok(None),
        }
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct EventStream {
    lines: Lines,
    parser: EventParser,
}

impl EventStream {
    pub(super) fn new(client: Client, response: Response<Incoming>) -> Self {
        Self { lines: Lines::new(client, response), parser: EventParser::default() }
    }

    /// The next event; none when there will be no more.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub async fn next(&mut self) -> Result<Option<Heard>, Problem> {
        while let Some(line) = self.lines.next().await? {
            if let Some(heard) = self.parser.line(&line) {
                return Ok(Some(heard));
            }
        }
        Ok(None)
    }
}

/// Server-sent events (WHATWG HTML, 9.2.6): fields until an empty line.
#[derive(Debug, Default)]
struct EventParser {
    name: String,
    data: String,
}

impl EventParser {
    fn line(&mut self, line: &str) -> Option<Heard> {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => self.data.push_str(value),
            "" if line.is_empty() => return self.dispatch(),
            // Comments keep the connection alive; the id is in the event as well.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Heard> {
        let Self { name, data } = std::mem::take(self);
        if data.is_empty() {
            return None;
        }
        if name == "missed" {
            let count = serde_json::from_str::<serde_json::Value>(&data).ok()?["missed"].as_u64()?;
            return Some(Heard::Missed(count));
        }
        Some(Heard::Event(data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str) -> Vec<Heard> {
        let mut parser = EventParser::default();
        text.lines().filter_map(|line| parser.line(line)).collect()
    }

    #[test]
    fn events_and_gaps_are_told_apart() {
        let text =
            ": hello\n\nid: 7\nevent: process.started\ndata: {\"seq\":7}\n\nevent: missed\ndata: {\"missed\":3}\n\n";
        assert_eq!(heard(text), [Heard::Event("{\"seq\":7}".to_owned()), Heard::Missed(3)]);
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut splitter = Splitter::default();
        for piece in ["a", "b\nc", "\r\n", "d"] {
            splitter.push(piece.as_bytes());
        }
        assert_eq!(splitter.lines, ["ab", "c"]);
    }
}
