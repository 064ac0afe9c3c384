//! A delta in terms of rows and keys, to be applied to a copy of the table elsewhere.
//!
//! Invariant: removing the rows of `removed_keys` (all rows if `is_replaced`) from a copy of the table at version `from`,
//! then upserting `upserted`, gives the rows of the table at version `to`, in the same order and under the same keys. Slots
//! and text codes have no part in it. Cost: O(rows of the delta · log).

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field as ArrowField, Schema as ArrowSchema};

use super::TableDelta;

/// The changes of a table between two versions, without reference to its memory.
#[derive(Debug, Clone)]
pub struct LogicalDelta {
    /// The version before the changes.
    pub from: u64,
    /// The version after the changes.
    pub to: u64,
    /// The port through which the batch was written.
    pub port_id: u32,
    /// Whether all rows were removed first; the removed keys are then not listed.
    pub is_replaced: bool,
    /// The keys of removed rows, ascending, in the storage of the index column or `Int64`. A key may be among the
    /// upserted rows, too: removals come first.
    pub removed_keys: Option<ArrayRef>,
    /// All cells of the new and changed rows, in key order: the table's columns, then, for a table without an index, the
    /// keys ([`LogicalDelta::KEYS`]).
    pub upserted: RecordBatch,
    /// The columns that have held an integer beyond 32 bits, by position.
    pub wide_columns: Vec<usize>,
}

impl LogicalDelta {
    /// The name of the column of keys in [`LogicalDelta::upserted`].
    pub const KEYS: &'static str = "__INDEX__";
}

impl TableDelta {
    /// Describes the delta by rows and keys. The rows of a join have no lasting keys of their own, so its description can
    /// be read but not applied.
    pub fn logical(&self) -> LogicalDelta {
        let (old, new) = (&self.old, &self.new);
        let mut upserted: Vec<u32> = self.inserted.iter().chain(&self.updated).copied().collect();
        upserted.sort_unstable_by(|&left, &right| new.compare_keys(left, right));
        upserted.dedup();
        let is_replaced = !self.removed.is_empty() && self.removed.len() == old.num_rows();
        let removed_keys = (!is_replaced && !self.removed.is_empty()).then(|| {
            let mut removed = self.removed.clone();
            removed.sort_unstable_by(|&left, &right| old.compare_keys(left, right));
            old.keys(&removed)
        });
        let schema = new.schema();
        let mut arrays: Vec<ArrayRef> =
            (0..schema.len()).map(|column| new.column(column).gather(&upserted)).collect();
        let mut names: Vec<&str> = schema.fields().iter().map(|field| &*field.name).collect();
        if new.index().is_none() {
            arrays.push(new.keys(&upserted));
            names.push(LogicalDelta::KEYS);
        }
        let fields: Vec<ArrowField> = (names.iter().zip(&arrays))
            .map(|(name, values)| ArrowField::new(*name, values.data_type().clone(), true))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(upserted.len()));
        let upserted =
            RecordBatch::try_new_with_options(Arc::new(ArrowSchema::new(fields)), arrays, &options)
                .expect("gathered columns have one length");
        let wide_columns = (0..schema.len()).filter(|&column| new.column(column).is_wide()).collect();
        LogicalDelta {
            from: self.from(),
            to: self.to(),
            port_id: self.port_id,
            is_replaced,
            removed_keys,
            upserted,
            wide_columns,
        }
    }
}
