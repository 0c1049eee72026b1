//! What the configuration says to this room, and which outputs there are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::platform::Rotation;
use crate::spec::{LogSettings, SpecError};
use crate::units::{Bytes, OrOff};

/// One of the two outputs of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl std::str::FromStr for LogStream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stdout" => Ok(Self::Stdout),
            "stderr" => Ok(Self::Stderr),
            _ => Err(format!("`{text}` is none of stdout, stderr")),
        }
    }
}

/// `[logs]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogsConfig {
    /// A file of this size is put aside at the next end of a line; `off` for never.
    pub max_file: OrOff<Bytes>,
    /// How many files put aside are kept for each output, 0 to 1000; the oldest goes first.
    pub keep: u32,
    /// Size of the logs of all processes together; the oldest files put aside go first, whoever they belong to.
    pub total: OrOff<Bytes>,
}

impl Default for LogsConfig {
    fn default() -> Self {
        Self { max_file: OrOff::Of(Bytes::mib(10)), keep: 5, total: OrOff::Of(Bytes::mib(1024)) }
    }
}

impl LogsConfig {
    /// Check what can be right on any machine.
    ///
    /// # Errors
    /// Names the key and what would be right.
    pub fn validate(&self) -> Result<(), SpecError> {
        LogSettings { max_file: Some(self.max_file), keep: Some(self.keep) }.validate()
    }

    /// When the files of a process with these settings of its own are put aside.
    pub fn rotation(self, own: &LogSettings) -> Rotation {
        let max_bytes = own.max_file.unwrap_or(self.max_file).limit().map_or(0, Bytes::get);
        Rotation { max_bytes, keep: own.keep.unwrap_or(self.keep) }
    }
}
