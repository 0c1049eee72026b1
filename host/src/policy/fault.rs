//! Why a call gave no answer.
//!
//! Pure; turns wasmtime's errors into the vocabulary.

use wasmtime::Trap;

use super::guest::OverBudget;
use crate::decision::FaultKind;

/// A call without an answer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The guest answered something that is not an answer.
    pub(super) fn bad_answer(message: impl Into<String>) -> Self {
        Self::new(FaultKind::BadAnswer, message)
    }

    /// The guest's own "I cannot judge this"; cut to what the contract allows.
    pub(super) fn refused(reason: &str) -> Self {
        Self::new(FaultKind::Refused, &reason[..reason.floor_char_boundary(1024)])
    }

    /// What ended a call from inside wasmtime.
    pub(super) fn of(error: &wasmtime::Error) -> Self {
        if let Some(over) = error.downcast_ref::<OverBudget>() {
            return Self::new(FaultKind::Memory, over.to_string());
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            let kind = if *trap == Trap::Interrupt { FaultKind::Deadline } else { FaultKind::Trap };
            let message = if *trap == Trap::Interrupt {
                "it did not answer before its deadline".to_owned()
            } else {
                trap.to_string()
            };
            return Self::new(kind, message);
        }
        // Text that is not UTF-8 is a trap in the canonical ABI; everything else that cannot be lifted (an unknown
        // enum value, a list outside of memory) is an answer that is none.
        if error.downcast_ref::<std::str::Utf8Error>().is_some() {
            return Self::new(FaultKind::Trap, format!("it answered text that is not UTF-8: {error}"));
        }
        Self::bad_answer(format!("{:#}", error))
    }

    /// The same fault when it happened before the instance could be asked anything: memory and deadline keep their
    /// kind, everything else makes the instance unusable.
    pub(super) fn at_start(error: &wasmtime::Error) -> Self {
        let fault = Self::of(error);
        let kind = match fault.kind {
            FaultKind::Memory | FaultKind::Deadline => fault.kind,
            _ => FaultKind::Unusable,
        };
        Self::new(kind, format!("while it was set up: {}", fault.message))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}
