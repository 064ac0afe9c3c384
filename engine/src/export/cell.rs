//! Encoder of the cells of one column.
//!
//! Cost: a column is downcast once and the texts of a dictionary are encoded once; a cell costs one match and an
//! append.

#![allow(clippy::wildcard_enum_match_arm, reason = "Arrow's data types are not ours")]

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::format::{self, Year};
use crate::types::scalar::MS_PER_DAY;

pub(crate) struct CellWriter<'a> {
    nulls: Option<&'a NullBuffer>,
    values: CellValues<'a>,
}

/// The format in which the texts of a dictionary are encoded in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    Json,
    Csv,
}

enum CellValues<'a> {
    /// Only nulls.
    Null,
    Bool(&'a BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    UInt8(&'a [u8]),
    UInt16(&'a [u16]),
    UInt32(&'a [u32]),
    UInt64(&'a [u64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Text(&'a StringArray),
    Coded {
        codes: &'a [i32],
        /// All encoded texts, concatenated; a null entry is empty.
        spelled: String,
        /// The end of each text.
        ends: Vec<usize>,
    },
    Date(&'a [i32]),
    Datetime(&'a [i64]),
}

impl<'a> CellWriter<'a> {
    /// Creates an encoder for JSON.
    pub(crate) fn new(array: &'a ArrayRef) -> CellWriter<'a> {
        CellWriter::spelled(array, Spelling::Json)
    }

    pub(super) fn spelled(array: &'a ArrayRef, spelling: Spelling) -> CellWriter<'a> {
        macro_rules! plain {
            ($kind:ident, $arrow:ty) => {
                CellValues::$kind(array.as_primitive::<$arrow>().values())
            };
        }
        let values = match array.data_type() {
            DataType::Boolean => CellValues::Bool(array.as_boolean()),
            DataType::Int8 => plain!(Int8, Int8Type),
            DataType::Int16 => plain!(Int16, Int16Type),
            DataType::Int32 => plain!(Int32, Int32Type),
            DataType::Int64 => plain!(Int64, Int64Type),
            DataType::UInt8 => plain!(UInt8, UInt8Type),
            DataType::UInt16 => plain!(UInt16, UInt16Type),
            DataType::UInt32 => plain!(UInt32, UInt32Type),
            DataType::UInt64 => plain!(UInt64, UInt64Type),
            DataType::Float32 => plain!(Float32, Float32Type),
            DataType::Float64 => plain!(Float64, Float64Type),
            DataType::Utf8 => CellValues::Text(array.as_string()),
            DataType::Date32 => plain!(Date, Date32Type),
            DataType::Timestamp(TimeUnit::Millisecond, _) => plain!(Datetime, TimestampMillisecondType),
            DataType::Dictionary(codes, texts) if **codes == DataType::Int32 && **texts == DataType::Utf8 => {
                let array = array.as_dictionary::<Int32Type>();
                let (spelled, ends) = spell(array.values().as_string(), spelling);
                CellValues::Coded { codes: array.keys().values(), spelled, ends }
            }
            other => {
                debug_assert!(*other == DataType::Null, "a slice holds storage types only, not {other}");
                CellValues::Null
            }
        };
        CellWriter { nulls: array.nulls(), values }
    }

    /// Writes a cell as JSON. `formatted` writes dates and datetimes as text instead of epoch milliseconds.
    pub(crate) fn write_json(&self, row: usize, formatted: bool, out: &mut String) {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.push_str("null");
            return;
        }
        match &self.values {
            CellValues::Null => out.push_str("null"),
            CellValues::Bool(values) => out.push_str(bool_text(values.value(row))),
            CellValues::Int8(values) => format::integer(values[row], out),
            CellValues::Int16(values) => format::integer(values[row], out),
            CellValues::Int32(values) => format::integer(values[row], out),
            CellValues::Int64(values) => format::integer(values[row], out),
            CellValues::UInt8(values) => format::integer(values[row], out),
            CellValues::UInt16(values) => format::integer(values[row], out),
            CellValues::UInt32(values) => format::integer(values[row], out),
            CellValues::UInt64(values) => format::integer(values[row], out),
            CellValues::Float32(values) => format::json_float(f64::from(values[row]), out),
            CellValues::Float64(values) => format::json_float(values[row], out),
            CellValues::Text(texts) => format::json_text(texts.value(row), out),
            CellValues::Coded { codes, spelled, ends } => match coded(codes, spelled, ends, row) {
                "" => out.push_str("null"),
                text => out.push_str(text),
            },
            CellValues::Date(days) if formatted => {
                out.push('"');
                format::date(i64::from(days[row]), Year::Plain, out);
                out.push('"');
            }
            CellValues::Date(days) => format::integer(i64::from(days[row]) * MS_PER_DAY, out),
            CellValues::Datetime(ms) if formatted => {
                out.push('"');
                format::datetime(ms[row], out);
                out.push('"');
            }
            CellValues::Datetime(ms) => format::integer(ms[row], out),
        }
    }

    /// Writes a cell as CSV; nothing for null.
    pub(super) fn write_csv(&self, row: usize, out: &mut String) {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return;
        }
        match &self.values {
            CellValues::Float32(values) => format::csv_f32(values[row], out),
            CellValues::Float64(values) => format::csv_f64(values[row], out),
            CellValues::Text(texts) => format::csv_text(texts.value(row), out),
            CellValues::Coded { codes, spelled, ends } => out.push_str(coded(codes, spelled, ends, row)),
            CellValues::Date(days) => format::date(i64::from(days[row]), Year::Padded, out),
            CellValues::Datetime(ms) => format::datetime(ms[row], out),
            CellValues::Null => {}
            CellValues::Bool(_)
            | CellValues::Int8(_)
            | CellValues::Int16(_)
            | CellValues::Int32(_)
            | CellValues::Int64(_)
            | CellValues::UInt8(_)
            | CellValues::UInt16(_)
            | CellValues::UInt32(_)
            | CellValues::UInt64(_) => self.write_json(row, false, out),
        }
    }
}

fn bool_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// The encoded text of a cell; empty only if the code refers to a null entry.
fn coded<'a>(codes: &[i32], spelled: &'a str, ends: &[usize], row: usize) -> &'a str {
    let code = codes[row] as usize;
    &spelled[code.checked_sub(1).map_or(0, |before| ends[before])..ends[code]]
}

fn spell(texts: &StringArray, spelling: Spelling) -> (String, Vec<usize>) {
    let mut spelled = String::with_capacity(texts.value_data().len() + texts.len() * 2);
    let ends = texts
        .iter()
        .map(|text| {
            match (text, spelling) {
                (Some(text), Spelling::Json) => format::json_text(text, &mut spelled),
                (Some(text), Spelling::Csv) => format::csv_text(text, &mut spelled),
                (None, _) => {}
            }
            spelled.len()
        })
        .collect();
    (spelled, ends)
}
