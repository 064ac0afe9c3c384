//! What waits in a connection's lanes for something before it.
//!
//! Law: a lane lets its messages go in the order of their keys, each once nothing before it is open. While a table
//! speaks of a batch it may keep a section open, into which the tables derived of it speak later, each in its stage;
//! what the table itself says meanwhile goes to the section's front. What a derived table answers stands behind what it
//! said in a section. No section waits for the lane of a table derived of its own, so nothing waits in a circle.

use std::collections::{HashMap, VecDeque};

use super::{Outgoing, StreamId};

/// Where in a lane: section, stage in it, step in the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamKey {
    scope: u64,
    derivation_rank: u32,
    step: u64,
}

/// Steps from here on are those of turns, behind everything that is said in them.
const DERIVED_SLOTS: u64 = 1 << 63;

#[derive(Debug)]
enum Slot {
    /// Something is still being computed, or somebody still has the word.
    Open,
    /// `None`: nothing was said after all.
    Filled(Option<Outgoing>),
    /// Everything up to this key of another lane goes first.
    Barrier(StreamId, StreamKey),
}

#[derive(Debug, Default)]
struct OrderedStream {
    reservations: VecDeque<(StreamKey, Slot)>,
    /// The section that the table's own words go to.
    open: Option<StreamKey>,
}

impl OrderedStream {
    fn insert(&mut self, key: StreamKey, slot: Slot) {
        match self.reservations.back() {
            Some((last, _)) if *last > key => {
                let at = self.reservations.partition_point(|(present, _)| *present < key);
                self.reservations.insert(at, (key, slot));
            }
            _ => self.reservations.push_back((key, slot)),
        }
    }
}

/// Lanes in which something waits; the others are not remembered.
#[derive(Debug, Default)]
pub(super) struct ReorderBuffer {
    streams: HashMap<StreamId, OrderedStream>,
    last_step: u64,
    /// Slots that stand behind another lane.
    num_barriers: usize,
}

impl ReorderBuffer {
    /// Says something behind everything that was said in the lane. `free`: what may go out now, in order.
    pub fn push(&mut self, stream_id: StreamId, message: Outgoing, free: &mut VecDeque<Outgoing>) {
        let step = self.step();
        match self.streams.get_mut(&stream_id) {
            None => free.push_back(message),
            Some(stream) => stream.insert(next_key(stream, step), Slot::Filled(Some(message))),
        }
    }

    /// Holds a place behind everything that was said in the lane.
    pub fn reserve(&mut self, stream_id: StreamId) -> StreamKey {
        let step = self.step();
        let stream = self.streams.entry(stream_id).or_default();
        let key = next_key(stream, step);
        stream.insert(key, Slot::Open);
        key
    }

    /// Opens a section: what the lane's table says goes to its front until the place that comes back is filled.
    pub fn open_scope(&mut self, stream_id: StreamId) -> StreamKey {
        let key = StreamKey { scope: self.step(), derivation_rank: 0, step: DERIVED_SLOTS };
        let stream = self.streams.entry(stream_id).or_default();
        stream.insert(key, Slot::Open);
        stream.open = Some(key);
        key
    }

    /// Holds a turn in the section of `key`, for a table of a later stage. That place must still be held.
    pub fn reserve_derived_slot(
        &mut self,
        stream_id: StreamId,
        key: StreamKey,
        derivation_rank: u32,
    ) -> StreamKey {
        let key = StreamKey { scope: key.scope, derivation_rank, step: DERIVED_SLOTS + self.step() };
        self.streams.entry(stream_id).or_default().insert(key, Slot::Open);
        key
    }

    /// Holds a place before the end of a turn that is still held.
    pub fn reserve_in(&mut self, stream_id: StreamId, derived_slot: StreamKey) -> StreamKey {
        let key = StreamKey { step: self.step(), ..derived_slot };
        self.streams.entry(stream_id).or_default().insert(key, Slot::Open);
        key
    }

    /// Lets what is said from now on in `stream` wait for everything up to `key` of another.
    pub fn insert_barrier(&mut self, stream_id: StreamId, other: StreamId, key: StreamKey) {
        let step = self.step();
        let stream = self.streams.entry(stream_id).or_default();
        let own = next_key(stream, step);
        stream.insert(own, Slot::Barrier(other, key));
        self.num_barriers += 1;
    }

    /// Fills a place that was held.
    pub fn fill(
        &mut self,
        stream_id: StreamId,
        key: StreamKey,
        message: Option<Outgoing>,
        free: &mut VecDeque<Outgoing>,
    ) {
        let Some(stream) = self.streams.get_mut(&stream_id) else { return };
        if let Ok(at) = stream.reservations.binary_search_by(|(present, _)| present.cmp(&key)) {
            stream.reservations[at].1 = Slot::Filled(message);
        }
        if stream.open == Some(key) {
            stream.open = None;
        }
        self.advance(stream_id, free);
    }

    /// Lets go what waits for nothing any more, in this lane and in those that stood behind it.
    fn advance(&mut self, stream_id: StreamId, free: &mut VecDeque<Outgoing>) {
        let mut progressed = vec![stream_id];
        while let Some(stream_id) = progressed.pop() {
            let mut has_moved = false;
            while let Some(stream) = self.streams.get_mut(&stream_id) {
                match stream.reservations.front_mut() {
                    None => {
                        self.streams.remove(&stream_id);
                        break;
                    }
                    Some((_, Slot::Open)) => break,
                    Some((_, Slot::Filled(message))) => {
                        free.extend(message.take());
                        stream.reservations.pop_front();
                    }
                    Some((_, Slot::Barrier(other, key))) => {
                        let (other, key) = (*other, *key);
                        if !self.has_passed(other, key) {
                            break;
                        }
                        self.num_barriers -= 1;
                        if let Some(stream) = self.streams.get_mut(&stream_id) {
                            stream.reservations.pop_front();
                        }
                    }
                }
                has_moved = true;
            }
            if has_moved && self.num_barriers > 0 {
                let is_behind_stream = |stream: &OrderedStream| match stream.reservations.front() {
                    Some((_, Slot::Barrier(other, _))) => *other == stream_id,
                    _ => false,
                };
                progressed.extend(
                    self.streams.iter().filter(|(_, stream)| is_behind_stream(stream)).map(|(id, _)| *id),
                );
            }
        }
    }

    fn has_passed(&self, stream_id: StreamId, key: StreamKey) -> bool {
        let first = self.streams.get(&stream_id).and_then(|stream| stream.reservations.front());
        first.is_none_or(|(first, _)| *first > key)
    }

    fn step(&mut self) -> u64 {
        self.last_step += 1;
        self.last_step
    }
}

/// Behind everything that was said in the lane; while a section is open, at the end of its front.
fn next_key(stream: &OrderedStream, step: u64) -> StreamKey {
    match stream.open {
        Some(open) => StreamKey { step, ..open },
        None => StreamKey { scope: step, derivation_rank: 0, step: 0 },
    }
}
