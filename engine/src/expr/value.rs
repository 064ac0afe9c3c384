//! Values of the language: type, status and payload.

#![allow(clippy::wildcard_enum_match_arm, reason = "asks for single kinds of values")]

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};

use crate::types::scalar::Scalar;
use crate::types::schema::Storage;

/// The type of a value. Integers of different widths differ in arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// The `null` literal, or a missing branch.
    None,
    /// An integer of the given storage type.
    Integer(Storage),
    Float32,
    Float64,
    Boolean,
    Text,
    Date,
    Datetime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Valid,
    Null,
    /// Result of a type mismatch: an error when the expression is checked, null in a row.
    Poison,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Payload {
    Nothing,
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Text(Arc<str>),
    /// `year << 16 | month from 0 << 8 | day`
    Date(i32),
    /// Milliseconds since 1970.
    Datetime(i64),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(crate) kind: ValueKind,
    pub(crate) status: Status,
    pub(crate) payload: Payload,
}

/// Maximum bytes of a text that an expression creates; a longer one is null, which bounds loops that double a text.
pub(super) const MAX_TEXT: usize = 1 << 20;

/// The type of integer columns of unspecified width, computed in 64 bits.
pub(super) const INTEGER: ValueKind = ValueKind::Integer(Storage::Integer);
pub(super) const INT32: ValueKind = ValueKind::Integer(Storage::Int32);
pub(super) const INT64: ValueKind = ValueKind::Integer(Storage::Int64);

impl Value {
    pub(super) fn none() -> Value {
        Value { kind: ValueKind::None, status: Status::Valid, payload: Payload::Nothing }
    }

    pub(super) fn null(kind: ValueKind) -> Value {
        Value { kind, status: Status::Null, payload: Payload::Nothing }
    }

    pub(super) fn poison(kind: ValueKind) -> Value {
        Value { kind, status: Status::Poison, payload: Payload::Nothing }
    }

    pub(super) fn float(value: f64) -> Value {
        Value { kind: ValueKind::Float64, status: Status::Valid, payload: Payload::Float(value) }
    }

    pub(super) fn float_or_null(value: Option<f64>) -> Value {
        value.map_or(Value::null(ValueKind::Float64), Value::float)
    }

    pub(super) fn boolean(value: bool) -> Value {
        Value { kind: ValueKind::Boolean, status: Status::Valid, payload: Payload::Boolean(value) }
    }

    pub(super) fn integer(kind: ValueKind, value: i64) -> Value {
        Value { kind, status: Status::Valid, payload: Payload::Integer(value) }
    }

    pub(super) fn text(value: impl Into<Arc<str>>) -> Value {
        Value { kind: ValueKind::Text, status: Status::Valid, payload: Payload::Text(value.into()) }
    }

    /// Returns a text, or null if it is empty or longer than [`MAX_TEXT`].
    pub(super) fn text_or_null(value: String) -> Value {
        if value.is_empty() || value.len() > MAX_TEXT {
            Value::null(ValueKind::Text)
        } else {
            Value::text(value)
        }
    }

    pub(super) fn packed_date(packed: i32) -> Value {
        Value { kind: ValueKind::Date, status: Status::Valid, payload: Payload::Date(packed) }
    }

    pub(super) fn datetime(ms: i64) -> Value {
        Value { kind: ValueKind::Datetime, status: Status::Valid, payload: Payload::Datetime(ms) }
    }

    pub(super) fn is_none(&self) -> bool {
        self.kind == ValueKind::None
    }

    /// Returns whether the status is valid, which includes the literal `null`.
    pub(super) fn is_valid(&self) -> bool {
        self.status == Status::Valid
    }

    pub(super) fn is_numeric(&self) -> bool {
        matches!(self.kind, ValueKind::Integer(_) | ValueKind::Float32 | ValueKind::Float64)
    }

    pub(super) fn is_float(&self) -> bool {
        matches!(self.kind, ValueKind::Float32 | ValueKind::Float64)
    }

    /// Returns the payload as a raw number, regardless of type.
    pub(super) fn raw(&self) -> f64 {
        match &self.payload {
            Payload::Nothing | Payload::Text(_) => 0.0,
            Payload::Integer(value) if self.kind == ValueKind::Integer(Storage::UInt64) => {
                *value as u64 as f64
            }
            Payload::Integer(value) => *value as f64,
            Payload::Float(value) => *value,
            Payload::Boolean(value) => f64::from(u8::from(*value)),
            Payload::Date(packed) => f64::from(*packed),
            Payload::Datetime(ms) => *ms as f64,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.payload {
            Payload::Text(text) if self.is_valid() => Some(text),
            _ => None,
        }
    }

    /// Returns the value as a condition.
    pub(super) fn is_true(&self) -> bool {
        self.is_valid()
            && match &self.payload {
                Payload::Nothing => false,
                Payload::Text(_) | Payload::Date(_) => true,
                _ => self.raw() != 0.0,
            }
    }

    /// Returns the name of the type in messages.
    pub(super) fn type_name(&self) -> &'static str {
        match self.kind {
            ValueKind::None => "none",
            ValueKind::Integer(_) => "integer",
            ValueKind::Float32 | ValueKind::Float64 => "float",
            ValueKind::Boolean => "boolean",
            ValueKind::Text => "string",
            ValueKind::Date => "date",
            ValueKind::Datetime => "datetime",
        }
    }

    pub(crate) fn of(scalar: &Scalar, storage: Storage) -> Value {
        let kind = ValueKind::of(storage);
        match scalar {
            Scalar::Null => Value::null(kind),
            Scalar::Bool(value) => Value::boolean(*value),
            Scalar::Int(value) => Value::integer(kind, *value),
            Scalar::UInt(value) => Value::integer(kind, *value as i64),
            Scalar::Float(value) => Value { kind, ..Value::float(*value) },
            Scalar::Str(text) => Value::text(text.clone()),
            Scalar::Date(days) => match NaiveDate::from_epoch_days(*days) {
                Some(date) => {
                    Value::packed_date(date.year() << 16 | (date.month0() as i32) << 8 | date.day() as i32)
                }
                None => Value::null(kind),
            },
            Scalar::Datetime(ms) => Value::datetime(*ms),
        }
    }

    /// Returns the value as a cell of a column of this storage type: numbers are converted, other mismatches are null.
    pub(super) fn into_scalar(self, storage: Storage) -> Scalar {
        if !self.is_valid() {
            return Scalar::Null;
        }
        let wanted = ValueKind::of(storage);
        match (wanted, &self.payload) {
            (ValueKind::Float32 | ValueKind::Float64, Payload::Float(_) | Payload::Integer(_)) => {
                Scalar::Float(self.raw())
            }
            (ValueKind::Integer(Storage::UInt64), Payload::Integer(value)) => Scalar::UInt(*value as u64),
            (ValueKind::Integer(_), Payload::Integer(value)) => Scalar::Int(*value),
            (ValueKind::Integer(_), Payload::Float(value)) if value.is_finite() => Scalar::Int(*value as i64),
            (ValueKind::Boolean, Payload::Boolean(value)) => Scalar::Bool(*value),
            (ValueKind::Text, Payload::Text(text)) => Scalar::Str(text.clone()),
            (ValueKind::Date, Payload::Date(packed)) => days_of(*packed).map_or(Scalar::Null, Scalar::Date),
            (ValueKind::Datetime, Payload::Datetime(ms)) => Scalar::Datetime(*ms),
            _ => Scalar::Null,
        }
    }
}

/// Truncates a float to an integer; values out of range become `i64::MIN`, as on x86.
pub(super) fn to_integer(value: f64) -> i64 {
    if value >= -(2_f64.powi(63)) && value < 2_f64.powi(63) { value as i64 } else { i64::MIN }
}

impl ValueKind {
    pub(super) fn of(storage: Storage) -> ValueKind {
        match storage {
            Storage::Float32 => ValueKind::Float32,
            Storage::Float64 => ValueKind::Float64,
            Storage::Bool => ValueKind::Boolean,
            Storage::Utf8 => ValueKind::Text,
            Storage::Date32 => ValueKind::Date,
            Storage::TimestampMs => ValueKind::Datetime,
            integer @ (Storage::Integer
            | Storage::Int8
            | Storage::Int16
            | Storage::Int32
            | Storage::Int64
            | Storage::UInt8
            | Storage::UInt16
            | Storage::UInt32
            | Storage::UInt64) => ValueKind::Integer(integer),
        }
    }

    /// Returns the storage type of a column of this type; `None` for the type of `null`.
    pub(super) fn storage(self) -> Option<Storage> {
        match self {
            ValueKind::None => None,
            ValueKind::Integer(storage) => Some(storage),
            ValueKind::Float32 => Some(Storage::Float32),
            ValueKind::Float64 => Some(Storage::Float64),
            ValueKind::Boolean => Some(Storage::Bool),
            ValueKind::Text => Some(Storage::Utf8),
            ValueKind::Date => Some(Storage::Date32),
            ValueKind::Datetime => Some(Storage::TimestampMs),
        }
    }
}

/// Returns days since 1970 of a packed date; a day beyond the end of its month runs into the next month.
pub(super) fn days_of(packed: i32) -> Option<i32> {
    let (year, month, day) = unpack(packed);
    let first = NaiveDate::from_ymd_opt(year, month + 1, 1)?;
    Some(first.to_epoch_days() + day as i32 - 1)
}

/// Unpacks year, month from 0, and day.
pub(super) fn unpack(packed: i32) -> (i32, u32, u32) {
    (packed >> 16, (packed >> 8 & 0xff) as u32, (packed & 0xff) as u32)
}

pub(super) fn pack(date: NaiveDate) -> i32 {
    date.year() << 16 | (date.month0() as i32) << 8 | date.day() as i32
}
