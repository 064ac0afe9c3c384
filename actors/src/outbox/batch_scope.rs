//! How tables that are derived of others speak in the order of those: first whoever was written, then what follows it.
//!
//! Law: a table that is derived tells a connection of a batch in the lane of the table that the batch was written to,
//! in a turn that was held for it before anything later could be said there. So a connection hears of a batch from all
//! tables, the written one first, before it hears any answer to a later request about the written table.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use super::reorder_buffer::StreamKey;
use super::{Outbox, Outgoing, Reservation, SessionId, StreamId};

/// The word of the table that a batch is written to; dropped when it has said what it has to say.
#[derive(Debug)]
pub struct BatchScope {
    reservation: Reservation,
}

/// The word of one derived table, for one batch and one connection; it ends when it is dropped.
#[derive(Debug)]
pub struct DerivedSlot {
    reservation: Reservation,
    is_used: Cell<bool>,
}

/// Where a derived table speaks of one batch, by connection.
pub type DerivedSlots = HashMap<SessionId, DerivedSlot>;

impl BatchScope {
    pub fn open(outbox: &Arc<Outbox>, stream: StreamId) -> BatchScope {
        let key = outbox.lock().streams.open_scope(stream);
        BatchScope { reservation: outbox.reservation(stream, key) }
    }

    /// A turn for a table that is derived.
    pub fn derived_slot(&self, derivation_rank: u32) -> DerivedSlot {
        self.reservation.derived_slot(derivation_rank)
    }
}

impl DerivedSlot {
    /// A turn, after this one, for a table that is derived of this one's.
    pub fn derived_slot(&self, derivation_rank: u32) -> DerivedSlot {
        self.reservation.derived_slot(derivation_rank)
    }

    pub fn push(&self, message: Outgoing) {
        self.reserve().fill(message);
    }

    /// Holds a place for something that is still being computed.
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

    /// Ends the turn. What the table says from now on in its own lane waits for what it said here.
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
    use crate::outbox::tests::{answer, drain, outbox, updated};

    #[test]
    fn derived_tables_speak_after_their_source_and_before_its_later_answers() {
        let outbox = outbox();
        let (source, derived) = (StreamId::fresh(), StreamId::fresh());
        let scope = BatchScope::open(&outbox, source);
        let (join, derivation) = (scope.derived_slot(2), scope.derived_slot(1));
        outbox.push(source, answer("answer of the source"));
        let rows = outbox.reserve(source);
        // The derived tables are quicker than the source and its view.
        join.push(updated(3, None));
        join.end(StreamId::fresh());
        let derived_rows = derivation.reserve();
        derivation.end(derived);
        outbox.push(derived, answer("answer of the derived table"));
        outbox.push(source, updated(1, None));
        drop(scope);
        outbox.push(source, answer("later"));
        assert_eq!(drain(&outbox), [answer("answer of the source")]);
        derived_rows.fill(updated(2, None));
        assert_eq!(drain(&outbox), []);
        rows.fill(updated(0, None));
        let said: Vec<_> = (0..4).map(|number| updated(number, None)).collect();
        let answers = [answer("later"), answer("answer of the derived table")];
        assert_eq!(drain(&outbox), [&said[..], &answers].concat());
    }

    #[test]
    fn a_turn_that_nobody_takes_holds_up_nobody() {
        let outbox = outbox();
        let (source, derived) = (StreamId::fresh(), StreamId::fresh());
        let scope = BatchScope::open(&outbox, source);
        let derived_slot = scope.derived_slot(1);
        let beneath = derived_slot.derived_slot(3);
        drop(scope);
        outbox.push(source, answer("later"));
        derived_slot.end(derived);
        outbox.push(derived, answer("at once"));
        assert_eq!(drain(&outbox), [answer("at once")]);
        drop(beneath);
        assert_eq!(drain(&outbox), [answer("later")]);
    }

    #[test]
    fn two_joins_of_two_tables_wait_in_no_circle() {
        let outbox = outbox();
        let (left, right) = (StreamId::fresh(), StreamId::fresh());
        let joins = [StreamId::fresh(), StreamId::fresh()];
        let scopes = [left, right].map(|stream| BatchScope::open(&outbox, stream));
        let derived_slots = [0, 1].map(|_| [scopes[0].derived_slot(2), scopes[1].derived_slot(2)]);
        drop(scopes);
        outbox.push(left, answer("left"));
        outbox.push(right, answer("right"));
        // One looks at the left first, the other at the right.
        let [[a, b], [c, d]] = derived_slots;
        for (derived_slot, join, number) in [(a, 0, 1), (d, 1, 2), (b, 0, 3), (c, 1, 4)] {
            derived_slot.push(updated(number, None));
            derived_slot.end(joins[join]);
        }
        for join in joins {
            outbox.push(join, answer("join"));
        }
        let delivered = drain(&outbox);
        assert_eq!(delivered.len(), 8);
        let at = |wanted: &Outgoing| delivered.iter().position(|said| said == wanted).unwrap();
        assert!(at(&answer("left")) > at(&updated(1, None)).max(at(&updated(4, None))));
        assert!(at(&answer("right")) > at(&updated(2, None)).max(at(&updated(3, None))));
        assert!(at(&answer("join")) > at(&updated(1, None)).max(at(&updated(3, None))));
    }
}
