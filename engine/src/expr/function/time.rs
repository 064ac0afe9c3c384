//! Dates, times and buckets. Everything is UTC.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "each file evaluates the functions of its own family; `Function` lists all"
)]

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta};

use super::super::eval::Machine;
use super::super::value::{INT64, Payload, Status, Value, ValueKind, days_of, pack, to_integer, unpack};
use super::Function;
use crate::types::scalar::MS_PER_DAY;

pub(in crate::expr) const DAYS: [&str; 7] =
    ["1 Sunday", "2 Monday", "3 Tuesday", "4 Wednesday", "5 Thursday", "6 Friday", "7 Saturday"];
pub(in crate::expr) const MONTHS: [&str; 12] = [
    "01 January",
    "02 February",
    "03 March",
    "04 April",
    "05 May",
    "06 June",
    "07 July",
    "08 August",
    "09 September",
    "10 October",
    "11 November",
    "12 December",
];

fn date_of(value: &Value) -> Option<NaiveDate> {
    match value.payload {
        Payload::Date(packed) => NaiveDate::from_epoch_days(days_of(packed)?),
        Payload::Datetime(ms) => NaiveDate::from_epoch_days(i32::try_from(ms.div_euclid(MS_PER_DAY)).ok()?),
        _ => None,
    }
}

pub(super) fn part(machine: &mut Machine<'_>, function: Function, value: &Value) -> Value {
    let kind = if function == Function::HourOfDay { ValueKind::Float64 } else { ValueKind::Text };
    if value.is_none() && function == Function::HourOfDay {
        return Value::float(0.0);
    }
    let is_time = matches!(value.kind, ValueKind::Date | ValueKind::Datetime);
    if !is_time && value.is_valid() && function == Function::HourOfDay {
        return Value::float(0.0);
    }
    if !is_time || value.status == Status::Poison {
        return Value::poison(kind);
    }
    if !value.is_valid() {
        return Value::null(kind);
    }
    if function == Function::HourOfDay {
        return match value.payload {
            Payload::Datetime(ms) => Value::float(ms.rem_euclid(MS_PER_DAY).div_euclid(3_600_000) as f64),
            _ => Value::float(0.0),
        };
    }
    let (Some(date), false) = (date_of(value), machine.is_checking()) else { return Value::null(kind) };
    Value::text(match function {
        Function::DayOfWeek => DAYS[date.weekday().num_days_from_sunday() as usize],
        _ => match value.payload {
            // A packed date may have a day beyond the end of its month; its month counts.
            Payload::Date(packed) => MONTHS[unpack(packed).1.min(11) as usize],
            _ => MONTHS[date.month0() as usize],
        },
    })
}

pub(super) fn today(now_ms: i64) -> Value {
    let date = DateTime::UNIX_EPOCH
        .checked_add_signed(TimeDelta::milliseconds(now_ms))
        .map(|time| time.date_naive());
    date.map_or(Value::null(ValueKind::Date), |date| Value::packed_date(pack(date)))
}

pub(super) fn date(values: &[Value]) -> Value {
    if values.iter().any(|value| !value.is_numeric() || value.status == Status::Poison) {
        return Value::poison(ValueKind::Date);
    }
    if values.iter().any(|value| !value.is_valid()) {
        return Value::null(ValueKind::Date);
    }
    let part = |position: usize| values[position].raw().trunc();
    let (year, month, day) = (part(0), part(1), part(2));
    packed_day(year, month, day).map_or(Value::null(ValueKind::Date), Value::packed_date)
}

/// Packs an integral date; `None` if it is not in the calendar or its year is out of range.
pub(super) fn packed_day(year: f64, month: f64, day: f64) -> Option<i32> {
    if !(0.0..=32_767.0).contains(&year) || !(1.0..=12.0).contains(&month) || !(1.0..=31.0).contains(&day) {
        return None;
    }
    NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32).map(pack)
}

pub(super) fn datetime(value: &Value) -> Value {
    if value.is_none() {
        return Value::null(ValueKind::Datetime);
    }
    if !(value.kind == ValueKind::Float64 || value.kind == INT64) || value.status == Status::Poison {
        return Value::poison(ValueKind::Datetime);
    }
    match value.payload {
        Payload::Integer(ms) if value.is_valid() => Value::datetime(ms),
        Payload::Float(ms) if value.is_valid() => Value::datetime(to_integer(ms)),
        _ => Value::null(ValueKind::Datetime),
    }
}

pub(super) fn bucket(machine: &mut Machine<'_>, values: &[Value]) -> Value {
    let [x, unit] = values else { return Value::poison(ValueKind::Float64) };
    if x.is_none() || unit.is_none() || x.status == Status::Poison || unit.status == Status::Poison {
        return Value::poison(ValueKind::Float64);
    }
    if x.is_numeric() && unit.is_numeric() {
        if !x.is_valid() || !unit.is_valid() {
            return Value::null(ValueKind::Float64);
        }
        return Value::float((x.raw() / unit.raw()).floor() * unit.raw());
    }
    let is_time = matches!(x.kind, ValueKind::Date | ValueKind::Datetime);
    // The unit must be known when the expression is checked.
    let (true, Some(text)) = (is_time, unit.as_text()) else {
        let is_late = is_time && unit.kind == ValueKind::Text && !machine.is_checking();
        return if is_late { Value::null(x.kind) } else { Value::poison(ValueKind::Float64) };
    };
    let Some((count, letter)) = parse_unit(text) else { return Value::poison(ValueKind::Float64) };
    let kind = match (x.kind, letter) {
        (ValueKind::Datetime, b's' | b'm' | b'h') => ValueKind::Datetime,
        _ => ValueKind::Date,
    };
    if !x.is_valid() {
        return Value::null(kind);
    }
    let bucketed = match (&x.payload, letter) {
        (Payload::Datetime(ms), b's' | b'm' | b'h') => bucket_ms(*ms, count, letter).map(Value::datetime),
        _ => bucket_date(x, count, letter).map(Value::packed_date),
    };
    bucketed.unwrap_or(Value::null(kind))
}

pub(super) fn bucket_ms(ms: i64, count: i64, letter: u8) -> Option<i64> {
    match letter {
        b's' => whole(ms, 1_000, count),
        b'm' => whole(ms, 60_000, count),
        b'h' => whole(ms, 3_600_000, count),
        _ => None,
    }
}

/// Returns the packed date of the bucket of a date, or of a datetime by days or longer; `None` if its year is out of
/// range.
pub(super) fn bucket_date(x: &Value, count: i64, letter: u8) -> Option<i32> {
    if let (Payload::Datetime(_), Some((year, _))) = (&x.payload, year_and_month(x))
        && i16::try_from(year).is_err()
    {
        return None;
    }
    match (&x.payload, letter) {
        (Payload::Date(packed), b's' | b'm' | b'h' | b'D') => Some(*packed),
        (_, b'D') => date_of(x).map(pack),
        (_, b'W') => date_of(x).and_then(|date| {
            let monday =
                date.checked_sub_signed(TimeDelta::days(date.weekday().num_days_from_monday().into()))?;
            Some(pack(monday))
        }),
        _ => year_and_month(x).map(|(year, month)| {
            let count = count as i32;
            match letter {
                b'M' => year << 16 | (month as i32 / count * count) << 8 | 1,
                _ if count == 0 => 1,
                _ => (year.div_euclid(count) * count) << 16 | 1,
            }
        }),
    }
}

fn year_and_month(value: &Value) -> Option<(i32, u32)> {
    match value.payload {
        Payload::Date(packed) => {
            let (year, month, _) = unpack(packed);
            Some((year, month))
        }
        _ => date_of(value).map(|date| (date.year(), date.month0())),
    }
}

/// Rounds to whole units toward zero, then down to a multiple; `None` if that is before the earliest datetime.
fn whole(ms: i64, unit_ms: i64, count: i64) -> Option<i64> {
    (ms / unit_ms).div_euclid(count).checked_mul(count)?.checked_mul(unit_ms)
}

pub(super) fn parse_unit(text: &str) -> Option<(i64, u8)> {
    let letter = *text.as_bytes().last()?;
    let digits = &text[..text.len().checked_sub(1)?];
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: i64 = if digits.is_empty() { 1 } else { digits.parse().ok()? };
    let is_allowed = match letter {
        b's' | b'm' => matches!(count, 1 | 5 | 10 | 15 | 20 | 30),
        b'h' => matches!(count, 1 | 2 | 3 | 4 | 6 | 12),
        b'D' | b'W' => count == 1,
        b'M' => matches!(count, 1 | 2 | 3 | 4 | 6),
        b'Y' => (0..=32_767).contains(&count),
        _ => false,
    };
    is_allowed.then_some((count, letter))
}
