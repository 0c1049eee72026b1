//! What can be set: for each measure three thresholds, any of which, or all together, can be `"off"`.

use std::time::Duration;

wasmvisor_policy_sdk::settings! {
    /// Thresholds that are numbers.
    pub struct Levels {
        /// From here on it is a warning.
        warning: Option<f64> = None, in 0.0..=1000000.0;
        /// From here on it is critical.
        critical: Option<f64> = None, in 0.0..=1000000.0;
        /// From here on it is an emergency.
        emergency: Option<f64> = None, in 0.0..=1000000.0;
    }
}

wasmvisor_policy_sdk::settings! {
    /// Thresholds that are durations.
    pub struct Spans {
        /// Under this it is a warning.
        warning: Option<Duration> = None, in 0.0..=86400.0;
        /// Under this it is critical.
        critical: Option<Duration> = None, in 0.0..=86400.0;
        /// Under this it is an emergency.
        emergency: Option<Duration> = None, in 0.0..=86400.0;
    }
}

wasmvisor_policy_sdk::settings! {
    /// Settings of `alert-threshold`.
    pub struct Settings {
        /// Memory in percent of its limit; a finding at or above.
        memory: Option<Levels> = levels(80.0, 90.0, Some(98.0));
        /// CPU in percent of its limit; a finding at or above.
        cpu: Option<Levels> = levels(90.0, 100.0, Some(150.0));
        /// Execution time in percent of its limit; a finding at or above.
        execution_time: Option<Levels> = levels(90.0, 100.0, None);
        /// Open file handles in percent of their limit; a finding at or above.
        file_handles: Option<Levels> = levels(80.0, 95.0, Some(100.0));
        /// Threads in percent of their limit; a finding at or above.
        threads: Option<Levels> = levels(80.0, 95.0, Some(100.0));
        /// Responsiveness, 0 to 100; a finding below.
        responsiveness: Option<Levels> = levels(70.0, 50.0, Some(20.0));
        /// Score of the health policy, 0 to 100; a finding below.
        health: Option<Levels> = levels(60.0, 30.0, Some(10.0));
        /// Time until memory is forecast to cross its limit; a finding below.
        memory_forecast: Option<Spans> = spans(300, 120, 30);
        /// Restarts in the last 10 minutes; a finding at or above.
        restarts: Option<Levels> = levels(3.0, 5.0, Some(10.0));
    }
}

const fn levels(warning: f64, critical: f64, emergency: Option<f64>) -> Option<Levels> {
    Some(Levels { warning: Some(warning), critical: Some(critical), emergency })
}

const fn spans(warning: u64, critical: u64, emergency: u64) -> Option<Spans> {
    Some(Spans {
        warning: Some(Duration::from_secs(warning)),
        critical: Some(Duration::from_secs(critical)),
        emergency: Some(Duration::from_secs(emergency)),
    })
}
