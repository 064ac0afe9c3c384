//! The pairs of a join, and how a batch of one source changes them.
//!
//! Cost: a step reads the rows of the batch and their matches only.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ahash::RandomState;

use super::{JoinKind, JoinSide};
use crate::memory::{MemoryRefused, MemoryReservation};
use crate::storage::Snapshot;
use crate::storage::TableDelta;
use crate::types::scalar::Scalar;

/// The source slots of one joined row; at least one is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Pair {
    /// The left row.
    pub left: Option<u32>,
    /// The right row.
    pub right: Option<u32>,
}

/// The effect of a step. A pair that was removed and added again (its source row was replaced by another) is in
/// both lists.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PairChanges {
    /// Removed pairs.
    pub removed: Vec<Pair>,
    /// Added pairs.
    pub added: Vec<Pair>,
    /// Pairs whose cells may have changed.
    pub changed: Vec<Pair>,
}

#[derive(Debug)]
pub(super) struct Matches {
    left: Side,
    right: Side,
}

#[derive(Debug)]
struct Side {
    /// Position of the join column.
    key: usize,
    /// Slots by join key, ascending, without those of null keys.
    rows: HashMap<Scalar, Vec<u32>, RandomState>,
    /// Slots with a null key; only until [`Matches::all`].
    keyless: Vec<u32>,
    /// Whether rows without a match are included.
    keeps_unmatched: bool,
}

impl Side {
    fn new((snapshot, key): (&Snapshot, usize), keeps_unmatched: bool) -> Side {
        let mut side = Side { key, rows: HashMap::default(), keyless: Vec::new(), keeps_unmatched };
        for slot in snapshot.order().iter_from(0) {
            match side.key_of(snapshot, slot) {
                Scalar::Null => side.keyless.push(slot),
                key @ (Scalar::Bool(_)
                | Scalar::Int(_)
                | Scalar::UInt(_)
                | Scalar::Float(_)
                | Scalar::Str(_)
                | Scalar::Date(_)
                | Scalar::Datetime(_)) => side.rows.entry(key).or_default().push(slot),
            }
        }
        for slots in side.rows.values_mut() {
            slots.sort_unstable();
        }
        side
    }

    fn key_of(&self, snapshot: &Snapshot, slot: u32) -> Scalar {
        snapshot.column(self.key).scalar(slot)
    }

    fn of(&self, key: &Scalar) -> &[u32] {
        self.rows.get(key).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, key: Scalar, slot: u32) {
        if key.is_null() {
            return;
        }
        let slots = self.rows.entry(key).or_default();
        let at = slots.partition_point(|&other| other < slot);
        slots.insert(at, slot);
    }

    fn remove(&mut self, key: Scalar, slot: u32) {
        let Entry::Occupied(mut entry) = self.rows.entry(key) else { return };
        if let Ok(at) = entry.get().binary_search(&slot) {
            entry.get_mut().remove(at);
        }
        if entry.get().is_empty() {
            entry.remove();
        }
    }
}

/// Pairs that a step finds between two reservations of memory for them.
const PAIRS_BETWEEN: usize = 1 << 12;

impl Matches {
    /// Bytes that a source row takes here, about: its slot among those of its key, and its share of the key.
    pub(super) const ROW_BYTES: usize = 24;

    /// Returns the number of pairs, without making any.
    pub(super) fn num_pairs(&self) -> u64 {
        let of_keys = self.left.rows.iter().map(|(key, slots)| {
            let (lefts, rights) = (slots.len() as u64, self.right.of(key).len() as u64);
            if rights == 0 && self.left.keeps_unmatched { lefts } else { lefts.saturating_mul(rights) }
        });
        let matched = of_keys.fold(0_u64, u64::saturating_add);
        let left_keyless = if self.left.keeps_unmatched { self.left.keyless.len() as u64 } else { 0 };
        let right_unmatched = match self.right.keeps_unmatched {
            true => {
                let rows = self.right.rows.iter().filter(|(key, _)| self.left.of(key).is_empty());
                self.right.keyless.len() as u64 + rows.map(|(_, slots)| slots.len() as u64).sum::<u64>()
            }
            false => 0,
        };
        matched.saturating_add(left_keyless + right_unmatched)
    }

    pub(super) fn new(left: (&Snapshot, usize), right: (&Snapshot, usize), kind: JoinKind) -> Matches {
        Matches {
            left: Side::new(left, kind != JoinKind::Inner),
            right: Side::new(right, kind == JoinKind::Outer),
        }
    }

    /// Returns all pairs. To be called once, right after [`Matches::new`].
    pub(super) fn all(&mut self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (key, slots) in &self.left.rows {
            for &slot in slots {
                self.pairs_of(JoinSide::Left, key, slot, &mut pairs);
            }
        }
        let unmatched_pair = |slot: u32, side| pair(side, Some(slot), None);
        if self.left.keeps_unmatched {
            pairs.extend(self.left.keyless.iter().map(|&slot| unmatched_pair(slot, JoinSide::Left)));
        }
        if self.right.keeps_unmatched {
            pairs.extend(self.right.keyless.iter().map(|&slot| unmatched_pair(slot, JoinSide::Right)));
            let unmatched_rows = self.right.rows.iter().filter(|(key, _)| self.left.of(key).is_empty());
            pairs.extend(
                unmatched_rows
                    .flat_map(|(_, slots)| slots)
                    .map(|&slot| unmatched_pair(slot, JoinSide::Right)),
            );
        }
        // From here on a row is read only when a batch contains it.
        (self.left.keyless, self.right.keyless) = (Vec::new(), Vec::new());
        pairs.sort_unstable();
        pairs
    }

    /// Applies a batch of one source. `pair_bytes` are reserved for each pair that it adds.
    ///
    /// # Errors
    ///
    /// The account refuses; the matches are then half-changed.
    pub(super) fn step(
        &mut self,
        side: JoinSide,
        delta: &TableDelta,
        pair_bytes: usize,
        memory: &mut MemoryReservation,
    ) -> Result<PairChanges, MemoryRefused> {
        let mut changes = PairChanges::default();
        let key = |matches: &Matches, snapshot: &Snapshot, slot| matches.side(side).key_of(snapshot, slot);
        // Join keys whose set of rows on this side may have become empty or nonempty, with whether it was nonempty.
        let mut had_rows: HashMap<Scalar, bool, RandomState> = HashMap::default();
        let mut moved = Vec::new();
        for slot in delta.changed() {
            let (before, after) = (key(self, &delta.old, slot), key(self, &delta.new, slot));
            if before == after {
                self.pairs_of(side, &after, slot, &mut changes.changed);
            } else {
                moved.push((slot, before, after));
            }
        }
        let removed = delta.removed.iter().map(|&slot| (slot, key(self, &delta.old, slot)));
        let removed: Vec<(u32, Scalar)> =
            removed.chain(moved.iter().map(|(slot, before, _)| (*slot, before.clone()))).collect();
        for (slot, key) in removed {
            self.pairs_of(side, &key, slot, &mut changes.removed);
            had_rows.entry(key.clone()).or_insert(!self.side(side).of(&key).is_empty());
            self.side_mut(side).remove(key, slot);
        }
        let inserted = delta.inserted.iter().map(|&slot| (slot, key(self, &delta.new, slot)));
        let inserted: Vec<(u32, Scalar)> =
            inserted.chain(moved.into_iter().map(|(slot, _, after)| (slot, after))).collect();
        let mut num_reserved = 0;
        for (slot, key) in inserted {
            let num_added = changes.added.len() + self.other(side).of(&key).len() + 1;
            if num_added > num_reserved {
                memory.grow(((num_added - num_reserved + PAIRS_BETWEEN) * pair_bytes) as u64)?;
                num_reserved = num_added + PAIRS_BETWEEN;
            }
            self.pairs_of(side, &key, slot, &mut changes.added);
            had_rows.entry(key.clone()).or_insert(!self.side(side).of(&key).is_empty());
            self.side_mut(side).add(key, slot);
        }
        self.update_unmatched(side, had_rows, &mut changes);
        Ok(changes)
    }

    /// Adds or removes the unmatched rows of the other side whose first match was added or last match removed.
    fn update_unmatched(
        &self,
        side: JoinSide,
        had_rows: HashMap<Scalar, bool, RandomState>,
        changes: &mut PairChanges,
    ) {
        let other = self.other(side);
        if !other.keeps_unmatched {
            return;
        }
        let mut keys: Vec<(Scalar, bool)> = had_rows.into_iter().filter(|(key, _)| !key.is_null()).collect();
        keys.sort_unstable();
        for (key, had) in keys {
            let has = !self.side(side).of(&key).is_empty();
            let unmatched_pair = other.of(&key).iter().map(|&slot| pair(side, None, Some(slot)));
            match (had, has) {
                (false, true) => changes.removed.extend(unmatched_pair),
                (true, false) => changes.added.extend(unmatched_pair),
                (false, false) | (true, true) => {}
            }
        }
    }

    /// The pairs of a row of `side`.
    fn pairs_of(&self, side: JoinSide, key: &Scalar, slot: u32, pairs: &mut Vec<Pair>) {
        let others = self.other(side).of(key);
        pairs.extend(others.iter().map(|&other| pair(side, Some(slot), Some(other))));
        if others.is_empty() && self.side(side).keeps_unmatched {
            pairs.push(pair(side, Some(slot), None));
        }
    }

    fn side(&self, side: JoinSide) -> &Side {
        match side {
            JoinSide::Left => &self.left,
            JoinSide::Right => &self.right,
        }
    }

    fn side_mut(&mut self, side: JoinSide) -> &mut Side {
        match side {
            JoinSide::Left => &mut self.left,
            JoinSide::Right => &mut self.right,
        }
    }

    fn other(&self, side: JoinSide) -> &Side {
        match side {
            JoinSide::Left => &self.right,
            JoinSide::Right => &self.left,
        }
    }

    pub(super) fn memory(&self) -> usize {
        let side = |side: &Side| side.rows.capacity() * (size_of::<(Scalar, Vec<u32>)>() + size_of::<u32>());
        side(&self.left) + side(&self.right)
    }
}

/// The pair of a row of `side` and a row of the other.
fn pair(side: JoinSide, own: Option<u32>, other: Option<u32>) -> Pair {
    match side {
        JoinSide::Left => Pair { left: own, right: other },
        JoinSide::Right => Pair { left: other, right: own },
    }
}
