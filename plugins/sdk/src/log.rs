//! Lines for the host's log, the only thing a policy may call. Of one call the host keeps 64 lines of at most 4 KiB.
//!
//! Natively (in tests) the lines go nowhere: there is no host.

use crate::bindings::vocabulary::wasmvisor::policy::log::Level;

/// A line for those who debug the policy.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// A line worth reading in normal operation.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// A line about something odd that the policy could deal with.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// A line about something that the policy could not deal with.
pub fn error(message: &str) {
    write(Level::Error, message);
}

/// Let the host's log say why the policy panics; all it would see otherwise is a trap.
pub(crate) fn panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    crate::bindings::vocabulary::wasmvisor::policy::log::log(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
const fn write(_level: Level, _message: &str) {}
