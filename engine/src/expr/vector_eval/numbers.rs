//! Numbers, booleans and comparisons over columns.
//!
//! Invariant: floats are computed in floats; integers of 32 or 64 bits are added, subtracted and multiplied in their
//! width. Vectors of other or mixed types are left to [`super::general`].

use super::super::ast::{Arithmetic, Comparison, Logic};
use super::super::function::{self, Function};
use super::super::value::{INT32, INT64, INTEGER, ValueKind, to_integer};
use super::VectorEvaluator;
use super::vector::{NONE, NULL, POISON, Ref, VALID, Vector, VectorCells, VectorData, joined, statuses};
use crate::types::schema::Storage;

impl VectorEvaluator<'_> {
    pub(super) fn negate(&mut self, vector: Vector, len: usize) -> Vector {
        match &vector.payloads {
            VectorData::Float(cells) if !vector.has(NONE) && !vector.has(POISON) => {
                Vector::new(vector.kind, VectorData::Float(cells.map(|value| -value)), vector.statuses)
            }
            VectorData::Nothing
            | VectorData::Float(_)
            | VectorData::Int(_)
            | VectorData::Bool(_)
            | VectorData::Text(_)
            | VectorData::Mixed(_) => self.general_negate(vector, len),
        }
    }

    pub(super) fn arithmetic(&mut self, op: Arithmetic, left: Vector, right: Vector, len: usize) -> Vector {
        if !left.is_number() || !right.is_number() {
            return self.general_arithmetic(op, left, right, len);
        }
        let statuses = joined(&left, &right, len);
        if let (VectorData::Int(x), VectorData::Int(y)) = (&left.payloads, &right.payloads)
            && left.kind == right.kind
            && matches!(left.kind, INTEGER | INT32 | INT64)
        {
            let wrapped = |op32: fn(i32, i32) -> i32, op64: fn(i64, i64) -> i64| match left.kind {
                INT32 => x.zip(y, |x, y| f64::from(op32(x as i32, y as i32))),
                crate::expr::value::ValueKind::None
                | crate::expr::value::ValueKind::Integer(_)
                | crate::expr::value::ValueKind::Float32
                | crate::expr::value::ValueKind::Float64
                | crate::expr::value::ValueKind::Boolean
                | crate::expr::value::ValueKind::Text
                | crate::expr::value::ValueKind::Date
                | crate::expr::value::ValueKind::Datetime => x.zip(y, |x, y| op64(x, y) as f64),
            };
            match op {
                Arithmetic::Add => {
                    return Vector::float(wrapped(i32::wrapping_add, i64::wrapping_add), statuses);
                }
                Arithmetic::Subtract => {
                    return Vector::float(wrapped(i32::wrapping_sub, i64::wrapping_sub), statuses);
                }
                Arithmetic::Multiply => {
                    return Vector::float(wrapped(i32::wrapping_mul, i64::wrapping_mul), statuses);
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
                    Arithmetic::Add
                    | Arithmetic::Subtract
                    | Arithmetic::Multiply
                    | Arithmetic::Modulo
                    | Arithmetic::Power => x.zip(&y, |x, y| x % y),
                };
                return Vector::float(values, null_where_zero(statuses, &y, len));
            }
        };
        Vector::float(values, statuses)
    }

    pub(super) fn compare(&mut self, op: Comparison, left: Vector, right: Vector, len: usize) -> Vector {
        let is_wide = |vector: &Vector| vector.kind == ValueKind::Integer(Storage::UInt64);
        let is_compatible = left.kind == right.kind || (left.is_number() && right.is_number());
        let is_plain = !left.is_mixed() && !right.is_mixed() && !left.has(NONE) && !right.has(NONE);
        if !is_compatible || !is_plain || is_wide(&left) || is_wide(&right) {
            return self.general_compare(op, left, right, len);
        }
        let holds = match (&left.payloads, &right.payloads) {
            (VectorData::Text(x), VectorData::Text(y)) => {
                let statuses = (&left, &right);
                VectorCells::Each(
                    (0..len)
                        .map(|row| {
                            let is_there = statuses.0.status(row) == VALID && statuses.1.status(row) == VALID;
                            is_there && self.texts_hold(op, x.at(row), y.at(row))
                        })
                        .collect(),
                )
            }
            (VectorData::Int(x), VectorData::Int(y)) => x.zip(y, |x, y| compares(op, &x, &y)),
            _ => {
                let (Some(x), Some(y)) = (left.raws(), right.raws()) else {
                    return self.general_compare(op, left, right, len);
                };
                x.zip(&y, |x, y| compares(op, &x, &y))
            }
        };
        if left.statuses.is_none() && right.statuses.is_none() {
            return Vector::boolean(holds, None);
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
        Vector::boolean(VectorCells::Each(cells.collect()), statuses)
    }

    fn texts_hold(&self, op: Comparison, left: Ref, right: Ref) -> bool {
        if left == right {
            return matches!(op, Comparison::Equal | Comparison::LessEqual | Comparison::GreaterEqual);
        }
        compares(op, &self.text(left).as_bytes(), &self.text(right).as_bytes())
    }

    pub(super) fn logic(&mut self, op: Logic, left: Vector, right: Vector, len: usize) -> Vector {
        let decide: fn(bool, bool) -> bool = match op {
            Logic::And => |x, y| x && y,
            Logic::Nand => |x, y| !(x && y),
            Logic::Or => |x, y| x || y,
            Logic::Nor => |x, y| !(x || y),
            Logic::Xor => |x, y| x != y,
            Logic::Xnor => |x, y| x == y,
            Logic::ShortAnd | Logic::ShortOr => return self.general_logic(op, left, right, len),
        };
        Vector::boolean(left.truths(len).zip(&right.truths(len), decide), None)
    }

    /// Vectorised functions of numbers; `None` if there is none for these vectors.
    pub(super) fn number_function(
        &mut self,
        function: Function,
        vectors: &[Vector],
        len: usize,
    ) -> Option<Vector> {
        match (function, vectors) {
            (Function::Unary(position), [vector]) => unary(position, vector, len),
            (Function::Not, [vector]) => Some(Vector::boolean(vector.truths(len).map(|value| !value), None)),
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
                if !are_numbers(vectors) {
                    return None;
                }
                let share = self.arithmetic(Arithmetic::Divide, part.clone(), whole.clone(), len);
                let VectorData::Float(cells) = &share.payloads else { return None };
                Some(Vector::float(cells.map(|value| value * 100.0), share.statuses))
            }
            (Function::Sum | Function::Product, [first, rest @ ..]) => {
                let op = if function == Function::Sum { Arithmetic::Add } else { Arithmetic::Multiply };
                Some(
                    rest.iter()
                        .fold(first.clone(), |total, vector| self.arithmetic(op, total, vector.clone(), len)),
                )
            }
            (Function::Mean, [single]) => Some(single.clone()),
            (Function::Mean, [first, rest @ ..]) if are_numbers(vectors) => {
                let total = rest.iter().fold(first.clone(), |total, vector| {
                    self.arithmetic(Arithmetic::Add, total, vector.clone(), len)
                });
                let count = Vector::float(VectorCells::Same(vectors.len() as f64), None);
                Some(self.arithmetic(Arithmetic::Divide, total, count, len))
            }
            (Function::Min | Function::Max, [first, rest @ ..]) if are_numbers(vectors) => {
                extreme(function, first, rest, len)
            }
            (Function::Clamp, [low, x, high]) if vectors.iter().all(is_plain_float) => {
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
                Some(Vector::float(VectorCells::Each((0..len).map(clamp).collect()), None))
            }
            (Function::InRange, [low, x, high]) if are_numbers(vectors) => {
                let first = self.compare(Comparison::LessEqual, low.clone(), x.clone(), len);
                let second = self.compare(Comparison::LessEqual, x.clone(), high.clone(), len);
                let statuses = statuses(len, |row| {
                    let is_there = vectors.iter().all(|vector| vector.status(row) == VALID);
                    if is_there { VALID } else { NULL }
                });
                Some(Vector::boolean(first.truths(len).zip(&second.truths(len), |x, y| x && y), statuses))
            }
            (Function::Bucket, [x, unit]) if are_numbers(vectors) => {
                let statuses = joined(x, unit, len);
                let cells = x.raws()?.zip(&unit.raws()?, |x, unit| (x / unit).floor() * unit);
                Some(Vector::float(cells, statuses))
            }
            (Function::IsNull, [vector]) => Some(Vector::boolean(missing(vector, true, len), None)),
            (Function::IsNotNull, [vector]) => Some(Vector::boolean(missing(vector, false, len), None)),
            (Function::Float, [vector]) => to_float(vector, len),
            (Function::Integer, [vector]) => to_integers(vector),
            (Function::Boolean, [vector])
                if !vector.has(NONE) && !vector.has(POISON) && !vector.is_mixed() =>
            {
                Some(Vector::boolean(vector.truths(len), None))
            }
            (Function::Coalesce, vectors)
                if !vectors.iter().any(|vector| vector.has(NONE) || vector.is_mixed()) =>
            {
                self.coalesce(vectors, len)
            }
            _ => None,
        }
    }

    fn coalesce(&self, vectors: &[Vector], len: usize) -> Option<Vector> {
        let is_numeric = vectors.iter().all(Vector::is_number);
        if !is_numeric && vectors.iter().any(|vector| vector.kind != vectors[0].kind) {
            return None;
        }
        let as_floats = |vector: &Vector| -> Option<Vector> {
            Some(if is_numeric {
                Vector::float(vector.raws()?, vector.statuses.clone())
            } else {
                vector.clone()
            })
        };
        let (last, rest) = vectors.split_last()?;
        let mut found = as_floats(last)?;
        // A value missing in all vectors is null, not poison.
        found.statuses = statuses(len, |row| if found.status(row) == VALID { VALID } else { NULL });
        for vector in rest.iter().rev() {
            let vector = as_floats(vector)?;
            let is_there = VectorCells::Each((0..len).map(|row| vector.status(row) == VALID).collect());
            found = self.choose(&is_there, &vector, &found, len);
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

/// Returns whether all are numbers, without the literal `null` or poison.
fn are_numbers(vectors: &[Vector]) -> bool {
    vectors.iter().all(|vector| vector.is_number() && !vector.has(NONE) && !vector.has(POISON))
}

fn is_plain_float(vector: &Vector) -> bool {
    vector.kind == ValueKind::Float64 && vector.is_float() && vector.statuses.is_none()
}

fn null_where_zero(known: super::Statuses, divisor: &VectorCells<f64>, len: usize) -> super::Statuses {
    let is_zero = |row: usize| divisor.at(row) == 0.0;
    let is_any = match divisor {
        VectorCells::Same(value) => *value == 0.0,
        VectorCells::Each(values) => values.contains(&0.0),
    };
    if !is_any {
        return known;
    }
    statuses(len, |row| match known.as_ref().map_or(VALID, |known| known[row]) {
        VALID if is_zero(row) => NULL,
        status => status,
    })
}

fn missing(vector: &Vector, wanted: bool, len: usize) -> VectorCells<bool> {
    if vector.statuses.is_none() && !vector.is_mixed() && !matches!(vector.payloads, VectorData::Nothing) {
        return VectorCells::Same(!wanted);
    }
    VectorCells::Each((0..len).map(|row| (vector.status(row) != VALID) == wanted).collect())
}

fn unary(position: usize, vector: &Vector, len: usize) -> Option<Vector> {
    if !vector.is_number() || vector.has(NONE) {
        return None;
    }
    let (compute, takes_integers, kind) = function::unary_function(position);
    if !takes_integers && !vector.is_float() {
        let statuses = statuses(len, |row| if vector.status(row) == POISON { POISON } else { NULL });
        return Some(Vector::float(VectorCells::Same(0.0), statuses));
    }
    let raws = vector.raws()?;
    let payloads = match kind {
        ValueKind::Float64 => VectorData::Float(raws.map(compute)),
        ValueKind::None
        | ValueKind::Integer(_)
        | ValueKind::Float32
        | ValueKind::Boolean
        | ValueKind::Text
        | ValueKind::Date
        | ValueKind::Datetime => VectorData::Int(raws.map(|value| to_integer(compute(value)))),
    };
    Some(Vector::new(kind, payloads, vector.statuses.clone()))
}

/// As in the row-wise evaluator, a NaN first stays.
fn extreme(function: Function, first: &Vector, rest: &[Vector], len: usize) -> Option<Vector> {
    let mut best: Vec<f64> = {
        let first = first.raws()?;
        (0..len).map(|row| first.at(row)).collect()
    };
    for vector in rest {
        let raws = vector.raws()?;
        for (row, best) in best.iter_mut().enumerate() {
            if vector.status(row) != VALID {
                continue;
            }
            let x = raws.at(row);
            let is_better = if function == Function::Min { x < *best } else { x > *best };
            if is_better {
                *best = x;
            }
        }
    }
    Some(Vector::float(VectorCells::Each(best), first.statuses.clone()))
}

fn to_float(vector: &Vector, len: usize) -> Option<Vector> {
    if vector.has(NONE) {
        return None;
    }
    let raws = vector.raws()?;
    let has_nan = match &raws {
        VectorCells::Same(value) => value.is_nan(),
        VectorCells::Each(values) => values.iter().any(|value| value.is_nan()),
    };
    let known = match has_nan {
        false => vector.statuses.clone(),
        true => statuses(len, |row| match vector.status(row) {
            VALID if raws.at(row).is_nan() => NULL,
            status => status,
        }),
    };
    Some(Vector::float(raws, known))
}

fn to_integers(vector: &Vector) -> Option<Vector> {
    if vector.has(NONE) {
        return None;
    }
    let cells = match &vector.payloads {
        VectorData::Int(cells) => cells.clone(),
        VectorData::Float(cells) => cells.map(to_integer),
        VectorData::Bool(cells) => cells.map(i64::from),
        VectorData::Nothing | VectorData::Text(_) | VectorData::Mixed(_) => return None,
    };
    Some(Vector::new(INT64, VectorData::Int(cells), vector.statuses.clone()))
}
