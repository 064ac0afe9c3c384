//! Running an expression on many rows at once.
//!
//! Law: gives what [`super::eval`] gives on each row, or nothing at all: arithmetic, comparisons, logic, conditions and
//! functions of one number are computed column by column; any other node sends the whole expression back to the rows.

use super::ast::{Argument, Arithmetic, Comparison, Logic, Node};
use super::function::{self, Function};
use super::value::{INT32, Kind, Payload, Status, Value};
use crate::column::Column;
use crate::schema::Storage;
use crate::table::Snapshot;

/// One node's values. An invalid row holds an arbitrary number.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    kind: Kind,
    /// Booleans as 0 and 1.
    values: Values,
    /// Absent: every row is valid.
    valid: Option<Vec<bool>>,
}

#[derive(Debug, Clone)]
enum Values {
    Same(f64),
    Each(Vec<f64>),
}

impl Lane {
    #[inline]
    fn at(&self, row: usize) -> f64 {
        match &self.values {
            Values::Same(value) => *value,
            Values::Each(values) => values[row],
        }
    }

    #[inline]
    fn is_valid(&self, row: usize) -> bool {
        self.valid.as_ref().is_none_or(|valid| valid[row])
    }

    /// The row's value, if it has one.
    pub(super) fn get(&self, row: usize) -> Option<f64> {
        self.is_valid(row).then(|| self.at(row))
    }

    fn is_true(&self, row: usize) -> bool {
        self.is_valid(row) && self.at(row) != 0.0
    }

    fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Integer(_) | Kind::Float32 | Kind::Float64)
    }
}

pub(super) struct Lanes<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) columns: &'a [usize],
    pub(super) slots: &'a [u32],
}

impl Lanes<'_> {
    /// `None`: not computable so.
    pub(super) fn run(&self, node: &Node) -> Option<Lane> {
        match node {
            Node::Constant(value) => constant(value),
            Node::Column(position) => self.column(self.snapshot.column(self.columns[*position])),
            Node::Negate(inner) => {
                let lane = self.run(inner)?;
                // Integers wrap in their own width.
                matches!(lane.kind, Kind::Float64).then(|| self.map(&lane, Kind::Float64, |value| -value))
            }
            Node::Arithmetic(op, left, right) => self.arithmetic(*op, &self.run(left)?, &self.run(right)?),
            Node::Compare(op, left, right) => self.compare(*op, &self.run(left)?, &self.run(right)?),
            Node::Logic(op, left, right) => self.logic(*op, &self.run(left)?, &self.run(right)?),
            Node::If(condition, yes, Some(no)) => {
                let (condition, yes, no) = (self.run(condition)?, self.run(yes)?, self.run(no)?);
                (yes.kind == no.kind && yes.kind == Kind::Float64).then(|| self.choose(&condition, &yes, &no))
            }
            Node::Call(Function::Unary(position), arguments) => {
                let [Argument::Value(inner)] = arguments.as_slice() else { return None };
                let compute = function::float_function(*position)?;
                let lane = self.run(inner)?;
                // Of integers some functions give null: the rows know which.
                matches!(lane.kind, Kind::Float64).then(|| self.map(&lane, Kind::Float64, compute))
            }
            Node::Call(Function::PercentOf, arguments) => {
                let [Argument::Value(part), Argument::Value(whole)] = arguments.as_slice() else {
                    return None;
                };
                let (part, whole) = (self.run(part)?, self.run(whole)?);
                if !part.is_number() || !whole.is_number() {
                    return None;
                }
                let share = self.arithmetic(Arithmetic::Divide, &part, &whole)?;
                Some(self.map(&share, Kind::Float64, |value| value * 100.0))
            }
            Node::Call(Function::Float, arguments) => {
                let [Argument::Value(inner)] = arguments.as_slice() else { return None };
                let lane = self.run(inner)?;
                let mut valid = lane.valid.clone();
                if !lane.is_number() {
                    return None;
                }
                let has_nan = (0..self.slots.len()).any(|row| lane.is_valid(row) && lane.at(row).is_nan());
                if has_nan {
                    valid = Some(
                        (0..self.slots.len())
                            .map(|row| lane.is_valid(row) && !lane.at(row).is_nan())
                            .collect(),
                    );
                }
                Some(Lane { kind: Kind::Float64, values: lane.values, valid })
            }
            _ => None,
        }
    }

    fn column(&self, column: &Column) -> Option<Lane> {
        let kind = Kind::of(column.storage());
        // 64-bit integers do not fit a float.
        let fits = match kind {
            Kind::Float32 | Kind::Float64 | Kind::Boolean => true,
            Kind::Integer(storage) => !matches!(storage, Storage::Int64 | Storage::UInt64),
            _ => false,
        };
        if !fits {
            return None;
        }
        let mut values = Vec::with_capacity(self.slots.len());
        let mut valid = Vec::new();
        if let Column::Float64(cells) = column {
            self.read(|slot| cells.get(slot), &mut values, &mut valid);
        } else {
            self.read(|slot| column.number(slot), &mut values, &mut valid);
        }
        Some(Lane { kind, values: Values::Each(values), valid: (!valid.is_empty()).then_some(valid) })
    }

    /// `valid` stays empty while every row has a value.
    fn read(&self, cell: impl Fn(u32) -> Option<f64>, values: &mut Vec<f64>, valid: &mut Vec<bool>) {
        for (row, &slot) in self.slots.iter().enumerate() {
            let cell = cell(slot);
            if cell.is_none() && valid.is_empty() {
                valid.resize(row, true);
            }
            if cell.is_none() || !valid.is_empty() {
                valid.push(cell.is_some());
            }
            values.push(cell.unwrap_or(0.0));
        }
    }

    fn map(&self, lane: &Lane, kind: Kind, compute: impl Fn(f64) -> f64) -> Lane {
        let values = match &lane.values {
            Values::Same(value) => Values::Same(compute(*value)),
            Values::Each(values) => Values::Each(values.iter().map(|value| compute(*value)).collect()),
        };
        Lane { kind, values, valid: lane.valid.clone() }
    }

    fn both_valid(&self, left: &Lane, right: &Lane) -> Option<Vec<bool>> {
        match (&left.valid, &right.valid) {
            (None, None) => None,
            (Some(valid), None) | (None, Some(valid)) => Some(valid.clone()),
            (Some(left), Some(right)) => {
                Some(left.iter().zip(right).map(|(left, right)| *left && *right).collect())
            }
        }
    }

    fn zip(&self, left: &Lane, right: &Lane, compute: impl Fn(f64, f64) -> f64) -> Values {
        match (&left.values, &right.values) {
            (Values::Same(left), Values::Same(right)) => Values::Same(compute(*left, *right)),
            (Values::Each(left), Values::Same(right)) => {
                Values::Each(left.iter().map(|left| compute(*left, *right)).collect())
            }
            (Values::Same(left), Values::Each(right)) => {
                Values::Each(right.iter().map(|right| compute(*left, *right)).collect())
            }
            (Values::Each(left), Values::Each(right)) => {
                Values::Each(left.iter().zip(right).map(|(left, right)| compute(*left, *right)).collect())
            }
        }
    }

    fn arithmetic(&self, op: Arithmetic, left: &Lane, right: &Lane) -> Option<Lane> {
        if !left.is_number() || !right.is_number() {
            return None;
        }
        let valid = self.both_valid(left, right);
        let is_int32 = left.kind == INT32 && right.kind == INT32;
        let wrapping =
            |wrap: fn(i32, i32) -> i32| self.zip(left, right, |x, y| f64::from(wrap(x as i32, y as i32)));
        let values = match op {
            Arithmetic::Add if is_int32 => wrapping(i32::wrapping_add),
            Arithmetic::Subtract if is_int32 => wrapping(i32::wrapping_sub),
            Arithmetic::Multiply if is_int32 => wrapping(i32::wrapping_mul),
            Arithmetic::Add => self.zip(left, right, |x, y| x + y),
            Arithmetic::Subtract => self.zip(left, right, |x, y| x - y),
            Arithmetic::Multiply => self.zip(left, right, |x, y| x * y),
            Arithmetic::Power => self.zip(left, right, f64::powf),
            Arithmetic::Divide | Arithmetic::Modulo => {
                let is_zero = |row: usize| right.at(row) == 0.0;
                let valid = match valid {
                    None if !(0..self.slots.len()).any(is_zero) => None,
                    valid => Some(
                        (0..self.slots.len())
                            .map(|row| valid.as_ref().is_none_or(|valid| valid[row]) && !is_zero(row))
                            .collect(),
                    ),
                };
                let values = match op {
                    Arithmetic::Divide => self.zip(left, right, |x, y| x / y),
                    _ => self.zip(left, right, |x, y| x % y),
                };
                return Some(Lane { kind: Kind::Float64, values, valid });
            }
        };
        Some(Lane { kind: Kind::Float64, values, valid })
    }

    fn compare(&self, op: Comparison, left: &Lane, right: &Lane) -> Option<Lane> {
        let is_compatible = left.kind == right.kind || (left.is_number() && right.is_number());
        if !is_compatible {
            return None;
        }
        let holds = move |x: f64, y: f64| match op {
            Comparison::Less => x < y,
            Comparison::LessEqual => x <= y,
            Comparison::Greater => x > y,
            Comparison::GreaterEqual => x >= y,
            Comparison::Equal => x == y,
            Comparison::NotEqual => x != y,
        };
        let mut values = self.zip(left, right, |x, y| f64::from(u8::from(holds(x, y))));
        if left.valid.is_some() || right.valid.is_some() {
            let each = (0..self.slots.len()).map(|row| {
                let holds = match (left.is_valid(row), right.is_valid(row)) {
                    (true, true) => holds(left.at(row), right.at(row)),
                    (false, false) => {
                        matches!(op, Comparison::Equal | Comparison::LessEqual | Comparison::GreaterEqual)
                    }
                    _ => op == Comparison::NotEqual,
                };
                f64::from(u8::from(holds))
            });
            values = Values::Each(each.collect());
        }
        Some(Lane { kind: Kind::Boolean, values, valid: None })
    }

    fn logic(&self, op: Logic, left: &Lane, right: &Lane) -> Option<Lane> {
        let decide: fn(bool, bool) -> bool = match op {
            Logic::And => |x, y| x && y,
            Logic::Nand => |x, y| !(x && y),
            Logic::Or => |x, y| x || y,
            Logic::Nor => |x, y| !(x || y),
            Logic::Xor => |x, y| x != y,
            Logic::Xnor => |x, y| x == y,
            Logic::ShortAnd | Logic::ShortOr => return None,
        };
        let each = (0..self.slots.len())
            .map(|row| f64::from(u8::from(decide(left.is_true(row), right.is_true(row)))));
        Some(Lane { kind: Kind::Boolean, values: Values::Each(each.collect()), valid: None })
    }

    fn choose(&self, condition: &Lane, yes: &Lane, no: &Lane) -> Lane {
        let rows = 0..self.slots.len();
        let chosen = |row: usize| if condition.is_true(row) { yes } else { no };
        let values = Values::Each(rows.clone().map(|row| chosen(row).at(row)).collect());
        let valid = (yes.valid.is_some() || no.valid.is_some())
            .then(|| rows.map(|row| chosen(row).is_valid(row)).collect());
        Lane { kind: yes.kind, values, valid }
    }
}

fn constant(value: &Value) -> Option<Lane> {
    let number = match (&value.payload, value.status) {
        (Payload::Float(number), Status::Valid) => *number,
        (Payload::Boolean(value), Status::Valid) => f64::from(u8::from(*value)),
        _ => return None,
    };
    Some(Lane { kind: value.kind, values: Values::Same(number), valid: None })
}
