//! The machine's own figures, by `sysinfo`.
//!
//! Owns its handle. The monitor and the supervisor's gates enter.

use sysinfo::System;

use crate::sample::SystemLoad;

/// Reads the machine's own figures.
#[derive(Debug)]
pub struct SystemProbe {
    /// Absent when the system's figures cannot be had; they then read as 0.
    system: Option<System>,
}

impl Default for SystemProbe {
    fn default() -> Self {
        Self { system: System::new().ok() }
    }
}

impl SystemProbe {
    /// Memory in use, load, cores, now.
    pub fn read(&mut self) -> SystemLoad {
        let memory = |system: &mut System| {
            system.refresh_memory();
            (system.total_memory(), system.available_memory())
        };
        let (total, available) = self.system.as_mut().map_or((0, 0), memory);
        let load = System::load_average().map_or(0.0, |load| load.one);
        let in_use = total.saturating_sub(available) as f64 / total.max(1) as f64;
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        SystemLoad {
            memory_in_use_percent: (in_use * 100.0) as f32,
            load_per_core_percent: (load / f64::from(cores) * 100.0) as f32,
            cores,
            memory_total_bytes: total,
        }
    }
}
