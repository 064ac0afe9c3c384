//! Conversions, missing values, lookups.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "each file evaluates the functions of its own family; `Function` lists all"
)]

use super::super::eval::Machine;
use super::super::value::{INT32, INT64, Payload, Status, Value, ValueKind, to_integer};
use super::Function;

pub(super) fn call(function: Function, value: &Value) -> Value {
    let kind = match function {
        Function::Integer => INT64,
        Function::Float => ValueKind::Float64,
        _ => ValueKind::Boolean,
    };
    if value.is_none() {
        return Value::null(kind);
    }
    if value.status == Status::Poison {
        return Value::poison(kind);
    }
    if function == Function::Boolean {
        return match &value.payload {
            Payload::Integer(_) | Payload::Float(_) | Payload::Boolean(_) | Payload::Datetime(_) => {
                Value::boolean(value.raw() != 0.0)
            }
            Payload::Text(_) | Payload::Date(_) => Value::boolean(true),
            Payload::Nothing => Value::boolean(false),
        };
    }
    if !value.is_valid() {
        return Value::null(kind);
    }
    if let Payload::Text(text) = &value.payload {
        let number = leading_number(text);
        return match (function, number) {
            (Function::Integer, Some(_)) => {
                integer_text(text).map_or(Value::null(INT64), |value| Value::integer(INT64, value))
            }
            (_, Some(number)) => Value::float(number),
            (_, None) => Value::null(kind),
        };
    }
    match (function, &value.payload) {
        (Function::Integer, Payload::Integer(number)) => Value::integer(INT64, *number),
        (Function::Integer, Payload::Datetime(ms)) => Value::integer(INT64, *ms),
        (Function::Integer, _) => Value::integer(INT64, to_integer(value.raw())),
        (_, _) if value.raw().is_nan() => Value::null(ValueKind::Float64),
        _ => Value::float(value.raw()),
    }
}

/// Parses the numeric prefix of a text as a C++ stream does: a started exponent must be complete, and numbers out of
/// range fail.
fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let bytes = text.as_bytes();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let whole_end = digits(at);
    let mut num_digits = whole_end - at;
    at = whole_end;
    if bytes.get(at) == Some(&b'.') {
        let end = digits(at + 1);
        num_digits += end - at - 1;
        at = end;
    }
    if num_digits == 0 {
        return None;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let end = digits(at + 1 + sign);
        if end == at + 1 + sign {
            return None;
        }
        at = end;
    }
    text[..at].parse::<f64>().ok().filter(|number| number.is_finite())
}

fn integer_text(text: &str) -> Option<i64> {
    leading_number(text).map(to_integer)
}

/// Returns the first value that is not null; numbers become floats.
pub(super) fn coalesce(values: &[Value]) -> Value {
    let is_numeric = values.iter().all(Value::is_numeric);
    let is_one_type = values.iter().all(|value| value.kind == values[0].kind);
    if values.iter().any(Value::is_none) || !(is_numeric || is_one_type) {
        return Value::poison(ValueKind::Float64);
    }
    let found = values.iter().find(|value| value.is_valid());
    match found {
        Some(value) if is_numeric => Value::float(value.raw()),
        Some(value) => value.clone(),
        None => Value::null(if is_numeric { ValueKind::Float64 } else { values[0].kind }),
    }
}

/// Returns the value of a column at a row position.
pub(super) fn lookup(machine: &mut Machine<'_>, values: &[Value]) -> Value {
    let [name, position] = values else { return Value::poison(ValueKind::Float64) };
    let index = machine.index();
    let wanted = if index.kind == ValueKind::None { INT32 } else { index.kind };
    let Some(name) = name.as_text() else { return Value::poison(ValueKind::Float64) };
    if position.kind != wanted || position.status == Status::Poison {
        return Value::poison(ValueKind::Float64);
    }
    let row = if position.is_valid() && position.is_numeric() { position.raw() } else { 0.0 };
    machine.lookup(name, row).unwrap_or(Value::poison(ValueKind::Float64))
}
