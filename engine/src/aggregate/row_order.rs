//! The order of the rows of a cell: by the values of the groups below it, then by key.

use std::cmp::Ordering;

use crate::storage::Snapshot;

/// The columns of the group levels below a cell.
#[derive(Debug, Clone)]
pub(crate) struct CellRowOrder {
    levels: Box<[usize]>,
}

impl CellRowOrder {
    /// `levels` are the columns of the group levels below the cell.
    pub(crate) fn new(levels: &[usize]) -> CellRowOrder {
        CellRowOrder { levels: levels.into() }
    }

    pub(crate) fn compare(&self, snapshot: &Snapshot, left: u32, right: u32) -> Ordering {
        for &level in &self.levels {
            let order = snapshot.column(level).compare(left, right);
            if order.is_ne() {
                return order;
            }
        }
        snapshot.compare_keys(left, right)
    }
}
