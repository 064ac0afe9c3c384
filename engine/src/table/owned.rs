//! A table that clients write.
//!
//! Invariant: a batch is applied completely or not at all. Rows have stable slots; an index maps keys to slots.
//! Cost: O(rows of the batch), and O(log n) each for rows out of key order.

mod append;
mod removal;
#[cfg(test)]
mod tests;
mod upsert;

use std::sync::Arc;

use arrow::array::ArrayRef;

use crate::column::{ChunkedVec, CodeReclaim, Column, Interner};
use crate::data::{Batch, TableData, TableOptions, WriteOptions};
use crate::error::{EngineError, Result};
use crate::ingest::{self, UpdateTarget};
use crate::storage::KeyIndex;
use crate::storage::KeyOrder;
use crate::storage::TableDelta;
use crate::storage::{RowKeys, Snapshot, SnapshotData};
use crate::types::schema::{ColumnType, Schema};

#[derive(Debug)]
pub(crate) struct OwnedTable {
    schema: Schema,
    options: TableOptions,
    /// Position of the index column.
    index: Option<usize>,
    columns: Vec<Column>,
    /// The writer's side of the text columns, by column.
    interners: Vec<Option<Interner>>,
    keys: Keys,
    order: KeyOrder,
    /// Slots below `num_slots` that hold no row. Empty while the order is a ring.
    free: Vec<u32>,
    num_slots: u32,
    /// The implicit key of the next appended row.
    counter: i64,
    version: u64,
    num_ports: u32,
    /// Held by every snapshot of this version.
    epoch: Arc<()>,
    code_reclaim: CodeReclaim,
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
    /// Creates a table from its first rows, or from a schema.
    pub fn create(data: &TableData, options: TableOptions) -> Result<OwnedTable> {
        let options = TableOptions { index: options.index.filter(|index| !index.is_empty()), ..options };
        let (schema, batch) = ingest::create(data, &options)?;
        let mut table = OwnedTable::empty(schema, options)?;
        table.apply(&batch, true);
        table.end_batch();
        table.version = 0;
        Ok(table)
    }

    fn empty(schema: Schema, options: TableOptions) -> Result<OwnedTable> {
        let index = match &options.index {
            None => None,
            Some(name) => Some(schema.index_of(name).ok_or_else(|| {
                EngineError::table(format!("Specified index `{name}` does not appear in the Table.\n"))
            })?),
        };
        if index.is_some_and(|index| schema.field(index).column_type() == ColumnType::Boolean) {
            return Err(EngineError::table("Unsupported type `bool` for `index`.\n"));
        }
        let columns: Vec<Column> = schema.fields().iter().map(|field| Column::new(field.storage)).collect();
        let interners =
            columns.iter().map(|column| matches!(column, Column::Str(..)).then(Interner::default)).collect();
        let keys = match index {
            Some(_) => Keys::Index(KeyIndex::default()),
            None => Keys::Sequential { first_key: 0 },
        };
        let order = KeyOrder::empty(options.limit);
        Ok(OwnedTable {
            schema,
            options,
            index,
            columns,
            interners,
            keys,
            order,
            free: Vec::new(),
            num_slots: 0,
            counter: 0,
            version: 0,
            num_ports: 0,
            epoch: Arc::default(),
            code_reclaim: CodeReclaim::default(),
        })
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
            columns: self.columns.clone(),
            keys,
            order: self.order.clone(),
            base: None,
            _epoch: self.epoch.clone(),
            _computed_epoch: None,
        })
    }

    /// Allocates a port for updates: 1, 2, 3, …
    pub fn make_port(&mut self) -> u32 {
        self.num_ports += 1;
        self.num_ports
    }

    /// Upserts rows into an indexed table, or appends them. `None` if nothing changed: there are no rows, or the
    /// port was never allocated.
    pub fn update(
        &mut self,
        data: &TableData,
        port_id: u32,
        options: &WriteOptions,
    ) -> Result<Option<TableDelta>> {
        let batch = self.read(data, options)?;
        if batch.num_rows == 0 || port_id > self.num_ports {
            return Ok(None);
        }
        let old = self.snapshot();
        let changes = self.apply(&batch, false);
        Ok(Some(self.finish(old, port_id, changes)))
    }

    /// Writes rows like [`OwnedTable::update`], without taking snapshots, so that cells no reader shares are
    /// written in place. Returns whether anything was written.
    pub fn update_unobserved(
        &mut self,
        data: &TableData,
        port_id: u32,
        options: &WriteOptions,
    ) -> Result<bool> {
        let batch = self.read(data, options)?;
        if batch.num_rows == 0 || port_id > self.num_ports {
            return Ok(false);
        }
        self.apply(&batch, false);
        self.end_batch();
        Ok(true)
    }

    /// Clears the table and appends rows, as one batch. Invalid data leaves the table unchanged.
    pub fn replace(&mut self, data: &TableData, options: &WriteOptions) -> Result<TableDelta> {
        let batch = self.read(data, options)?;
        let old = self.snapshot();
        let mut removed: Vec<u32> = old.order().iter_from(0).collect();
        self.clear();
        let mut changes = self.apply(&batch, false);
        changes.removed_keys = self.keys_not_reinserted(&old, &removed);
        removed.append(&mut changes.removed);
        changes.removed = removed;
        Ok(self.finish(old, 0, changes))
    }

    /// Removes rows by key; unknown keys are ignored. `None` if no keys were given.
    pub fn remove(&mut self, data: &TableData) -> Result<Option<TableDelta>> {
        let Some(index) = self.index else {
            return Err(EngineError::table("Cannot remove from unindexed Table\n"));
        };
        let field = self.schema.field(index).clone();
        let keys = ingest::remove_keys(data, &field.name, field.storage)?;
        if keys.is_empty() {
            return Ok(None);
        }
        let old = self.snapshot();
        let changes = self.remove_keys(&keys);
        Ok(Some(self.finish(old, 0, changes)))
    }

    /// Bytes held by columns and keys.
    pub fn memory(&self) -> usize {
        let columns: usize = self.columns.iter().map(Column::memory).sum();
        let interners: usize = self.interners.iter().flatten().map(Interner::memory).sum();
        let keys = match &self.keys {
            Keys::Index(index) => index.memory(),
            Keys::Sequential { .. } => 0,
            Keys::Explicit { cells, index } => cells.memory() + index.memory(),
        };
        columns + interners + keys + self.order.memory()
    }

    fn read(&self, data: &TableData, options: &WriteOptions) -> Result<Batch> {
        self.check(options)?;
        let target = UpdateTarget {
            schema: &self.schema,
            index: self.index,
            list_flatten: self.options.list_flatten,
            unknown_columns: options.unknown_columns,
        };
        ingest::update(data, target)
    }

    /// Fails if the table's properties differ from those that a write expects.
    fn check(&self, options: &WriteOptions) -> Result<()> {
        let TableOptions { index, limit, list_flatten } = &self.options;
        let refused = |what: &str, given: String, own: Option<String>| {
            let own = own.map_or_else(|| "none".to_owned(), |own| format!("\"{own}\""));
            Err(EngineError::table(format!("the table's {what} is {own}, not \"{given}\"")))
        };
        if let Some(given) = options.index.as_ref().filter(|given| Some(*given) != index.as_ref()) {
            return refused("index", given.clone(), index.clone());
        }
        if let Some(given) = options.limit.filter(|given| Some(*given) != *limit) {
            return refused("limit", given.to_string(), limit.map(|limit| limit.to_string()));
        }
        if let Some(given) = options.list_flatten.filter(|given| given != list_flatten) {
            return refused("list flattening", given.name().into(), Some(list_flatten.name().into()));
        }
        Ok(())
    }

    fn apply(&mut self, batch: &Batch, creating: bool) -> Changes {
        if batch.num_rows == 0 {
            return Changes::default();
        }
        match (self.index, &batch.keys) {
            (Some(_), _) => self.upsert(batch, creating),
            (None, Some(keys)) => self.upsert_implicit(batch, keys),
            (None, None) => self.append(batch),
        }
    }

    fn clear(&mut self) {
        for (column, interner) in self.columns.iter_mut().zip(&mut self.interners) {
            column.reset(interner.as_mut());
        }
        self.keys = match self.index {
            Some(_) => Keys::Index(KeyIndex::default()),
            None => Keys::Sequential { first_key: self.counter },
        };
        self.order = KeyOrder::empty(self.options.limit);
        self.free.clear();
        self.num_slots = 0;
    }

    fn finish(&mut self, old: Snapshot, port_id: u32, changes: Changes) -> TableDelta {
        self.end_batch();
        let Changes { mut inserted, mut updated, mut removed, removed_keys } = changes;
        for slots in [&mut inserted, &mut updated, &mut removed] {
            slots.sort_unstable();
            slots.dedup();
        }
        TableDelta {
            old,
            new: self.snapshot(),
            port_id,
            inserted,
            updated,
            removed,
            recomputed: Vec::new(),
            removed_keys,
        }
    }

    fn end_batch(&mut self) {
        self.code_reclaim.end_batch(&mut self.columns, &mut self.interners, &mut self.epoch);
        self.version += 1;
    }
}

/// Batches for tests, without the readers of `ingest`.
#[cfg(test)]
impl OwnedTable {
    pub(crate) fn empty_for_test(schema: Schema, options: TableOptions) -> OwnedTable {
        OwnedTable::empty(schema, options).expect("the test's options fit its schema")
    }

    pub(crate) fn apply_for_test(&mut self, batch: &Batch) -> TableDelta {
        let old = self.snapshot();
        let changes = self.apply(batch, false);
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
