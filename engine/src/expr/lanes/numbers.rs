//! Numbers, truths and comparisons over columns.
//!
//! Law: floats are computed in floats; integers of 32 or 64 bits are added, subtracted and multiplied in their width. What
//! is no number here (or a value of several types) is left to [`super::general`].

use super::super::ast::{Arithmetic, Comparison, Logic};
use super::super::function::{self, Function};
use super::super::value::{INT32, INT64, INTEGER, Kind, to_integer};
use super::Run;
use super::lane::{Cells, Lane, NONE, NULL, POISON, Payloads, Ref, VALID, joined, statuses};
use crate::schema::Storage;

impl Run<'_> {
    pub(super) fn negate(&mut self, lane: Lane, len: usize) -> Lane {
        match &lane.payloads {
            Payloads::Float(cells) if !lane.has(NONE) && !lane.has(POISON) => {
                Lane::new(lane.kind, Payloads::Float(cells.map(|value| -value)), lane.statuses)
            }
            _ => self.general_negate(lane, len),
        }
    }

    pub(super) fn arithmetic(&mut self, op: Arithmetic, left: Lane, right: Lane, len: usize) -> Lane {
        if !left.is_number() || !right.is_number() {
            return self.general_arithmetic(op, left, right, len);
        }
        let statuses = joined(&left, &right, len);
        if let (Payloads::Int(x), Payloads::Int(y)) = (&left.payloads, &right.payloads)
            && left.kind == right.kind
            && matches!(left.kind, INTEGER | INT32 | INT64)
        {
            let wrapped = |op32: fn(i32, i32) -> i32, op64: fn(i64, i64) -> i64| match left.kind {
                INT32 => x.zip(y, |x, y| f64::from(op32(x as i32, y as i32))),
                _ => x.zip(y, |x, y| op64(x, y) as f64),
            };
            match op {
                Arithmetic::Add => {
                    return Lane::float(wrapped(i32::wrapping_add, i64::wrapping_add), statuses);
                }
                Arithmetic::Subtract => {
                    return Lane::float(wrapped(i32::wrapping_sub, i64::wrapping_sub), statuses);
                }
                Arithmetic::Multiply => {
                    return Lane::float(wrapped(i32::wrapping_mul, i64::wrapping_mul), statuses);
                }
                Arithmetic::Divide | Arithmetic::Modulo | Arithmetic::Power => {}
            }
        }
        let (Some(x), Some(y)) = (left.raws(), right.raws()) else {
            return self.general_arithmetic(op, left, right, len);
        };
        let values = match op {
            Arithmetic::Add => x.zip(&y, |x, y| x + y),
            Arithmetic::Subtract => x.zip(&y, |x, y| x - y),
            Arithmetic::Multiply => x.zip(&y, |x, y| x * y),
            Arithmetic::Power => x.zip(&y, f64::powf),
            Arithmetic::Divide | Arithmetic::Modulo => {
                let values = match op {
                    Arithmetic::Divide => x.zip(&y, |x, y| x / y),
                    _ => x.zip(&y, |x, y| x % y),
                };
                return Lane::float(values, null_where_zero(statuses, &y, len));
            }
        };
        Lane::float(values, statuses)
    }

    pub(super) fn compare(&mut self, op: Comparison, left: Lane, right: Lane, len: usize) -> Lane {
        let is_wide = |lane: &Lane| lane.kind == Kind::Integer(Storage::UInt64);
        let is_compatible = left.kind == right.kind || (left.is_number() && right.is_number());
        let is_plain = !left.is_mixed() && !right.is_mixed() && !left.has(NONE) && !right.has(NONE);
        if !is_compatible || !is_plain || is_wide(&left) || is_wide(&right) {
            return self.general_compare(op, left, right, len);
        }
        let holds = match (&left.payloads, &right.payloads) {
            (Payloads::Text(x), Payloads::Text(y)) => {
                let statuses = (&left, &right);
                Cells::Each(
                    (0..len)
                        .map(|row| {
                            let is_there = statuses.0.status(row) == VALID && statuses.1.status(row) == VALID;
                            is_there && self.texts_hold(op, x.at(row), y.at(row))
                        })
                        .collect(),
                )
            }
            (Payloads::Int(x), Payloads::Int(y)) => x.zip(y, |x, y| compares(op, &x, &y)),
            _ => {
                let (Some(x), Some(y)) = (left.raws(), right.raws()) else {
                    return self.general_compare(op, left, right, len);
                };
                x.zip(&y, |x, y| compares(op, &x, &y))
            }
        };
        if left.statuses.is_none() && right.statuses.is_none() {
            return Lane::boolean(holds, None);
        }
        let both = matches!(op, Comparison::Equal | Comparison::LessEqual | Comparison::GreaterEqual);
        let cells = (0..len).map(|row| match (left.status(row), right.status(row)) {
            (VALID, VALID) => holds.at(row),
            (NULL, NULL) => both,
            _ => op == Comparison::NotEqual,
        });
        let statuses = statuses(len, |row| {
            let is_poison = left.status(row) == POISON || right.status(row) == POISON;
            if is_poison { POISON } else { VALID }
        });
        Lane::boolean(Cells::Each(cells.collect()), statuses)
    }

    fn texts_hold(&self, op: Comparison, left: Ref, right: Ref) -> bool {
        if left == right {
            return matches!(op, Comparison::Equal | Comparison::LessEqual | Comparison::GreaterEqual);
        }
        compares(op, &self.text(left).as_bytes(), &self.text(right).as_bytes())
    }

    pub(super) fn logic(&mut self, op: Logic, left: Lane, right: Lane, len: usize) -> Lane {
        let decide: fn(bool, bool) -> bool = match op {
            Logic::And => |x, y| x && y,
            Logic::Nand => |x, y| !(x && y),
            Logic::Or => |x, y| x || y,
            Logic::Nor => |x, y| !(x || y),
            Logic::Xor => |x, y| x != y,
            Logic::Xnor => |x, y| x == y,
            Logic::ShortAnd | Logic::ShortOr => return self.general_logic(op, left, right, len),
        };
        Lane::boolean(left.truths(len).zip(&right.truths(len), decide), None)
    }

    /// Functions of numbers; `None`: none of them, or not for these lanes.
    pub(super) fn number_function(&mut self, function: Function, lanes: &[Lane], len: usize) -> Option<Lane> {
        match (function, lanes) {
            (Function::Unary(position), [lane]) => unary(position, lane, len),
            (Function::Not, [lane]) => Some(Lane::boolean(lane.truths(len).map(|value| !value), None)),
            (Function::Equal, [left, right]) => {
                Some(self.compare(Comparison::Equal, left.clone(), right.clone(), len))
            }
            (Function::NotEqual, [left, right]) => {
                Some(self.compare(Comparison::NotEqual, left.clone(), right.clone(), len))
            }
            (Function::Power, [left, right]) => {
                Some(self.arithmetic(Arithmetic::Power, left.clone(), right.clone(), len))
            }
            (Function::Modulo, [left, right]) => {
                Some(self.arithmetic(Arithmetic::Modulo, left.clone(), right.clone(), len))
            }
            (Function::PercentOf, [part, whole]) => {
                if !are_numbers(lanes) {
                    return None;
                }
                let share = self.arithmetic(Arithmetic::Divide, part.clone(), whole.clone(), len);
                let Payloads::Float(cells) = &share.payloads else { return None };
                Some(Lane::float(cells.map(|value| value * 100.0), share.statuses))
            }
            (Function::Sum | Function::Product, [first, rest @ ..]) => {
                let op = if function == Function::Sum { Arithmetic::Add } else { Arithmetic::Multiply };
                Some(
                    rest.iter()
                        .fold(first.clone(), |total, lane| self.arithmetic(op, total, lane.clone(), len)),
                )
            }
            (Function::Mean, [single]) => Some(single.clone()),
            (Function::Mean, [first, rest @ ..]) if are_numbers(lanes) => {
                let total = rest.iter().fold(first.clone(), |total, lane| {
                    self.arithmetic(Arithmetic::Add, total, lane.clone(), len)
                });
                let count = Lane::float(Cells::Same(lanes.len() as f64), None);
                Some(self.arithmetic(Arithmetic::Divide, total, count, len))
            }
            (Function::Min | Function::Max, [first, rest @ ..]) if are_numbers(lanes) => {
                extreme(function, first, rest, len)
            }
            (Function::Clamp, [low, x, high]) if lanes.iter().all(is_plain_float) => {
                let (low, x, high) = (low.raws()?, x.raws()?, high.raws()?);
                let clamp = |row: usize| {
                    let (low, x, high) = (low.at(row), x.at(row), high.at(row));
                    if x < low {
                        low
                    } else if x > high {
                        high
                    } else {
                        x
                    }
                };
                Some(Lane::float(Cells::Each((0..len).map(clamp).collect()), None))
            }
            (Function::InRange, [low, x, high]) if are_numbers(lanes) => {
                let first = self.compare(Comparison::LessEqual, low.clone(), x.clone(), len);
                let second = self.compare(Comparison::LessEqual, x.clone(), high.clone(), len);
                let statuses = statuses(len, |row| {
                    let is_there = lanes.iter().all(|lane| lane.status(row) == VALID);
                    if is_there { VALID } else { NULL }
                });
                Some(Lane::boolean(first.truths(len).zip(&second.truths(len), |x, y| x && y), statuses))
            }
            (Function::Bucket, [x, unit]) if are_numbers(lanes) => {
                let statuses = joined(x, unit, len);
                let cells = x.raws()?.zip(&unit.raws()?, |x, unit| (x / unit).floor() * unit);
                Some(Lane::float(cells, statuses))
            }
            (Function::IsNull, [lane]) => Some(Lane::boolean(missing(lane, true, len), None)),
            (Function::IsNotNull, [lane]) => Some(Lane::boolean(missing(lane, false, len), None)),
            (Function::Float, [lane]) => to_float(lane, len),
            (Function::Integer, [lane]) => to_integers(lane),
            (Function::Boolean, [lane]) if !lane.has(NONE) && !lane.has(POISON) && !lane.is_mixed() => {
                Some(Lane::boolean(lane.truths(len), None))
            }
            (Function::Coalesce, lanes) if !lanes.iter().any(|lane| lane.has(NONE) || lane.is_mixed()) => {
                self.coalesce(lanes, len)
            }
            _ => None,
        }
    }

    fn coalesce(&self, lanes: &[Lane], len: usize) -> Option<Lane> {
        let is_numeric = lanes.iter().all(Lane::is_number);
        if !is_numeric && lanes.iter().any(|lane| lane.kind != lanes[0].kind) {
            return None;
        }
        let as_floats = |lane: &Lane| -> Option<Lane> {
            Some(if is_numeric { Lane::float(lane.raws()?, lane.statuses.clone()) } else { lane.clone() })
        };
        let (last, rest) = lanes.split_last()?;
        let mut found = as_floats(last)?;
        // Whatever is missing everywhere is null, not poison.
        found.statuses = statuses(len, |row| if found.status(row) == VALID { VALID } else { NULL });
        for lane in rest.iter().rev() {
            let lane = as_floats(lane)?;
            let is_there = Cells::Each((0..len).map(|row| lane.status(row) == VALID).collect());
            found = self.choose(&is_there, &lane, &found, len);
        }
        Some(found)
    }
}

fn compares<T: PartialOrd>(op: Comparison, left: &T, right: &T) -> bool {
    match op {
        Comparison::Less => left < right,
        Comparison::LessEqual => left <= right,
        Comparison::Greater => left > right,
        Comparison::GreaterEqual => left >= right,
        Comparison::Equal => left == right,
        Comparison::NotEqual => left != right,
    }
}

/// Numbers, none of them the literal `null` or poison.
fn are_numbers(lanes: &[Lane]) -> bool {
    lanes.iter().all(|lane| lane.is_number() && !lane.has(NONE) && !lane.has(POISON))
}

fn is_plain_float(lane: &Lane) -> bool {
    lane.kind == Kind::Float64 && lane.is_float() && lane.statuses.is_none()
}

fn null_where_zero(known: super::Statuses, divisor: &Cells<f64>, len: usize) -> super::Statuses {
    let is_zero = |row: usize| divisor.at(row) == 0.0;
    let is_any = match divisor {
        Cells::Same(value) => *value == 0.0,
        Cells::Each(values) => values.contains(&0.0),
    };
    if !is_any {
        return known;
    }
    statuses(len, |row| match known.as_ref().map_or(VALID, |known| known[row]) {
        VALID if is_zero(row) => NULL,
        status => status,
    })
}

fn missing(lane: &Lane, wanted: bool, len: usize) -> Cells<bool> {
    if lane.statuses.is_none() && !lane.is_mixed() && !matches!(lane.payloads, Payloads::Nothing) {
        return Cells::Same(!wanted);
    }
    Cells::Each((0..len).map(|row| (lane.status(row) != VALID) == wanted).collect())
}

fn unary(position: usize, lane: &Lane, len: usize) -> Option<Lane> {
    if !lane.is_number() || lane.has(NONE) {
        return None;
    }
    let (compute, takes_integers, kind) = function::unary_function(position);
    if !takes_integers && !lane.is_float() {
        let statuses = statuses(len, |row| if lane.status(row) == POISON { POISON } else { NULL });
        return Some(Lane::float(Cells::Same(0.0), statuses));
    }
    let raws = lane.raws()?;
    let payloads = match kind {
        Kind::Float64 => Payloads::Float(raws.map(compute)),
        _ => Payloads::Int(raws.map(|value| to_integer(compute(value)))),
    };
    Some(Lane::new(kind, payloads, lane.statuses.clone()))
}

/// See the machine's own: what compares with nothing stays where it leads.
fn extreme(function: Function, first: &Lane, rest: &[Lane], len: usize) -> Option<Lane> {
    let mut best: Vec<f64> = {
        let first = first.raws()?;
        (0..len).map(|row| first.at(row)).collect()
    };
    for lane in rest {
        let raws = lane.raws()?;
        for (row, best) in best.iter_mut().enumerate() {
            if lane.status(row) != VALID {
                continue;
            }
            let x = raws.at(row);
            let is_better = if function == Function::Min { x < *best } else { x > *best };
            if is_better {
                *best = x;
            }
        }
    }
    Some(Lane::float(Cells::Each(best), first.statuses.clone()))
}

fn to_float(lane: &Lane, len: usize) -> Option<Lane> {
    if lane.has(NONE) {
        return None;
    }
    let raws = lane.raws()?;
    let has_nan = match &raws {
        Cells::Same(value) => value.is_nan(),
        Cells::Each(values) => values.iter().any(|value| value.is_nan()),
    };
    let known = match has_nan {
        false => lane.statuses.clone(),
        true => statuses(len, |row| match lane.status(row) {
            VALID if raws.at(row).is_nan() => NULL,
            status => status,
        }),
    };
    Some(Lane::float(raws, known))
}

fn to_integers(lane: &Lane) -> Option<Lane> {
    if lane.has(NONE) {
        return None;
    }
    let cells = match &lane.payloads {
        Payloads::Int(cells) => cells.clone(),
        Payloads::Float(cells) => cells.map(to_integer),
        Payloads::Bool(cells) => cells.map(i64::from),
        Payloads::Nothing | Payloads::Text(_) | Payloads::Mixed(_) => return None,
    };
    Some(Lane::new(INT64, Payloads::Int(cells), lane.statuses.clone()))
}
