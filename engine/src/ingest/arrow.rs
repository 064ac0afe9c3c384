//! Arrow data: IPC streams and files, and batches that are in memory or read one at a time.
//!
//! Invariant: columns pass through unchanged or through one kernel, never cell by cell where a kernel exists; text
//! stays dictionary-coded. A number that does not fit its column is an error that names it; it never wraps.
//!
//! Cost: each batch is converted to columns of storage types and dropped; at the end each column is concatenated and
//! its pieces are freed before the next one. So a load holds, besides its source, its columns once, and one of them
//! twice.

mod decimal;
mod nested;
mod text;
mod types;
mod unpack;

use ::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch, new_empty_array,
    new_null_array,
};
use ::arrow::compute::{CastOptions, cast_with_options, concat};
use ::arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type, SchemaRef};
use ::arrow::error::ArrowError;
use bytes::Bytes;

use super::guard::reading_column;
use super::staging::{BatchMemory, StagingMemory};
use super::{ROW_KEYS, UnknownNames, UpdateTarget, column_error, flatten_arrow, ipc, unique_names};
use crate::data::{Batch, BatchColumn, ListFlatten};
use crate::error::{CellFault, DataError, DataFormat, EngineError, Result};
use crate::types::schema::{ColumnType, Field, Schema, Storage};

pub(super) use nested::{ItemRanges, json_texts, list_ranges};
pub(super) use types::{is_list, natural};
pub(super) use unpack::{codable, is_packed, spread, unpacked};

/// The columns of one batch, of equal length. Names may repeat.
pub(super) struct Columns {
    pub(super) num_rows: usize,
    pub(super) columns: Vec<ArrowColumn>,
}

pub(super) struct ArrowColumn {
    pub(super) name: String,
    /// The column's field: its type, and metadata that may name an extension type.
    pub(super) field: FieldRef,
    pub(super) values: ArrayRef,
}

/// Reads an IPC stream or file with any number of batches.
pub(super) fn read(bytes: &Bytes, memory: &StagingMemory) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let malformed =
        |error: ArrowError| DataError::Malformed { format: DataFormat::Arrow, reason: error.to_string() };
    let checked = ipc::check(bytes).map_err(malformed)?;
    memory.grow(checked.decoded_bytes())?;
    ipc::read(bytes, &checked).map_err(|error| malformed(error).into())
}

/// Returns the batches, or an empty one if there are none, so that types are known.
fn at_least_one(
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch>>,
) -> impl Iterator<Item = Result<RecordBatch>> {
    let mut empty = Some(RecordBatch::new_empty(schema.clone()));
    let mut batches = batches;
    std::iter::from_fn(move || match batches.next() {
        Some(batch) => {
            empty = None;
            Some(batch)
        }
        None => empty.take().map(Ok),
    })
}

/// The converted columns of the batches read so far.
struct Pieces<'m> {
    memory: BatchMemory<'m>,
    num_rows: usize,
    columns: Vec<PieceColumn>,
    keys: Vec<ArrayRef>,
}

struct PieceColumn {
    name: String,
    storage: Storage,
    /// Position in the table's schema.
    position: usize,
    pieces: Vec<ArrayRef>,
    /// Size of the plain text so far, in bytes; offsets of a column have 32 bits.
    text_bytes: usize,
}

impl<'m> Pieces<'m> {
    fn new(memory: BatchMemory<'m>) -> Self {
        Pieces { memory, num_rows: 0, columns: Vec::new(), keys: Vec::new() }
    }

    /// Appends a piece to the `at`-th column, which is created if it is the next one.
    fn push(
        &mut self,
        name: &str,
        storage: Storage,
        position: usize,
        at: usize,
        values: ArrayRef,
    ) -> Result<()> {
        if at == self.columns.len() {
            let (name, pieces) = (name.to_string(), Vec::new());
            self.columns.push(PieceColumn { name, storage, position, pieces, text_bytes: 0 });
        }
        let column = &mut self.columns[at];
        if let Some(texts) = values.as_string_opt::<i32>() {
            let (first, last) = (texts.value_offsets().first(), texts.value_offsets().last());
            let used = first.zip(last).map_or(0, |(first, last)| last - first);
            column.text_bytes += used as usize;
            if column.text_bytes > text::MAX_TEXT_BYTES {
                return Err(column_error(name, &text::too_much()));
            }
        }
        self.memory.grow(&values, column.pieces.last())?;
        column.pieces.push(values);
        Ok(())
    }

    fn finish(self) -> Result<Batch> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            let values = joined(column.pieces, column.storage, &column.name)?;
            columns.push(BatchColumn { column: column.position, values, missing: None });
        }
        Ok(Batch { num_rows: self.num_rows, columns, keys: None })
    }
}

/// Concatenates the pieces of a column; a single one is returned unchanged.
fn joined(mut pieces: Vec<ArrayRef>, storage: Storage, name: &str) -> Result<ArrayRef> {
    reading_column(name);
    match pieces.len() {
        0 => Ok(new_empty_array(&storage.arrow())),
        1 => Ok(pieces.remove(0)),
        _ => {
            let all: Vec<&dyn Array> = pieces.iter().map(|piece| &**piece).collect();
            concat(&all).map_err(|error| column_error(name, &error))
        }
    }
}

fn columns_of(batch: &RecordBatch, names: &[String]) -> Columns {
    let named = names.iter().zip(batch.schema_ref().fields()).zip(batch.columns());
    let columns = named.map(|((name, field), values)| ArrowColumn {
        name: name.clone(),
        field: field.clone(),
        values: values.clone(),
    });
    Columns { num_rows: batch.num_rows(), columns: columns.collect() }
}

pub(super) fn create(
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch>>,
    index: Option<&str>,
    list_flatten: ListFlatten,
    memory: BatchMemory<'_>,
) -> Result<(Schema, Batch)> {
    let names = unique_names(schema.fields().iter().map(|field| field.name().clone()));
    let mut pieces = Pieces::new(memory);
    let mut fields: Vec<Field> = Vec::new();
    for (number, batch) in at_least_one(schema, batches).enumerate() {
        let context = flatten_arrow::Context {
            list_flatten,
            index,
            is_update: false,
            rows_before: pieces.num_rows,
            memory: memory.staging,
        };
        let data = flatten_arrow::flatten(columns_of(&batch?, &names), context)?;
        let mut keys = None;
        let mut at = 0;
        for ArrowColumn { name, field, values } in data.columns {
            if name == ROW_KEYS {
                keys = Some((field, values));
                continue;
            }
            reading_column(&name);
            let (storage, values) = fitted(&field, &values, &name)?;
            pieces.push(&name, storage, at, at, values)?;
            if number == 0 {
                fields.push(Field::new(name, storage));
            }
            at += 1;
        }
        if let Some((field, values)) = keys {
            let index = fields.iter().find(|field| Some(&*field.name) == index);
            let storage = index.map_or(Storage::Int64, |field| field.storage);
            pieces.keys.push(coerced(&field, &values, storage, ROW_KEYS, pieces.num_rows)?);
        }
        pieces.num_rows += data.num_rows;
    }
    let schema = Schema::new(fields);
    if schema.is_empty() {
        return Ok((schema, Batch::default()));
    }
    let keys = match std::mem::take(&mut pieces.keys) {
        keys if keys.is_empty() => None,
        keys => Some(joined(keys, Storage::Int64, ROW_KEYS)?),
    };
    Ok((schema, Batch { keys, ..pieces.finish()? }))
}

pub(super) fn update(
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch>>,
    target: UpdateTarget<'_>,
    memory: BatchMemory<'_>,
) -> Result<Batch> {
    let is_wanted = |name: &str| {
        let is_under = |path: &str| path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        name == ROW_KEYS
            || target.schema.fields().iter().any(|field| *field.name == *name || is_under(&field.name))
    };
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let index = target.index.map(|index| &*target.schema.field(index).name);
    let mut pieces = Pieces::new(memory);
    let mut unknown = UnknownNames::default();
    for batch in at_least_one(schema, batches) {
        let mut data = columns_of(&batch?, &names);
        for column in data.columns.iter().filter(|column| !is_wanted(&column.name)) {
            target.unknown_column(&column.name)?;
            unknown.note(&column.name);
        }
        data.columns.retain(|column| is_wanted(&column.name));
        let list_flatten = target.list_flatten;
        let context = flatten_arrow::Context {
            list_flatten,
            index,
            is_update: true,
            rows_before: pieces.num_rows,
            memory: memory.staging,
        };
        let data = flatten_arrow::flatten(data, context)?;
        let mut taken = Vec::new();
        for ArrowColumn { name, field, values } in &data.columns {
            reading_column(name);
            if name == ROW_KEYS {
                pieces.keys.push(coerced(field, values, target.key_storage(), ROW_KEYS, pieces.num_rows)?);
            } else if let Some(position) = target.schema.index_of(name)
                && !taken.contains(&position)
            {
                let storage = target.schema.field(position).storage;
                let values = coerced(field, values, storage, name, pieces.num_rows)?;
                pieces.push(name, storage, position, taken.len(), values)?;
                taken.push(position);
            } else if target.schema.index_of(name).is_none() {
                target.unknown_column(name)?;
                unknown.note(name);
            }
        }
        pieces.num_rows += data.num_rows;
    }
    let keys = std::mem::take(&mut pieces.keys);
    let mut batch = pieces.finish()?;
    if !keys.is_empty() {
        let keys = joined(keys, target.key_storage(), ROW_KEYS)?;
        super::set_row_keys(&mut batch, target, keys, None)?;
    }
    target.check_columns(&batch, unknown)?;
    Ok(batch)
}

/// Reads one column as a storage type; `None` if no column has the name.
pub(super) fn column(
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch>>,
    name: &str,
    storage: Storage,
) -> Result<Option<ArrayRef>> {
    let Ok(position) = schema.index_of(name) else { return Ok(None) };
    let mut pieces = Vec::new();
    let mut num_rows = 0;
    for batch in batches {
        let batch = batch?;
        let field = &batch.schema_ref().fields()[position];
        pieces.push(coerced(field, batch.column(position), storage, name, num_rows)?);
        num_rows += batch.num_rows();
    }
    joined(pieces, storage, name).map(Some)
}

/// As [`natural`], with the column and its type in the error.
fn fitted(field: &FieldRef, values: &ArrayRef, name: &str) -> Result<(Storage, ArrayRef)> {
    natural(field, values).map_err(|error| typed_error(name, values.data_type(), &error))
}

/// Returns an error about a column, with its type.
pub(super) fn typed_error(name: &str, data_type: &DataType, error: &ArrowError) -> EngineError {
    DataError::UnreadableColumn {
        column: name.to_owned(),
        arrow_type: Some(flatten_arrow::type_text(data_type).to_string()),
        reason: error.to_string(),
    }
    .into()
}

/// Converts an Arrow column to the storage type of an existing column. `rows_before` is the number of rows in earlier
/// batches.
fn coerced(
    field: &FieldRef,
    values: &ArrayRef,
    storage: Storage,
    name: &str,
    rows_before: usize,
) -> Result<ArrayRef> {
    if *values.data_type() == DataType::Null {
        return Ok(new_null_array(&storage.arrow(), values.len()));
    }
    if values.data_type().is_decimal() && storage.column_type() == ColumnType::Integer {
        // A conversion through `f64` would lose digits of long ids.
        return number(values, storage, name, rows_before);
    }
    let (found, values) = fitted(field, values, name)?;
    if found == storage {
        return Ok(values);
    }
    let is_number =
        |storage: Storage| matches!(storage.column_type(), ColumnType::Integer | ColumnType::Float);
    match (is_number(found), is_number(storage)) {
        (true, true) => number(&values, storage, name, rows_before),
        (true, false) | (false, _) => {
            Err(DataError::ColumnType { column: name.to_owned(), expected: storage, found }.into())
        }
    }
}

/// Converts numbers. Fractions are truncated and NaN becomes null in integer columns; a number outside the storage
/// type's range is an error.
fn number(values: &ArrayRef, storage: Storage, name: &str, rows_before: usize) -> Result<ArrayRef> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let cast =
        cast_with_options(values, &storage.arrow(), &options).map_err(|error| column_error(name, &error))?;
    if cast.null_count() == values.null_count() {
        return Ok(cast);
    }
    let lost = |row: usize| cast.is_null(row) && values.is_valid(row) && !is_nan(values, row);
    match (0..values.len()).find(|row| lost(*row)) {
        None => Ok(cast),
        Some(row) => {
            let value = ::arrow::util::display::array_value_to_string(values, row).unwrap_or_default();
            let row = rows_before + row;
            Err(CellFault::Range { value }.at(name, storage, row).into())
        }
    }
}

fn is_nan(values: &ArrayRef, row: usize) -> bool {
    fn value<T: ArrowPrimitiveType>(values: &ArrayRef, row: usize) -> Option<T::Native> {
        values.as_any().downcast_ref::<PrimitiveArray<T>>().map(|values| values.value(row))
    }
    value::<Float64Type>(values, row).is_some_and(f64::is_nan)
        || value::<Float32Type>(values, row).is_some_and(f32::is_nan)
}
