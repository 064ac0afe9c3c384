//! The order of a table's rows: ascending key.
//!
//! Invariant: rows that arrive in key order form a ring of slots, which needs no memory; the first row that does
//! not converts it to a counted tree. Cost: position ↔ slot in O(1) or O(log n).

use std::cmp::Ordering;

use crate::column::LiveSlots;
use crate::sorted::{Iter, OrderTree};

#[derive(Debug, Clone)]
pub(crate) enum KeyOrder {
    /// The row at position `i` is in slot `(start + i) % capacity`.
    Ring {
        start: u32,
        len: u32,
        capacity: u32,
    },
    Tree(OrderTree),
}

impl KeyOrder {
    pub(crate) fn empty(limit: Option<u32>) -> KeyOrder {
        KeyOrder::Ring { start: 0, len: 0, capacity: limit.unwrap_or(u32::MAX).max(1) }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            KeyOrder::Ring { len, .. } => *len as usize,
            KeyOrder::Tree(tree) => tree.len(),
        }
    }

    pub(crate) fn get(&self, position: usize) -> Option<u32> {
        match self {
            KeyOrder::Ring { start, len, capacity } => {
                (position < *len as usize).then(|| wrap(*start, position, *capacity))
            }
            KeyOrder::Tree(tree) => tree.get(position),
        }
    }

    /// The position of a slot in a ring; `None` for a tree, whose rows are compared by key.
    pub(crate) fn ring_position(&self, slot: u32) -> Option<u32> {
        match self {
            KeyOrder::Ring { start, capacity, .. } => {
                Some(if slot >= *start { slot - start } else { capacity - start + slot })
            }
            KeyOrder::Tree(_) => None,
        }
    }

    pub(crate) fn iter_from(&self, position: usize) -> KeyOrderIter<'_> {
        match self {
            KeyOrder::Ring { start, len, capacity } => KeyOrderIter::Ring {
                start: *start,
                capacity: *capacity,
                positions: position.min(*len as usize)..*len as usize,
            },
            KeyOrder::Tree(tree) => KeyOrderIter::Tree(tree.iter_from(position)),
        }
    }

    /// The occupied slots, unordered.
    pub(crate) fn live_slots(&self) -> LiveSlots {
        match self {
            KeyOrder::Ring { start, len, capacity }
                if u64::from(*start) + u64::from(*len) <= u64::from(*capacity) =>
            {
                LiveSlots::Run(*start, start + len)
            }
            KeyOrder::Ring { .. } | KeyOrder::Tree(_) => LiveSlots::of(self.iter_from(0), self.len()),
        }
    }

    /// The order as a tree; converts a ring first, in O(n).
    pub(crate) fn tree(&mut self) -> &mut OrderTree {
        if let KeyOrder::Ring { .. } = self {
            *self = KeyOrder::Tree(OrderTree::from_sorted(self.iter_from(0)));
        }
        match self {
            KeyOrder::Tree(tree) => tree,
            KeyOrder::Ring { .. } => unreachable!("the ring was just made a tree"),
        }
    }

    /// Adds new rows. `compare` orders rows by key.
    pub(crate) fn insert(&mut self, slots: &[u32], compare: &impl Fn(u32, u32) -> Ordering) {
        if let KeyOrder::Ring { start, len, capacity } = self {
            let mut last = len.checked_sub(1).map(|last| wrap(*start, last as usize, *capacity));
            let fits = slots.iter().enumerate().all(|(offset, &slot)| {
                let follows = slot == wrap(*start, *len as usize + offset, *capacity)
                    && last.is_none_or(|last| compare(last, slot) == Ordering::Less);
                last = Some(slot);
                follows
            });
            if fits {
                *len += slots.len() as u32;
                return;
            }
        }
        self.tree().insert_many(slots.to_vec(), compare);
    }

    pub(crate) fn memory(&self) -> usize {
        match self {
            KeyOrder::Ring { .. } => 0,
            KeyOrder::Tree(tree) => tree.len() * 6,
        }
    }
}

pub(crate) fn wrap(start: u32, position: usize, capacity: u32) -> u32 {
    ((u64::from(start) + position as u64) % u64::from(capacity)) as u32
}

#[derive(Debug, Clone)]
pub(crate) enum KeyOrderIter<'a> {
    Ring { start: u32, capacity: u32, positions: std::ops::Range<usize> },
    Tree(Iter<'a>),
}

impl Iterator for KeyOrderIter<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self {
            KeyOrderIter::Ring { start, capacity, positions } => {
                positions.next().map(|position| wrap(*start, position, *capacity))
            }
            KeyOrderIter::Tree(iter) => iter.next(),
        }
    }
}
