//! One node's values on a block of rows, column by column.
//!
//! Law: [`Lane::value`] is what the row-wise machine has for the node on that row: type, status and payload.

use std::rc::Rc;

use super::super::value::{Kind, Payload, Status, Value};
use crate::schema::Storage;

/// A row's status: [`Status`], and the literal `null`, which is a type of its own.
pub(super) const VALID: u8 = 0;
pub(super) const NULL: u8 = 1;
pub(super) const POISON: u8 = 2;
/// The literal `null`, or a missing branch.
pub(super) const NONE: u8 = 3;

/// A text: by its place in a dictionary of the table, or in what the run has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Ref(u64);

impl Ref {
    /// Made for this block; gone with it.
    pub(super) const BLOCK: u32 = 0;
    /// Made for the whole run.
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

/// Texts one behind the other.
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
pub(super) enum Cells<T> {
    Same(T),
    Each(Vec<T>),
}

impl<T: Copy> Cells<T> {
    #[inline]
    pub(super) fn at(&self, row: usize) -> T {
        match self {
            Cells::Same(value) => *value,
            Cells::Each(values) => values[row],
        }
    }

    pub(super) fn map<U>(&self, compute: impl Fn(T) -> U) -> Cells<U> {
        match self {
            Cells::Same(value) => Cells::Same(compute(*value)),
            Cells::Each(values) => Cells::Each(values.iter().map(|value| compute(*value)).collect()),
        }
    }

    pub(super) fn zip<U: Copy, V>(&self, other: &Cells<U>, compute: impl Fn(T, U) -> V) -> Cells<V> {
        match (self, other) {
            (Cells::Same(left), Cells::Same(right)) => Cells::Same(compute(*left, *right)),
            (Cells::Each(left), Cells::Same(right)) => {
                Cells::Each(left.iter().map(|left| compute(*left, *right)).collect())
            }
            (Cells::Same(left), Cells::Each(right)) => {
                Cells::Each(right.iter().map(|right| compute(*left, *right)).collect())
            }
            (Cells::Each(left), Cells::Each(right)) => {
                Cells::Each(left.iter().zip(right).map(|(left, right)| compute(*left, *right)).collect())
            }
        }
    }
}

/// A row that is not valid holds an arbitrary payload.
#[derive(Debug, Clone)]
pub(super) enum Payloads {
    Nothing,
    Float(Cells<f64>),
    /// Integers, packed dates, milliseconds.
    Int(Cells<i64>),
    Bool(Cells<bool>),
    Text(Cells<Ref>),
    /// Rows of several types.
    Mixed(Vec<Value>),
}

/// `None`: every row is valid.
pub(super) type Statuses = Option<Rc<[u8]>>;

#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) kind: Kind,
    pub(super) payloads: Payloads,
    pub(super) statuses: Statuses,
}

impl Lane {
    pub(super) fn new(kind: Kind, payloads: Payloads, statuses: Statuses) -> Lane {
        Lane { kind, payloads, statuses }
    }

    pub(super) fn float(cells: Cells<f64>, statuses: Statuses) -> Lane {
        Lane::new(Kind::Float64, Payloads::Float(cells), statuses)
    }

    pub(super) fn boolean(cells: Cells<bool>, statuses: Statuses) -> Lane {
        Lane::new(Kind::Boolean, Payloads::Bool(cells), statuses)
    }

    /// The same status everywhere.
    pub(super) fn without_values(kind: Kind, status: u8, len: usize) -> Lane {
        let payloads = match kind {
            Kind::None => Payloads::Nothing,
            Kind::Float32 | Kind::Float64 => Payloads::Float(Cells::Same(0.0)),
            Kind::Boolean => Payloads::Bool(Cells::Same(false)),
            Kind::Text => Payloads::Text(Cells::Same(Ref::default())),
            Kind::Integer(_) | Kind::Date | Kind::Datetime => Payloads::Int(Cells::Same(0)),
        };
        Lane::new(kind, payloads, Some(vec![status; len].into()))
    }

    #[inline]
    pub(super) fn status(&self, row: usize) -> u8 {
        match &self.payloads {
            Payloads::Mixed(values) => match values[row].status {
                _ if values[row].is_none() => NONE,
                Status::Valid => VALID,
                Status::Null => NULL,
                Status::Poison => POISON,
            },
            _ => self.statuses.as_ref().map_or(VALID, |statuses| statuses[row]),
        }
    }

    pub(super) fn is_mixed(&self) -> bool {
        matches!(self.payloads, Payloads::Mixed(_))
    }

    pub(super) fn is_number(&self) -> bool {
        !self.is_mixed() && matches!(self.kind, Kind::Integer(_) | Kind::Float32 | Kind::Float64)
    }

    pub(super) fn is_float(&self) -> bool {
        !self.is_mixed() && matches!(self.kind, Kind::Float32 | Kind::Float64)
    }

    /// Whether some row is the literal `null`, or poison.
    pub(super) fn has(&self, status: u8) -> bool {
        match &self.payloads {
            Payloads::Mixed(values) => (0..values.len()).any(|row| self.status(row) == status),
            Payloads::Nothing => status == NONE,
            _ => self.statuses.as_ref().is_some_and(|statuses| statuses.contains(&status)),
        }
    }

    /// The rows as raw numbers, as [`Value::raw`] gives them for valid rows.
    pub(super) fn raws(&self) -> Option<Cells<f64>> {
        Some(match &self.payloads {
            Payloads::Float(cells) => cells.clone(),
            Payloads::Int(cells) if self.kind == Kind::Integer(Storage::UInt64) => {
                cells.map(|value| value as u64 as f64)
            }
            Payloads::Int(cells) => cells.map(|value| value as f64),
            Payloads::Bool(cells) => cells.map(|value| f64::from(u8::from(value))),
            Payloads::Nothing | Payloads::Text(_) | Payloads::Mixed(_) => return None,
        })
    }

    /// As [`Value::is_true`].
    pub(super) fn truths(&self, len: usize) -> Cells<bool> {
        let truths = match &self.payloads {
            Payloads::Nothing => return Cells::Same(false),
            Payloads::Mixed(values) => return Cells::Each(values.iter().map(Value::is_true).collect()),
            Payloads::Text(_) => Cells::Same(true),
            Payloads::Int(_) if self.kind == Kind::Date => Cells::Same(true),
            Payloads::Int(cells) => cells.map(|value| value != 0),
            Payloads::Float(cells) => cells.map(|value| value != 0.0),
            Payloads::Bool(cells) => cells.clone(),
        };
        match &self.statuses {
            None => truths,
            Some(statuses) => {
                Cells::Each((0..len).map(|row| statuses[row] == VALID && truths.at(row)).collect())
            }
        }
    }

    /// The row as the machine has it; `text` gives the text of a place.
    pub(super) fn value<'a>(&self, row: usize, text: impl FnOnce(Ref) -> &'a str) -> Value {
        if let Payloads::Mixed(values) = &self.payloads {
            return values[row].clone();
        }
        match self.status(row) {
            NONE => return Value::none(),
            NULL => return Value::null(self.kind),
            POISON => return Value::poison(self.kind),
            _ => {}
        }
        let payload = match &self.payloads {
            Payloads::Float(cells) => Payload::Float(cells.at(row)),
            Payloads::Bool(cells) => Payload::Boolean(cells.at(row)),
            Payloads::Text(cells) => Payload::Text(text(cells.at(row)).into()),
            Payloads::Int(cells) => match self.kind {
                Kind::Date => Payload::Date(cells.at(row) as i32),
                Kind::Datetime => Payload::Datetime(cells.at(row)),
                _ => Payload::Integer(cells.at(row)),
            },
            Payloads::Nothing | Payloads::Mixed(_) => return Value::none(),
        };
        Value { kind: self.kind, status: Status::Valid, payload }
    }
}

/// Statuses from a rule for each row; none when all are valid.
pub(super) fn statuses(len: usize, status: impl Fn(usize) -> u8) -> Statuses {
    let all: Rc<[u8]> = (0..len).map(status).collect();
    all.iter().any(|status| *status != VALID).then_some(all)
}

/// The statuses of an operation on two numbers: none is null, poison goes before null.
pub(super) fn joined(left: &Lane, right: &Lane, len: usize) -> Statuses {
    if left.statuses.is_none() && right.statuses.is_none() {
        return None;
    }
    statuses(len, |row| match (left.status(row), right.status(row)) {
        (NONE, _) | (_, NONE) => NULL,
        (left, right) => left.max(right),
    })
}
