//! What one batch changed, and what that did to a view.

use arrow::array::ArrayRef;

use crate::table::Snapshot;

/// What a batch changed in a table, between two of its versions.
///
/// Law: retracting every `removed` and `updated` slot as it was in `old`, then inserting every `inserted` and
/// `updated` slot as it is in `new`, leads from one version to the other. A slot that was freed and taken again within
/// the delta is in both `removed` and `inserted`. Slots ascend within each list.
#[derive(Debug, Clone)]
pub struct TableDelta {
    pub old: Snapshot,
    pub new: Snapshot,
    /// The port that the batch came through; 0 for remove, replace, clear.
    pub port_id: u32,
    pub inserted: Vec<u32>,
    /// Rows whose key occurred in the batch, whether or not a cell changed.
    pub updated: Vec<u32>,
    pub removed: Vec<u32>,
    /// The keys that subscribers of removals hear of (an array of the index column's storage); none for tables
    /// without an index, and none when nothing was removed.
    pub removed_keys: Option<ArrayRef>,
}

impl TableDelta {
    pub fn from(&self) -> u64 {
        self.old.version()
    }

    pub fn to(&self) -> u64 {
        self.new.version()
    }

    /// Whether a cell of an updated row has another value than before.
    pub(crate) fn is_changed(&self, column: usize, slot: u32) -> bool {
        self.old.column(column).bits(slot) != self.new.column(column).bits(slot)
    }
}
