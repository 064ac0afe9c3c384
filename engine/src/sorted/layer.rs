//! Pending changes of an order that are not in its tree yet.
//!
//! Invariant: a layer is sorted by prefix and entry, with one change for each such pair. Cost: merging two
//! consecutive layers is one pass; the net number of entries below a prefix is found by binary search.

use std::cmp::Ordering;

/// The pending change of an entry under one prefix. An entry that is removed and inserted may move among the
/// entries with its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) prefix: u64,
    pub(super) entry: u32,
    /// The entry is removed from the levels below.
    pub(super) removes: bool,
    /// The entry is present afterwards.
    pub(super) inserts: bool,
}

impl Change {
    pub(super) fn removal(prefix: u64, entry: u32) -> Change {
        Change { prefix, entry, removes: true, inserts: false }
    }

    pub(super) fn insertion(prefix: u64, entry: u32) -> Change {
        Change { prefix, entry, removes: false, inserts: true }
    }

    pub(super) fn key(&self) -> (u64, u32) {
        (self.prefix, self.entry)
    }

    /// Composes this change with a later one of the same entry and prefix; `None` if they cancel out.
    pub(super) fn then(self, later: Change) -> Option<Change> {
        let removes = self.removes || (later.removes && !self.inserts);
        let inserts = later.inserts || (self.inserts && !later.removes);
        (removes || inserts).then_some(Change { removes, inserts, ..self })
    }

    /// Composes all changes of one entry and prefix, in chronological order.
    pub(super) fn all(changes: impl IntoIterator<Item = Change>) -> Option<Change> {
        changes.into_iter().fold(None, |first, later| match first {
            Some(first) => Change::then(first, later),
            None => Some(later),
        })
    }

    fn net(&self) -> i32 {
        i32::from(self.inserts) - i32::from(self.removes)
    }
}

#[derive(Debug, Default)]
pub(super) struct SortedLayer {
    changes: Vec<Change>,
    /// The net number of entries added before each change, and after the last.
    net: Vec<i32>,
}

impl SortedLayer {
    /// Sorts changes given in any order; of one entry, the removal precedes the insertion.
    pub(super) fn new(mut changes: Vec<Change>) -> SortedLayer {
        changes.sort_unstable_by_key(|change| (change.prefix, change.entry, change.inserts));
        changes.dedup_by(|later, first| {
            let is_one = first.key() == later.key();
            if is_one {
                first.inserts = true;
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

    /// Merges this layer with the next one.
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

    /// The number of changes with smaller prefixes.
    pub(super) fn num_below(&self, prefix: u64) -> usize {
        self.changes.partition_point(|change| change.prefix < prefix)
    }

    /// The net number of entries added by the changes `start..end`.
    pub(super) fn net(&self, start: usize, end: usize) -> i32 {
        self.net[end] - self.net[start]
    }

    /// The change of an entry, unless it lies before `start`.
    pub(super) fn get(&self, start: usize, prefix: u64, entry: u32) -> Option<Change> {
        let changes = &self.changes[start..];
        let at = changes.binary_search_by_key(&(prefix, entry), Change::key).ok()?;
        Some(changes[at])
    }
}
