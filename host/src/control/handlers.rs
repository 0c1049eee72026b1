//! What each route does: find what is meant, ask the room that knows, give its answer.

pub(super) mod agents;
pub(super) mod events;
pub(super) mod policies;
pub(super) mod processes;
pub(super) mod system;
