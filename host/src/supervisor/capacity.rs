//! Places for live runs, the gates that hold back new work, and the queue before them.

use std::time::{Duration, Instant};

use super::SupervisorConfig;
use crate::platform::SystemProbe;
use crate::queue::{AGE_STEP, Full, Queue, Ticket};
use crate::sample::SystemLoad;
use crate::spec::{Priority, ProcessId};
use crate::units::{OrOff, Percent};

/// How old the machine's figures may be. Also the time between two looks at closed gates.
pub(super) const FIGURES_AGE: Duration = Duration::from_secs(1);

/// What must be free for a new run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    places: u32,
    memory: OrOff<Percent>,
    load: OrOff<Percent>,
}

impl Bounds {
    fn of(config: &SupervisorConfig) -> Self {
        Self { places: config.max_processes, memory: config.max_memory_in_use, load: config.max_load_per_core }
    }

    /// Why the gates are closed, if they are.
    fn gate(&self, system: &SystemLoad) -> Option<String> {
        let over = |limit: OrOff<Percent>, now: f32, what: &str| {
            let limit = limit.limit().filter(|limit| f64::from(now) > limit.get())?;
            Some(format!("{what} is {now:.0}%, above {limit}"))
        };
        over(self.memory, system.memory_in_use_percent, "memory in use")
            .or_else(|| over(self.load, system.load_per_core_percent, "load per core"))
    }

    fn has_gates(&self) -> bool {
        self.memory.limit().is_some() || self.load.limit().is_some()
    }
}

/// One who waits.
#[derive(Debug)]
struct Waiting {
    id: ProcessId,
    /// Whether the gates do not hold it back.
    exempt: bool,
}

/// A place, or a place in the queue.
#[derive(Debug)]
pub(super) enum Claim {
    Granted,
    Waits { ticket: Ticket, position: usize, reason: String },
}

pub(super) struct Capacity {
    bounds: Bounds,
    in_use: u32,
    queue: Queue<Waiting>,
    probe: SystemProbe,
    system: Option<(Instant, SystemLoad)>,
}

impl Capacity {
    pub(super) fn new(config: &SupervisorConfig) -> Self {
        Self {
            bounds: Bounds::of(config),
            in_use: 0,
            queue: Queue::new(config.queue_length, AGE_STEP),
            probe: SystemProbe::default(),
            system: None,
        }
    }

    pub(super) fn reconfigure(&mut self, config: &SupervisorConfig) {
        self.bounds = Bounds::of(config);
        self.queue.set_capacity(config.queue_length);
    }

    /// Why a new run has to wait, if it has to.
    pub(super) fn hold(&mut self, exempt: bool, now: Instant) -> Option<String> {
        if self.in_use >= self.bounds.places {
            return Some(format!("{} of {} places are taken", self.in_use, self.bounds.places));
        }
        if exempt { None } else { self.closed_gate(now).or_else(|| self.others_first()) }
    }

    fn others_first(&self) -> Option<String> {
        (!self.queue.is_empty()).then(|| "others wait already".to_owned())
    }

    fn closed_gate(&mut self, now: Instant) -> Option<String> {
        if !self.bounds.has_gates() {
            return None;
        }
        let fresh = self.system.filter(|(at, _)| now.saturating_duration_since(*at) < FIGURES_AGE);
        let (_, system) = fresh.unwrap_or_else(|| (now, self.probe.read()));
        self.system = Some(fresh.unwrap_or((now, system)));
        self.bounds.gate(&system)
    }

    /// Whether one more could neither run nor wait.
    pub(super) fn is_exhausted(&mut self, exempt: bool, now: Instant) -> bool {
        self.queue.is_full() && self.hold(exempt, now).is_some()
    }

    /// Take a place, or one in the queue.
    ///
    /// # Errors
    /// When there is neither.
    pub(super) fn claim(
        &mut self,
        id: &ProcessId,
        priority: Priority,
        exempt: bool,
        now: Instant,
    ) -> Result<Claim, Full> {
        let Some(reason) = self.hold(exempt, now) else {
            self.in_use += 1;
            return Ok(Claim::Granted);
        };
        let ticket = self.queue.push(priority, Waiting { id: id.clone(), exempt }, now)?;
        let position = self.queue.position(ticket).unwrap_or(1);
        Ok(Claim::Waits { ticket, position, reason })
    }

    /// The next who may go; it has its place now.
    pub(super) fn next(&mut self, now: Instant) -> Option<ProcessId> {
        if self.queue.is_empty() || self.in_use >= self.bounds.places {
            return None;
        }
        let next = match self.closed_gate(now) {
            None => self.queue.pop(),
            Some(_) => self.queue.pop_where(|waiting| waiting.exempt),
        }?;
        self.in_use += 1;
        Some(next.id)
    }

    /// A run of an earlier life has its place, whether there is room or not.
    pub(super) fn occupy(&mut self) {
        self.in_use = self.in_use.saturating_add(1);
    }

    pub(super) fn release(&mut self) {
        self.in_use = self.in_use.saturating_sub(1);
    }

    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.queue.remove(ticket);
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether somebody waits who has a place but for the gates: nobody will tell when they open.
    pub(super) fn waits_for_gates(&self) -> bool {
        self.has_waiting() && self.in_use < self.bounds.places
    }

    /// Those who wait, next first.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &ProcessId> {
        self.queue.iter().map(|waiting| &waiting.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(places: u32, queue_length: usize) -> Capacity {
        let (max_memory_in_use, max_load_per_core) = (OrOff::Of(Percent(85.0)), OrOff::Off);
        let config = SupervisorConfig {
            max_processes: places,
            queue_length,
            max_memory_in_use,
            max_load_per_core,
            ..SupervisorConfig::default()
        };
        Capacity::new(&config)
    }

    fn with_memory(mut capacity: Capacity, percent: f32, now: Instant) -> Capacity {
        capacity.system = Some((now, SystemLoad { memory_in_use_percent: percent, ..SystemLoad::default() }));
        capacity
    }

    fn granted(capacity: &mut Capacity, name: &str, exempt: bool, now: Instant) -> bool {
        matches!(capacity.claim(&ProcessId::new(name), Priority::Normal, exempt, now), Ok(Claim::Granted))
    }

    #[test]
    fn places_run_out_and_come_back() {
        let now = Instant::now();
        let mut capacity = with_memory(capacity(1, 10), 10.0, now);
        assert!(granted(&mut capacity, "a", false, now));
        assert!(!granted(&mut capacity, "b", true, now), "no exemption makes a place");
        assert_eq!(capacity.next(now), None);
        capacity.release();
        assert_eq!(capacity.next(now), Some(ProcessId::new("b")));
    }

    #[test]
    fn gates_hold_back_new_work_but_not_the_exempt() {
        let now = Instant::now();
        let mut capacity = with_memory(capacity(10, 10), 90.0, now);
        assert_eq!(capacity.hold(false, now).as_deref(), Some("memory in use is 90%, above 85%"));
        assert!(!granted(&mut capacity, "new", false, now));
        assert!(granted(&mut capacity, "exempt", true, now));
        assert!(capacity.waits_for_gates());
        let mut capacity = with_memory(capacity, 50.0, now);
        assert_eq!(capacity.next(now), Some(ProcessId::new("new")));
    }

    #[test]
    fn nobody_new_passes_those_who_wait() {
        let now = Instant::now();
        let mut capacity = with_memory(capacity(1, 10), 10.0, now);
        assert!(granted(&mut capacity, "a", false, now));
        assert!(!granted(&mut capacity, "b", false, now));
        capacity.release();
        assert!(!granted(&mut capacity, "c", false, now), "b was there before");
        assert_eq!(capacity.next(now), Some(ProcessId::new("b")));
    }

    #[test]
    fn with_neither_place_nor_queue_it_is_exhausted() {
        let now = Instant::now();
        let mut capacity = with_memory(capacity(1, 1), 10.0, now);
        assert!(granted(&mut capacity, "a", false, now));
        assert!(!capacity.is_exhausted(false, now));
        assert!(!granted(&mut capacity, "b", false, now));
        assert!(capacity.is_exhausted(false, now));
        assert!(capacity.claim(&ProcessId::new("c"), Priority::Critical, true, now).is_err());
    }
}
