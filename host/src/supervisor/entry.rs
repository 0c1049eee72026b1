//! The record of a process as it enters the registry.

use std::collections::BTreeMap;
use std::path::Path;

use super::paths::OutputFiles;
use crate::health::{Health, IssueSet};
use crate::record::{LimitInForce, ProcessRecord, Status};
use crate::sample::Trend;
use crate::spec::{ProcessId, ProcessSpec};
use crate::units::Timestamp;

/// A path as records and policies are shown it.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The record of a process that has not begun yet: what its specification says, and nothing measured.
pub(super) fn of(
    spec: &ProcessSpec,
    directory: &Path,
    output: &OutputFiles,
    limits: Vec<LimitInForce>,
    id: &ProcessId,
) -> ProcessRecord {
    ProcessRecord {
        process_id: id.clone(),
        name: spec.name.clone(),
        task_id: spec.task_id.clone(),
        agent_type: spec.agent_type.clone(),
        priority: spec.priority,
        command: spec.command.first().cloned().unwrap_or_default(),
        args: spec.command.get(1..).unwrap_or_default().to_vec(),
        directory: text(directory),
        tags: spec.tags.clone(),
        metadata: spec.metadata.clone(),
        restart: spec.restart,
        status: Status::Queued,
        reason: String::new(),
        health: Health::Unknown,
        health_score: None,
        health_status: None,
        issues: IssueSet::default(),
        run: None,
        run_number: 0,
        parent_pid: std::process::id(),
        child_pids: Vec::new(),
        registered_at_ms: Timestamp::now(),
        started_at_ms: None,
        last_active_at_ms: None,
        ended_at_ms: None,
        last_restart_at_ms: None,
        next_restart_at_ms: None,
        restarts: 0,
        exit: None,
        usage: None,
        peak_memory_bytes: 0,
        cpu_time_ms: 0,
        memory_trend: Trend::default(),
        cpu_trend: Trend::default(),
        responsiveness: 100,
        stability: 100,
        limits,
        sandbox: BTreeMap::new(),
        violations: BTreeMap::new(),
        runs: Vec::new(),
        queue_position: None,
        stdout_path: Some(text(&output.stdout)),
        stderr_path: Some(text(&output.stderr)),
        care: None,
    }
}
