//! Conversion of scalars to an Arrow array. Cost: O(values).

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::Int32Type;

use crate::types::scalar::Scalar;
use crate::types::schema::Storage;

/// Converts values to an array of the storage's type; text becomes a dictionary in order of appearance. A value
/// that the storage cannot represent becomes null.
pub(crate) fn array(storage: Storage, values: &[Scalar]) -> ArrayRef {
    macro_rules! integers {
        ($array:ty, $native:ty) => {
            Arc::new(
                values
                    .iter()
                    .map(|value| match value {
                        Scalar::Int(value) => <$native>::try_from(*value).ok(),
                        Scalar::UInt(value) => <$native>::try_from(*value).ok(),
                        Scalar::Bool(value) => Some(<$native>::from(*value)),
                        _ => None,
                    })
                    .collect::<$array>(),
            )
        };
    }
    match storage {
        Storage::Int8 => integers!(Int8Array, i8),
        Storage::Int16 => integers!(Int16Array, i16),
        Storage::Int32 => integers!(Int32Array, i32),
        Storage::Integer | Storage::Int64 => integers!(Int64Array, i64),
        Storage::UInt8 => integers!(UInt8Array, u8),
        Storage::UInt16 => integers!(UInt16Array, u16),
        Storage::UInt32 => integers!(UInt32Array, u32),
        Storage::UInt64 => integers!(UInt64Array, u64),
        Storage::Float32 => Arc::new(
            values.iter().map(|value| value.as_f64().map(|value| value as f32)).collect::<Float32Array>(),
        ),
        Storage::Float64 => Arc::new(values.iter().map(Scalar::as_f64).collect::<Float64Array>()),
        Storage::Bool => {
            let bool = |value: &Scalar| match value {
                Scalar::Bool(value) => Some(*value),
                Scalar::Null
                | Scalar::Int(_)
                | Scalar::UInt(_)
                | Scalar::Float(_)
                | Scalar::Str(_)
                | Scalar::Date(_)
                | Scalar::Datetime(_) => None,
            };
            Arc::new(values.iter().map(bool).collect::<BooleanArray>())
        }
        Storage::Date32 => {
            let days = |value: &Scalar| match value {
                Scalar::Date(days) => Some(*days),
                Scalar::Null
                | Scalar::Bool(_)
                | Scalar::Int(_)
                | Scalar::UInt(_)
                | Scalar::Float(_)
                | Scalar::Str(_)
                | Scalar::Datetime(_) => None,
            };
            Arc::new(values.iter().map(days).collect::<Date32Array>())
        }
        Storage::TimestampMs => {
            let ms = |value: &Scalar| match value {
                Scalar::Datetime(ms) => Some(*ms),
                Scalar::Null
                | Scalar::Bool(_)
                | Scalar::Int(_)
                | Scalar::UInt(_)
                | Scalar::Float(_)
                | Scalar::Str(_)
                | Scalar::Date(_) => None,
            };
            Arc::new(values.iter().map(ms).collect::<TimestampMillisecondArray>())
        }
        Storage::Utf8 => {
            let mut builder = StringDictionaryBuilder::<Int32Type>::new();
            for value in values {
                match value {
                    Scalar::Str(text) => builder.append_value(text),
                    Scalar::Null
                    | Scalar::Bool(_)
                    | Scalar::Int(_)
                    | Scalar::UInt(_)
                    | Scalar::Float(_)
                    | Scalar::Date(_)
                    | Scalar::Datetime(_) => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
    }
}
