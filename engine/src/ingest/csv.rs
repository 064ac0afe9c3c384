//! CSV: comma separated, a header line, quotes doubled; types as the published server infers them.
//!
//! Law: the text is split once into columns of raw texts; a type is a function from text to value, and a column has
//! the first type whose function takes every value. Nulls are spelled; in a text column nothing is null.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, StringArray, TimestampMillisecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use csv::{ReaderBuilder, StringRecord};

use super::store::TextValues;
use super::{temporal, unique_names};
use crate::data::{Batch, BatchColumn};
use crate::error::{EngineError, Result};
use crate::parallel::Threads;
use crate::schema::{Field, Schema, Storage};

/// The columns of a new table.
pub(super) fn create(text: &str) -> Result<(Schema, Batch)> {
    let split = split(text)?;
    let num_rows = split.num_rows;
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    let read = Threads::for_load(num_rows).deal(split.columns, |(name, texts)| {
        let inferred = infer(texts, &name);
        (name, inferred)
    });
    for (position, (name, inferred)) in read.into_iter().enumerate() {
        let (storage, values) = inferred?;
        fields.push(Field::new(name, storage));
        columns.push(BatchColumn { column: position, values, missing: None });
    }
    Ok((Schema::new(fields), Batch { num_rows, columns, keys: None }))
}

/// Rows for the columns of `schema`; others are ignored.
pub(super) fn update(text: &str, schema: &Schema) -> Result<Batch> {
    let split = split(text)?;
    let mut batch = Batch { num_rows: split.num_rows, ..Batch::default() };
    let columns = split.columns.into_iter().enumerate().collect();
    let read = Threads::for_load(split.num_rows).deal(columns, |(csv_position, (name, texts))| {
        let column = schema.index_of(&name)?;
        Some((column, read(texts, schema.field(column).storage, csv_position, &name)))
    });
    for (column, values) in read.into_iter().flatten() {
        batch.columns.push(BatchColumn { column, values: values?, missing: None });
    }
    Ok(batch)
}

struct Split {
    num_rows: usize,
    columns: Vec<(String, TextValues)>,
}

fn split(text: &str) -> Result<Split> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    let mut read = |record: &mut StringRecord| {
        reader
            .read_record(record)
            .map_err(|error| EngineError::data(format!("Invalid: CSV parse error: {error}")))
    };
    if !read(&mut record)? {
        return Err(EngineError::data("Invalid: Empty CSV file"));
    }
    let names = unique_names(record.iter().map(str::to_owned));
    let width = names.len();
    let mut columns: Vec<TextValues> = names.iter().map(|_| TextValues::default()).collect();
    let mut num_rows = 0;
    while read(&mut record)? {
        if record.len() != width {
            let row = record.position().map_or("", |position| raw_row(text, position.byte()));
            return Err(EngineError::data(format!(
                "Invalid: CSV parse error: Expected {width} columns, got {}: {row}",
                record.len()
            )));
        }
        for (column, value) in columns.iter_mut().zip(&record) {
            column.push(value);
        }
        num_rows += 1;
    }
    if num_rows == 0 && !text.ends_with(['\n', '\r']) {
        return Err(EngineError::data(
            "Invalid: CSV parse error: Empty CSV file or block: cannot infer number of columns",
        ));
    }
    Ok(Split { num_rows, columns: names.into_iter().zip(columns).collect() })
}

/// The line at a byte position, for an error message; a long one is cut.
fn raw_row(text: &str, byte: u64) -> &str {
    const MAX_SHOWN: usize = 200;
    let rest = usize::try_from(byte).ok().and_then(|byte| text.get(byte..)).unwrap_or("");
    let line = rest.trim_start_matches(['\r', '\n']).lines().next().unwrap_or("");
    match line.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => &line[..end],
        None => line,
    }
}

fn is_null(text: &str) -> bool {
    // The longest spelling has nine bytes.
    text.len() <= 9
        && matches!(
            text,
            "" | "NA"
                | "N/A"
                | "n/a"
                | "#N/A"
                | "#NA"
                | "NULL"
                | "null"
                | "NaN"
                | "nan"
                | "-NaN"
                | "-nan"
                | "#N/A N/A"
                | "-1.#IND"
                | "-1.#QNAN"
                | "1.#IND"
                | "1.#QNAN"
        )
}

/// Reads every text that is not null; the row of the first that does not fit is the error.
fn attempt<T: Default>(
    texts: &TextValues,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<(Vec<T>, Option<NullBuffer>), usize> {
    let num_rows = texts.ends.len();
    let mut values = Vec::with_capacity(num_rows);
    let mut null_rows = Vec::new();
    let mut start = 0;
    for (row, end) in texts.ends.iter().enumerate() {
        let text = &texts.bytes[start..*end];
        start = *end;
        values.push(match parse(text) {
            Some(value) if !is_null(text) => value,
            _ if is_null(text) => {
                null_rows.push(row);
                T::default()
            }
            _ => return Err(row),
        });
    }
    let nulls = (!null_rows.is_empty()).then(|| {
        let mut null_rows = null_rows.into_iter().peekable();
        let is_given = |row| null_rows.next_if_eq(&row).is_none();
        NullBuffer::new((0..num_rows).map(is_given).collect::<BooleanBuffer>())
    });
    Ok((values, nulls))
}

fn infer(texts: TextValues, name: &str) -> Result<(Storage, ArrayRef)> {
    let num_rows = texts.ends.len();
    if (0..num_rows).all(|row| is_null(texts.get(row))) {
        return Ok((Storage::Utf8, Arc::new(StringArray::new_null(num_rows))));
    }
    if let Ok((values, nulls)) = attempt(&texts, integer) {
        return Ok((Storage::Int64, Arc::new(Int64Array::new(values.into(), nulls))));
    }
    if let Ok((values, nulls)) = attempt(&texts, boolean) {
        return Ok((Storage::Bool, Arc::new(BooleanArray::new(values.into(), nulls))));
    }
    if let Ok((values, nulls)) = attempt(&texts, date) {
        return Ok((Storage::Date32, Arc::new(Date32Array::new(values.into(), nulls))));
    }
    if let Ok((values, nulls)) = attempt(&texts, clock) {
        return Ok((Storage::UInt32, Arc::new(UInt32Array::new(values.into(), nulls))));
    }
    if let Ok((values, nulls)) = attempt(&texts, datetime) {
        return Ok((Storage::TimestampMs, Arc::new(TimestampMillisecondArray::new(values.into(), nulls))));
    }
    if let Ok((values, nulls)) = attempt(&texts, float) {
        return Ok((Storage::Float64, Arc::new(Float64Array::new(values.into(), nulls))));
    }
    Ok((Storage::Utf8, texts.finish(None, name)?))
}

/// Reads a column whose type stands.
fn read(texts: TextValues, storage: Storage, csv_position: usize, name: &str) -> Result<ArrayRef> {
    macro_rules! column {
        ($array:ident, $type_name:literal, $parse:expr) => {
            match attempt(&texts, $parse) {
                Ok((values, nulls)) => Ok(Arc::new($array::new(values.into(), nulls)) as ArrayRef),
                Err(row) => Err(conversion_error(csv_position, $type_name, texts.get(row), row)),
            }
        };
    }
    match storage {
        Storage::Int8 => column!(Int8Array, "int8", narrow_integer::<i8>),
        Storage::Int16 => column!(Int16Array, "int16", narrow_integer::<i16>),
        Storage::Int32 => column!(Int32Array, "int32", narrow_integer::<i32>),
        Storage::Int64 => column!(Int64Array, "int64", integer),
        Storage::UInt8 => column!(UInt8Array, "uint8", narrow_integer::<u8>),
        Storage::UInt16 => column!(UInt16Array, "uint16", narrow_integer::<u16>),
        // The clock times of a CSV are kept as seconds in such columns.
        Storage::UInt32 => {
            column!(UInt32Array, "uint32", |text| { narrow_integer::<u32>(text).or_else(|| clock(text)) })
        }
        Storage::UInt64 => column!(UInt64Array, "uint64", unsigned_integer),
        Storage::Float32 => column!(Float32Array, "float", |text| float(text).map(|value| value as f32)),
        Storage::Float64 => column!(Float64Array, "double", float),
        Storage::Bool => column!(BooleanArray, "bool", boolean),
        Storage::Utf8 => texts.finish(None, name),
        Storage::Date32 => column!(Date32Array, "date64[ms]", date),
        Storage::TimestampMs => column!(TimestampMillisecondArray, "timestamp[ms]", |text| {
            datetime(text).or_else(|| integer(text))
        }),
    }
}

fn conversion_error(csv_position: usize, type_name: &str, value: &str, row: usize) -> EngineError {
    EngineError::data(format!(
        "Invalid: In CSV column #{csv_position}: CSV conversion error to {type_name}: invalid value '{value}' at \
         index {row}"
    ))
}

/// Numbers, dates and clock times may stand between blanks; datetimes, bools and texts may not.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// `-1`, `007`, `0x10`; no plus sign.
fn integer(text: &str) -> Option<i64> {
    let text = trim(text);
    match text.as_bytes() {
        [b'0', b'x' | b'X', hex @ ..] if hex.iter().all(u8::is_ascii_hexdigit) => {
            i64::from_str_radix(&text[2..], 16).ok()
        }
        [b'+', ..] => None,
        _ => text.parse().ok(),
    }
}

fn narrow_integer<T: TryFrom<i64>>(text: &str) -> Option<T> {
    T::try_from(integer(text)?).ok()
}

fn unsigned_integer(text: &str) -> Option<u64> {
    narrow_integer(text).or_else(|| trim(text).parse().ok())
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "1" => Some(true),
        "false" | "False" | "FALSE" | "0" => Some(false),
        _ => None,
    }
}

/// `1.`, `.5`, `1e3`, `+2`, `inf`
fn float(text: &str) -> Option<f64> {
    trim(text).parse().ok()
}

fn date(text: &str) -> Option<i32> {
    temporal::parse(trim(text))?.csv_day()
}

/// `hh:mm` or `hh:mm:ss` as seconds of the day.
fn clock(text: &str) -> Option<u32> {
    temporal::seconds_of_day(trim(text))
}

fn datetime(text: &str) -> Option<i64> {
    temporal::parse(text)?.csv_ms()
}
