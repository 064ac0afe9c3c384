//! A table that clients write.
//!
//! A write is checked without a change of the table ([`stage`]), then applied, which cannot fail ([`apply`]).
//!
//! Invariant: a batch is applied completely or not at all. Rows have stable slots; an index maps keys to slots.
//! Cost: O(rows of the batch), and O(log n) each for rows out of key order.

mod append;
mod apply;
mod excerpt;
mod removal;
mod replicate;
mod restore;
mod stage;
#[cfg(test)]
mod tests;
mod upsert;

use arrow::array::ArrayRef;
pub use stage::Stager;

use crate::column::{ChunkedVec, ColumnSet};
#[cfg(test)]
use crate::data::Batch;
use crate::data::TableOptions;
use crate::parallel::Threads;
#[cfg(test)]
use crate::storage::TableDelta;
use crate::storage::{
    KeyIndex, KeyOrder, LoadHistory, Operation, RowKeys, Snapshot, SnapshotData, StagedBatch,
};
use crate::types::schema::Schema;

#[derive(Debug)]
pub(crate) struct OwnedTable {
    schema: Schema,
    options: TableOptions,
    /// Position of the index column.
    index: Option<usize>,
    columns: ColumnSet,
    keys: Keys,
    order: KeyOrder,
    /// Slots below `num_slots` that hold no row. Empty while the order is a ring.
    free: Vec<u32>,
    num_slots: u32,
    /// The implicit key of the next appended row.
    counter: i64,
    version: u64,
    num_ports: u32,
    loads: LoadHistory,
}

/// How rows are found by key.
#[derive(Debug)]
enum Keys {
    /// By the index column.
    Index(KeyIndex),
    /// Implicit, gapless: the row at position `i` has key `first_key + i`.
    Sequential { first_key: i64 },
    /// Implicit, with gaps.
    Explicit { cells: ChunkedVec<i64>, index: KeyIndex },
}

/// The effect of a batch on rows, from which a [`TableDelta`] is made.
#[derive(Debug, Default)]
struct Changes {
    inserted: Vec<u32>,
    updated: Vec<u32>,
    removed: Vec<u32>,
    removed_keys: Option<ArrayRef>,
}

impl OwnedTable {
    /// Creates a table from a staged creation; its version is 0.
    pub fn build(staged: &StagedBatch, threads: Threads) -> OwnedTable {
        let Operation::Create(options) = &staged.operation else {
            panic!("a table is made of a staged creation, not of {:?}", staged.operation);
        };
        let mut table = OwnedTable::empty(staged.schema.clone(), options.clone());
        table.write_rows(&staged.batch, true, threads);
        table.end_batch();
        table.version = 0;
        table.note_load(staged);
        table
    }

    /// A table without rows. The options fit the schema.
    fn empty(schema: Schema, options: TableOptions) -> OwnedTable {
        let index = options
            .index
            .as_ref()
            .map(|name| schema.index_of(name).expect("the index of a staged table is one of its columns"));
        let columns = ColumnSet::new(&schema);
        let keys = match index {
            Some(_) => Keys::Index(KeyIndex::default()),
            None => Keys::Sequential { first_key: 0 },
        };
        let order = KeyOrder::empty(options.limit);
        OwnedTable {
            schema,
            options,
            index,
            columns,
            keys,
            order,
            free: Vec::new(),
            num_slots: 0,
            counter: 0,
            version: 0,
            num_ports: 0,
            loads: LoadHistory::default(),
        }
    }

    /// The columns.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The name of the index column, if any.
    pub fn index(&self) -> Option<&str> {
        self.options.index.as_deref()
    }

    /// The maximum number of rows, if limited.
    pub fn limit(&self) -> Option<u32> {
        self.options.limit
    }

    /// The number of rows.
    pub fn num_rows(&self) -> usize {
        self.order.len()
    }

    /// The number of batches applied since creation.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The current version of the table. Cost: O(columns).
    pub fn snapshot(&self) -> Snapshot {
        let keys = match &self.keys {
            Keys::Index(_) => RowKeys::Index(self.index.expect("an indexed table has an index column")),
            Keys::Sequential { first_key } => RowKeys::Sequential { first_key: *first_key },
            Keys::Explicit { cells, .. } => RowKeys::Explicit(cells.clone()),
        };
        Snapshot::new(SnapshotData {
            version: self.version,
            schema: self.schema.clone(),
            columns: self.columns.as_slice().to_vec(),
            keys,
            order: self.order.clone(),
            base: None,
            _cells_of: None,
            _epoch: self.columns.epoch().clone(),
            _computed_epoch: None,
        })
    }

    /// Allocates a port for updates: 1, 2, 3, …
    pub fn make_port(&mut self) -> u32 {
        self.num_ports += 1;
        self.num_ports
    }

    /// Bytes held by columns and keys.
    pub fn memory(&self) -> usize {
        let keys = match &self.keys {
            Keys::Index(index) => index.memory(),
            Keys::Sequential { .. } => 0,
            Keys::Explicit { cells, index } => cells.memory() + index.memory(),
        };
        self.columns.memory() + keys + self.order.memory()
    }

    /// The loads that the table has parts of.
    pub fn loads(&self) -> &LoadHistory {
        &self.loads
    }

    /// Notes the load of a batch that was applied.
    fn note_load(&mut self, staged: &StagedBatch) {
        if let Some(mark) = &staged.mark {
            self.loads.note(mark, self.version, matches!(staged.operation, Operation::Create(_)));
        }
    }

    fn clear(&mut self) {
        self.columns.reset();
        self.keys = match self.index {
            Some(_) => Keys::Index(KeyIndex::default()),
            None => Keys::Sequential { first_key: self.counter },
        };
        self.order = KeyOrder::empty(self.options.limit);
        self.free.clear();
        self.num_slots = 0;
    }

    fn end_batch(&mut self) {
        self.columns.end_batch();
        self.version += 1;
    }
}

/// Batches for tests, without the readers of `ingest`.
#[cfg(test)]
impl OwnedTable {
    pub(crate) fn empty_for_test(schema: Schema, options: TableOptions) -> OwnedTable {
        OwnedTable::empty(schema, options)
    }

    pub(crate) fn apply_for_test(&mut self, batch: &Batch) -> TableDelta {
        let old = self.snapshot();
        let changes = self.write_rows(batch, false, Threads::ONE);
        self.finish(old, 0, changes)
    }

    pub(crate) fn clear_for_test(&mut self) -> TableDelta {
        let old = self.snapshot();
        let removed = old.order().iter_from(0).collect();
        self.clear();
        self.finish(old, 0, Changes { removed, ..Changes::default() })
    }

    pub(crate) fn remove_for_test(&mut self, keys: &ArrayRef) -> TableDelta {
        let old = self.snapshot();
        let changes = self.remove_keys(keys);
        self.finish(old, 0, changes)
    }
}
