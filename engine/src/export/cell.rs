//! One column as its cells, ready to be written.
//!
//! Law: a column is downcast once, a dictionary's texts are spelled once; a cell costs one match and an append.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::format::{self, Year};
use crate::scalar::MS_PER_DAY;

pub(crate) struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

/// The format whose spelling of text a dictionary is prepared in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    Json,
    Csv,
}

enum Values<'a> {
    /// Nothing but nulls.
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
        /// All texts as they are written, one after the other; a null entry is nothing.
        spelled: String,
        /// Where each ends.
        ends: Vec<usize>,
    },
    Date(&'a [i32]),
    Datetime(&'a [i64]),
}

impl<'a> Cells<'a> {
    /// For JSON.
    pub(crate) fn new(array: &'a ArrayRef) -> Cells<'a> {
        Cells::spelled(array, Spelling::Json)
    }

    pub(super) fn spelled(array: &'a ArrayRef, spelling: Spelling) -> Cells<'a> {
        macro_rules! plain {
            ($kind:ident, $arrow:ty) => {
                Values::$kind(array.as_primitive::<$arrow>().values())
            };
        }
        let values = match array.data_type() {
            DataType::Boolean => Values::Bool(array.as_boolean()),
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
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::Date32 => plain!(Date, Date32Type),
            DataType::Timestamp(TimeUnit::Millisecond, _) => plain!(Datetime, TimestampMillisecondType),
            DataType::Dictionary(codes, texts) if **codes == DataType::Int32 && **texts == DataType::Utf8 => {
                let array = array.as_dictionary::<Int32Type>();
                let (spelled, ends) = spell(array.values().as_string(), spelling);
                Values::Coded { codes: array.keys().values(), spelled, ends }
            }
            other => {
                debug_assert!(*other == DataType::Null, "a window holds storage types only, not {other}");
                Values::Null
            }
        };
        Cells { nulls: array.nulls(), values }
    }

    /// `formatted`: dates and datetimes as text instead of epoch milliseconds.
    pub(crate) fn write_json(&self, row: usize, formatted: bool, out: &mut String) {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.push_str("null");
            return;
        }
        match &self.values {
            Values::Null => out.push_str("null"),
            Values::Bool(values) => out.push_str(bool_text(values.value(row))),
            Values::Int8(values) => format::integer(values[row], out),
            Values::Int16(values) => format::integer(values[row], out),
            Values::Int32(values) => format::integer(values[row], out),
            Values::Int64(values) => format::integer(values[row], out),
            Values::UInt8(values) => format::integer(values[row], out),
            Values::UInt16(values) => format::integer(values[row], out),
            Values::UInt32(values) => format::integer(values[row], out),
            Values::UInt64(values) => format::integer(values[row], out),
            Values::Float32(values) => format::json_float(f64::from(values[row]), out),
            Values::Float64(values) => format::json_float(values[row], out),
            Values::Text(texts) => format::json_text(texts.value(row), out),
            Values::Coded { codes, spelled, ends } => match coded(codes, spelled, ends, row) {
                "" => out.push_str("null"),
                text => out.push_str(text),
            },
            Values::Date(days) if formatted => {
                out.push('"');
                format::date(i64::from(days[row]), Year::Plain, out);
                out.push('"');
            }
            Values::Date(days) => format::integer(i64::from(days[row]) * MS_PER_DAY, out),
            Values::Datetime(ms) if formatted => {
                out.push('"');
                format::datetime(ms[row], out);
                out.push('"');
            }
            Values::Datetime(ms) => format::integer(ms[row], out),
        }
    }

    /// A null is an empty cell.
    pub(super) fn write_csv(&self, row: usize, out: &mut String) {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return;
        }
        match &self.values {
            Values::Float32(values) => format::csv_f32(values[row], out),
            Values::Float64(values) => format::csv_f64(values[row], out),
            Values::Text(texts) => format::csv_text(texts.value(row), out),
            Values::Coded { codes, spelled, ends } => out.push_str(coded(codes, spelled, ends, row)),
            Values::Date(days) => format::date(i64::from(days[row]), Year::Padded, out),
            Values::Datetime(ms) => format::datetime(ms[row], out),
            Values::Null => {}
            Values::Bool(_)
            | Values::Int8(_)
            | Values::Int16(_)
            | Values::Int32(_)
            | Values::Int64(_)
            | Values::UInt8(_)
            | Values::UInt16(_)
            | Values::UInt32(_)
            | Values::UInt64(_) => self.write_json(row, false, out),
        }
    }
}

fn bool_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// A cell's text as it is written, never empty but where the code points at a null entry.
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
