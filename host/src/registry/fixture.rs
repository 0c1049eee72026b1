//! Records for the tests of the registry and the store.

use serde_json::json;

use crate::record::ProcessRecord;

/// A running process of this id, the same for its name, registered and started at 1000 ms, without a run identity.
pub(crate) fn record(id: &str) -> ProcessRecord {
    let trend = json!({ "slope_per_second": 0.0, "direction": "unknown", "confidence": 0.0 });
    serde_json::from_value(json!({
        "process_id": id, "name": id, "task_id": "", "agent_type": "", "priority": "normal", "command": "/bin/sleep",
        "args": ["1"], "directory": "/", "tags": [], "metadata": {}, "restart": "on-failure", "status": "running",
        "reason": "", "health": "unknown", "issues": [], "run_number": 1, "parent_pid": 1, "child_pids": [],
        "registered_at_ms": 1000, "started_at_ms": 1000, "restarts": 0, "peak_memory_bytes": 0, "cpu_time_ms": 0,
        "memory_trend": trend, "cpu_trend": trend, "responsiveness": 100, "stability": 100, "limits": [],
        "violations": {}, "runs": [],
    }))
    .expect("the fixture has every field of a record")
}
