//! What the monitor wants of the supervisor for one run, kept until the supervisor has taken it.
//!
//! Pure. Only the monitor enters. The channel to the supervisor may be full; what did not fit stays due and is asked
//! again at the next tick. Each thing but idleness is asked once in a run.

use crate::decision::LimitKind;

/// Something to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// Restart it for its health.
    Unhealthy,
    /// End it for this limit.
    End(LimitKind),
    /// Make it less favoured for this limit.
    Throttle(LimitKind),
    /// It is idle now, or no longer.
    Idle(bool),
}

/// Something that is asked once, and what about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Ask<T> {
    #[default]
    No,
    Due(T),
    Made,
}

impl<T: Copy> Ask<T> {
    fn want(&mut self, about: T) {
        if matches!(self, Self::No) {
            *self = Self::Due(about);
        }
    }

    const fn due(self) -> Option<T> {
        match self {
            Self::Due(about) => Some(about),
            Self::No | Self::Made => None,
        }
    }
}

/// The requests of one run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Requests {
    unhealthy: Ask<()>,
    end: Ask<LimitKind>,
    throttle: Ask<LimitKind>,
    idle_told: bool,
}

impl Requests {
    /// Ask for this as soon as there is room, unless it was asked before.
    pub(super) fn want(&mut self, request: Request) {
        match request {
            Request::Unhealthy => self.unhealthy.want(()),
            Request::End(limit) => self.end.want(limit),
            Request::Throttle(limit) => self.throttle.want(limit),
            Request::Idle(_) => {}
        }
    }

    /// What is due, given whether the run is idle now.
    pub(super) fn due(self, idle: bool) -> impl Iterator<Item = Request> {
        [
            self.end.due().map(Request::End),
            self.unhealthy.due().map(|()| Request::Unhealthy),
            self.throttle.due().map(Request::Throttle),
            (self.idle_told != idle).then_some(Request::Idle(idle)),
        ]
        .into_iter()
        .flatten()
    }

    /// The supervisor has taken it.
    pub(super) fn made(&mut self, request: Request) {
        match request {
            Request::Unhealthy => self.unhealthy = Ask::Made,
            Request::End(_) => self.end = Ask::Made,
            Request::Throttle(_) => self.throttle = Ask::Made,
            Request::Idle(idle) => self.idle_told = idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(requests: Requests, idle: bool) -> Vec<Request> {
        requests.due(idle).collect()
    }

    #[test]
    fn a_request_stays_due_until_it_is_made_and_is_then_never_made_again() {
        let mut requests = Requests::default();
        requests.want(Request::Unhealthy);
        assert_eq!(due(requests, false), [Request::Unhealthy]);
        assert_eq!(due(requests, false), [Request::Unhealthy]);
        requests.made(Request::Unhealthy);
        requests.want(Request::Unhealthy);
        assert_eq!(due(requests, false), []);
    }

    #[test]
    fn idleness_is_told_whenever_it_changes() {
        let mut requests = Requests::default();
        assert_eq!(due(requests, true), [Request::Idle(true)]);
        requests.made(Request::Idle(true));
        assert_eq!(due(requests, true), []);
        assert_eq!(due(requests, false), [Request::Idle(false)]);
    }
}
