//! How tables that are derived of others speak in the order of those: first whoever was written, then what follows it.
//!
//! Law: a table that is derived tells a connection of a batch in the lane of the table that the batch was written to,
//! in a turn that was held for it before anything later could be said there. So a connection hears of a batch from all
//! tables, the written one first, before it hears any answer to a later request about the written table.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use super::lanes::Key;
use super::{LaneId, Outgoing, Outlet, Place, SessionId};

/// The word of the table that a batch is written to; dropped when it has said what it has to say.
#[derive(Debug)]
pub struct Section {
    place: Place,
}

/// The word of one derived table, for one batch and one connection; it ends when it is dropped.
#[derive(Debug)]
pub struct Turn {
    place: Place,
    is_used: Cell<bool>,
}

/// Where a derived table speaks of one batch, by connection.
pub type Turns = HashMap<SessionId, Turn>;

impl Section {
    pub fn open(outlet: &Arc<Outlet>, lane: LaneId) -> Section {
        let key = outlet.lock().lanes.open_section(lane);
        Section { place: outlet.place(lane, key) }
    }

    /// A turn for a table that is derived.
    pub fn turn(&self, stage: u32) -> Turn {
        self.place.turn(stage)
    }
}

impl Turn {
    /// A turn, after this one, for a table that is derived of this one's.
    pub fn turn(&self, stage: u32) -> Turn {
        self.place.turn(stage)
    }

    pub fn push(&self, message: Outgoing) {
        self.reserve().fill(message);
    }

    /// Holds a place for something that is still being computed.
    pub fn reserve(&self) -> Place {
        self.is_used.set(true);
        let Place { outlet, lane, key } = &self.place;
        match key {
            Some(key) => {
                let key = outlet.lock().lanes.reserve_in(*lane, *key);
                outlet.place(*lane, key)
            }
            None => outlet.late(*lane),
        }
    }

    /// Ends the turn. What the table says from now on in its own lane waits for what it said here.
    pub fn end(self, own: LaneId) {
        if let (true, Some(key)) = (self.is_used.get(), self.place.key) {
            self.place.outlet.lock().lanes.stand_behind(own, self.place.lane, key);
        }
    }
}

impl Place {
    fn turn(&self, stage: u32) -> Turn {
        let Place { outlet, lane, key } = self;
        let key = key.map(|key: Key| outlet.lock().lanes.reserve_turn(*lane, key, stage));
        Turn { place: Place { outlet: outlet.clone(), lane: *lane, key }, is_used: Cell::new(false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::tests::{answer, drain, outlet, updated};

    #[test]
    fn derived_tables_speak_after_their_source_and_before_its_later_answers() {
        let outlet = outlet();
        let (source, derived) = (LaneId::fresh(), LaneId::fresh());
        let section = Section::open(&outlet, source);
        let (join, derivation) = (section.turn(2), section.turn(1));
        outlet.push(source, answer("answer of the source"));
        let rows = outlet.reserve(source);
        // The derived tables are quicker than the source and its view.
        join.push(updated(3, None));
        join.end(LaneId::fresh());
        let derived_rows = derivation.reserve();
        derivation.end(derived);
        outlet.push(derived, answer("answer of the derived table"));
        outlet.push(source, updated(1, None));
        drop(section);
        outlet.push(source, answer("later"));
        assert_eq!(drain(&outlet), [answer("answer of the source")]);
        derived_rows.fill(updated(2, None));
        assert_eq!(drain(&outlet), []);
        rows.fill(updated(0, None));
        let said: Vec<_> = (0..4).map(|number| updated(number, None)).collect();
        let answers = [answer("later"), answer("answer of the derived table")];
        assert_eq!(drain(&outlet), [&said[..], &answers].concat());
    }

    #[test]
    fn a_turn_that_nobody_takes_holds_up_nobody() {
        let outlet = outlet();
        let (source, derived) = (LaneId::fresh(), LaneId::fresh());
        let section = Section::open(&outlet, source);
        let turn = section.turn(1);
        let beneath = turn.turn(3);
        drop(section);
        outlet.push(source, answer("later"));
        turn.end(derived);
        outlet.push(derived, answer("at once"));
        assert_eq!(drain(&outlet), [answer("at once")]);
        drop(beneath);
        assert_eq!(drain(&outlet), [answer("later")]);
    }

    #[test]
    fn two_joins_of_two_tables_wait_in_no_circle() {
        let outlet = outlet();
        let (left, right) = (LaneId::fresh(), LaneId::fresh());
        let joins = [LaneId::fresh(), LaneId::fresh()];
        let sections = [left, right].map(|lane| Section::open(&outlet, lane));
        let turns = [0, 1].map(|_| [sections[0].turn(2), sections[1].turn(2)]);
        drop(sections);
        outlet.push(left, answer("left"));
        outlet.push(right, answer("right"));
        // One looks at the left first, the other at the right.
        let [[a, b], [c, d]] = turns;
        for (turn, join, number) in [(a, 0, 1), (d, 1, 2), (b, 0, 3), (c, 1, 4)] {
            turn.push(updated(number, None));
            turn.end(joins[join]);
        }
        for join in joins {
            outlet.push(join, answer("join"));
        }
        let heard = drain(&outlet);
        assert_eq!(heard.len(), 8);
        let at = |wanted: &Outgoing| heard.iter().position(|said| said == wanted).unwrap();
        assert!(at(&answer("left")) > at(&updated(1, None)).max(at(&updated(4, None))));
        assert!(at(&answer("right")) > at(&updated(2, None)).max(at(&updated(3, None))));
        assert!(at(&answer("join")) > at(&updated(1, None)).max(at(&updated(3, None))));
    }
}
