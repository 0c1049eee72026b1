//! What can be set: for each measure the threshold and what crossing it costs. The defaults are those of the system's
//! first form: memory 70/90 % of the limit costs 10/25, CPU 80/95 % costs 8/20, execution time over its limit 15, file
//! handles over theirs 10, responsiveness under 70/50 costs 10/20.

use std::time::Duration;

use wasmvisor_policy_sdk::SettingsProblem;
use wasmvisor_policy_sdk::settings::problem;

wasmvisor_policy_sdk::settings! {
    /// Settings of `health-score`. Percentages are of the limit, costs are points of the score.
    pub struct Settings {
        /// Memory, in percent of its limit, from which it is close to the limit.
        memory_warning_percent: f64 = 70.0, in 1.0..=1000.0;
        /// What that costs.
        memory_warning_cost: u32 = 10, in 0.0..=100.0;
        /// Memory, in percent of its limit, from which it is critical.
        memory_critical_percent: f64 = 90.0, in 1.0..=1000.0;
        /// What that costs, instead of the warning's cost.
        memory_critical_cost: u32 = 25, in 0.0..=100.0;
        /// CPU, in percent of its limit, from which it is close to the limit.
        cpu_warning_percent: f64 = 80.0, in 1.0..=1000.0;
        /// What that costs.
        cpu_warning_cost: u32 = 8, in 0.0..=100.0;
        /// CPU, in percent of its limit, from which it is critical.
        cpu_critical_percent: f64 = 95.0, in 1.0..=1000.0;
        /// What that costs, instead of the warning's cost.
        cpu_critical_cost: u32 = 20, in 0.0..=100.0;
        /// What a run costs that lasts longer than its limit.
        execution_time_cost: u32 = 15, in 0.0..=100.0;
        /// What more open file handles than the limit cost.
        file_handles_cost: u32 = 10, in 0.0..=100.0;
        /// What more threads than the limit cost.
        threads_cost: u32 = 5, in 0.0..=100.0;
        /// Responsiveness (0 to 100) under which a process is slow to answer.
        responsiveness_warning: f64 = 70.0, in 0.0..=100.0;
        /// What that costs.
        responsiveness_warning_cost: u32 = 10, in 0.0..=100.0;
        /// Responsiveness (0 to 100) under which a process hardly answers.
        responsiveness_critical: f64 = 50.0, in 0.0..=100.0;
        /// What that costs, instead of the warning's cost.
        responsiveness_critical_cost: u32 = 20, in 0.0..=100.0;
        /// Stability (0 to 100) under which a process failed too often of late.
        stability_warning: f64 = 50.0, in 0.0..=100.0;
        /// What that costs.
        stability_cost: u32 = 10, in 0.0..=100.0;
        /// Memory that rises is a leak when it is forecast to cross its limit within this time.
        leak_horizon: Duration = Duration::from_secs(300), in 0.0..=86400.0;
        /// What a leak costs.
        leak_cost: u32 = 5, in 0.0..=100.0;
        /// Score from which a process is healthy.
        healthy_score: u32 = 80, in 0.0..=100.0;
        /// Score from which a process that is not healthy is only a warning.
        warning_score: u32 = 60, in 0.0..=100.0;
        /// Score from which a process is critical; below it is failing.
        critical_score: u32 = 30, in 0.0..=100.0;
    }
}

impl Settings {
    /// What is wrong between the values: of two thresholds the worse one must come later.
    pub fn problems(&self) -> Vec<SettingsProblem> {
        let pairs = [
            (
                "memory_warning_percent",
                self.memory_warning_percent,
                "memory_critical_percent",
                self.memory_critical_percent,
            ),
            ("cpu_warning_percent", self.cpu_warning_percent, "cpu_critical_percent", self.cpu_critical_percent),
            (
                "responsiveness_critical",
                self.responsiveness_critical,
                "responsiveness_warning",
                self.responsiveness_warning,
            ),
            ("warning_score", self.warning_score.into(), "healthy_score", self.healthy_score.into()),
            ("critical_score", self.critical_score.into(), "warning_score", self.warning_score.into()),
        ];
        pairs
            .into_iter()
            .filter(|(_, low, _, high)| low >= high)
            .map(|(low_name, low, high_name, high)| {
                problem(format!("/{low_name}"), format!("is {low}, but must be less than {high_name}, which is {high}"))
            })
            .collect()
    }
}
