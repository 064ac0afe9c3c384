//! The streams of a connection in which messages wait for earlier ones.
//!
//! Invariant: a stream releases its messages in the order of their keys, each once no reservation before it is open.
//! While a table notifies of a batch it may keep a scope open, into which derived tables write later, each at its
//! derivation rank; the table's own messages go to the front of the scope meanwhile. A derived table's later messages
//! wait, behind a barrier, for those that it wrote into a scope. No scope waits for the stream of a table derived of
//! its own, so there are no cycles.

use std::collections::{HashMap, VecDeque};

use super::{Outgoing, StreamId};

/// A position in a stream: scope, derivation rank, step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamKey {
    scope: u64,
    derivation_rank: u32,
    step: u64,
}

/// Steps from here on belong to derived slots; they follow every message inside the slot.
const DERIVED_SLOTS: u64 = 1 << 63;

#[derive(Debug)]
enum Slot {
    /// A message is still being computed, or a scope or slot is still open.
    Open,
    /// `None`: released without a message.
    Filled(Option<Outgoing>),
    /// Everything up to this key of another stream is released first.
    Barrier(StreamId, StreamKey),
}

#[derive(Debug, Default)]
struct OrderedStream {
    reservations: VecDeque<(StreamKey, Slot)>,
    /// The open scope, which the table's own messages go to.
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

/// The streams that hold messages or reservations; empty ones are removed.
#[derive(Debug, Default)]
pub(super) struct ReorderBuffer {
    streams: HashMap<StreamId, OrderedStream>,
    last_step: u64,
    /// Barriers in all streams.
    num_barriers: usize,
}

impl ReorderBuffer {
    /// Appends a message. Messages that may be written now are moved to `free`, in order.
    pub fn push(&mut self, stream_id: StreamId, message: Outgoing, free: &mut VecDeque<Outgoing>) {
        let step = self.step();
        match self.streams.get_mut(&stream_id) {
            None => free.push_back(message),
            Some(stream) => stream.insert(next_key(stream, step), Slot::Filled(Some(message))),
        }
    }

    /// Appends a reservation.
    pub fn reserve(&mut self, stream_id: StreamId) -> StreamKey {
        let step = self.step();
        let stream = self.streams.entry(stream_id).or_default();
        let key = next_key(stream, step);
        stream.insert(key, Slot::Open);
        key
    }

    /// Opens a scope: the table's own messages go to its front until the returned reservation is filled.
    pub fn open_scope(&mut self, stream_id: StreamId) -> StreamKey {
        let key = StreamKey { scope: self.step(), derivation_rank: 0, step: DERIVED_SLOTS };
        let stream = self.streams.entry(stream_id).or_default();
        stream.insert(key, Slot::Open);
        stream.open = Some(key);
        key
    }

    /// Reserves a slot in the scope of `key` for a table of a higher derivation rank. `key` must still be reserved.
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

    /// Reserves a position inside a slot that is still open.
    pub fn reserve_in(&mut self, stream_id: StreamId, derived_slot: StreamKey) -> StreamKey {
        let key = StreamKey { step: self.step(), ..derived_slot };
        self.streams.entry(stream_id).or_default().insert(key, Slot::Open);
        key
    }

    /// Makes later messages of one stream wait for everything up to `key` of another.
    pub fn insert_barrier(&mut self, stream_id: StreamId, other: StreamId, key: StreamKey) {
        let step = self.step();
        let stream = self.streams.entry(stream_id).or_default();
        let own = next_key(stream, step);
        stream.insert(own, Slot::Barrier(other, key));
        self.num_barriers += 1;
    }

    /// Fills or releases a reservation.
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

    /// Releases messages that no longer wait, in this stream and in those with a barrier on it.
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

/// The key after all messages of the stream; while a scope is open, after those at its front.
fn next_key(stream: &OrderedStream, step: u64) -> StreamKey {
    match stream.open {
        Some(open) => StreamKey { step, ..open },
        None => StreamKey { scope: step, derivation_rank: 0, step: 0 },
    }
}
