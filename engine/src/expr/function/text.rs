//! Strings. Positions and lengths count bytes; only ASCII letters change case.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "each file evaluates the functions of its own family; `Function` lists all"
)]

use std::fmt::Write;

use super::super::eval::Machine;
use super::super::value::{MAX_TEXT, Payload, Status, Value, ValueKind, unpack};
use super::Function;
use crate::types::display::path_text;
use crate::types::scalar::Scalar;

pub(super) fn call(machine: &mut Machine<'_>, function: Function, values: &[Value]) -> Value {
    match function {
        Function::Upper | Function::Lower => {
            if values[0].kind != ValueKind::Text || values[0].status == Status::Poison {
                return Value::poison(ValueKind::Text);
            }
            match values[0].as_text() {
                Some(text) if !machine.is_checking() => Value::text_or_null(match function {
                    Function::Upper => text.to_ascii_uppercase(),
                    _ => text.to_ascii_lowercase(),
                }),
                _ => Value::null(ValueKind::Text),
            }
        }
        Function::Length => match values[0].as_text() {
            Some(text) => Value::float(text.len() as f64),
            None if values[0].kind == ValueKind::Text && values[0].status == Status::Null => {
                Value::null(ValueKind::Float64)
            }
            None => Value::poison(ValueKind::Float64),
        },
        Function::Concat => {
            if values.iter().any(|value| value.kind != ValueKind::Text || value.status == Status::Poison) {
                return Value::poison(ValueKind::Text);
            }
            let texts: Option<Vec<&str>> = values.iter().map(Value::as_text).collect();
            match texts {
                Some(texts) if texts.iter().map(|text| text.len()).sum::<usize>() > MAX_TEXT => {
                    Value::null(ValueKind::Text)
                }
                Some(texts) if !machine.is_checking() => Value::text_or_null(texts.concat()),
                _ => Value::null(ValueKind::Text),
            }
        }
        Function::Substring => substring(machine, values),
        Function::Order => order(machine, values),
        _ => unreachable!("{function:?} is computed elsewhere"),
    }
}

fn substring(machine: &mut Machine<'_>, values: &[Value]) -> Value {
    if values[0].kind != ValueKind::Text
        || !(2..=3).contains(&values.len())
        || values[0].status == Status::Poison
    {
        return Value::poison(ValueKind::Text);
    }
    let positions: Option<Vec<f64>> = values[1..]
        .iter()
        .map(|value| (value.is_numeric() && value.is_valid()).then(|| value.raw().trunc()))
        .collect();
    let (Some(text), Some(positions), false) = (values[0].as_text(), positions, machine.is_checking()) else {
        return Value::null(ValueKind::Text);
    };
    let len = text.len() as f64;
    let start = positions[0];
    let count = positions.get(1).copied().unwrap_or(len - start);
    // These comparisons are false for NaN.
    let is_inside = start >= 0.0 && start < len && count >= 0.0 && start + count <= len;
    if !is_inside {
        return Value::null(ValueKind::Text);
    }
    let bytes = &text.as_bytes()[start as usize..(start + count) as usize];
    if bytes.len() > MAX_TEXT {
        return Value::null(ValueKind::Text);
    }
    let text = String::from_utf8_lossy(bytes).into_owned();
    if text.len() > MAX_TEXT { Value::null(ValueKind::Text) } else { Value::text(text) }
}

fn order(machine: &mut Machine<'_>, values: &[Value]) -> Value {
    if values.len() < 2
        || values.iter().any(|value| value.kind != ValueKind::Text || value.status == Status::Poison)
    {
        return Value::poison(ValueKind::Float64);
    }
    let Some(text) = values[0].as_text() else { return Value::null(ValueKind::Float64) };
    if machine.is_checking() {
        return Value::null(ValueKind::Float64);
    }
    let list = &values[1..];
    let position = list.iter().rposition(|value| value.as_text() == Some(text)).unwrap_or(list.len());
    Value::float(position as f64)
}

pub(super) fn string(machine: &mut Machine<'_>, value: &Value) -> Value {
    if value.is_none() || !value.is_valid() {
        return if value.status == Status::Poison {
            Value::poison(ValueKind::Text)
        } else {
            Value::null(ValueKind::Text)
        };
    }
    if machine.is_checking() {
        return Value::null(ValueKind::Text);
    }
    let mut text = String::new();
    write_string(value, &mut text);
    Value::text_or_null(text)
}

/// Appends the text of a valid value.
pub(in crate::expr) fn write_string(value: &Value, out: &mut String) {
    // Writing to a `String` cannot fail.
    let _ = match &value.payload {
        Payload::Nothing => Ok(()),
        Payload::Integer(_) if value.raw() > i64::MAX as f64 => write!(out, "{}", value.raw() as u64),
        Payload::Integer(number) => {
            out.push_str(itoa::Buffer::new().format(*number));
            Ok(())
        }
        Payload::Float(number) => {
            out.push_str(&path_text(&Scalar::Float(*number)));
            Ok(())
        }
        Payload::Boolean(value) => write!(out, "{value}"),
        Payload::Text(text) => {
            out.push_str(text);
            Ok(())
        }
        Payload::Date(packed) => {
            let (year, month, day) = unpack(*packed);
            write!(out, "{year}-{:02}-{day:02}", month + 1)
        }
        Payload::Datetime(ms) => {
            out.push_str(&path_text(&Scalar::Datetime(*ms)));
            Ok(())
        }
    };
}
