//! Changes of an order that are not in its tree yet.
//!
//! Law: a layer is sorted by rank and entry, with one change for each pair of these. Merging two layers of one after the
//! other is one pass; how many entries there are more below a rank is a search.

use std::cmp::Ordering;

/// What becomes of an entry with a rank. An entry that leaves and comes may have another place among those of its rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) prefix: u64,
    pub(super) entry: u32,
    /// It is gone from what lies below.
    pub(super) leaves: bool,
    /// It is there.
    pub(super) comes: bool,
}

impl Change {
    pub(super) fn leaving(prefix: u64, entry: u32) -> Change {
        Change { prefix, entry, leaves: true, comes: false }
    }

    pub(super) fn coming(prefix: u64, entry: u32) -> Change {
        Change { prefix, entry, leaves: false, comes: true }
    }

    pub(super) fn key(&self) -> (u64, u32) {
        (self.prefix, self.entry)
    }

    /// This one and then another one of the same entry and rank; nothing if it came only to leave.
    pub(super) fn then(self, later: Change) -> Option<Change> {
        let leaves = self.leaves || (later.leaves && !self.comes);
        let comes = later.comes || (self.comes && !later.leaves);
        (leaves || comes).then_some(Change { leaves, comes, ..self })
    }

    /// All that happened to one entry with one rank, in its order.
    pub(super) fn all(changes: impl IntoIterator<Item = Change>) -> Option<Change> {
        changes.into_iter().fold(None, |first, later| match first {
            Some(first) => Change::then(first, later),
            None => Some(later),
        })
    }

    fn net(&self) -> i32 {
        i32::from(self.comes) - i32::from(self.leaves)
    }
}

#[derive(Debug, Default)]
pub(super) struct SortedLayer {
    changes: Vec<Change>,
    /// By how many entries there are more before each change, and behind the last.
    net: Vec<i32>,
}

impl SortedLayer {
    /// Of changes in any order; what leaves comes later.
    pub(super) fn new(mut changes: Vec<Change>) -> SortedLayer {
        changes.sort_unstable_by_key(|change| (change.prefix, change.entry, change.comes));
        changes.dedup_by(|later, first| {
            let is_one = first.key() == later.key();
            if is_one {
                first.comes = true;
            }
            is_one
        });
        SortedLayer::sorted(changes)
    }

    fn sorted(changes: Vec<Change>) -> SortedLayer {
        let mut net = Vec::with_capacity(changes.len() + 1);
        let mut sum = 0;
        net.push(sum);
        net.extend(changes.iter().map(|change| {
            sum += change.net();
            sum
        }));
        SortedLayer { changes, net }
    }

    /// This layer and what happened after it.
    pub(super) fn then(&self, later: &SortedLayer) -> SortedLayer {
        let mut changes = Vec::with_capacity(self.len() + later.len());
        let (mut below, mut above) = (self.changes.as_slice(), later.changes.as_slice());
        while let ([first, rest @ ..], [second, others @ ..]) = (below, above) {
            match first.key().cmp(&second.key()) {
                Ordering::Less => {
                    changes.push(*first);
                    below = rest;
                }
                Ordering::Greater => {
                    changes.push(*second);
                    above = others;
                }
                Ordering::Equal => {
                    changes.extend(first.then(*second));
                    (below, above) = (rest, others);
                }
            }
        }
        changes.extend_from_slice(below);
        changes.extend_from_slice(above);
        SortedLayer::sorted(changes)
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// How many changes have lesser ranks.
    pub(super) fn num_below(&self, prefix: u64) -> usize {
        self.changes.partition_point(|change| change.prefix < prefix)
    }

    /// By how many entries there are more, for the changes `start..end`.
    pub(super) fn net(&self, start: usize, end: usize) -> i32 {
        self.net[end] - self.net[start]
    }

    /// The change of an entry, if it is not before `start`.
    pub(super) fn get(&self, start: usize, prefix: u64, entry: u32) -> Option<Change> {
        let changes = &self.changes[start..];
        let at = changes.binary_search_by_key(&(prefix, entry), Change::key).ok()?;
        Some(changes[at])
    }
}
