//! Functions of numbers.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "each file evaluates the functions of its own family; `Function` lists all"
)]

use std::cmp::Ordering;
use std::f64::consts::PI;

use super::super::ast::{Argument, Arithmetic, Comparison};
use super::super::eval::{Machine, Out};
use super::super::operate;
use super::super::value::{INT32, INT64, Status, Value, ValueKind, to_integer};
use super::Function;

/// Name, definition, and whether integers are accepted (otherwise they yield null).
type Unary = (&'static str, fn(f64) -> f64, bool);

pub(super) const UNARY: &[Unary] = &[
    ("ceil", f64::ceil, true),
    ("floor", f64::floor, true),
    ("round", f64::round, true),
    ("exp", f64::exp, true),
    ("expm1", f64::exp_m1, true),
    ("log", f64::ln, true),
    ("log10", f64::log10, true),
    ("log1p", f64::ln_1p, true),
    ("log2", f64::log2, true),
    ("sqrt", f64::sqrt, true),
    ("sinc", |x| if x.abs() >= f64::EPSILON { x.sin() / x } else { 1.0 }, true),
    ("cot", |x| 1.0 / x.tan(), true),
    ("deg2rad", |x| x * (PI / 180.0), true),
    ("rad2deg", |x| x * (180.0 / PI), true),
    ("deg2grad", |x| x * (10.0 / 9.0), true),
    ("grad2deg", |x| x * (9.0 / 10.0), true),
    ("frac", |x| if x.is_infinite() { 0.0_f64.copysign(x) } else { x.fract() }, true),
    ("trunc", f64::trunc, true),
    (
        "sgn",
        |x| {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                0.0
            }
        },
        true,
    ),
    ("abs", f64::abs, false),
    ("sin", f64::sin, false),
    ("cos", f64::cos, false),
    ("tan", f64::tan, false),
    ("asin", f64::asin, false),
    ("acos", f64::acos, false),
    ("atan", f64::atan, false),
    ("sinh", f64::sinh, false),
    ("cosh", f64::cosh, false),
    ("tanh", f64::tanh, false),
    ("asinh", f64::asinh, false),
    ("acosh", f64::acosh, false),
    ("atanh", f64::atanh, false),
    ("erf", libm::erf, false),
    ("erfc", libm::erfc, false),
];

pub(super) fn unary_kind(position: usize) -> ValueKind {
    match UNARY[position].0 {
        "trunc" => INT64,
        "sgn" => INT32,
        _ => ValueKind::Float64,
    }
}

pub(super) fn unary(position: usize, value: &Value) -> Value {
    let (_, compute, takes_integers) = UNARY[position];
    let kind = unary_kind(position);
    if value.is_none() {
        return Value::null(kind);
    }
    if !value.is_numeric() || value.status == Status::Poison {
        return Value::poison(kind);
    }
    if !value.is_valid() || (!takes_integers && !value.is_float()) {
        return Value::null(kind);
    }
    let result = compute(value.raw());
    match kind {
        ValueKind::Float64 => Value::float(result),
        kind @ (ValueKind::None
        | ValueKind::Integer(_)
        | ValueKind::Float32
        | ValueKind::Boolean
        | ValueKind::Text
        | ValueKind::Date
        | ValueKind::Datetime) => Value::integer(kind, to_integer(result)),
    }
}

/// Returns the arguments as numbers; `Err` is the result if they determine it already.
fn numbers(values: &[Value], takes_none: bool) -> Result<Vec<f64>, Value> {
    if values.iter().any(Value::is_none) {
        return Err(if takes_none {
            Value::null(ValueKind::Float64)
        } else {
            Value::poison(ValueKind::Float64)
        });
    }
    let is_wrong = values.iter().any(|value| !value.is_numeric() || value.status == Status::Poison);
    let is_missing = values.iter().any(|value| !value.is_valid());
    // Values of other types are used as raw numbers, as by operators.
    if is_wrong && is_missing {
        return Err(Value::poison(ValueKind::Float64));
    }
    if is_missing {
        return Err(Value::null(ValueKind::Float64));
    }
    Ok(values.iter().map(Value::raw).collect())
}

pub(super) fn several(function: Function, values: &[Value], is_checking: bool) -> Value {
    match function {
        Function::Power => return operate::arithmetic(Arithmetic::Power, &values[0], &values[1]),
        Function::Modulo => return operate::arithmetic(Arithmetic::Modulo, &values[0], &values[1]),
        Function::Clamp | Function::InverseClamp => return clamp(function, values, is_checking),
        _ => {}
    }
    if matches!(function, Function::Min | Function::Max) {
        return extreme(function, values);
    }
    let takes_none = matches!(function, Function::Logarithm | Function::Root);
    let numbers = match numbers(values, takes_none) {
        Ok(numbers) => numbers,
        Err(result) => return result,
    };
    let is_raw = values.iter().any(|value| !value.is_numeric());
    let without = if is_raw { Value::poison(ValueKind::Float64) } else { Value::null(ValueKind::Float64) };
    match function {
        Function::Logarithm if numbers[1] < 0.0 => without,
        Function::Logarithm => Value::float(numbers[0].ln() / numbers[1].ln()),
        Function::Root => {
            let degree = numbers[1].trunc();
            if degree < 0.0 || (numbers[0] < 0.0 && degree % 2.0 == 0.0) {
                return Value::none();
            }
            Value::float(numbers[0].powf(1.0 / numbers[1]))
        }
        Function::PercentOf if numbers[1] == 0.0 => without,
        Function::PercentOf => Value::float(numbers[0] / numbers[1] * 100.0),
        _ => unreachable!("{function:?} is computed elsewhere"),
    }
}

/// Folds from left to right by `<` or `>`, so a NaN first stays, and nulls and NaNs after it are skipped.
fn extreme(function: Function, values: &[Value]) -> Value {
    if values.iter().any(|value| value.is_none() || !value.is_numeric() || value.status == Status::Poison) {
        return Value::poison(ValueKind::Float64);
    }
    if !values[0].is_valid() {
        return Value::null(ValueKind::Float64);
    }
    let best = values.iter().filter(|value| value.is_valid()).map(Value::raw).reduce(|best, x| {
        let is_better = if function == Function::Min { x < best } else { x > best };
        if is_better { x } else { best }
    });
    Value::float_or_null(best)
}

/// Returns the order used by `clamp` and similar functions: by type, then by status, then by value.
fn raw_order(left: &Value, right: &Value, is_checking: bool) -> Ordering {
    let rank = |value: &Value| match value.kind {
        ValueKind::None => 0,
        ValueKind::Integer(_) => 1,
        ValueKind::Float32 | ValueKind::Float64 => 2,
        ValueKind::Boolean => 3,
        ValueKind::Datetime => 4,
        ValueKind::Date => 5,
        ValueKind::Text => 6,
    };
    let status = |value: &Value| match value.status {
        Status::Poison => 0,
        Status::Valid => 1,
        // A cell that was never written.
        Status::Null if is_checking => 0,
        Status::Null => 2,
    };
    rank(left)
        .cmp(&rank(right))
        .then(status(left).cmp(&status(right)))
        .then_with(|| operate::order(left, right).unwrap_or(Ordering::Equal))
}

fn clamp(function: Function, values: &[Value], is_checking: bool) -> Value {
    let raw_order = |left: &Value, right: &Value| raw_order(left, right, is_checking);
    let [low, x, high] = values else { return Value::poison(ValueKind::Float64) };
    let (below, above) = (raw_order(x, low).is_lt(), raw_order(x, high).is_gt());
    if function == Function::Clamp {
        return if below {
            low.clone()
        } else if above {
            high.clone()
        } else {
            x.clone()
        };
    }
    if raw_order(x, low).is_le() || raw_order(x, high).is_ge() {
        return x.clone();
    }
    let middle = |a: &Value, b: &Value| a.raw() - b.raw();
    if middle(x, low) <= middle(high, x) { low.clone() } else { high.clone() }
}

pub(super) fn equal(machine: &mut Machine<'_>, function: Function, values: &[Value]) -> Value {
    let op = if function == Function::Equal { Comparison::Equal } else { Comparison::NotEqual };
    machine.compare(op, &values[0], &values[1])
}

pub(super) fn in_range(machine: &mut Machine<'_>, values: &[Value]) -> Value {
    let [low, x, high] = values else { return Value::poison(ValueKind::Boolean) };
    let first = machine.compare(Comparison::LessEqual, low, x);
    if first.status == Status::Poison {
        return first;
    }
    let second = machine.compare(Comparison::LessEqual, x, high);
    if second.status == Status::Poison {
        return second;
    }
    if values.iter().any(|value| value.is_none() || !value.is_valid()) {
        return Value::null(ValueKind::Boolean);
    }
    Value::boolean(first.is_true() && second.is_true())
}

/// `mand` and `mor` stop at the first value that decides; a value that is not boolean is poison.
pub(super) fn all_or_any(machine: &mut Machine<'_>, function: Function, arguments: &[Argument]) -> Value {
    let decides = function == Function::AnyOf;
    for argument in arguments {
        let Argument::Value(node) = argument else { return Value::poison(ValueKind::Boolean) };
        let value = machine.value(node);
        if value.kind != ValueKind::Boolean || !value.is_valid() {
            return Value::poison(ValueKind::Boolean);
        }
        if value.is_true() == decides {
            return Value::boolean(decides);
        }
    }
    Value::boolean(!decides)
}

/// `sum`, `mul`, `avg`: a single argument is returned; several are folded from the left. Vectors count by element.
pub(super) fn fold(machine: &mut Machine<'_>, function: Function, arguments: &[Argument]) -> Value {
    let mut values = Vec::new();
    let is_single = arguments.len() == 1;
    for argument in arguments {
        let Argument::Value(node) = argument else { return Value::poison(ValueKind::Float64) };
        match machine.any(node) {
            Out::Vector(elements) if is_single => values = elements,
            out @ (Out::Value(_) | Out::Vector(_)) => values.push(out.into_value()),
        }
    }
    let op = if function == Function::Product { Arithmetic::Multiply } else { Arithmetic::Add };
    let count = values.len();
    let Some(total) = values.into_iter().reduce(|total, value| operate::arithmetic(op, &total, &value))
    else {
        return Value::null(ValueKind::Float64);
    };
    if function == Function::Mean && count > 1 {
        // The division yields a number for any dividend; only its value can be missing.
        if !total.is_valid() {
            return Value::null(ValueKind::Float64);
        }
        return operate::arithmetic(Arithmetic::Divide, &total, &Value::float(count as f64));
    }
    total
}

/// Evaluates a numbered form of the base language.
pub(super) fn special(number: u8, values: &[Value]) -> Value {
    use Arithmetic::{Add, Divide, Multiply, Subtract};
    let op = operate::arithmetic;
    let [x, y, z] = &values[..3] else { return Value::poison(ValueKind::Float64) };
    let pair = |outer: Arithmetic, inner: Arithmetic| op(outer, &op(inner, x, y), z);
    let right = |outer: Arithmetic, inner: Arithmetic| op(outer, x, &op(inner, y, z));
    match number {
        0 => pair(Divide, Add),
        1 => pair(Multiply, Add),
        2 => pair(Subtract, Add),
        3 => pair(Add, Add),
        4 => pair(Add, Subtract),
        5 => pair(Divide, Subtract),
        6 => pair(Multiply, Subtract),
        7 => pair(Add, Multiply),
        8 => pair(Subtract, Multiply),
        9 => pair(Divide, Multiply),
        10 => pair(Multiply, Multiply),
        11 => pair(Add, Divide),
        12 => pair(Subtract, Divide),
        13 => pair(Divide, Divide),
        14 => pair(Multiply, Divide),
        15 => right(Divide, Add),
        16 => right(Divide, Subtract),
        17 => right(Divide, Multiply),
        18 => right(Divide, Divide),
        19 => right(Multiply, Add),
        20 => right(Multiply, Subtract),
        21 => right(Multiply, Multiply),
        22 => right(Multiply, Divide),
        23 => right(Subtract, Add),
        24 => right(Subtract, Subtract),
        25 => right(Subtract, Divide),
        26 => right(Subtract, Multiply),
        27 => right(Add, Multiply),
        28 => right(Add, Divide),
        29 => right(Add, Add),
        30 => right(Add, Subtract),
        31..=38 => {
            let power = op(Arithmetic::Power, y, &Value::float(f64::from(number - 29)));
            op(Add, &op(Multiply, x, &power), z)
        }
        73 if values.len() == 4 => op(Add, &op(Multiply, x, y), &op(Multiply, z, &values[3])),
        _ => Value::null(ValueKind::Float64),
    }
}
