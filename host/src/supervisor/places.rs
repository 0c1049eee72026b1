//! Places given out, and the queue of those who wait for one.

use std::time::Duration;

use super::capacity::{Claim, FIGURES_AGE};
use super::run::Process;
use super::task::Task;
use super::timers::Due;
use crate::event::EventBody;
use crate::lifecycle::Input;

/// The positions of those who wait are shown at most this often.
const POSITIONS_EVERY: Duration = Duration::from_millis(200);

impl Task {
    pub(super) fn seek_place(&mut self, process: &mut Process) -> Option<Input> {
        let (id, priority) = (&process.identity.process_id, process.identity.priority);
        match self.capacity.claim(id, priority, process.exempt, self.now) {
            Ok(Claim::Granted) => {
                process.holds_place = true;
                Some(Input::PlaceGranted)
            }
            Ok(Claim::Waits { ticket, position, reason }) => {
                (process.ticket, process.position) = (Some(ticket), Some(position));
                self.due.queue_moved = true;
                self.outbox.event(EventBody::Queued { who: process.who(), position, priority, reason });
                process.change(move |record| record.queue_position = Some(position));
                None
            }
            // Looked at before the start was asked for, so this is a start that lost a race within one turn.
            Err(full) => Some(Input::Stop { reason: full.to_string() }),
        }
    }

    pub(super) fn let_in_who_waits(&mut self) {
        while let Some(id) = self.capacity.next(self.now) {
            self.due.queue_moved = true;
            if let Some(process) = self.processes.get_mut(&id) {
                (process.ticket, process.position, process.holds_place) = (None, None, true);
            }
            self.note(&id, Input::PlaceGranted);
        }
        if self.capacity.waits_for_gates() && !self.due.gates {
            self.due.gates = true;
            self.timers.arm(self.now + FIGURES_AGE, Due::Gates);
        }
        if std::mem::take(&mut self.due.queue_moved) && self.capacity.has_waiting() && !self.due.positions {
            self.due.positions = true;
            self.timers.arm(self.now + POSITIONS_EVERY, Due::Positions);
        }
    }

    pub(super) fn show_positions(&mut self) {
        self.due.positions = false;
        for (ahead, id) in self.capacity.waiting().enumerate() {
            let position = Some(ahead + 1);
            let Some(process) = self.processes.get_mut(id).filter(|process| process.position != position) else {
                continue;
            };
            process.position = position;
            process.change(move |record| record.queue_position = position);
            process.show(&mut self.outbox, self.at);
        }
    }
}
