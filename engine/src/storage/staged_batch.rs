//! A write that has been checked: what remains is to apply it.
//!
//! Invariant: everything that can fail for a reason of its sender has failed before ([`crate::table::Table::stage`]). A
//! staged batch refers to its table's schema and options, which never change, but not to its rows; so it can be applied
//! at any later version, and to every table of the same schema and options that is at the same version, with the same
//! result.

use std::sync::Arc;

use arrow::array::ArrayRef;

use super::LoadMark;
use crate::data::{Batch, TableOptions};
use crate::memory::MemoryReservation;
use crate::types::schema::Schema;

/// What a write does with its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    /// Upserts rows into an indexed table, or appends them.
    Update {
        /// The port of the writer, which notifications carry.
        port_id: u32,
    },
    /// Clears the table and appends rows, as one batch.
    Replace,
    /// Removes rows by key.
    Remove,
    /// Removes all rows.
    Clear,
}

/// What a staged batch does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Creates a table with these options and its first rows.
    Create(TableOptions),
    /// Writes to an existing table.
    Write(WriteKind),
}

/// A write, validated and coerced: one version of a table. Applying it cannot fail.
#[derive(Debug, Clone)]
pub struct StagedBatch {
    pub(crate) operation: Operation,
    /// The schema of the table.
    pub(crate) schema: Schema,
    pub(crate) batch: Batch,
    /// That of the memory of the batch, and of the table's own copy of it.
    #[expect(dead_code, reason = "given back with the batch")]
    pub(crate) reservation: Option<Arc<MemoryReservation>>,
    /// Which part of a load it is.
    pub(crate) mark: Option<Arc<LoadMark>>,
}

impl StagedBatch {
    /// What the batch does.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The batch as a part of a load.
    #[must_use]
    pub fn with_mark(self, mark: Option<Arc<LoadMark>>) -> StagedBatch {
        StagedBatch { mark, ..self }
    }

    /// The schema of the batch's table.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Estimates the work of applying the batch to a table with `num_rows` rows, in cells. Cost: O(1).
    pub fn work(&self, num_rows: usize) -> usize {
        // Rows that are removed together are given back in chunks, column by column.
        let cleared = match &self.operation {
            Operation::Write(WriteKind::Replace | WriteKind::Clear) => {
                num_rows.saturating_mul(self.schema.len()) / 64
            }
            Operation::Create(_) | Operation::Write(WriteKind::Update { .. } | WriteKind::Remove) => 0,
        };
        let written = self.batch.num_rows.saturating_mul(1 + self.batch.columns.len());
        // The versions before and after each list all columns.
        written.saturating_add(cleared).saturating_add(self.schema.len())
    }

    /// The number of rows that are written, or of keys to be removed.
    pub fn num_rows(&self) -> usize {
        self.batch.num_rows
    }

    /// The keys of the rows to be removed.
    pub(crate) fn keys(&self) -> &ArrayRef {
        self.batch.keys.as_ref().expect("a staged removal has keys")
    }

    /// Bytes held by the batch's arrays, which other batches may share.
    pub fn memory(&self) -> usize {
        let columns = self.batch.columns.iter().map(|column| &column.values).chain(&self.batch.keys);
        columns.map(|values| values.get_array_memory_size()).sum()
    }
}
