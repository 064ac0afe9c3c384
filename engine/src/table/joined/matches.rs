//! Which rows match which: the pairs of a join, and how a batch of one source changes them.
//!
//! Law: a step looks at the rows of the batch and at their matches, at nothing else.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ahash::RandomState;

use super::{JoinKind, JoinSide};
use crate::storage::Snapshot;
use crate::storage::TableDelta;
use crate::types::scalar::Scalar;

/// The source slots of one joined row; at least one is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Pair {
    pub left: Option<u32>,
    pub right: Option<u32>,
}

/// What a step did. A pair that went and came again (its source row was exchanged for another) is in both.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PairChanges {
    pub gone: Vec<Pair>,
    pub come: Vec<Pair>,
    pub touched: Vec<Pair>,
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
    /// Slots by join key, ascending; null keys are not here.
    rows: HashMap<Scalar, Vec<u32>, RandomState>,
    /// Slots with a null key; only kept where rows without a match stay.
    keyless: Vec<u32>,
    /// Whether rows without a match stay.
    stays: bool,
}

impl Side {
    fn new((snapshot, key): (&Snapshot, usize), stays: bool) -> Side {
        let mut side = Side { key, rows: HashMap::default(), keyless: Vec::new(), stays };
        for slot in snapshot.order().iter_from(0) {
            match side.key_of(snapshot, slot) {
                Scalar::Null => side.keyless.push(slot),
                key => side.rows.entry(key).or_default().push(slot),
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

impl Matches {
    pub(super) fn new(left: (&Snapshot, usize), right: (&Snapshot, usize), kind: JoinKind) -> Matches {
        Matches {
            left: Side::new(left, kind != JoinKind::Inner),
            right: Side::new(right, kind == JoinKind::Outer),
        }
    }

    /// Every pair there is, right after [`Matches::new`].
    pub(super) fn all(&mut self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (key, slots) in &self.left.rows {
            for &slot in slots {
                self.pairs_of(JoinSide::Left, key, slot, &mut pairs);
            }
        }
        let alone = |slot: u32, side| pair(side, Some(slot), None);
        if self.left.stays {
            pairs.extend(self.left.keyless.iter().map(|&slot| alone(slot, JoinSide::Left)));
        }
        if self.right.stays {
            pairs.extend(self.right.keyless.iter().map(|&slot| alone(slot, JoinSide::Right)));
            let unmatched = self.right.rows.iter().filter(|(key, _)| self.left.of(key).is_empty());
            pairs.extend(unmatched.flat_map(|(_, slots)| slots).map(|&slot| alone(slot, JoinSide::Right)));
        }
        // From here on a row is looked at only when a batch names it.
        (self.left.keyless, self.right.keyless) = (Vec::new(), Vec::new());
        pairs.sort_unstable();
        pairs
    }

    pub(super) fn step(&mut self, side: JoinSide, delta: &TableDelta) -> PairChanges {
        let mut changes = PairChanges::default();
        let key = |matches: &Matches, snapshot: &Snapshot, slot| matches.side(side).key_of(snapshot, slot);
        // Join keys whose rows on this side may have become none or some, with whether there were some.
        let mut had_rows: HashMap<Scalar, bool, RandomState> = HashMap::default();
        let mut moved = Vec::new();
        for slot in delta.changed() {
            let (before, after) = (key(self, &delta.old, slot), key(self, &delta.new, slot));
            if before == after {
                self.pairs_of(side, &after, slot, &mut changes.touched);
            } else {
                moved.push((slot, before, after));
            }
        }
        let leaving = delta.removed.iter().map(|&slot| (slot, key(self, &delta.old, slot)));
        let leaving: Vec<(u32, Scalar)> =
            leaving.chain(moved.iter().map(|(slot, before, _)| (*slot, before.clone()))).collect();
        for (slot, key) in leaving {
            self.pairs_of(side, &key, slot, &mut changes.gone);
            had_rows.entry(key.clone()).or_insert(!self.side(side).of(&key).is_empty());
            self.side_mut(side).remove(key, slot);
        }
        let arriving = delta.inserted.iter().map(|&slot| (slot, key(self, &delta.new, slot)));
        let arriving: Vec<(u32, Scalar)> =
            arriving.chain(moved.into_iter().map(|(slot, _, after)| (slot, after))).collect();
        for (slot, key) in arriving {
            self.pairs_of(side, &key, slot, &mut changes.come);
            had_rows.entry(key.clone()).or_insert(!self.side(side).of(&key).is_empty());
            self.side_mut(side).add(key, slot);
        }
        self.meet_the_lonely(side, had_rows, &mut changes);
        changes
    }

    /// Rows of the other side that now have a match, or have none any more.
    fn meet_the_lonely(
        &self,
        side: JoinSide,
        had_rows: HashMap<Scalar, bool, RandomState>,
        changes: &mut PairChanges,
    ) {
        let other = self.other(side);
        if !other.stays {
            return;
        }
        let mut keys: Vec<(Scalar, bool)> = had_rows.into_iter().filter(|(key, _)| !key.is_null()).collect();
        keys.sort_unstable();
        for (key, had) in keys {
            let has = !self.side(side).of(&key).is_empty();
            let alone = other.of(&key).iter().map(|&slot| pair(side, None, Some(slot)));
            match (had, has) {
                (false, true) => changes.gone.extend(alone),
                (true, false) => changes.come.extend(alone),
                (false, false) | (true, true) => {}
            }
        }
    }

    /// The pairs that a row of `side` stands in.
    fn pairs_of(&self, side: JoinSide, key: &Scalar, slot: u32, pairs: &mut Vec<Pair>) {
        let others = self.other(side).of(key);
        pairs.extend(others.iter().map(|&other| pair(side, Some(slot), Some(other))));
        if others.is_empty() && self.side(side).stays {
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

/// A pair of a row of `side` and a row of the other.
fn pair(side: JoinSide, own: Option<u32>, other: Option<u32>) -> Pair {
    match side {
        JoinSide::Left => Pair { left: own, right: other },
        JoinSide::Right => Pair { left: other, right: own },
    }
}
