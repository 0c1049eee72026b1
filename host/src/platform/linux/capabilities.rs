//! Which capabilities this process has (capabilities(7)).
//!
//! Owns no state. `prepare` and `abilities` enter. What counts is the capability and never the user: root may lack one,
//! and an ordinary user may have it.

/// Numbers of `linux/capability.h`.
pub(super) const SETGID: u32 = 6;
pub(super) const SETUID: u32 = 7;
pub(super) const SYS_ADMIN: u32 = 21;
pub(super) const SYS_NICE: u32 = 23;
pub(super) const SYS_RESOURCE: u32 = 24;

/// The effective set, a bit each; `None` when `/proc` does not tell.
pub(super) fn effective() -> Option<u64> {
    effective_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn effective_in(status: &str) -> Option<u64> {
    let text = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(text.trim(), 16).ok()
}

/// Whether a set has this one.
pub(super) const fn has(set: u64, capability: u32) -> bool {
    set & (1 << capability) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_set_is_read_by_its_name() {
        let set = effective_in("CapPrm:\t0000000000000000\nCapEff:\t00000000000000c0\n").unwrap();
        assert!(has(set, SETGID) && has(set, SETUID) && !has(set, SYS_ADMIN));
        assert_eq!(effective_in("Name:\tx\n"), None);
    }
}
