//! Coerces JSON values to the type of an existing column: which fit, which become null, which are refused.
//!
//! Invariant: types are never promoted, and numbers never wrap or clamp; a value that does not fit is an error that
//! names it.

use std::fmt::Write;

use super::cell::JsonCell;
use super::{infer, temporal};
use crate::error::{CellFault, DataError};
use crate::types::scalar::MS_PER_DAY;
use crate::types::schema::Storage;

impl CellFault {
    /// The error about a cell of this column.
    pub(super) fn at(self, column: &str, storage: Storage, row: usize) -> DataError {
        let is_range = matches!(self, CellFault::Range { .. });
        DataError::Cell {
            column: column.to_owned(),
            row,
            column_type: storage.column_type(),
            storage: is_range.then(|| storage.arrow().to_string()),
            fault: self,
        }
    }
}

pub(super) type Fit<T> = Result<Option<T>, CellFault>;

/// Coerces to an integer. Fractions are truncated, numeric texts parsed, the empty text is null. (Columns of a table
/// made from CSV refuse fractions.) For `uint64`, returns the bits of the value.
pub(super) fn to_int(cell: &JsonCell<'_>, storage: Storage) -> Fit<i64> {
    match cell {
        JsonCell::Null => Ok(None),
        JsonCell::Int(value) => in_range(i128::from(*value), storage),
        JsonCell::UInt(value) => in_range(i128::from(*value), storage),
        JsonCell::Float(value) | JsonCell::Spelled { value, .. }
            if storage == Storage::Int64 && value.fract() != 0.0 =>
        {
            Err(CellFault::Type { found: "float" })
        }
        JsonCell::Spelled { text, is_integer: true, .. } => Err(CellFault::Range { value: text.to_string() }),
        JsonCell::Float(value) | JsonCell::Spelled { value, .. } => float_in_range(*value, storage),
        JsonCell::Text(text) if text.is_empty() => Ok(None),
        JsonCell::Text(text) => match (infer::whole_text(text), infer::float_text(text)) {
            (Some(value), _) => in_range(value, storage),
            (None, Some(value)) if !value.is_nan() => float_in_range(value, storage),
            _ => Err(CellFault::Type { found: "string" }),
        },
        JsonCell::Bool(_) | JsonCell::Array(_) | JsonCell::Object(_) | JsonCell::Stringified(_) => {
            Err(CellFault::Kind { expected: "int", found: cell.kind() })
        }
    }
}

fn float_in_range(value: f64, storage: Storage) -> Fit<i64> {
    // Beyond ±1e30 no type fits, and below it the cast to i128 is exact.
    if value.abs() < 1e30 {
        in_range(value.trunc() as i128, storage)
    } else {
        Err(CellFault::Range { value: value.to_string() })
    }
}

fn in_range(value: i128, storage: Storage) -> Fit<i64> {
    let range = match storage {
        Storage::Int8 => i128::from(i8::MIN)..=i128::from(i8::MAX),
        Storage::Int16 => i128::from(i16::MIN)..=i128::from(i16::MAX),
        Storage::Int32 => i128::from(i32::MIN)..=i128::from(i32::MAX),
        Storage::UInt8 => 0..=i128::from(u8::MAX),
        Storage::UInt16 => 0..=i128::from(u16::MAX),
        Storage::UInt32 => 0..=i128::from(u32::MAX),
        Storage::UInt64 => 0..=i128::from(u64::MAX),
        Storage::Integer
        | Storage::Int64
        | Storage::Float32
        | Storage::Float64
        | Storage::Bool
        | Storage::Utf8
        | Storage::Date32
        | Storage::TimestampMs => i128::from(i64::MIN)..=i128::from(i64::MAX),
    };
    if range.contains(&value) {
        Ok(Some(value as i64))
    } else {
        Err(CellFault::Range { value: value.to_string() })
    }
}

/// Coerces to a float. A text that is not a number is null.
pub(super) fn to_float(cell: &JsonCell<'_>) -> Fit<f64> {
    match cell {
        JsonCell::Null => Ok(None),
        JsonCell::Int(value) => Ok(Some(*value as f64)),
        JsonCell::UInt(value) => Ok(Some(*value as f64)),
        JsonCell::Float(value) | JsonCell::Spelled { value, .. } => Ok(Some(*value)),
        JsonCell::Text(text) => Ok(infer::float_text(text)),
        JsonCell::Bool(_) | JsonCell::Array(_) | JsonCell::Object(_) | JsonCell::Stringified(_) => {
            Err(CellFault::Kind { expected: "double", found: cell.kind() })
        }
    }
}

pub(super) fn to_bool(cell: &JsonCell<'_>) -> Fit<bool> {
    let misfit = CellFault::Kind { expected: "bool", found: cell.kind() };
    match cell {
        JsonCell::Null => Ok(None),
        JsonCell::Bool(value) => Ok(Some(*value)),
        JsonCell::Int(value) => Ok(Some(*value != 0)),
        JsonCell::UInt(_) => Ok(Some(true)),
        JsonCell::Text(text) => infer::bool_text(text).map(Some).ok_or(misfit),
        JsonCell::Float(_)
        | JsonCell::Spelled { .. }
        | JsonCell::Array(_)
        | JsonCell::Object(_)
        | JsonCell::Stringified(_) => Err(misfit),
    }
}

/// Coerces to days since 1970. Numbers are epoch milliseconds; the day is that of UTC.
pub(super) fn to_days(cell: &JsonCell<'_>) -> Fit<i32> {
    let day = match cell {
        JsonCell::Null => return Ok(None),
        JsonCell::Int(ms) => i32::try_from(ms.div_euclid(MS_PER_DAY)).ok(),
        // An integral number of milliseconds written with an exponent.
        JsonCell::Float(ms) | JsonCell::Spelled { value: ms, .. } if ms.fract() == 0.0 && ms.abs() < 1e15 => {
            i32::try_from((*ms as i64).div_euclid(MS_PER_DAY)).ok()
        }
        JsonCell::Text(text) => temporal::parse(text.trim_start()).and_then(temporal::Moment::day),
        _ => None,
    };
    day.map(Some).ok_or_else(|| CellFault::Text { reason: "Could not coerce to date".into() })
}

/// Coerces to milliseconds since 1970. Fractions of a millisecond are truncated.
pub(super) fn to_ms(cell: &JsonCell<'_>) -> Fit<i64> {
    let ms = match cell {
        JsonCell::Null => return Ok(None),
        JsonCell::Int(ms) => Some(*ms),
        // Below 2^63, where the cast would clamp.
        JsonCell::Float(ms) | JsonCell::Spelled { value: ms, .. } if ms.abs() < 9.2e18 => Some(*ms as i64),
        JsonCell::Text(text) => temporal::parse(text.trim_start()).map(temporal::Moment::ms),
        JsonCell::Bool(_) => {
            return Err(CellFault::Text { reason: format!("Could not coerce {} to a time.", cell.kind()) });
        }
        JsonCell::Float(_)
        | JsonCell::Spelled { .. }
        | JsonCell::UInt(_)
        | JsonCell::Array(_)
        | JsonCell::Object(_)
        | JsonCell::Stringified(_) => None,
    };
    ms.map(Some).ok_or_else(|| CellFault::Text { reason: "Could not coerce to time".into() })
}

/// Appends a cell that is not null as text; false for null. Numbers keep their original spelling, or are formatted if
/// it was not read.
pub(super) fn write_text(cell: &JsonCell<'_>, out: &mut String) -> bool {
    // Writing to a `String` cannot fail.
    let _ = match cell {
        JsonCell::Null => return false,
        JsonCell::Bool(value) => write!(out, "{value}"),
        JsonCell::Int(value) => write!(out, "{value}"),
        JsonCell::UInt(value) => write!(out, "{value}"),
        JsonCell::Float(value) => write!(out, "{value}"),
        JsonCell::Text(text) | JsonCell::Spelled { text, .. } => {
            out.push_str(text);
            Ok(())
        }
        JsonCell::Array(_) | JsonCell::Object(_) => return false,
        JsonCell::Stringified(text) => {
            out.push_str(text);
            Ok(())
        }
    };
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> JsonCell<'_> {
        JsonCell::Text(text.into())
    }

    #[test]
    fn integers() {
        #[track_caller]
        fn check(storage: Storage, cell: JsonCell<'_>, expected: Fit<i64>) {
            assert_eq!(to_int(&cell, storage), expected, "{cell:?} into {storage:?}");
        }
        let range = |value: &str| Err(CellFault::Range { value: value.into() });
        let no_text = || Err(CellFault::Type { found: "string" });
        check(Storage::Int32, JsonCell::Float(2.9), Ok(Some(2)));
        check(Storage::Int32, JsonCell::Float(-2.9), Ok(Some(-2)));
        check(Storage::Int32, text("3.7"), Ok(Some(3)));
        check(Storage::Int32, text("7"), Ok(Some(7)));
        check(Storage::Int32, text(""), Ok(None));
        check(Storage::Int32, text("abc"), no_text());
        check(Storage::Int32, text("5x"), no_text());
        check(Storage::Int32, text(" 5 "), no_text());
        check(Storage::Int32, text("nan"), no_text());
        check(Storage::Int32, JsonCell::Int(3_000_000_000), range("3000000000"));
        check(Storage::Int32, text("3000000000"), range("3000000000"));
        check(Storage::Int32, JsonCell::Float(1e300), range(&1e300f64.to_string()));
        check(Storage::Int32, JsonCell::Bool(true), Err(CellFault::Kind { expected: "int", found: 2 }));
        check(Storage::Int64, JsonCell::Int(i64::MIN), Ok(Some(i64::MIN)));
        check(Storage::Int64, JsonCell::Float(1.5), Err(CellFault::Type { found: "float" }));
        check(Storage::Int64, JsonCell::UInt(u64::MAX), range("18446744073709551615"));
        check(Storage::UInt64, JsonCell::UInt(u64::MAX), Ok(Some(-1)));
        check(Storage::UInt8, JsonCell::Int(-1), range("-1"));
        check(Storage::Int8, JsonCell::Int(127), Ok(Some(127)));
    }

    #[test]
    fn floats_and_bools() {
        assert_eq!(to_float(&JsonCell::Int(2)), Ok(Some(2.0)));
        assert_eq!(to_float(&text("1.5")), Ok(Some(1.5)));
        assert_eq!(to_float(&text("abc")), Ok(None));
        assert_eq!(to_float(&text("")), Ok(None));
        assert_eq!(to_float(&JsonCell::Bool(true)), Err(CellFault::Kind { expected: "double", found: 2 }));
        assert_eq!(to_bool(&JsonCell::Int(2)), Ok(Some(true)));
        assert_eq!(to_bool(&text("FALSE")), Ok(Some(false)));
        assert_eq!(to_bool(&text("x")), Err(CellFault::Kind { expected: "bool", found: 5 }));
        assert_eq!(to_bool(&JsonCell::Float(1.5)), Err(CellFault::Kind { expected: "bool", found: 6 }));
    }

    #[test]
    fn texts() {
        #[track_caller]
        fn check(cell: JsonCell<'_>, expected: &str) {
            let mut out = String::new();
            assert!(write_text(&cell, &mut out));
            assert_eq!(out, expected);
        }
        check(JsonCell::Spelled { value: 1.5, text: "1.50".into(), is_integer: false }, "1.50");
        check(JsonCell::Int(12_345_678_901), "12345678901");
        check(JsonCell::Bool(true), "true");
    }

    #[test]
    fn dates() {
        assert_eq!(to_days(&JsonCell::Int(1_577_934_245_000)), Ok(Some(18_263)));
        assert_eq!(to_days(&JsonCell::Int(-1)), Ok(Some(-1)));
        assert!(to_days(&JsonCell::Float(1_577_934_245_000.5)).is_err());
        assert!(to_days(&text("")).is_err());
        assert!(to_days(&JsonCell::Bool(true)).is_err());
        assert_eq!(to_ms(&JsonCell::Float(1_577_934_245_000.7)), Ok(Some(1_577_934_245_000)));
        assert_eq!(to_ms(&text("2020-01-02")), Ok(Some(1_577_923_200_000)));
        let message = to_ms(&JsonCell::Bool(true)).unwrap_err().at("t", Storage::TimestampMs, 3).to_string();
        assert_eq!(message, "Could not coerce 2 to a time. in column \"t\" at index 3");
    }
}
