//! What daemon and holder say to each other: one message a packet, all of them listed here.
//!
//! A packet is the message's number (16 bits), the number of the request that it belongs to (32 bits, 0 for news) and
//! its fields. Each side says its version first. **Compatibility:** the major numbers must be equal. A minor number
//! only adds: fields at the end of a message, which an older reader ignores, and messages, which an older holder answers
//! with `Unsupported` and an older daemon ignores. A descriptor travels beside the packet it belongs to. A message
//! that is too large for a packet travels in a sealed memory file, beside a packet that is empty.
//!
//! Owns the messages. The holder and its client enter.

use std::path::PathBuf;

use super::bytes::{Field, Reader, fields};
use crate::sample::{ExitStatus, RunExit};
use crate::spec::ProcessId;
use crate::units::Timestamp;

/// A daemon and a holder with different major numbers cannot talk.
pub(super) const MAJOR: u16 = 1;
/// Grows with every addition.
pub(super) const MINOR: u16 = 0;

/// Largest packet; the kernel's send buffer holds some of them.
pub(super) const PACKET_BYTES: usize = 64 << 10;
/// Largest message: the kernel gives a program 2 MiB of arguments and environment at most, by default.
pub(super) const MESSAGE_BYTES: usize = 4 << 20;
/// Longest process id, bytes.
pub(super) const ID_BYTES: usize = 64;

/// Names one run: whose it is, and its number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) process_id: ProcessId,
    pub(super) run: u32,
}

fields!(Key { process_id, run });

impl Field for ProcessId {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_str().to_owned().put(out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let text = String::take(from)?;
        (text.len() <= ID_BYTES).then(|| Self::new(text))
    }
}

impl Field for Timestamp {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        u64::take(from).map(Self)
    }
}

impl Field for ExitStatus {
    fn put(&self, out: &mut Vec<u8>) {
        let (kind, number) = match self {
            Self::Code(code) => (0_u8, *code),
            Self::Signal(signal) => (1, *signal),
            Self::Unknown => (2, 0),
        };
        kind.put(out);
        number.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let (kind, number) = (u8::take(from)?, i32::take(from)?);
        match kind {
            0 => Some(Self::Code(number)),
            1 => Some(Self::Signal(number)),
            2 => Some(Self::Unknown),
            _ => None,
        }
    }
}

fields!(RunExit { status, at_ms, user_time_ms, system_time_ms, peak_memory_bytes });

/// Put the request's number into a packet that was made without one.
pub(super) fn set_number(packet: &mut [u8], about: u32) {
    if let Some(place) = packet.get_mut(2..6) {
        place.copy_from_slice(&about.to_le_bytes());
    }
}

/// Lists the messages of one direction: number, name and fields of each.
macro_rules! messages {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $number:literal $message:ident { $($field:ident: $kind:ty),* })* }) => {
        $(#[$about])*
        pub(super) enum $name {
            $($(#[$doc])* $message { $($field: $kind),* },)*
        }

        impl $name {
            /// The packet of this message. `about` is the request it belongs to.
            pub(super) fn packet(&self, about: u32) -> Vec<u8> {
                let mut out = Vec::with_capacity(64);
                match self {
                    $(Self::$message { $($field),* } => {
                        u16::put(&$number, &mut out);
                        about.put(&mut out);
                        $($field.put(&mut out);)*
                    })*
                }
                out
            }

            /// The message with this number.
            fn numbered(number: u16, from: &mut Reader<'_>) -> Result<Self, Unreadable> {
                match number {
                    $($number => {
                        fn take(from: &mut Reader<'_>) -> Option<$name> {
                            let _ = &from;
                            Some($name::$message { $($field: Field::take(from)?),* })
                        }
                        take(from).ok_or(Unreadable::Malformed)
                    })*
                    _ => Err(Unreadable::Unknown(number)),
                }
            }
        }
    };
}

/// Why a packet could not be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It has no head, or its fields are not what they should be.
    Malformed,
    /// Nothing is known by this number: the other side is newer.
    Unknown(u16),
}

/// A message of one direction.
pub(super) trait Message: Sized {
    /// Read a packet: the request it belongs to, and what it says.
    fn read(packet: &[u8]) -> (u32, Result<Self, Unreadable>);
}

macro_rules! readable {
    ($($name:ident),*) => {$(
        impl Message for $name {
            fn read(packet: &[u8]) -> (u32, Result<Self, Unreadable>) {
                let mut from = Reader::new(packet);
                match (u16::take(&mut from), u32::take(&mut from)) {
                    (Some(number), Some(about)) => (about, Self::numbered(number, &mut from)),
                    _ => (0, Err(Unreadable::Malformed)),
                }
            }
        }
    )*};
}

readable!(Request, Answer);

messages! {
    /// What a daemon asks.
    Request {
        /// First of all: which version it speaks. Answered by `Welcome`, every run (`Held`) and `Listed`.
        1 Hello { major: u16, minor: u16 }
        /// Make a run: `Launched` or `Refused`. No debug form: the environment is secret.
        2 Launch { plan: Box<crate::platform::LaunchPlan> }
        /// The end of this run is on record elsewhere.
        3 Settle { key: Key }
        /// Answered by `Pong`.
        4 Ping {}
        /// Go over to this program: `Upgraded` or `Refused`.
        5 Upgrade { program: PathBuf }
        /// The daemon leaves for good: the holder ends as soon as it holds nothing.
        6 End {}
    }
}

messages! {
    /// What a holder answers, and tells unasked.
    #[derive(Debug)]
    Answer {
        /// It speaks this version; runs follow.
        1 Welcome { major: u16, minor: u16, pid: u32, version: String }
        /// A run in its hands, with a pidfd when it lives. `adopts` tells whether its orphans come to the holder.
        2 Held { key: Key, pid: u32, start_ticks: u64, adopts: bool, end: Option<RunExit> }
        /// That were all runs.
        3 Listed {}
        /// The run exists; its pidfd comes along.
        4 Launched { key: Key, pid: u32, start_ticks: u64 }
        /// It could not be done. `errno` is 0 when the reason is none of the system's.
        5 Refused { operation: String, path: PathBuf, errno: i32, reason: String }
        /// A run has ended.
        6 Ended { key: Key, end: RunExit }
        /// Output could not be kept.
        7 OutputLost { process_id: ProcessId, lost_bytes: u64, archives_removed: u32, errno: i32 }
        /// It is there.
        8 Pong {}
        /// It does not know that request.
        9 Unsupported { number: u16 }
        /// Another daemon is attached.
        10 Busy { pid: u32 }
        /// The new program has taken over.
        11 Upgraded { version: String }
        /// It speaks another major version.
        12 Incompatible { major: u16, minor: u16 }
    }
}

#[cfg(test)]
mod tests;
