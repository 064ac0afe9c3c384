//! Functions on vectors.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "each file evaluates the functions of its own family; `Function` lists all"
)]

use super::super::ast::{Argument, Arithmetic};
use super::super::eval::Machine;
use super::super::operate;
use super::super::value::{Status, Value, ValueKind};
use super::Function;

pub(super) fn call(machine: &mut Machine<'_>, function: Function, arguments: &[Argument]) -> Value {
    if function == Function::IndexOf {
        return index_of(machine, arguments);
    }
    let mut slots = Vec::new();
    for argument in arguments {
        let Argument::Vector(slot) = argument else { return Value::poison(ValueKind::Float64) };
        slots.push(*slot);
    }
    if slots.iter().any(|slot| machine.vectors[*slot].len() < 3) {
        return Value::poison(if slots.len() == 3 { ValueKind::Boolean } else { ValueKind::Float64 });
    }
    // A missing element counts as zero.
    let element = |machine: &Machine<'_>, slot: usize, at: usize| {
        let value = &machine.vectors[slot][at];
        if value.is_valid() && value.is_numeric() { value.raw() } else { 0.0 }
    };
    match function {
        Function::Norm3 => {
            let squares: f64 = (0..3).map(|at| element(machine, slots[0], at).powi(2)).sum();
            Value::float(squares.sqrt())
        }
        Function::DotProduct3 => Value::float(
            (0..3).map(|at| element(machine, slots[0], at) * element(machine, slots[1], at)).sum(),
        ),
        Function::CrossProduct3 => {
            let v: Vec<f64> = (0..3).map(|at| element(machine, slots[0], at)).collect();
            let w: Vec<f64> = (0..3).map(|at| element(machine, slots[1], at)).collect();
            let out = [v[1] * w[2] - v[2] * w[1], v[2] * w[0] - v[0] * w[2], v[0] * w[1] - v[1] * w[0]];
            for (at, value) in out.into_iter().enumerate() {
                machine.vectors[slots[2]][at] = Value::float(value);
            }
            Value::boolean(true)
        }
        _ => {
            for at in 0..3 {
                let (left, right) =
                    (machine.vectors[slots[0]][at].clone(), machine.vectors[slots[1]][at].clone());
                machine.vectors[slots[2]][at] = operate::arithmetic(Arithmetic::Subtract, &left, &right);
            }
            Value::boolean(true)
        }
    }
}

/// Writes start and inclusive end of the first group to the vector.
fn index_of(machine: &mut Machine<'_>, arguments: &[Argument]) -> Value {
    let [Argument::Value(first), Argument::Raw(pattern), Argument::Vector(slot)] = arguments else {
        return Value::poison(ValueKind::Boolean);
    };
    let subject = machine.value(first);
    if subject.kind != ValueKind::Text || subject.status == Status::Poison || machine.vectors[*slot].len() < 2
    {
        return Value::poison(ValueKind::Boolean);
    }
    let Some(pattern) = machine.pattern(pattern, false) else { return Value::poison(ValueKind::Boolean) };
    if pattern.captures_len() < 2 {
        return Value::poison(ValueKind::Boolean);
    }
    let Some(text) = subject.as_text() else { return Value::null(ValueKind::Boolean) };
    let found =
        pattern.captures(text).and_then(|found| found.get(1).map(|group| (group.start(), group.end())));
    match found {
        Some((start, end)) if end > start => {
            machine.vectors[*slot][0] = Value::float(start as f64);
            machine.vectors[*slot][1] = Value::float((end - 1) as f64);
            Value::boolean(true)
        }
        _ => Value::boolean(false),
    }
}
