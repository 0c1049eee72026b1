//! Logs: the files that hold the output of processes, when their lines were seen, and how much of them is kept.
//!
//! ```text
//!  launcher ──bytes──▶ logs/NAME-ID/stdout.log, its archives ◀──reads── reader ── lines ── merge ──▶ control
//!                               │ kernel's notice of growth                 ▲
//!                               ▼                                           │ times
//!                       task ── book ──▶ stdout.log.stamps ─────────────────┘
//! ```
//!
//! Owns the names of these files, the stamps beside them, the cap on all of them together and the directories of
//! processes that nobody remembers. The output itself is the launcher's. The launcher uses the names; the daemon starts the
//! task; the control room reads.

pub mod archives;
mod book;
mod lines;
mod merge;
mod reader;
mod settings;
mod stamps;
mod tail;
mod task;

pub use lines::{Lines, Range};
pub use merge::{Entry, Merge};
pub use settings::{LogStream, LogsConfig};
pub use task::{Growth, KnownProcesses, Logs, LogsParts};
