//! What the next life of the supervisor must know of a process to go on with it.
//!
//! Owns the vocabulary between the supervisor, which says it, and the store, which keeps it. It does no I/O.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::decision::Ending;
use crate::spec::ProcessSpec;

/// What is kept of a process besides its record, for the supervisor alone: the specification holds environment values,
/// which are secrets, so this is in no answer, event or log; on disk it stands in a file for its owner only (0600).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Care {
    /// What to run.
    pub spec: Arc<ProcessSpec>,
    /// Whether the configuration asked for it, and not a person or a program.
    pub configured: bool,
    /// What the restart policy last counted.
    pub attempts: u32,
    /// Whether somebody has stopped its clock.
    #[serde(default)]
    pub paused: bool,
    /// What comes after the end of its run, when somebody wants that end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Then>,
}

/// What comes after the end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// It ended by itself: how it ended decides.
    Judge,
    /// The host ended it: this is how, and it decides.
    JudgeAs(Ending),
    /// It stays down because it was asked to be.
    Down {
        /// Why.
        reason: String,
    },
    /// It stays down because it may not go on; this is a failure.
    Fail {
        /// How the run counts.
        ending: Ending,
        /// Why.
        reason: String,
    },
    /// It starts again at once: a person wants it so.
    Restart,
}

impl Then {
    /// Why the run is to end, for a person; empty when it ended by itself.
    pub fn reason(&self) -> String {
        match self {
            Self::Judge => String::new(),
            Self::JudgeAs(ending) => ending.to_string(),
            Self::Down { reason } | Self::Fail { reason, .. } => reason.clone(),
            Self::Restart => "restart asked for".to_owned(),
        }
    }
}
