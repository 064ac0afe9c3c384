//! Operators on values.
//!
//! Invariant: integers of equal type are added, subtracted and multiplied in its width, wrapping, and then become
//! floats; every other pair is computed in floats. Division by zero is null, never infinite.

use std::cmp::Ordering;

use super::ast::{Arithmetic, Comparison, Logic};
use super::value::{INT32, INT64, INTEGER, Payload, Status, Value, ValueKind};
use crate::types::schema::Storage;

pub(super) fn arithmetic(op: Arithmetic, left: &Value, right: &Value) -> Value {
    if left.is_none() || right.is_none() {
        return Value::null(ValueKind::Float64);
    }
    let is_poison = !left.is_numeric() || !right.is_numeric();
    if !left.is_valid() || !right.is_valid() {
        let either = left.status == Status::Poison || right.status == Status::Poison;
        return if is_poison || either {
            Value::poison(ValueKind::Float64)
        } else {
            Value::null(ValueKind::Float64)
        };
    }
    let (x, y) = (left.raw(), right.raw());
    let integers = |width: fn(Arithmetic, i64, i64) -> i64| match (&left.payload, &right.payload) {
        (Payload::Integer(x), Payload::Integer(y)) => width(op, *x, *y) as f64,
        _ => floats(op, x, y),
    };
    match op {
        Arithmetic::Divide | Arithmetic::Modulo if y == 0.0 && is_poison => Value::poison(ValueKind::Float64),
        Arithmetic::Divide | Arithmetic::Modulo if y == 0.0 => Value::null(ValueKind::Float64),
        Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Multiply => {
            Value::float(match (left.kind, right.kind) {
                (INT32, INT32) => integers(|op, x, y| i64::from(wrap32(op, x as i32, y as i32))),
                (INTEGER, INTEGER) | (INT64, INT64) => integers(wrap64),
                _ => floats(op, x, y),
            })
        }
        Arithmetic::Divide | Arithmetic::Modulo | Arithmetic::Power => Value::float(floats(op, x, y)),
    }
}

fn floats(op: Arithmetic, x: f64, y: f64) -> f64 {
    match op {
        Arithmetic::Add => x + y,
        Arithmetic::Subtract => x - y,
        Arithmetic::Multiply => x * y,
        Arithmetic::Divide => x / y,
        Arithmetic::Modulo => x % y,
        Arithmetic::Power => x.powf(y),
    }
}

fn wrap32(op: Arithmetic, x: i32, y: i32) -> i32 {
    match op {
        Arithmetic::Subtract => x.wrapping_sub(y),
        Arithmetic::Multiply => x.wrapping_mul(y),
        Arithmetic::Add | Arithmetic::Divide | Arithmetic::Modulo | Arithmetic::Power => x.wrapping_add(y),
    }
}

fn wrap64(op: Arithmetic, x: i64, y: i64) -> i64 {
    match op {
        Arithmetic::Subtract => x.wrapping_sub(y),
        Arithmetic::Multiply => x.wrapping_mul(y),
        Arithmetic::Add | Arithmetic::Divide | Arithmetic::Modulo | Arithmetic::Power => x.wrapping_add(y),
    }
}

pub(super) fn negate(value: &Value) -> Value {
    if value.is_none() {
        return Value::null(ValueKind::Float64);
    }
    if !value.is_numeric() {
        return Value::poison(value.kind);
    }
    if value.status == Status::Poison {
        return Value::null(value.kind);
    }
    let payload = match (&value.payload, value.kind) {
        (Payload::Integer(number), ValueKind::Integer(storage)) => {
            Payload::Integer(wrap(number.wrapping_neg(), storage))
        }
        (Payload::Float(number), _) => Payload::Float(-number),
        (other, _) => other.clone(),
    };
    Value { payload, ..value.clone() }
}

/// Wraps an integer to the width of its storage type.
fn wrap(value: i64, storage: Storage) -> i64 {
    match storage {
        Storage::Int8 => i64::from(value as i8),
        Storage::Int16 => i64::from(value as i16),
        Storage::Int32 => i64::from(value as i32),
        Storage::UInt8 => i64::from(value as u8),
        Storage::UInt16 => i64::from(value as u16),
        Storage::UInt32 => i64::from(value as u32),
        Storage::Integer
        | Storage::Int64
        | Storage::UInt64
        | Storage::Float32
        | Storage::Float64
        | Storage::Bool
        | Storage::Utf8
        | Storage::Date32
        | Storage::TimestampMs => value,
    }
}

/// A comparison of two types that do not compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Incomparable {
    pub(super) left: &'static str,
    pub(super) right: &'static str,
    pub(super) op: Comparison,
}

pub(super) fn compare(op: Comparison, left: &Value, right: &Value) -> Result<Value, Incomparable> {
    if left.is_none() || right.is_none() {
        let is_null = |value: &Value| value.is_none() || !value.is_valid();
        let both = is_null(left) && is_null(right);
        return Ok(match op {
            Comparison::Equal => Value::boolean(both),
            Comparison::NotEqual => Value::boolean(!both),
            Comparison::Less | Comparison::LessEqual | Comparison::Greater | Comparison::GreaterEqual => {
                Value::null(ValueKind::Boolean)
            }
        });
    }
    let is_compatible = left.kind == right.kind || (left.is_numeric() && right.is_numeric());
    if !is_compatible {
        return Err(Incomparable { left: left.type_name(), right: right.type_name(), op });
    }
    Ok(match (left.is_valid(), right.is_valid()) {
        (false, false) => {
            Value::boolean(matches!(op, Comparison::Equal | Comparison::LessEqual | Comparison::GreaterEqual))
        }
        (true, true) => Value::boolean(holds(op, order(left, right))),
        _ => Value::boolean(op == Comparison::NotEqual),
    })
}

fn holds(op: Comparison, order: Option<Ordering>) -> bool {
    match op {
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
    }
}

/// Compares two values; `None` if one is NaN.
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    let wide = |value: &Value| match (&value.payload, value.kind) {
        (Payload::Integer(number), ValueKind::Integer(Storage::UInt64)) => Some(i128::from(*number as u64)),
        (Payload::Integer(number), _) => Some(i128::from(*number)),
        _ => None,
    };
    match (&left.payload, &right.payload) {
        (Payload::Text(left), Payload::Text(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        (Payload::Integer(_), Payload::Integer(_)) => wide(left).partial_cmp(&wide(right)),
        _ => left.raw().partial_cmp(&right.raw()),
    }
}

pub(super) fn logic(op: Logic, left: &Value, right: &Value) -> Value {
    // An operand of `&` and `|` counts as true unless it is the float +0.0.
    let counts = |value: &Value| !(value.is_float() && value.is_valid() && value.raw().to_bits() == 0);
    let (x, y) = (left.is_true(), right.is_true());
    Value::boolean(match op {
        Logic::And => x && y,
        Logic::Nand => !(x && y),
        Logic::Or => x || y,
        Logic::Nor => !(x || y),
        Logic::Xor => x != y,
        Logic::Xnor => x == y,
        Logic::ShortAnd => return Value::float(f64::from(u8::from(counts(left) && counts(right)))),
        Logic::ShortOr => return Value::float(f64::from(u8::from(counts(left) || counts(right)))),
    })
}
