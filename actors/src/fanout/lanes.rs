//! What waits in a connection's lanes for something before it.
//!
//! Law: a lane lets its messages go in the order of their keys, each once nothing before it is open. While a table
//! speaks of a batch it may keep a section open, into which the tables derived of it speak later, each in its stage;
//! what the table itself says meanwhile goes to the section's front. What a derived table answers stands behind what it
//! said in a section. No section waits for the lane of a table derived of its own, so nothing waits in a circle.

use std::collections::{HashMap, VecDeque};

use super::{LaneId, Outgoing};

/// Where in a lane: section, stage in it, step in the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    section: u64,
    stage: u32,
    step: u64,
}

/// Steps from here on are those of turns, behind everything that is said in them.
const TURNS: u64 = 1 << 63;

#[derive(Debug)]
enum Slot {
    /// Something is still being computed, or somebody still has the word.
    Open,
    /// `None`: nothing was said after all.
    Filled(Option<Outgoing>),
    /// Everything up to this key of another lane goes first.
    Behind(LaneId, Key),
}

#[derive(Debug, Default)]
struct Lane {
    places: VecDeque<(Key, Slot)>,
    /// The section that the table's own words go to.
    open: Option<Key>,
}

impl Lane {
    fn insert(&mut self, key: Key, slot: Slot) {
        match self.places.back() {
            Some((last, _)) if *last > key => {
                let at = self.places.partition_point(|(present, _)| *present < key);
                self.places.insert(at, (key, slot));
            }
            _ => self.places.push_back((key, slot)),
        }
    }
}

/// Lanes in which something waits; the others are not remembered.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<LaneId, Lane>,
    last_step: u64,
    /// Slots that stand behind another lane.
    num_behind: usize,
}

impl Lanes {
    /// Says something behind everything that was said in the lane. `free`: what may go out now, in order.
    pub fn push(&mut self, lane_id: LaneId, message: Outgoing, free: &mut VecDeque<Outgoing>) {
        let step = self.step();
        match self.lanes.get_mut(&lane_id) {
            None => free.push_back(message),
            Some(lane) => lane.insert(next_key(lane, step), Slot::Filled(Some(message))),
        }
    }

    /// Holds a place behind everything that was said in the lane.
    pub fn reserve(&mut self, lane_id: LaneId) -> Key {
        let step = self.step();
        let lane = self.lanes.entry(lane_id).or_default();
        let key = next_key(lane, step);
        lane.insert(key, Slot::Open);
        key
    }

    /// Opens a section: what the lane's table says goes to its front until the place that comes back is filled.
    pub fn open_section(&mut self, lane_id: LaneId) -> Key {
        let key = Key { section: self.step(), stage: 0, step: TURNS };
        let lane = self.lanes.entry(lane_id).or_default();
        lane.insert(key, Slot::Open);
        lane.open = Some(key);
        key
    }

    /// Holds a turn in the section of `key`, for a table of a later stage. That place must still be held.
    pub fn reserve_turn(&mut self, lane_id: LaneId, key: Key, stage: u32) -> Key {
        let key = Key { section: key.section, stage, step: TURNS + self.step() };
        self.lanes.entry(lane_id).or_default().insert(key, Slot::Open);
        key
    }

    /// Holds a place before the end of a turn that is still held.
    pub fn reserve_in(&mut self, lane_id: LaneId, turn: Key) -> Key {
        let key = Key { step: self.step(), ..turn };
        self.lanes.entry(lane_id).or_default().insert(key, Slot::Open);
        key
    }

    /// Lets what is said from now on in `lane` wait for everything up to `key` of another.
    pub fn stand_behind(&mut self, lane_id: LaneId, other: LaneId, key: Key) {
        let step = self.step();
        let lane = self.lanes.entry(lane_id).or_default();
        let own = next_key(lane, step);
        lane.insert(own, Slot::Behind(other, key));
        self.num_behind += 1;
    }

    /// Fills a place that was held.
    pub fn fill(
        &mut self,
        lane_id: LaneId,
        key: Key,
        message: Option<Outgoing>,
        free: &mut VecDeque<Outgoing>,
    ) {
        let Some(lane) = self.lanes.get_mut(&lane_id) else { return };
        if let Ok(at) = lane.places.binary_search_by(|(present, _)| present.cmp(&key)) {
            lane.places[at].1 = Slot::Filled(message);
        }
        if lane.open == Some(key) {
            lane.open = None;
        }
        self.advance(lane_id, free);
    }

    /// Lets go what waits for nothing any more, in this lane and in those that stood behind it.
    fn advance(&mut self, lane_id: LaneId, free: &mut VecDeque<Outgoing>) {
        let mut progressed = vec![lane_id];
        while let Some(lane_id) = progressed.pop() {
            let mut has_moved = false;
            while let Some(lane) = self.lanes.get_mut(&lane_id) {
                match lane.places.front_mut() {
                    None => {
                        self.lanes.remove(&lane_id);
                        break;
                    }
                    Some((_, Slot::Open)) => break,
                    Some((_, Slot::Filled(message))) => {
                        free.extend(message.take());
                        lane.places.pop_front();
                    }
                    Some((_, Slot::Behind(other, key))) => {
                        let (other, key) = (*other, *key);
                        if !self.has_passed(other, key) {
                            break;
                        }
                        self.num_behind -= 1;
                        if let Some(lane) = self.lanes.get_mut(&lane_id) {
                            lane.places.pop_front();
                        }
                    }
                }
                has_moved = true;
            }
            if has_moved && self.num_behind > 0 {
                let stands_behind = |lane: &Lane| match lane.places.front() {
                    Some((_, Slot::Behind(other, _))) => *other == lane_id,
                    _ => false,
                };
                progressed
                    .extend(self.lanes.iter().filter(|(_, lane)| stands_behind(lane)).map(|(id, _)| *id));
            }
        }
    }

    fn has_passed(&self, lane_id: LaneId, key: Key) -> bool {
        let first = self.lanes.get(&lane_id).and_then(|lane| lane.places.front());
        first.is_none_or(|(first, _)| *first > key)
    }

    fn step(&mut self) -> u64 {
        self.last_step += 1;
        self.last_step
    }
}

/// Behind everything that was said in the lane; while a section is open, at the end of its front.
fn next_key(lane: &Lane, step: u64) -> Key {
    match lane.open {
        Some(open) => Key { step, ..open },
        None => Key { section: step, stage: 0, step: 0 },
    }
}
