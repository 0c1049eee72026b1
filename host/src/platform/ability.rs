//! What a machine can do for its supervisor.

/// Something that the system may or may not be able to do here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ability {
    /// What it is called, unique among all.
    pub name: &'static str,
    /// Whether it is there.
    pub present: bool,
    /// Whether nothing can be run without it.
    pub essential: bool,
    /// What was seen, for a person.
    pub detail: String,
    /// What is lost without it, and how to get it.
    pub costs: &'static str,
}
