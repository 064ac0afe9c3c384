//! The row order of a joined table: left source row, then right source row.
//!
//! Invariant: total over distinct rows. Rows without a left match follow all others. Cost: O(1) per comparison,
//! plus that of the sources' keys.

use std::cmp::Ordering;

use super::Snapshot;
use crate::column::ChunkedVec;

/// The source rows of each joined row, and the sources that order them.
#[derive(Debug, Clone)]
pub(crate) struct PairOrder {
    pub(crate) left: Snapshot,
    pub(crate) right: Snapshot,
    /// Slots of the sources, by slot of the join; unset where there is no match.
    pub(crate) lefts: ChunkedVec<u32>,
    pub(crate) rights: ChunkedVec<u32>,
}

impl PairOrder {
    pub(crate) fn compare(&self, one: u32, other: u32) -> Ordering {
        let by_right = || match (self.rights.get(one), self.rights.get(other)) {
            (Some(one), Some(other)) => self.right.compare_keys(one, other),
            (one, other) => one.cmp(&other),
        };
        match (self.lefts.get(one), self.lefts.get(other)) {
            (Some(one), Some(other)) => self.left.compare_keys(one, other).then_with(by_right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => by_right(),
        }
    }
}
