//! How the output of one process is kept, where that differs from the defaults.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SpecError;
use crate::units::{Bytes, OrOff};

/// A smaller file would be put aside faster than anybody could read it.
const SMALLEST_FILE: u64 = 64 << 10;
/// More archives than this are never wanted, and slow down every look at a log directory.
const MOST_KEPT: u32 = 1000;

/// Log settings of a process. Absent fields leave the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// A file of this size is put aside at the next end of a line; `off` for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_file: Option<OrOff<Bytes>>,
    /// How many files put aside are kept for each output, 0 to 1000; the oldest goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<u32>,
}

impl LogSettings {
    /// Whether nothing differs from the defaults.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Check what can be right on any machine.
    ///
    /// # Errors
    /// Names the field, `logs.max_file` or `logs.keep`, and what would be right.
    pub fn validate(&self) -> Result<(), SpecError> {
        if self.max_file.and_then(OrOff::limit).is_some_and(|size| size.get() < SMALLEST_FILE) {
            return Err(SpecError::new("logs.max_file", "must be 64KiB or more, or \"off\""));
        }
        if self.keep.is_some_and(|count| count > MOST_KEPT) {
            return Err(SpecError::new("logs.keep", "must be 0 to 1000"));
        }
        Ok(())
    }
}
