//! Arrow data: IPC streams and files, and batches that are in memory already.
//!
//! Law: no cell is looked at alone. Columns pass through as they are, or through one kernel; text stays
//! dictionary-coded. A number that does not fit its column is an error that names it; it never wraps.

use std::sync::Arc;

use ::arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, DictionaryArray, PrimitiveArray, RecordBatch, RecordBatchOptions,
    StringArray, TimestampMillisecondArray, UInt32Array, new_null_array,
};
use ::arrow::compute::{CastOptions, cast_with_options, concat};
use ::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date64Type, FieldRef, Fields, Float32Type, Float64Type, Int32Type,
    SchemaRef, Time32MillisecondType, Time32SecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use ::arrow::error::ArrowError;
use bytes::Bytes;

use super::{ROW_KEYS, UpdateTarget, column_error, flatten_arrow, ipc, unique_names};
use crate::data::{Batch, BatchColumn, ListFlatten};
use crate::error::{EngineError, Result};
use crate::scalar::MS_PER_DAY;
use crate::schema::{ColumnType, Field, Schema, Storage};

/// Named columns of equal length. Names may repeat.
pub(super) struct Columns {
    pub(super) num_rows: usize,
    pub(super) columns: Vec<(String, ArrayRef)>,
}

/// Reads an IPC stream or file; any number of batches.
pub(super) fn read(bytes: &Bytes) -> Result<Columns> {
    let (schema, batches) = ipc::read(bytes)
        .map_err(|error| EngineError::data(format!("Failed to open RecordBatchStreamReader: {error}")))?;
    join(&schema, &batches)
}

/// One array per column. A single batch is taken as it is.
pub(super) fn join(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Columns> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (position, field) in schema.fields().iter().enumerate() {
        let mut chunks = Vec::with_capacity(batches.len());
        for batch in batches {
            chunks.push(joinable(batch.column(position), field.name())?);
        }
        let values = match &chunks[..] {
            [] => ::arrow::array::new_empty_array(field.data_type()),
            [only] => only.clone(),
            many => {
                let many: Vec<&dyn Array> = many.iter().map(|chunk| &**chunk).collect();
                concat(&many).map_err(|error| column_error(field.name(), &error))?
            }
        };
        columns.push((field.name().clone(), values));
    }
    Ok(Columns { num_rows: batches.iter().map(RecordBatch::num_rows).sum(), columns })
}

/// Batches that never were a client's bytes (Flight, Parquet): their readers choose among more types than the protocol
/// takes, so what has a plain sibling is cast to it first.
pub(super) fn join_in_memory(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Columns> {
    let plain = Arc::new(::arrow::datatypes::Schema::new(plain_fields(schema.fields())));
    if plain.fields() == schema.fields() {
        return join(schema, batches);
    }
    let mut cast = Vec::with_capacity(batches.len());
    for batch in batches {
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (values, field) in batch.columns().iter().zip(plain.fields()) {
            let values = strict_cast(values, field.data_type());
            columns.push(values.map_err(|error| column_error(field.name(), &error))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(plain.clone(), columns, &options);
        cast.push(batch.map_err(|error| EngineError::data(error.to_string()))?);
    }
    join(&plain, &cast)
}

fn plain_fields(fields: &Fields) -> Fields {
    let plain = |field: &FieldRef| field.as_ref().clone().with_data_type(plain_type(field.data_type()));
    fields.iter().map(plain).collect()
}

fn plain_type(data_type: &DataType) -> DataType {
    let plain_item =
        |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(plain_type(field.data_type())));
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(_, _) | DataType::Decimal64(_, _) | DataType::Decimal256(_, _) => {
            DataType::Float64
        }
        DataType::Dictionary(_, entries) if **entries == DataType::Utf8View => DataType::Utf8,
        DataType::List(item) => DataType::List(plain_item(item)),
        DataType::LargeList(item) => DataType::LargeList(plain_item(item)),
        DataType::FixedSizeList(item, _) => DataType::List(plain_item(item)),
        DataType::Struct(fields) => DataType::Struct(plain_fields(fields)),
        other => other.clone(),
    }
}

/// Dictionaries with small codes could overflow them when joined.
fn joinable(values: &ArrayRef, name: &str) -> Result<ArrayRef> {
    match values.data_type() {
        DataType::Dictionary(codes, entries) if **codes != DataType::Int32 => {
            let wide = DataType::Dictionary(Box::new(DataType::Int32), entries.clone());
            strict_cast(values, &wide).map_err(|error| column_error(name, &error))
        }
        _ => Ok(values.clone()),
    }
}

pub(super) fn create(
    data: Columns,
    index: Option<&str>,
    list_flatten: ListFlatten,
) -> Result<(Schema, Batch)> {
    let names = unique_names(data.columns.iter().map(|(name, _)| name.clone()));
    let columns = names.into_iter().zip(data.columns.into_iter().map(|(_, values)| values)).collect();
    let context = flatten_arrow::Context { list_flatten, index, is_update: false };
    let data = flatten_arrow::flatten(Columns { num_rows: data.num_rows, columns }, context)?;
    let mut fields: Vec<Field> = Vec::with_capacity(data.columns.len());
    let mut batch = Batch { num_rows: data.num_rows, ..Batch::default() };
    let mut keys = None;
    for (name, values) in data.columns {
        if name == ROW_KEYS {
            keys = Some(values);
            continue;
        }
        let (storage, values) = natural(&values, &name)?;
        batch.columns.push(BatchColumn { column: fields.len(), values, missing: None });
        fields.push(Field::new(name, storage));
    }
    if let Some(keys) = keys {
        let index = fields.iter().find(|field| Some(&*field.name) == index);
        let storage = index.map_or(Storage::Int64, |field| field.storage);
        batch.keys = Some(coerced(&keys, storage, ROW_KEYS)?);
    }
    if fields.is_empty() {
        batch = Batch::default();
    }
    Ok((Schema::new(fields), batch))
}

pub(super) fn update(mut data: Columns, target: UpdateTarget<'_>) -> Result<Batch> {
    let is_wanted = |name: &str| {
        let is_under = |path: &str| path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        name == ROW_KEYS
            || target.schema.fields().iter().any(|field| *field.name == *name || is_under(&field.name))
    };
    if let Some((unknown, _)) = data.columns.iter().find(|(name, _)| !is_wanted(name)) {
        target.unknown_column(unknown)?;
    }
    data.columns.retain(|(name, _)| is_wanted(name));
    let index = target.index.map(|index| &*target.schema.field(index).name);
    let context = flatten_arrow::Context { list_flatten: target.list_flatten, index, is_update: true };
    let data = flatten_arrow::flatten(data, context)?;
    let mut batch = Batch { num_rows: data.num_rows, ..Batch::default() };
    let mut keys = None;
    for (name, values) in &data.columns {
        if name == ROW_KEYS {
            keys = Some(coerced(values, target.key_storage(), ROW_KEYS)?);
        } else if let Some(column) = target.schema.index_of(name)
            && batch.columns.iter().all(|earlier| earlier.column != column)
        {
            let values = coerced(values, target.schema.field(column).storage, name)?;
            batch.columns.push(BatchColumn { column, values, missing: None });
        } else if target.schema.index_of(name).is_none() {
            target.unknown_column(name)?;
        }
    }
    if let Some(keys) = keys {
        super::set_row_keys(&mut batch, target, keys, None)?;
    }
    Ok(batch)
}

/// An Arrow column as the storage that fits it best.
fn natural(values: &ArrayRef, name: &str) -> Result<(Storage, ArrayRef)> {
    let cast = |storage: Storage| {
        let values = strict_cast(values, &storage.arrow()).map_err(|error| column_error(name, &error))?;
        Ok((storage, values))
    };
    let as_is = |storage| Ok((storage, values.clone()));
    match values.data_type() {
        DataType::Int8 => as_is(Storage::Int8),
        DataType::Int16 => as_is(Storage::Int16),
        DataType::Int32 => as_is(Storage::Int32),
        DataType::Int64 => as_is(Storage::Int64),
        DataType::UInt8 => as_is(Storage::UInt8),
        DataType::UInt16 => as_is(Storage::UInt16),
        DataType::UInt32 => as_is(Storage::UInt32),
        DataType::UInt64 => as_is(Storage::UInt64),
        DataType::Float32 => as_is(Storage::Float32),
        DataType::Float64 => as_is(Storage::Float64),
        DataType::Decimal128(_, _) => cast(Storage::Float64),
        DataType::Boolean => as_is(Storage::Bool),
        DataType::Utf8 => as_is(Storage::Utf8),
        DataType::LargeUtf8 | DataType::Binary => cast(Storage::Utf8),
        DataType::Null => Ok((Storage::Utf8, new_null_array(&DataType::Utf8, values.len()))),
        DataType::Dictionary(_, entries) if matches!(**entries, DataType::Utf8 | DataType::LargeUtf8) => {
            Ok((Storage::Utf8, coded_text(values).map_err(|error| column_error(name, &error))?))
        }
        DataType::Date32 => as_is(Storage::Date32),
        DataType::Date64 => {
            let days = values.as_primitive::<Date64Type>();
            // A day number beyond 32 bits is no date of any calendar; it saturates on both sides.
            let day = |ms: i64| ms.div_euclid(MS_PER_DAY).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
            let days: Date32Array = days.unary(day);
            Ok((Storage::Date32, Arc::new(days)))
        }
        DataType::Timestamp(unit, _) => {
            let ms = milliseconds(values, *unit).map_err(|error| column_error(name, &error))?;
            Ok((Storage::TimestampMs, ms))
        }
        DataType::Time32(TimeUnit::Second) => raw_clock::<Time32SecondType>(values),
        DataType::Time32(_) => raw_clock::<Time32MillisecondType>(values),
        DataType::Time64(unit) => {
            let unit = if *unit == TimeUnit::Nanosecond { "ns" } else { "us" };
            Err(EngineError::data(format!("Could not load Arrow column of type `time64[{unit}]`.\n")))
        }
        other => Err(EngineError::data(format!(
            "Could not load arrow column of type `{}`\n",
            flatten_arrow::type_word(other)
        ))),
    }
}

fn raw_clock<T: ArrowPrimitiveType<Native = i32>>(values: &ArrayRef) -> Result<(Storage, ArrayRef)> {
    let raw: UInt32Array = values.as_primitive::<T>().unary(|value| value as u32);
    Ok((Storage::UInt32, Arc::new(raw)))
}

/// Instants in UTC, whatever zone they are shown in; what is finer than a millisecond is cut toward zero.
fn milliseconds(values: &ArrayRef, unit: TimeUnit) -> Result<ArrayRef, ArrowError> {
    fn scale<T: ArrowPrimitiveType<Native = i64>>(
        values: &ArrayRef,
        op: impl Fn(i64) -> i64,
    ) -> TimestampMillisecondArray {
        values.as_primitive::<T>().unary(op)
    }
    Ok(Arc::new(match unit {
        TimeUnit::Second => values.as_primitive::<TimestampSecondType>().try_unary(|seconds| {
            seconds.checked_mul(1000).ok_or_else(|| {
                ArrowError::ComputeError(format!("{seconds} s is beyond milliseconds of 64 bits"))
            })
        })?,
        TimeUnit::Millisecond => {
            values.as_primitive::<TimestampMillisecondType>().clone().with_timezone_opt(None::<Arc<str>>)
        }
        TimeUnit::Microsecond => scale::<TimestampMicrosecondType>(values, |micros| micros / 1000),
        TimeUnit::Nanosecond => scale::<TimestampNanosecondType>(values, |nanos| nanos / 1_000_000),
    }))
}

/// `Dictionary<Int32, Utf8>`; a null among the entries reads as the empty text.
fn coded_text(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let wanted = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let coded = if *values.data_type() == wanted { values.clone() } else { strict_cast(values, &wanted)? };
    let dictionary = coded.as_dictionary::<Int32Type>();
    if dictionary.values().null_count() == 0 {
        return Ok(coded);
    }
    let entries = dictionary.values().as_string::<i32>().iter();
    let entries: StringArray = entries.map(|entry| Some(entry.unwrap_or(""))).collect();
    Ok(Arc::new(DictionaryArray::try_new(dictionary.keys().clone(), Arc::new(entries))?))
}

/// An Arrow column as the storage of an existing column.
pub(super) fn coerced(values: &ArrayRef, storage: Storage, name: &str) -> Result<ArrayRef> {
    if *values.data_type() == DataType::Null {
        return Ok(new_null_array(&storage.arrow(), values.len()));
    }
    let (found, values) = natural(values, name)?;
    if found == storage {
        return Ok(values);
    }
    let is_number =
        |storage: Storage| matches!(storage.column_type(), ColumnType::Integer | ColumnType::Float);
    match (is_number(found), is_number(storage)) {
        (true, true) => number(&values, storage, name),
        (true, false) => Err(EngineError::data(format!(
            "Could not fill arrow column `{name}` iteratively due to mismatched types."
        ))),
        (false, _) => Err(EngineError::data(format!(
            "Could not fill column `{name}` with t_dtype: `{}`, array type: `{}`\n",
            storage_word(storage),
            storage_word(found)
        ))),
    }
}

/// Fractions are cut and NaN has no integer, so it is null; a number beyond the storage is an error.
fn number(values: &ArrayRef, storage: Storage, name: &str) -> Result<ArrayRef> {
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
            Err(EngineError::data(format!(
                "Cannot append {value} to column \"{name}\" of type {} at index {row}: beyond {}\n",
                storage.column_type().name(),
                storage.arrow()
            )))
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

fn strict_cast(values: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(values, wanted, &CastOptions { safe: false, ..CastOptions::default() })
}

/// A storage as the error messages call it.
fn storage_word(storage: Storage) -> &'static str {
    match storage {
        Storage::Int8 => "int8",
        Storage::Int16 => "int16",
        Storage::Int32 => "int32",
        Storage::Integer | Storage::Int64 => "int64",
        Storage::UInt8 => "uint8",
        Storage::UInt16 => "uint16",
        Storage::UInt32 => "uint32",
        Storage::UInt64 => "uint64",
        Storage::Float32 => "float32",
        Storage::Float64 => "float64",
        Storage::Bool => "bool",
        Storage::Utf8 => "str",
        Storage::Date32 => "date",
        Storage::TimestampMs => "datetime",
    }
}
