//! Table data as batches of a put.
//!
//! Invariant: rows are read by the engine's own rules for the table that they go to, so that a file loads as if the server
//! had read it. A cell that is not given stays as it is in the table, other than a null: rows that give other columns
//! than the rows before them, for a table with an index, go into a put of their own.
//!
//! Cost: the data and its columns are in memory at once.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use proscenium_engine::ingest::{self, UpdateTarget};
use proscenium_engine::{Batch, EngineContext, EngineError, Schema, TableData, TableOptions, UnknownColumns};

use super::listing::TableInfo;

/// Rows of a batch that is sent.
const BATCH_ROWS: usize = 65_536;

/// The name of explicit row keys in Arrow data.
const ROW_KEYS: &str = "__INDEX__";

/// Rows that give the same columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) schema: SchemaRef,
    pub(super) batches: Vec<RecordBatch>,
}

/// How data are read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    /// The table that they go to; `None`: they make it.
    pub(super) table: Option<&'a TableInfo>,
    /// The properties of a new table.
    pub(super) options: TableOptions,
    pub(super) ignore_unknown: bool,
    /// Whether all rows are replaced: a cell that is not given is then null.
    pub(super) replaces: bool,
    pub(super) context: EngineContext,
}

impl Reading<'_> {
    /// Reads data. There is at least one part, which may be without rows.
    ///
    /// # Errors
    ///
    /// The data are malformed or do not fit the table; names the row or line, and the column.
    pub(super) fn read(&self, data: &TableData) -> Result<Vec<Part>, EngineError> {
        let (schema, batch, index) = match self.table {
            None => {
                let (schema, batch) = ingest::create(data, &self.options, &self.context)?;
                (schema, batch, self.options.index.as_deref())
            }
            Some(table) => {
                let schema = table.engine_schema();
                let index = table.properties.index.as_deref();
                let target = UpdateTarget {
                    schema: &schema,
                    index: index.and_then(|index| schema.index_of(index)),
                    list_flatten: self.options.list_flatten,
                    unknown_columns: UnknownColumns::unless(self.ignore_unknown),
                };
                let batch = ingest::update(data, target, &self.context)?;
                (schema, batch, index)
            }
        };
        let index = index.filter(|_| !self.replaces).and_then(|index| schema.index_of(index));
        // Arrays of one length and their own types make a batch.
        let parts = parts(&schema, &batch, index);
        Ok(parts.expect("the engine's columns have one length"))
    }
}

/// Splits a batch into parts. Without an index every row is new, and a cell that is not given is null.
fn parts(schema: &Schema, batch: &Batch, index: Option<usize>) -> Result<Vec<Part>, ArrowError> {
    let Some(index) = index else { return Ok(vec![part(schema, batch, 0..batch.num_rows, |_| true)?]) };
    let mut parts = Vec::new();
    let mut start = 0;
    while start < batch.num_rows || parts.is_empty() {
        let end = (start + 1..batch.num_rows).find(|row| !gives_same(batch, start, *row));
        let end = end.unwrap_or(batch.num_rows);
        let is_given = |column: usize| column_is_given(batch, index, column, start);
        parts.push(part(schema, batch, start..end, is_given)?);
        start = end;
    }
    Ok(parts)
}

/// Whether two rows give the same columns.
fn gives_same(batch: &Batch, row: usize, other: usize) -> bool {
    batch.columns.iter().all(|column| {
        column.missing.as_ref().is_none_or(|missing| missing.value(row) == missing.value(other))
    })
}

/// Whether a row gives a column. The key column is always sent.
fn column_is_given(batch: &Batch, index: usize, position: usize, row: usize) -> bool {
    let column = &batch.columns[position];
    let missing = column.missing.as_ref().filter(|missing| row < missing.len());
    column.column == index || !missing.is_some_and(|missing| missing.value(row))
}

fn part(
    schema: &Schema,
    batch: &Batch,
    rows: Range<usize>,
    is_given: impl Fn(usize) -> bool,
) -> Result<Part, ArrowError> {
    let given = batch.columns.iter().enumerate().filter(|(position, _)| is_given(*position));
    let mut columns: Vec<(&str, ArrayRef)> =
        given.map(|(_, column)| (&*schema.field(column.column).name, column.values.clone())).collect();
    columns.extend(batch.keys.iter().map(|keys| (ROW_KEYS, keys.clone())));
    let fields = columns.iter().map(|(name, values)| Field::new(*name, values.data_type().clone(), true));
    let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    let arrays: Vec<ArrayRef> = columns.into_iter().map(|(_, values)| values).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows));
    let whole = RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?;
    let starts = rows.clone().step_by(BATCH_ROWS);
    let batches = starts.map(|start| whole.slice(start, BATCH_ROWS.min(rows.end - start))).collect();
    Ok(Part { schema, batches })
}
