//! Reads bytes into batches: CSV, JSON rows, JSON columns, NDJSON and Arrow.
//!
//! Parsing is left to established readers where there is one; inference, coercion and flattening follow the published
//! server's rules and are implemented here.
//!
//! Invariant: all or nothing. A bad batch is an error that names its row and column, and no part of it is applied.

mod arrow;
mod cell;
mod coerce;
mod csv;
mod digits;
mod flatten_arrow;
mod flatten_json;
mod guard;
mod infer;
mod intake;
mod ipc;
mod ipc_batch;
mod ipc_file;
mod ipc_schema;
mod json_columns;
mod json_parts;
mod json_rows;
mod remove;
mod staging;
mod store;
mod temporal;
#[cfg(test)]
mod tests;

use ::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use ::arrow::buffer::BooleanBuffer;
use ::arrow::compute::kernels::zip::zip;
use ::arrow::datatypes::SchemaRef;
use ahash::AHashSet;
use bytes::Bytes;

use crate::context::EngineContext;
use crate::data::{Batch, BatchColumn, ListFlatten, TableData, TableOptions, UnknownColumns};
use crate::error::{DataError, EngineError, IndexSource, Result, TableError};
use crate::memory::MemoryAccount;
use crate::parallel::Threads;
use crate::types::schema::{ColumnType, Field, Schema, Storage};
use intake::Intake;

use crate::data::CsvOptions;
pub use guard::{guarded, reading_column};
pub use ipc::Messages as ArrowMessages;
pub(crate) use staging::StagingMemory;
pub use staging::batch_bytes;

/// The column of row keys in updates and in Arrow data.
const ROW_KEYS: &str = "__INDEX__";

/// Maximum number of rows made from nested or zero-width input, a few bytes of which can claim more rows than fit into
/// memory.
const MAX_CLAIMED_ROWS: usize = 20_000_000;

/// Reads the data of a new table: infers the schema and reads the first rows.
///
/// `__INDEX__` in Arrow data becomes [`Batch::keys`].
///
/// # Errors
///
/// If the data is malformed, or `options.index` names no column of it or a boolean one.
pub fn create(data: &TableData, options: &TableOptions, context: &EngineContext) -> Result<(Schema, Batch)> {
    create_in(data, options, context, &StagingMemory::new(&context.memory))
}

/// As [`create`], with memory of this reservation.
pub(crate) fn create_in(
    data: &TableData,
    options: &TableOptions,
    context: &EngineContext,
    memory: &StagingMemory,
) -> Result<(Schema, Batch)> {
    guarded(|| read_new(data, options, context.threads(), memory))
}

fn read_new(
    data: &TableData,
    options: &TableOptions,
    threads: Threads,
    memory: &StagingMemory,
) -> Result<(Schema, Batch)> {
    let index = options.index.as_deref().filter(|index| !index.is_empty());
    let list_flatten = options.list_flatten;
    let (schema, batch) = match data {
        TableData::Schema(columns) => (schema_of(columns)?, Batch::default()),
        TableData::Csv(bytes) => {
            let text = csv::reserved(bytes, CsvOptions::default(), memory)?;
            csv::create(text, CsvOptions::default(), index, threads)?
        }
        TableData::Delimited(bytes, options) => {
            csv::create(csv::reserved(bytes, *options, memory)?, *options, index, threads)?
        }
        TableData::Arrow(bytes) => {
            let (schema, batches) = arrow::read(bytes, memory)?;
            arrow::create(&schema, batches.into_iter().map(Ok), index, list_flatten, memory.sharing())?
        }
        TableData::Batches(schema, batches) => {
            arrow::create(schema, batches.iter().cloned().map(Ok), index, list_flatten, memory.sharing())?
        }
        TableData::Stream(source) => {
            arrow::create(&source.schema(), source.batches()?, index, list_flatten, memory.copying())?
        }
        TableData::Rows(text) => {
            memory.grow(text.len() / 2)?;
            let fresh = || {
                memory.restart(text.len() / 2);
                Intake::create(index, list_flatten).reserving(memory)
            };
            json_rows::read_array(text, threads, fresh)?.finish_create()?
        }
        TableData::Ndjson(text) => {
            memory.grow(text.len() / 2)?;
            let fresh = || {
                memory.restart(text.len() / 2);
                Intake::create(index, list_flatten).reserving(memory)
            };
            json_rows::read_lines(text, threads, fresh)?.finish_create()?
        }
        TableData::Columns(text) => {
            memory.grow(text.len() / 2)?;
            let fresh = || {
                memory.restart(text.len() / 2);
                Intake::create(index, list_flatten).reserving(memory)
            };
            json_columns::read(text, fresh)?.finish_create()?
        }
    };
    if let Some(index) = index {
        check_index(data, &schema, index)?;
    }
    Ok((schema, batch))
}

fn schema_of(columns: &[(String, ColumnType)]) -> Result<Schema> {
    let mut names = AHashSet::new();
    if let Some((name, _)) = columns.iter().find(|(name, _)| !names.insert(name)) {
        return Err(DataError::DuplicateColumn { column: name.to_string() }.into());
    }
    let fields = columns.iter().map(|(name, kind)| Field::new(&**name, kind.default_storage()));
    Ok(Schema::new(fields.collect()))
}

fn check_index(data: &TableData, schema: &Schema, index: &str) -> Result<()> {
    let Some(position) = schema.index_of(index) else {
        let source_kind = match data {
            TableData::Schema(_) => IndexSource::Schema,
            TableData::Csv(_)
            | TableData::Delimited(..)
            | TableData::Arrow(_)
            | TableData::Batches(..)
            | TableData::Stream(_) => IndexSource::Columns,
            TableData::Rows(_) | TableData::Columns(_) | TableData::Ndjson(_) => IndexSource::Json,
        };
        return Err(TableError::UnknownIndex { index: index.to_owned(), source_kind }.into());
    };
    if schema.field(position).storage == Storage::Bool {
        return Err(TableError::BooleanIndex.into());
    }
    Ok(())
}

/// Names of columns that a write gives and the table does not have: the first few, for error texts.
#[derive(Debug, Default)]
struct UnknownNames(Vec<String>);

impl UnknownNames {
    /// The most names that are kept.
    const MOST: usize = 4;

    fn note(&mut self, name: &str) {
        if self.0.len() < Self::MOST && self.0.iter().all(|noted| noted != name) {
            self.0.push(name.to_owned());
        }
    }

    fn absorb(&mut self, other: UnknownNames) {
        other.0.iter().for_each(|name| self.note(name));
    }

    fn first(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }
}

/// The table that an update is read for.
#[derive(Debug, Clone, Copy)]
pub struct UpdateTarget<'a> {
    /// The table's schema.
    pub schema: &'a Schema,
    /// Position of the index column.
    pub index: Option<usize>,
    /// How lists become rows or texts.
    pub list_flatten: ListFlatten,
    /// Whether columns that the table does not have are ignored or refused.
    pub unknown_columns: UnknownColumns,
}

impl UpdateTarget<'_> {
    /// Applies the policy for a column that the table does not have.
    fn unknown_column(&self, name: &str) -> Result<()> {
        match self.unknown_columns {
            UnknownColumns::Ignore => Ok(()),
            UnknownColumns::Refuse => Err(DataError::UnknownColumn { column: name.to_owned() }.into()),
        }
    }

    /// Refuses rows that would be lost: without the index column and without row keys they would all become the one row
    /// of the null key, and without any column of the table rows of nulls.
    fn check_columns(&self, batch: &Batch, unknown: UnknownNames) -> Result<()> {
        if batch.num_rows == 0 {
            return Ok(());
        }
        let is_index = |column: &BatchColumn| Some(column.column) == self.index;
        match self.index {
            Some(index) if batch.keys.is_none() && !batch.columns.iter().any(is_index) => {
                let key = self.schema.field(index).name.to_string();
                Err(DataError::MissingKey { key, unknown: unknown.0 }.into())
            }
            Some(_) | None if batch.columns.is_empty() && !unknown.0.is_empty() => {
                Err(DataError::OnlyUnknownColumns { columns: unknown.0 }.into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Returns the storage type of [`Batch::keys`].
    fn key_storage(&self) -> Storage {
        self.index.map_or(Storage::Int64, |index| self.schema.field(index).storage)
    }
}

/// Reads rows for an existing table and coerces every cell to its column's storage type.
///
/// # Errors
///
/// If the data is malformed or a cell does not fit its column; the error names the row and the column.
pub fn update(data: &TableData, target: UpdateTarget<'_>, context: &EngineContext) -> Result<Batch> {
    update_in(data, target, context, &StagingMemory::new(&context.memory))
}

/// As [`update`], with memory of this reservation.
pub(crate) fn update_in(
    data: &TableData,
    target: UpdateTarget<'_>,
    context: &EngineContext,
    memory: &StagingMemory,
) -> Result<Batch> {
    guarded(|| read_rows(data, target, context.threads(), memory))
}

fn read_rows(
    data: &TableData,
    target: UpdateTarget<'_>,
    threads: Threads,
    memory: &StagingMemory,
) -> Result<Batch> {
    match data {
        TableData::Schema(_) => Err(DataError::SchemaAsData.into()),
        TableData::Csv(bytes) => {
            let text = csv::reserved(bytes, CsvOptions::default(), memory)?;
            csv::update(text, CsvOptions::default(), target, threads)
        }
        TableData::Delimited(bytes, options) => {
            csv::update(csv::reserved(bytes, *options, memory)?, *options, target, threads)
        }
        TableData::Arrow(bytes) => {
            let (schema, batches) = arrow::read(bytes, memory)?;
            arrow::update(&schema, batches.into_iter().map(Ok), target, memory.sharing())
        }
        TableData::Batches(schema, batches) => {
            arrow::update(schema, batches.iter().cloned().map(Ok), target, memory.sharing())
        }
        TableData::Stream(source) => {
            arrow::update(&source.schema(), source.batches()?, target, memory.copying())
        }
        TableData::Rows(text) => {
            memory.grow(text.len() / 2)?;
            let fresh = || {
                memory.restart(text.len() / 2);
                Intake::update(target).reserving(memory)
            };
            json_rows::read_array(text, threads, fresh)?.finish_update()
        }
        TableData::Ndjson(text) => {
            memory.grow(text.len() / 2)?;
            let fresh = || {
                memory.restart(text.len() / 2);
                Intake::update(target).reserving(memory)
            };
            json_rows::read_lines(text, threads, fresh)?.finish_update()
        }
        TableData::Columns(text) => {
            memory.grow(text.len() / 2)?;
            let fresh = || {
                memory.restart(text.len() / 2);
                Intake::update(target).reserving(memory)
            };
            json_columns::read(text, fresh)?.finish_update()
        }
    }
}

/// Reads the keys of rows to remove, as an array of the index column's storage type.
///
/// # Errors
///
/// If the data is malformed or a key does not fit the index column.
pub fn remove_keys(data: &TableData, index_name: &str, index: Storage) -> Result<ArrayRef> {
    remove_keys_in(data, index_name, index, &StagingMemory::new(&MemoryAccount::unlimited()))
}

/// As [`remove_keys`], with memory of this reservation.
pub(crate) fn remove_keys_in(
    data: &TableData,
    index_name: &str,
    index: Storage,
    memory: &StagingMemory,
) -> Result<ArrayRef> {
    guarded(|| remove::keys(data, index_name, index, memory))
}

/// Decodes an Arrow IPC stream that this engine wrote.
///
/// # Errors
///
/// If the bytes are damaged.
pub(crate) fn read_ipc(bytes: &Bytes) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    guarded(|| arrow::read(bytes, &StagingMemory::new(&MemoryAccount::unlimited())))
}

/// Parses a date or datetime as a filter operand: days since 1970 (`Date`) or milliseconds since 1970 (`Datetime`).
/// `None` for other types and unreadable texts.
pub fn parse_temporal(text: &str, wanted: ColumnType) -> Option<i64> {
    let moment = temporal::parse(text.trim())?;
    match wanted {
        // Formats with an offset or a twelve-hour clock denote an instant, not a day.
        ColumnType::Date => moment.day().map(i64::from),
        ColumnType::Datetime => Some(moment.ms()),
        ColumnType::String | ColumnType::Integer | ColumnType::Float | ColumnType::Boolean => None,
    }
}

/// Sets the explicit row keys of a batch. The index column is then not written, except that it supplies the keys of
/// rows whose key is `missing`.
fn set_row_keys(
    batch: &mut Batch,
    target: UpdateTarget<'_>,
    keys: ArrayRef,
    missing: Option<BooleanBuffer>,
) -> Result<()> {
    let position =
        target.index.and_then(|index| batch.columns.iter().position(|column| column.column == index));
    let index_column: Option<BatchColumn> = position.map(|position| batch.columns.remove(position));
    batch.keys = Some(match (index_column, missing) {
        (Some(index), Some(missing)) => zip(&BooleanArray::new(missing, None), &index.values, &keys)
            .map_err(|error| column_error(ROW_KEYS, &error))?,
        _ => keys,
    });
    Ok(())
}

/// Makes repeated names unique by appending stars: `x`, `x*`, `x**`.
fn unique_names(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut taken = AHashSet::new();
    names
        .map(|mut name| {
            while !taken.insert(name.clone()) {
                name.push('*');
            }
            name
        })
        .collect()
}

/// Adds the column to an error of an Arrow kernel.
fn column_error(column: &str, error: &::arrow::error::ArrowError) -> EngineError {
    DataError::UnreadableColumn { column: column.to_owned(), arrow_type: None, reason: error.to_string() }
        .into()
}
