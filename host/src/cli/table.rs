//! Tables and other text for people. Pure.

use std::time::Duration;

use crate::health::{Health, HealthStatus};
use crate::record::Status;
use crate::units::{Timestamp, human_duration};

/// Colour of a piece of text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tint {
    #[default]
    Plain,
    Good,
    Doubtful,
    Bad,
    Faint,
}

impl Tint {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Doubtful => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Faint => "\x1b[2m",
        }
    }

    pub(super) const fn of_status(status: Status) -> Self {
        match status {
            Status::Running => Self::Good,
            Status::Idle | Status::Stopped => Self::Faint,
            Status::Queued | Status::Starting | Status::Stopping | Status::Backoff => Self::Doubtful,
            Status::Error | Status::Crashed => Self::Bad,
        }
    }

    pub(super) const fn of_health(health: Health, status: Option<HealthStatus>) -> Self {
        match (health, status) {
            (_, Some(HealthStatus::Warning)) => Self::Doubtful,
            (Health::Healthy, _) => Self::Good,
            (Health::Unhealthy | Health::Crashed, _) => Self::Bad,
            (Health::Unknown, _) => Self::Faint,
        }
    }
}

/// One cell.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    text: String,
    tint: Tint,
    right: bool,
}

impl Cell {
    /// Text, to the left.
    pub(super) fn new(text: impl ToString) -> Self {
        Self { text: one_line(&text.to_string()), ..Self::default() }
    }

    /// A figure, to the right.
    pub(super) fn figure(text: impl ToString) -> Self {
        Self { right: true, ..Self::new(text) }
    }

    /// A figure, or `-` when there is none.
    pub(super) fn maybe(text: Option<impl ToString>) -> Self {
        text.map_or_else(|| Self::figure("-"), Self::figure)
    }

    pub(super) fn tinted(mut self, tint: Tint) -> Self {
        self.tint = tint;
        self
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    fn padded(&self, width: usize, last: bool, colour: bool) -> String {
        let fill = " ".repeat(width.saturating_sub(self.width()));
        let text = match (self.tint.code(), colour) {
            ("", _) | (_, false) => self.text.clone(),
            (code, true) => format!("{code}{}\x1b[0m", self.text),
        };
        match (self.right, last) {
            (true, _) => fill + &text,
            (false, true) => text,
            (false, false) => text + &fill,
        }
    }
}

/// A table with its heads; columns as wide as they must be, two spaces between them.
pub(super) fn table(heads: &[&str], rows: &[Vec<Cell>], colour: bool) -> String {
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(column, head)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(Cell::width);
            cells.chain([head.len()]).max().unwrap_or(0)
        })
        .collect();
    let head: Vec<Cell> = heads
        .iter()
        .enumerate()
        .map(|(column, head)| {
            let right = rows.first().and_then(|row| row.get(column)).is_some_and(|cell| cell.right);
            Cell { text: (*head).to_owned(), tint: Tint::Faint, right }
        })
        .collect();
    std::iter::once(&head).chain(rows).map(|row| line(row, &widths, colour)).collect()
}

fn line(row: &[Cell], widths: &[usize], colour: bool) -> String {
    let cells: Vec<_> = row
        .iter()
        .zip(widths)
        .enumerate()
        .map(|(column, (cell, width))| cell.padded(*width, column + 1 == row.len(), colour))
        .collect();
    format!("{}\n", cells.join("  ").trim_end())
}

/// Names and values below each other, the values in one column; those without a value are left out.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    facts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:<width$}  {}\n", one_line(value)))
        .collect()
}

/// Nothing that a process chose may move the cursor or colour the terminal.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The same for text that this program has coloured itself: escapes of colour stay, all others go.
pub(super) fn one_line_but_colour(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for (place, piece) in text.split('\x1b').enumerate() {
        let colour = piece.strip_prefix('[').and_then(|rest| rest.split_once('m'));
        match colour.filter(|(code, _)| place > 0 && code.bytes().all(|byte| byte.is_ascii_digit() || byte == b';')) {
            Some((code, rest)) => cleaned.push_str(&format!("\x1b[{code}m{}", one_line(rest))),
            None if place > 0 => cleaned.push_str(&format!("\u{fffd}{}", one_line(piece))),
            None => cleaned.push_str(&one_line(piece)),
        }
    }
    cleaned
}

/// How long ago, for people.
pub(super) fn ago(moment: Timestamp) -> String {
    human_duration(Timestamp::now().since(moment))
}

/// Milliseconds, for people.
pub(super) fn ms(count: u64) -> String {
    human_duration(Duration::from_millis(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_space() {
        let rows = [
            vec![Cell::new("web"), Cell::figure(7), Cell::new("ok")],
            vec![Cell::new("a-long-name"), Cell::figure(1234), Cell::new("")],
        ];
        let text = table(&["NAME", "PID", "NOTE"], &rows, false);
        assert_eq!(text, "NAME          PID  NOTE\nweb             7  ok\na-long-name  1234\n");
    }

    #[test]
    fn colour_does_not_change_the_columns() {
        let row = vec![Cell::new("x").tinted(Tint::Good), Cell::new("y")];
        let text = table(&["NAME", "N"], &[row], true);
        assert!(text.contains("\x1b[32mx\x1b[0m     y"), "{text:?}");
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(Cell::new("a\x1b[2Jb\n").text, "a\u{fffd}[2Jb\u{fffd}");
    }
}
