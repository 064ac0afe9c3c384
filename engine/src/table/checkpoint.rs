//! A table at one version, taken apart and put together again.
//!
//! Invariant: a restored table behaves like the original: applying the same batches gives the same rows in the same order,
//! the same implicit keys and versions, and deltas that say the same. Slots and text codes, which no client sees, may
//! differ. Computed columns belong to views and are no part of it.
//!
//! Cost: [`Checkpoint`] is O(columns); its batches are gathered one at a time, from an immutable snapshot and on any
//! thread, so a checkpoint holds one batch in memory while the table goes on.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field as ArrowField, Schema as ArrowSchema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::definition::TableDefinition;
use super::owned::OwnedTable;
use super::{Body, Table};
use crate::config::ViewConfig;
use crate::context::EngineContext;
use crate::data::TableOptions;
use crate::error::{DataError, EngineError, Result};
use crate::storage::{LoadHistory, RowKeys, Snapshot};
use crate::types::schema::Schema;

/// The name of the column of implicit keys that have gaps.
pub(super) const ROW_KEYS: &str = "__INDEX__";

/// Everything of a table at one version except its rows.
///
/// Serialisable as JSON, see [`super::definition`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    pub(super) definition: TableDefinition,
    /// The version of the table.
    pub version: u64,
    /// The number of rows.
    pub num_rows: usize,
    /// The number of ports allocated so far.
    pub num_ports: u32,
    /// The implicit key of the next appended row.
    pub(super) next_key: i64,
    pub(super) keys: KeyState,
    /// The columns that have held an integer beyond 32 bits, by position.
    pub(super) wide_columns: Vec<usize>,
    /// The loads that the table has parts of.
    #[serde(default)]
    pub(super) loads: LoadHistory,
}

/// How rows are found by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeyState {
    /// By the index column.
    Index,
    /// Implicit, without gaps.
    Sequential { first_key: i64 },
    /// Implicit, in a column of their own.
    Explicit,
}

/// A table at one version, to be written while the table goes on.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    state: TableState,
    snapshot: Snapshot,
}

impl Checkpoint {
    /// Everything except the rows.
    pub fn state(&self) -> &TableState {
        &self.state
    }

    /// The schema of the batches: the table's columns, and the keys where they are implicit and have gaps.
    pub fn schema(&self) -> SchemaRef {
        schema_of(self.snapshot.schema(), self.state.keys)
    }

    /// The rows in key order, in batches of `rows_per_batch` (at least 1), each gathered when it is asked for. Text is
    /// coded by a dictionary of the batch's own.
    pub fn batches(&self, rows_per_batch: usize) -> impl Iterator<Item = RecordBatch> + '_ {
        let (schema, size) = (self.schema(), rows_per_batch.max(1));
        let mut slots = self.snapshot.order().iter_from(0);
        std::iter::from_fn(move || {
            let slots: Vec<u32> = slots.by_ref().take(size).collect();
            (!slots.is_empty()).then(|| {
                let columns = 0..self.snapshot.schema().len();
                let mut arrays: Vec<ArrayRef> =
                    columns.map(|column| self.snapshot.column(column).gather(&slots)).collect();
                if self.state.keys == KeyState::Explicit {
                    arrays.push(self.snapshot.keys(&slots));
                }
                let options = RecordBatchOptions::new().with_row_count(Some(slots.len()));
                RecordBatch::try_new_with_options(schema.clone(), arrays, &options)
                    .expect("gathered columns have the types of their storage and one length")
            })
        })
    }
}

impl Table {
    /// Takes the table as it is now. `None` for a table that follows others, which is made again from them.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let table = self.written().ok()?;
        Some(Checkpoint { state: table.state(), snapshot: table.snapshot() })
    }

    /// Takes a table that follows others as it is now, as a table of its own: the same rows in the same order. Put together
    /// again, it is one that clients write, see [`Table::into_read_only`].
    pub fn detached(&self) -> Checkpoint {
        let (snapshot, index) = (self.stored(), self.index().map(str::to_owned));
        let keys = if index.is_some() { KeyState::Index } else { KeyState::Sequential { first_key: 0 } };
        let options = TableOptions { index, limit: self.limit(), ..TableOptions::default() };
        let num_rows = snapshot.num_rows();
        let state = TableState {
            definition: TableDefinition::new(snapshot.schema(), &options),
            version: snapshot.version(),
            num_rows,
            num_ports: 0,
            next_key: i64::try_from(num_rows).unwrap_or(i64::MAX),
            keys,
            wide_columns: Vec::new(),
            loads: LoadHistory::default(),
        };
        Checkpoint { state, snapshot }
    }

    /// A table of the same rows that nobody writes, as a table from a view whose source is gone.
    ///
    /// # Errors
    ///
    /// Never in practice: a view of all columns is a valid one.
    pub fn into_read_only(mut self, context: &EngineContext) -> Result<Table> {
        let plan = self.plan_in(&ViewConfig::default(), context)?;
        Table::derive(plan, &self.stored(), self.limit(), None, context)
    }

    /// Puts a table together from the parts of a [`Checkpoint`].
    ///
    /// # Errors
    ///
    /// If reading a batch fails, or the batches are not what the state describes.
    pub fn restore(
        state: &TableState,
        batches: impl IntoIterator<Item = Result<RecordBatch>>,
        context: &EngineContext,
    ) -> Result<Table> {
        let (schema, options) = state.definition.read()?;
        let mut table = OwnedTable::restored(schema, options, state);
        let expected = schema_of(table.schema(), state.keys);
        for batch in batches {
            let batch = batch?;
            let types = |schema: &ArrowSchema| -> Vec<DataType> {
                schema.fields().iter().map(|field| field.data_type().clone()).collect()
            };
            if types(batch.schema_ref()) != types(&expected) {
                return Err(damaged("a batch has other columns than the table"));
            }
            table.restore_rows(&batch, context.threads())?;
        }
        table.finish_restore(state)?;
        Ok(Table::of(Body::Owned(Box::new(table))))
    }
}

fn schema_of(schema: &Schema, keys: KeyState) -> SchemaRef {
    let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let type_of = |data_type: DataType| if data_type == DataType::Utf8 { coded.clone() } else { data_type };
    let columns = schema.fields().iter();
    let mut fields: Vec<ArrowField> =
        columns.map(|field| ArrowField::new(&*field.name, type_of(field.storage.arrow()), true)).collect();
    if keys == KeyState::Explicit {
        fields.push(ArrowField::new(ROW_KEYS, DataType::Int64, false));
    }
    Arc::new(ArrowSchema::new(fields))
}

impl KeyState {
    pub(super) fn of(snapshot: &Snapshot) -> KeyState {
        match snapshot.row_keys() {
            RowKeys::Index(_) => KeyState::Index,
            RowKeys::Sequential { first_key } => KeyState::Sequential { first_key: *first_key },
            RowKeys::Explicit(_) | RowKeys::Pairs(_) => KeyState::Explicit,
        }
    }
}

/// The keys of a batch whose table keeps them in a column of their own.
pub(super) fn explicit_keys(batch: &RecordBatch) -> Result<&Int64Array> {
    let keys = batch.columns().last().and_then(|keys| keys.as_any().downcast_ref::<Int64Array>());
    keys.filter(|keys| keys.null_count() == 0).ok_or_else(|| damaged("a batch lacks row keys"))
}

pub(super) fn damaged(why: &str) -> EngineError {
    DataError::Record { act: "restore the table", reason: why.to_owned() }.into()
}
