//! What the monitor wants of the supervisor for one run, kept until the supervisor has taken it.
//!
//! Pure. Only the monitor enters. The channel to the supervisor may be full; what did not fit stays due and is asked
//! again at the next tick. Each thing but idleness is asked once in a run.

/// Something to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// Restart it for its health.
    Unhealthy,
    /// Restart it for its memory.
    Memory,
    /// Make it less favoured for its CPU.
    Throttle,
    /// It is idle now, or no longer.
    Idle(bool),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Ask {
    #[default]
    No,
    Due,
    Made,
}

/// The requests of one run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Requests {
    unhealthy: Ask,
    memory: Ask,
    throttle: Ask,
    idle_told: bool,
}

impl Requests {
    /// Ask for this as soon as there is room, unless it was asked before.
    pub(super) fn want(&mut self, request: Request) {
        if let Some(ask) = self.ask(request).filter(|ask| **ask == Ask::No) {
            *ask = Ask::Due;
        }
    }

    /// What is due, given whether the run is idle now.
    pub(super) fn due(self, idle: bool) -> impl Iterator<Item = Request> {
        [
            (self.memory == Ask::Due).then_some(Request::Memory),
            (self.unhealthy == Ask::Due).then_some(Request::Unhealthy),
            (self.throttle == Ask::Due).then_some(Request::Throttle),
            (self.idle_told != idle).then_some(Request::Idle(idle)),
        ]
        .into_iter()
        .flatten()
    }

    /// The supervisor has taken it.
    pub(super) fn made(&mut self, request: Request) {
        match self.ask(request) {
            Some(ask) => *ask = Ask::Made,
            None => self.idle_told = request == Request::Idle(true),
        }
    }

    fn ask(&mut self, request: Request) -> Option<&mut Ask> {
        match request {
            Request::Unhealthy => Some(&mut self.unhealthy),
            Request::Memory => Some(&mut self.memory),
            Request::Throttle => Some(&mut self.throttle),
            Request::Idle(_) => None,
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
