//! The values of one node on a block of rows.
//!
//! Invariant: [`Vector::value`] is the value of the node on that row in the row-wise evaluator: type, status and
//! payload.

use std::rc::Rc;

use super::super::value::{Payload, Status, Value, ValueKind};
use crate::types::schema::Storage;

/// The status of a row: that of [`Status`], or the literal `null`, which is a type of its own.
pub(super) const VALID: u8 = 0;
pub(super) const NULL: u8 = 1;
pub(super) const POISON: u8 = 2;
/// The literal `null`, or a missing branch.
pub(super) const NONE: u8 = 3;

/// A reference to a text, in a dictionary of the table or in the evaluator's arenas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Ref(u64);

impl Ref {
    /// Created for this block, and valid as long.
    pub(super) const BLOCK: u32 = 0;
    /// Created for the whole evaluation.
    pub(super) const KEPT: u32 = 1;
    /// The dictionary of the expression's column at `source - FIRST_COLUMN`.
    pub(super) const FIRST_COLUMN: u32 = 2;

    pub(super) fn new(source: u32, code: u32) -> Ref {
        Ref(u64::from(source) << 32 | u64::from(code))
    }

    pub(super) fn source(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(super) fn code(self) -> u32 {
        self.0 as u32
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    pub(super) fn of_bits(bits: u64) -> Ref {
        Ref(bits)
    }
}

/// Concatenated texts.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: String,
    ends: Vec<usize>,
}

impl Arena {
    pub(super) fn push(&mut self, text: &str) -> u32 {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
        self.ends.len() as u32 - 1
    }

    pub(super) fn get(&self, code: u32) -> &str {
        let at = code as usize;
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[begin..self.ends[at]]
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

#[derive(Debug, Clone)]
pub(super) enum VectorCells<T> {
    Same(T),
    Each(Vec<T>),
}

impl<T: Copy> VectorCells<T> {
    #[inline]
    pub(super) fn at(&self, row: usize) -> T {
        match self {
            VectorCells::Same(value) => *value,
            VectorCells::Each(values) => values[row],
        }
    }

    pub(super) fn map<U>(&self, compute: impl Fn(T) -> U) -> VectorCells<U> {
        match self {
            VectorCells::Same(value) => VectorCells::Same(compute(*value)),
            VectorCells::Each(values) => {
                VectorCells::Each(values.iter().map(|value| compute(*value)).collect())
            }
        }
    }

    pub(super) fn zip<U: Copy, V>(
        &self,
        other: &VectorCells<U>,
        compute: impl Fn(T, U) -> V,
    ) -> VectorCells<V> {
        match (self, other) {
            (VectorCells::Same(left), VectorCells::Same(right)) => VectorCells::Same(compute(*left, *right)),
            (VectorCells::Each(left), VectorCells::Same(right)) => {
                VectorCells::Each(left.iter().map(|left| compute(*left, *right)).collect())
            }
            (VectorCells::Same(left), VectorCells::Each(right)) => {
                VectorCells::Each(right.iter().map(|right| compute(*left, *right)).collect())
            }
            (VectorCells::Each(left), VectorCells::Each(right)) => VectorCells::Each(
                left.iter().zip(right).map(|(left, right)| compute(*left, *right)).collect(),
            ),
        }
    }
}

/// The payloads; that of a row that is not valid is arbitrary.
#[derive(Debug, Clone)]
pub(super) enum VectorData {
    Nothing,
    Float(VectorCells<f64>),
    /// Integers, packed dates, or milliseconds.
    Int(VectorCells<i64>),
    Bool(VectorCells<bool>),
    Text(VectorCells<Ref>),
    /// Rows of several types.
    Mixed(Vec<Value>),
}

/// The status of each row; `None` if all are valid.
pub(super) type Statuses = Option<Rc<[u8]>>;

#[derive(Debug, Clone)]
pub(super) struct Vector {
    pub(super) kind: ValueKind,
    pub(super) payloads: VectorData,
    pub(super) statuses: Statuses,
}

impl Vector {
    pub(super) fn new(kind: ValueKind, payloads: VectorData, statuses: Statuses) -> Vector {
        Vector { kind, payloads, statuses }
    }

    pub(super) fn float(cells: VectorCells<f64>, statuses: Statuses) -> Vector {
        Vector::new(ValueKind::Float64, VectorData::Float(cells), statuses)
    }

    pub(super) fn boolean(cells: VectorCells<bool>, statuses: Statuses) -> Vector {
        Vector::new(ValueKind::Boolean, VectorData::Bool(cells), statuses)
    }

    /// Returns a vector with the same status in every row.
    pub(super) fn without_values(kind: ValueKind, status: u8, len: usize) -> Vector {
        let payloads = match kind {
            ValueKind::None => VectorData::Nothing,
            ValueKind::Float32 | ValueKind::Float64 => VectorData::Float(VectorCells::Same(0.0)),
            ValueKind::Boolean => VectorData::Bool(VectorCells::Same(false)),
            ValueKind::Text => VectorData::Text(VectorCells::Same(Ref::default())),
            ValueKind::Integer(_) | ValueKind::Date | ValueKind::Datetime => {
                VectorData::Int(VectorCells::Same(0))
            }
        };
        Vector::new(kind, payloads, Some(vec![status; len].into()))
    }

    #[inline]
    pub(super) fn status(&self, row: usize) -> u8 {
        match &self.payloads {
            VectorData::Mixed(values) => match values[row].status {
                _ if values[row].is_none() => NONE,
                Status::Valid => VALID,
                Status::Null => NULL,
                Status::Poison => POISON,
            },
            VectorData::Nothing
            | VectorData::Float(_)
            | VectorData::Int(_)
            | VectorData::Bool(_)
            | VectorData::Text(_) => self.statuses.as_ref().map_or(VALID, |statuses| statuses[row]),
        }
    }

    pub(super) fn is_mixed(&self) -> bool {
        matches!(self.payloads, VectorData::Mixed(_))
    }

    pub(super) fn is_number(&self) -> bool {
        !self.is_mixed()
            && matches!(self.kind, ValueKind::Integer(_) | ValueKind::Float32 | ValueKind::Float64)
    }

    pub(super) fn is_float(&self) -> bool {
        !self.is_mixed() && matches!(self.kind, ValueKind::Float32 | ValueKind::Float64)
    }

    /// Returns whether some row has a status, such as the literal `null` or poison.
    pub(super) fn has(&self, status: u8) -> bool {
        match &self.payloads {
            VectorData::Mixed(values) => (0..values.len()).any(|row| self.status(row) == status),
            VectorData::Nothing => status == NONE,
            VectorData::Float(_) | VectorData::Int(_) | VectorData::Bool(_) | VectorData::Text(_) => {
                self.statuses.as_ref().is_some_and(|statuses| statuses.contains(&status))
            }
        }
    }

    /// Returns the rows as raw numbers, as [`Value::raw`] for valid rows; `None` for texts, literals and mixed types.
    pub(super) fn raws(&self) -> Option<VectorCells<f64>> {
        Some(match &self.payloads {
            VectorData::Float(cells) => cells.clone(),
            VectorData::Int(cells) if self.kind == ValueKind::Integer(Storage::UInt64) => {
                cells.map(|value| value as u64 as f64)
            }
            VectorData::Int(cells) => cells.map(|value| value as f64),
            VectorData::Bool(cells) => cells.map(|value| f64::from(u8::from(value))),
            VectorData::Nothing | VectorData::Text(_) | VectorData::Mixed(_) => return None,
        })
    }

    /// Returns the rows as conditions, as [`Value::is_true`].
    pub(super) fn truths(&self, len: usize) -> VectorCells<bool> {
        let truths = match &self.payloads {
            VectorData::Nothing => return VectorCells::Same(false),
            VectorData::Mixed(values) => {
                return VectorCells::Each(values.iter().map(Value::is_true).collect());
            }
            VectorData::Text(_) => VectorCells::Same(true),
            VectorData::Int(_) if self.kind == ValueKind::Date => VectorCells::Same(true),
            VectorData::Int(cells) => cells.map(|value| value != 0),
            VectorData::Float(cells) => cells.map(|value| value != 0.0),
            VectorData::Bool(cells) => cells.clone(),
        };
        match &self.statuses {
            None => truths,
            Some(statuses) => {
                VectorCells::Each((0..len).map(|row| statuses[row] == VALID && truths.at(row)).collect())
            }
        }
    }

    /// Returns the value of a row; `text` resolves references.
    pub(super) fn value<'a>(&self, row: usize, text: impl FnOnce(Ref) -> &'a str) -> Value {
        if let VectorData::Mixed(values) = &self.payloads {
            return values[row].clone();
        }
        match self.status(row) {
            NONE => return Value::none(),
            NULL => return Value::null(self.kind),
            POISON => return Value::poison(self.kind),
            _ => {}
        }
        let payload = match &self.payloads {
            VectorData::Float(cells) => Payload::Float(cells.at(row)),
            VectorData::Bool(cells) => Payload::Boolean(cells.at(row)),
            VectorData::Text(cells) => Payload::Text(text(cells.at(row)).into()),
            VectorData::Int(cells) => match self.kind {
                ValueKind::Date => Payload::Date(cells.at(row) as i32),
                ValueKind::Datetime => Payload::Datetime(cells.at(row)),
                ValueKind::None
                | ValueKind::Integer(_)
                | ValueKind::Float32
                | ValueKind::Float64
                | ValueKind::Boolean
                | ValueKind::Text => Payload::Integer(cells.at(row)),
            },
            VectorData::Nothing | VectorData::Mixed(_) => return Value::none(),
        };
        Value { kind: self.kind, status: Status::Valid, payload }
    }
}

/// Builds statuses by row; `None` if all are valid.
pub(super) fn statuses(len: usize, status: impl Fn(usize) -> u8) -> Statuses {
    let all: Rc<[u8]> = (0..len).map(status).collect();
    all.iter().any(|status| *status != VALID).then_some(all)
}

/// Returns the statuses of an operation on two numbers: the literal `null` yields null, poison takes precedence over
/// null.
pub(super) fn joined(left: &Vector, right: &Vector, len: usize) -> Statuses {
    if left.statuses.is_none() && right.statuses.is_none() {
        return None;
    }
    statuses(len, |row| match (left.status(row), right.status(row)) {
        (NONE, _) | (_, NONE) => NULL,
        (left, right) => left.max(right),
    })
}
