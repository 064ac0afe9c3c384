//! Converts Arrow types without a storage type to text: times of day, intervals, UUIDs, bytes.
//!
//! Invariant: a value's text depends only on the value and its type, never on its neighbours, so that it does not
//! depend on the division into batches.
//!
//! Cost: one pass, one text per row.

use std::fmt::Write;
use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use ::arrow::compute::cast;
use ::arrow::datatypes::{
    DataType, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
};
use ::arrow::error::ArrowError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Maximum size of a text column of a batch in bytes: its offsets have 32 bits.
pub(super) const MAX_TEXT_BYTES: usize = i32::MAX as usize;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Builds a text column by calling `write` for each valid row.
fn texts(values: &dyn Array, mut write: impl FnMut(usize, &mut String)) -> Result<ArrayRef, ArrowError> {
    let mut texts = StringBuilder::with_capacity(values.len(), values.len() * 8);
    let mut text = String::new();
    let mut num_bytes = 0;
    for row in 0..values.len() {
        if values.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        write(row, &mut text);
        num_bytes += text.len();
        if num_bytes > MAX_TEXT_BYTES {
            return Err(too_much());
        }
        texts.append_value(&text);
    }
    Ok(Arc::new(texts.finish()))
}

pub(super) fn too_much() -> ArrowError {
    ArrowError::InvalidArgumentError("more than 2 GiB of text; send it in parts".into())
}

/// Formats times of day as `HH:MM:SS`, with a fraction of three, six or nine digits if it is not zero.
pub(super) fn clock_times(
    values: &ArrayRef,
    unit: TimeUnit,
    is_narrow: bool,
) -> Result<ArrayRef, ArrowError> {
    macro_rules! clock {
        ($arrow:ty, $per_second:expr) => {{
            let times = values.as_primitive::<$arrow>().values();
            texts(values, |row, text| write_clock(i64::from(times[row]), $per_second, text))
        }};
    }
    match unit {
        TimeUnit::Second if is_narrow => clock!(Time32SecondType, 1),
        TimeUnit::Millisecond if is_narrow => clock!(Time32MillisecondType, 1_000),
        TimeUnit::Microsecond => clock!(Time64MicrosecondType, 1_000_000),
        _ => clock!(Time64NanosecondType, NANOS_PER_SECOND),
    }
}

/// Values that are no time of day (24 hours and more, negative ones) follow the same rule, so that none is lost.
fn write_clock(time: i64, per_second: i64, text: &mut String) {
    let sign = if time < 0 { "-" } else { "" };
    let (time, per_second) = (time.unsigned_abs(), per_second.unsigned_abs());
    let (seconds, nanos) = (time / per_second, time % per_second * (1_000_000_000 / per_second));
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // Writing to a `String` cannot fail.
    let _ = write!(text, "{sign}{hours:02}:{minutes:02}:{seconds:02}");
    write_fraction(nanos, text);
}

fn write_fraction(nanos: u64, text: &mut String) {
    let _ = match nanos {
        0 => Ok(()),
        nanos if nanos % 1_000_000 == 0 => write!(text, ".{:03}", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => write!(text, ".{:06}", nanos / 1_000),
        nanos => write!(text, ".{nanos:09}"),
    };
}

/// Formats intervals as ISO 8601 durations: `P1Y2M3DT4H5M6.789S`, each part with its own sign, `PT0S` for none.
pub(super) fn intervals(values: &ArrayRef, unit: IntervalUnit) -> Result<ArrayRef, ArrowError> {
    match unit {
        IntervalUnit::YearMonth => {
            let months = values.as_primitive::<IntervalYearMonthType>().values();
            texts(values, |row, text| write_interval(months[row].into(), 0, 0, text))
        }
        IntervalUnit::DayTime => {
            let spans = values.as_primitive::<IntervalDayTimeType>().values();
            texts(values, |row, text| {
                let nanos = i128::from(spans[row].milliseconds) * 1_000_000;
                write_interval(0, spans[row].days.into(), nanos, text);
            })
        }
        IntervalUnit::MonthDayNano => {
            let spans = values.as_primitive::<IntervalMonthDayNanoType>().values();
            texts(values, |row, text| {
                let span = spans[row];
                write_interval(span.months.into(), span.days.into(), span.nanoseconds.into(), text);
            })
        }
    }
}

fn write_interval(months: i64, days: i64, nanos: i128, text: &mut String) {
    text.push('P');
    let part = |number: i64, unit: char, text: &mut String| {
        if number != 0 {
            let _ = write!(text, "{number}{unit}");
        }
    };
    part(months / 12, 'Y', text);
    part(months % 12, 'M', text);
    part(days, 'D', text);
    if nanos != 0 {
        text.push('T');
        let sign = if nanos < 0 { "-" } else { "" };
        let nanos = nanos.unsigned_abs();
        let (seconds, nanos) = ((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u64);
        for (number, unit) in [(seconds / 3600, 'H'), (seconds / 60 % 60, 'M')] {
            if number != 0 {
                let _ = write!(text, "{sign}{number}{unit}");
            }
        }
        if seconds % 60 != 0 || nanos != 0 {
            let _ = write!(text, "{sign}{}", seconds % 60);
            write_fraction(nanos, text);
            text.push('S');
        }
    }
    if text.len() == 1 {
        text.push_str("T0S");
    }
}

/// Converts bytes to text if they are UTF-8, otherwise to base64, value by value.
pub(super) fn bytes(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    macro_rules! each {
        ($array:expr) => {{
            let array = $array;
            texts(values, |row, text| write_bytes(array.value(row), text))
        }};
    }
    match values.data_type() {
        DataType::Binary => {
            let array = values.as_binary::<i32>();
            let used = array.value_offsets().first().zip(array.value_offsets().last());
            let used = used.map_or(0..0, |(first, last)| *first as usize..*last as usize);
            // In the usual case the bytes are shared.
            if std::str::from_utf8(&array.value_data()[used]).is_ok()
                && let Ok(text) = cast(values, &DataType::Utf8)
                && text.null_count() == values.null_count()
            {
                return Ok(text);
            }
            each!(array)
        }
        DataType::LargeBinary => each!(values.as_binary::<i64>()),
        DataType::BinaryView => each!(values.as_binary_view()),
        _ => each!(values.as_fixed_size_binary()),
    }
}

fn write_bytes(bytes: &[u8], text: &mut String) {
    match std::str::from_utf8(bytes) {
        Ok(utf8) => text.push_str(utf8),
        Err(_) => STANDARD.encode_string(bytes, text),
    }
}

/// Formats sixteen bytes per row as `8-4-4-4-12` hexadecimal digits.
pub(super) fn uuids(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let array = values.as_fixed_size_binary();
    texts(values, |row, text| {
        for (position, byte) in array.value(row).iter().enumerate() {
            if [4, 6, 8, 10].contains(&position) {
                text.push('-');
            }
            let _ = write!(text, "{byte:02x}");
        }
    })
}

/// Converts string views to plain text. Views may share bytes, so their total length is checked first.
pub(super) fn views(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let shown: usize = values.as_string_view().lengths().map(|len| len as usize).sum();
    if shown > MAX_TEXT_BYTES {
        return Err(too_much());
    }
    cast(values, &DataType::Utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_times_are_spelled_with_as_many_digits_as_needed() {
        for (time, per_second, expected) in [
            (0, 1, "00:00:00"),
            (86_399_999, 1_000, "23:59:59.999"),
            (37_800_000_000, 1_000_000, "10:30:00"),
            (37_800_000_001, 1_000_000, "10:30:00.000001"),
            (1, NANOS_PER_SECOND, "00:00:00.000000001"),
            (129_600, 1, "36:00:00"),
            (-90, 1, "-00:01:30"),
        ] {
            let mut text = String::new();
            write_clock(time, per_second, &mut text);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn intervals_are_iso_8601() {
        for (months, days, nanos, expected) in [
            (0, 0, 0, "PT0S"),
            (14, 3, 14_706_789_000_000, "P1Y2M3DT4H5M6.789S"),
            (-1, 0, -1_500_000_000, "P-1MT-1.500S"),
            (0, -2, 60_000_000_000, "P-2DT1M"),
            (24, 0, 1, "P2YT0.000000001S"),
        ] {
            let mut text = String::new();
            write_interval(months, days, nanos, &mut text);
            assert_eq!(text, expected);
        }
    }
}
