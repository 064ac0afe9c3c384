//! The order of derived tables' notifications: the written table first, then the tables derived of it.
//!
//! Invariant: a derived table notifies a connection of a batch in the stream of the table that the batch was written
//! to, in a slot that was reserved before any later message of that stream. So a connection receives the notifications
//! of a batch from all tables, the written one first, before the reply to any later request about the written table.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use super::reorder_buffer::StreamKey;
use super::{Outbox, Outgoing, Reservation, SessionId, StreamId};

/// Open while the written table notifies of a batch; dropped when its own notifications are sent or reserved.
#[derive(Debug)]
pub struct BatchScope {
    reservation: Reservation,
}

/// A derived table's slot for one batch and one connection; released when it is dropped.
#[derive(Debug)]
pub struct DerivedSlot {
    reservation: Reservation,
    is_used: Cell<bool>,
}

/// A derived table's slots for one batch, by connection.
pub type DerivedSlots = HashMap<SessionId, DerivedSlot>;

impl BatchScope {
    /// Opens a scope in the written table's stream.
    pub fn open(outbox: &Arc<Outbox>, stream: StreamId) -> BatchScope {
        let key = outbox.lock().streams.open_scope(stream);
        BatchScope { reservation: outbox.reservation(stream, key) }
    }

    /// Reserves a slot for a derived table.
    pub fn derived_slot(&self, derivation_rank: u32) -> DerivedSlot {
        self.reservation.derived_slot(derivation_rank)
    }
}

impl DerivedSlot {
    /// Reserves a slot after this one, for a table derived of this slot's table.
    pub fn derived_slot(&self, derivation_rank: u32) -> DerivedSlot {
        self.reservation.derived_slot(derivation_rank)
    }

    /// Appends a message to the slot.
    pub fn push(&self, message: Outgoing) {
        self.reserve().fill(message);
    }

    /// Reserves a position in the slot for a message that is still being computed.
    pub fn reserve(&self) -> Reservation {
        self.is_used.set(true);
        let Reservation { outbox, stream, key } = &self.reservation;
        match key {
            Some(key) => {
                let key = outbox.lock().streams.reserve_in(*stream, *key);
                outbox.reservation(*stream, key)
            }
            None => outbox.unordered(*stream),
        }
    }

    /// Closes the slot. Later messages in the table's own stream wait for those of the slot.
    pub fn end(self, own: StreamId) {
        if let (true, Some(key)) = (self.is_used.get(), self.reservation.key) {
            self.reservation.outbox.lock().streams.insert_barrier(own, self.reservation.stream, key);
        }
    }
}

impl Reservation {
    fn derived_slot(&self, derivation_rank: u32) -> DerivedSlot {
        let Reservation { outbox, stream, key } = self;
        let key = key
            .map(|key: StreamKey| outbox.lock().streams.reserve_derived_slot(*stream, key, derivation_rank));
        DerivedSlot {
            reservation: Reservation { outbox: outbox.clone(), stream: *stream, key },
            is_used: Cell::new(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::tests::{drain, outbox, reply, updated};

    #[test]
    fn derived_tables_notify_after_their_source_and_before_its_later_replies() {
        let outbox = outbox();
        let (source, derived) = (StreamId::fresh(), StreamId::fresh());
        let scope = BatchScope::open(&outbox, source);
        let (join, derivation) = (scope.derived_slot(2), scope.derived_slot(1));
        outbox.push(source, reply("reply of the source"));
        let rows = outbox.reserve(source);
        // The derived tables finish before the source and its view.
        join.push(updated(3, None));
        join.end(StreamId::fresh());
        let derived_rows = derivation.reserve();
        derivation.end(derived);
        outbox.push(derived, reply("reply of the derived table"));
        outbox.push(source, updated(1, None));
        drop(scope);
        outbox.push(source, reply("later"));
        assert_eq!(drain(&outbox), [reply("reply of the source")]);
        derived_rows.fill(updated(2, None));
        assert_eq!(drain(&outbox), []);
        rows.fill(updated(0, None));
        let notifications: Vec<_> = (0..4).map(|number| updated(number, None)).collect();
        let replies = [reply("later"), reply("reply of the derived table")];
        assert_eq!(drain(&outbox), [&notifications[..], &replies].concat());
    }

    #[test]
    fn an_unused_slot_delays_no_message() {
        let outbox = outbox();
        let (source, derived) = (StreamId::fresh(), StreamId::fresh());
        let scope = BatchScope::open(&outbox, source);
        let derived_slot = scope.derived_slot(1);
        let beneath = derived_slot.derived_slot(3);
        drop(scope);
        outbox.push(source, reply("later"));
        derived_slot.end(derived);
        outbox.push(derived, reply("at once"));
        assert_eq!(drain(&outbox), [reply("at once")]);
        drop(beneath);
        assert_eq!(drain(&outbox), [reply("later")]);
    }

    #[test]
    fn two_joins_of_two_tables_do_not_deadlock() {
        let outbox = outbox();
        let (left, right) = (StreamId::fresh(), StreamId::fresh());
        let joins = [StreamId::fresh(), StreamId::fresh()];
        let scopes = [left, right].map(|stream| BatchScope::open(&outbox, stream));
        let derived_slots = [0, 1].map(|_| [scopes[0].derived_slot(2), scopes[1].derived_slot(2)]);
        drop(scopes);
        outbox.push(left, reply("left"));
        outbox.push(right, reply("right"));
        // One join handles the left delta first, the other the right one.
        let [[a, b], [c, d]] = derived_slots;
        for (derived_slot, join, number) in [(a, 0, 1), (d, 1, 2), (b, 0, 3), (c, 1, 4)] {
            derived_slot.push(updated(number, None));
            derived_slot.end(joins[join]);
        }
        for join in joins {
            outbox.push(join, reply("join"));
        }
        let delivered = drain(&outbox);
        assert_eq!(delivered.len(), 8);
        let at = |wanted: &Outgoing| delivered.iter().position(|message| message == wanted).unwrap();
        assert!(at(&reply("left")) > at(&updated(1, None)).max(at(&updated(4, None))));
        assert!(at(&reply("right")) > at(&updated(2, None)).max(at(&updated(3, None))));
        assert!(at(&reply("join")) > at(&updated(1, None)).max(at(&updated(3, None))));
    }
}
