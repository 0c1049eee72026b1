//! What the host keeps beside each instance: its share of memory and the log lines it may write.
//!
//! Entered by wasmtime while a guest runs, and by `plugin` between calls.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::bindings::log;

/// Lines kept of one call; the contract's figure (wit/0.1/types.wit, `log`).
const MAX_LINES: u32 = 64;
/// Bytes kept of one line; the contract's figure.
const MAX_LINE: usize = 4096;
/// Table elements of one instance; a policy with every function in its table needs a few thousand.
const MAX_TABLE_ELEMENTS: usize = 65_536;

/// The data of a store.
pub(super) struct GuestState {
    plugin: Arc<str>,
    memory_budget: usize,
    memory: usize,
    table_elements: usize,
    lines: u32,
}

/// The guest wanted more memory or table space than its budget.
#[derive(Debug, thiserror::Error)]
#[error("it wanted {wanted} {what} and may have {budget}")]
pub(super) struct OverBudget {
    wanted: usize,
    what: &'static str,
    budget: usize,
}

impl GuestState {
    pub(super) fn new(plugin: Arc<str>, memory_budget: usize) -> Self {
        Self { plugin, memory_budget, memory: 0, table_elements: 0, lines: 0 }
    }

    /// To be called before each call: the log allowance is per call.
    pub(super) fn begin_call(&mut self) {
        self.lines = 0;
    }

    /// To be called after each call: says how many lines were dropped.
    pub(super) fn end_call(&mut self) {
        if self.lines > MAX_LINES {
            tracing::warn!(policy = %self.plugin, dropped = self.lines - MAX_LINES, "policy logged too much");
        }
    }
}

/// Growth beyond the budget ends the call at once: a guest that is told "no" and goes on would only spend its deadline
/// before it failed all the same. Memories and tables of an instance share one budget each.
impl ResourceLimiter for GuestState {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory.saturating_add(desired.saturating_sub(current));
        if wanted > self.memory_budget {
            return Err(OverBudget { wanted, what: "bytes of memory", budget: self.memory_budget }.into());
        }
        self.memory = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.table_elements.saturating_add(desired.saturating_sub(current));
        if wanted > MAX_TABLE_ELEMENTS {
            return Err(OverBudget { wanted, what: "table elements", budget: MAX_TABLE_ELEMENTS }.into());
        }
        self.table_elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        16
    }

    fn tables(&self) -> usize {
        16
    }

    fn memories(&self) -> usize {
        4
    }
}

impl log::Host for GuestState {
    fn log(&mut self, level: log::Level, message: String) {
        self.lines = self.lines.saturating_add(1);
        if self.lines > MAX_LINES {
            return;
        }
        let line = truncated(&message, MAX_LINE);
        let policy: &str = &self.plugin;
        match level {
            log::Level::Debug => tracing::debug!(policy, "{line}"),
            log::Level::Info => tracing::info!(policy, "{line}"),
            log::Level::Warn => tracing::warn!(policy, "{line}"),
            log::Level::Error => tracing::error!(policy, "{line}"),
        }
    }
}

/// The longest start of `text` that has at most `limit` bytes.
fn truncated(text: &str, limit: usize) -> &str {
    if text.len() <= limit { text } else { &text[..text.floor_char_boundary(limit)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_of_several_memories_is_counted_together() {
        let mut state = GuestState::new("test".into(), 100);
        assert!(state.memory_growing(0, 60, None).unwrap());
        let error = state.memory_growing(0, 60, None).unwrap_err();
        assert!(error.downcast_ref::<OverBudget>().is_some(), "{error}");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(truncated("aé", 2), "a");
        assert_eq!(truncated("aé", 3), "aé");
    }
}
