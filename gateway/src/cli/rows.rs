//! Table data as batches of a put.
//!
//! Invariant: rows are read by the engine's own rules for the table that they go to, so that a file loads as if the server
//! had read it. A cell that is not given stays as it is in the table, other than a null: rows that give other columns
//! than the others, for a table with an index, go into a put of their own.
//!
//! Cost: the data and its columns are in memory at once.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
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

impl Part {
    pub(super) fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
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
    let Some(index) = index else { return Ok(vec![part(schema, batch, |_| true)?.all()]) };
    let mut runs: Vec<Range<usize>> = Vec::new();
    for row in 0..batch.num_rows {
        match runs.last_mut() {
            Some(run) if gives_same(batch, run.start, row) => run.end = row + 1,
            _ => runs.push(row..row + 1),
        }
    }
    let part_of = |row: usize| part(schema, batch, |column| column_is_given(batch, index, column, row));
    if runs.len() < 2 {
        return Ok(vec![part_of(0)?.all()]);
    }
    if !keys_are_distinct(batch, index)? {
        return runs.into_iter().map(|run| Ok(part_of(run.start)?.rows(run))).collect();
    }
    // No row depends on another: those that give the same columns go together, whatever their order.
    let mut groups: Vec<(usize, Vec<u32>)> = Vec::new();
    for run in runs {
        let rows = run.clone().map(|row| row as u32);
        match groups.iter_mut().find(|(row, _)| gives_same(batch, *row, run.start)) {
            Some((_, group)) => group.extend(rows),
            None => groups.push((run.start, rows.collect())),
        }
    }
    let take = |(row, rows): (usize, Vec<u32>)| {
        let num_rows = rows.len();
        let taken = take_record_batch(&part_of(row)?.whole, &UInt32Array::from(rows))?;
        Ok(Whole { whole: taken }.rows(0..num_rows))
    };
    groups.into_iter().map(take).collect()
}

/// Whether no key comes twice.
fn keys_are_distinct(batch: &Batch, index: usize) -> Result<bool, ArrowError> {
    let column = batch.columns.iter().find(|column| column.column == index).map(|column| &column.values);
    let Some(keys) = batch.keys.as_ref().or(column) else { return Ok(false) };
    let converter = RowConverter::new(vec![SortField::new(keys.data_type().clone())])?;
    let rows = converter.convert_columns(std::slice::from_ref(keys))?;
    let mut seen = HashSet::with_capacity(rows.num_rows());
    Ok(rows.iter().all(|row| seen.insert(row)))
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

/// All rows of a batch, with some of its columns.
struct Whole {
    whole: RecordBatch,
}

fn part(schema: &Schema, batch: &Batch, is_given: impl Fn(usize) -> bool) -> Result<Whole, ArrowError> {
    let given = batch.columns.iter().enumerate().filter(|(position, _)| is_given(*position));
    let mut columns: Vec<(&str, ArrayRef)> =
        given.map(|(_, column)| (&*schema.field(column.column).name, column.values.clone())).collect();
    columns.extend(batch.keys.iter().map(|keys| (ROW_KEYS, keys.clone())));
    let fields = columns.iter().map(|(name, values)| Field::new(*name, values.data_type().clone(), true));
    let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    let arrays: Vec<ArrayRef> = columns.into_iter().map(|(_, values)| values).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows));
    Ok(Whole { whole: RecordBatch::try_new_with_options(schema, arrays, &options)? })
}

impl Whole {
    fn all(&self) -> Part {
        self.rows(0..self.whole.num_rows())
    }

    fn rows(&self, rows: Range<usize>) -> Part {
        let starts = rows.clone().step_by(BATCH_ROWS);
        let batches = starts.map(|start| self.whole.slice(start, BATCH_ROWS.min(rows.end - start)));
        Part { schema: self.whole.schema(), batches: batches.collect() }
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::super::listing::Properties;
    use super::*;

    /// Reads NDJSON for a table of numbers and returns the columns and rows of each part.
    fn parts(text: &str, index: Option<&str>) -> Vec<(Vec<String>, usize)> {
        let fields = ["id", "a", "b"].map(|name| Field::new(name, DataType::Int32, true));
        let table = TableInfo {
            name: "t".to_owned(),
            num_rows: 0,
            schema: Arc::new(ArrowSchema::new(fields.to_vec())),
            properties: Properties { index: index.map(str::to_owned), limit: None },
        };
        let reading = Reading {
            table: Some(&table),
            options: TableOptions::default(),
            ignore_unknown: false,
            replaces: false,
            context: EngineContext::default(),
        };
        let parts = reading.read(&TableData::Ndjson(text.to_owned().into())).unwrap();
        let shape = |part: Part| {
            let names = part.schema.fields().iter().map(|field| field.name().clone()).collect();
            (names, part.num_rows())
        };
        parts.into_iter().map(shape).collect()
    }

    fn part(names: &[&str], num_rows: usize) -> (Vec<String>, usize) {
        (names.iter().map(|&name| name.to_owned()).collect(), num_rows)
    }

    #[test]
    fn rows_that_give_other_columns_are_parts_of_their_own() {
        let rows = r#"{"id":1,"a":1} {"id":2,"b":1} {"id":3,"a":null} {"id":4,"a":1,"b":2}"#;
        let of_keys = [part(&["id", "a"], 2), part(&["id", "b"], 1), part(&["id", "a", "b"], 1)];
        assert_eq!(parts(rows, Some("id")), of_keys, "no key comes twice");
        let again = rows.replace('3', "2");
        let in_order =
            [part(&["id", "a"], 1), part(&["id", "b"], 1), part(&["id", "a"], 1), part(&["id", "a", "b"], 1)];
        assert_eq!(parts(&again, Some("id")), in_order, "a row is for the one before it");
        assert_eq!(parts(rows, None), [part(&["id", "a", "b"], 4)], "every row is new");
    }

    #[test]
    fn many_rows_are_batches() {
        let rows: String = (0..BATCH_ROWS + 1).map(|id| format!("{{\"id\":{id}}}\n")).collect();
        assert_eq!(parts(&rows, Some("id")), [part(&["id"], BATCH_ROWS + 1)]);
    }
}
