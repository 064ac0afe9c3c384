//! The mapping of Arrow types to storage types, shared by all endpoints (a table of it is in docs/formats.md).
//!
//! Invariant: the storage type depends only on the Arrow type, so that all batches of a stream agree. Every type has
//! one.
//!
//! Cost: columns of storage types pass unchanged; others take one kernel or one pass.

use std::sync::Arc;

use ::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Date32Array, Int64Array,
    TimestampMillisecondArray, new_null_array,
};
use ::arrow::compute::{CastOptions, cast_with_options};
use ::arrow::datatypes::{
    DataType, Date64Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, FieldRef, Int8Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use ::arrow::error::ArrowError;
use ::arrow::util::display::FormatOptions;

use super::{decimal, nested, text, unpack};
use crate::types::scalar::MS_PER_DAY;
use crate::types::schema::Storage;

/// Casts fail with an error rather than yielding null.
pub(super) const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: FormatOptions::new() };

/// Returns the type of dictionary-coded text in batches.
pub(super) fn coded_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Returns whether the type is a list, whose items become rows or texts.
pub(crate) fn is_list(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::ListView(_)
            | DataType::LargeListView(_)
    )
}

/// Returns whether a column's values become text of any length. (Nulls become text too, but without length.)
pub(super) fn is_text(field: &FieldRef) -> bool {
    match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::FixedSizeBinary(_) | DataType::Interval(_) | DataType::Map(..) | DataType::Union(..) => {
            true
        }
        DataType::Time32(_) | DataType::Time64(_) => true,
        DataType::Dictionary(..) => *field.data_type() == coded_type(),
        _ => false,
    }
}

/// Converts a column to the storage type that fits it best. `field` is the column's own: its metadata may name an
/// extension type.
pub(crate) fn natural(field: &FieldRef, values: &ArrayRef) -> Result<(Storage, ArrayRef), ArrowError> {
    let as_is = |storage| Ok((storage, values.clone()));
    let cast = |storage: Storage| Ok((storage, cast_with_options(values, &storage.arrow(), &STRICT)?));
    let text = |texts: Result<ArrayRef, ArrowError>| Ok((Storage::Utf8, texts?));
    match (field.extension_type_name(), values.data_type()) {
        (Some("arrow.uuid"), DataType::FixedSizeBinary(16)) => return text(text::uuids(values)),
        (Some("arrow.bool8"), DataType::Int8) => {
            let is_true = |bit: i8| bit != 0;
            let bytes = values.as_primitive::<Int8Type>();
            return Ok((Storage::Bool, Arc::new(BooleanArray::from_unary(bytes, is_true))));
        }
        _ => {}
    }
    match values.data_type() {
        DataType::Int8 => as_is(Storage::Int8),
        DataType::Int16 => as_is(Storage::Int16),
        DataType::Int32 => as_is(Storage::Int32),
        DataType::Int64 => as_is(Storage::Int64),
        DataType::UInt8 => as_is(Storage::UInt8),
        DataType::UInt16 => as_is(Storage::UInt16),
        DataType::UInt32 => as_is(Storage::UInt32),
        DataType::UInt64 => as_is(Storage::UInt64),
        DataType::Float16 => cast(Storage::Float32),
        DataType::Float32 => as_is(Storage::Float32),
        DataType::Float64 => as_is(Storage::Float64),
        DataType::Decimal32(..) | DataType::Decimal64(..) => {
            Ok((Storage::Float64, decimal::to_floats(values)))
        }
        DataType::Decimal128(..) | DataType::Decimal256(..) => {
            Ok((Storage::Float64, decimal::to_floats(values)))
        }
        DataType::Boolean => as_is(Storage::Bool),
        DataType::Utf8 => as_is(Storage::Utf8),
        DataType::LargeUtf8 => cast(Storage::Utf8),
        DataType::Utf8View => text(text::views(values)),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => text(text::bytes(values)),
        DataType::FixedSizeBinary(_) => text(text::bytes(values)),
        DataType::Null => Ok((Storage::Utf8, new_null_array(&DataType::Utf8, values.len()))),
        DataType::Date32 => as_is(Storage::Date32),
        DataType::Date64 => Ok((Storage::Date32, days(values))),
        DataType::Timestamp(unit, _) => Ok((Storage::TimestampMs, moments(values, *unit)?)),
        DataType::Time32(unit) => text(text::clock_times(values, *unit, true)),
        DataType::Time64(unit) => text(text::clock_times(values, *unit, false)),
        DataType::Duration(unit) => Ok((Storage::Int64, durations(values, *unit)?)),
        DataType::Interval(unit) => text(text::intervals(values, *unit)),
        DataType::Map(..) | DataType::Union(..) => text(nested::json_texts(field, values)),
        // Columns of these types are flattened before; what remains is written as JSON.
        DataType::Struct(_) | DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            text(nested::json_texts(field, values))
        }
        DataType::ListView(_) | DataType::LargeListView(_) => text(nested::json_texts(field, values)),
        DataType::Dictionary(..) if *values.data_type() == coded_type() => text(unpack::coded_text(values)),
        DataType::Dictionary(..) | DataType::RunEndEncoded(..) => {
            let (field, values) = unpack::unpacked(field, values)?;
            natural(&field, &values)
        }
    }
}

fn days(values: &ArrayRef) -> ArrayRef {
    // A day number beyond 32 bits is no date of any calendar; it saturates.
    let day = |ms: i64| ms.div_euclid(MS_PER_DAY).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    let days: Date32Array = values.as_primitive::<Date64Type>().unary(day);
    Arc::new(days)
}

/// Converts timestamps to instants in UTC, regardless of their display zone, truncated to milliseconds toward zero.
fn moments(values: &ArrayRef, unit: TimeUnit) -> Result<ArrayRef, ArrowError> {
    fn divide<T: ArrowPrimitiveType<Native = i64>>(values: &ArrayRef, by: i64) -> TimestampMillisecondArray {
        values.as_primitive::<T>().unary(|value| value / by)
    }
    Ok(Arc::new(match unit {
        TimeUnit::Second => values.as_primitive::<TimestampSecondType>().try_unary(milliseconds)?,
        TimeUnit::Millisecond => {
            values.as_primitive::<TimestampMillisecondType>().clone().with_timezone_opt(None::<Arc<str>>)
        }
        TimeUnit::Microsecond => divide::<TimestampMicrosecondType>(values, 1_000),
        TimeUnit::Nanosecond => divide::<TimestampNanosecondType>(values, 1_000_000),
    }))
}

/// Converts durations to milliseconds, truncated toward zero.
fn durations(values: &ArrayRef, unit: TimeUnit) -> Result<ArrayRef, ArrowError> {
    fn divide<T: ArrowPrimitiveType<Native = i64>>(values: &ArrayRef, by: i64) -> Int64Array {
        values.as_primitive::<T>().unary(|value| value / by)
    }
    Ok(Arc::new(match unit {
        TimeUnit::Second => values.as_primitive::<DurationSecondType>().try_unary(milliseconds)?,
        TimeUnit::Millisecond => divide::<DurationMillisecondType>(values, 1),
        TimeUnit::Microsecond => divide::<DurationMicrosecondType>(values, 1_000),
        TimeUnit::Nanosecond => divide::<DurationNanosecondType>(values, 1_000_000),
    }))
}

fn milliseconds(seconds: i64) -> Result<i64, ArrowError> {
    seconds
        .checked_mul(1000)
        .ok_or_else(|| ArrowError::ComputeError(format!("{seconds} s is beyond milliseconds of 64 bits")))
}
