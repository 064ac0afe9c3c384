//! The value of one cell, with the engine's total order.
//!
//! Invariant: the order is null, then NaN (floats), then ascending; strings bytewise; false before true. `0.0` and
//! `-0.0` are equal, and so are all NaNs: group values and keys use this equality.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The value of one cell. Values of different types order by type.
#[derive(Debug, Clone, Default)]
pub enum Scalar {
    /// No value, in a column of any type.
    #[default]
    Null,
    /// A cell of a boolean column.
    Bool(bool),
    /// A cell of an integer column of any storage except `uint64`.
    Int(i64),
    /// Only for values of `uint64` columns; compares with `Int` numerically.
    UInt(u64),
    /// A cell of a float column; `float32` is widened exactly.
    Float(f64),
    /// A cell of a string column, shared with its dictionary.
    Str(Arc<str>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Milliseconds since 1970-01-01T00:00:00 UTC.
    Datetime(i64),
}

impl Scalar {
    /// Whether the value is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Scalar::Null)
    }

    /// Converts the value to a number: bools to 0 and 1, dates and datetimes to epoch milliseconds; `None` for text
    /// and null.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Scalar::Null | Scalar::Str(_) => None,
            Scalar::Bool(value) => Some(f64::from(u8::from(*value))),
            Scalar::Int(value) => Some(*value as f64),
            Scalar::UInt(value) => Some(*value as f64),
            Scalar::Float(value) => Some(*value),
            Scalar::Date(days) => Some(f64::from(*days) * MS_PER_DAY as f64),
            Scalar::Datetime(ms) => Some(*ms as f64),
        }
    }

    fn kind_order(&self) -> u8 {
        match self {
            Scalar::Null => 0,
            Scalar::Bool(_) => 1,
            Scalar::Int(_) | Scalar::UInt(_) => 2,
            Scalar::Float(_) => 3,
            Scalar::Date(_) => 4,
            Scalar::Datetime(_) => 5,
            Scalar::Str(_) => 6,
        }
    }
}

/// Milliseconds in a day.
pub const MS_PER_DAY: i64 = 86_400_000;

/// Compares floats in the engine's order: NaN first, `-0.0` equal to `0.0`.
pub fn compare_floats(left: f64, right: f64) -> Ordering {
    match (left.is_nan(), right.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => left.partial_cmp(&right).unwrap_or(Ordering::Equal),
    }
}

/// Returns bits that are equal exactly when [`compare_floats`] returns `Equal`.
pub fn float_bits(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else if value == 0.0 {
        0
    } else {
        value.to_bits()
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Scalar::Bool(left), Scalar::Bool(right)) => left.cmp(right),
            (Scalar::Int(left), Scalar::Int(right)) => left.cmp(right),
            (Scalar::UInt(left), Scalar::UInt(right)) => left.cmp(right),
            (Scalar::Int(left), Scalar::UInt(right)) => i128::from(*left).cmp(&i128::from(*right)),
            (Scalar::UInt(left), Scalar::Int(right)) => i128::from(*left).cmp(&i128::from(*right)),
            (Scalar::Float(left), Scalar::Float(right)) => compare_floats(*left, *right),
            (Scalar::Str(left), Scalar::Str(right)) => left.as_bytes().cmp(right.as_bytes()),
            (Scalar::Date(left), Scalar::Date(right)) => left.cmp(right),
            (Scalar::Datetime(left), Scalar::Datetime(right)) => left.cmp(right),
            _ => self.kind_order().cmp(&other.kind_order()),
        }
    }
}

impl Scalar {
    /// Whether both values have the same text: `0.0` and `-0.0` are equal, but only one of them prints a sign.
    pub(crate) fn reads_as(&self, other: &Scalar) -> bool {
        match (self, other) {
            (Scalar::Float(left), Scalar::Float(right)) if *left == 0.0 && *right == 0.0 => {
                left.is_sign_negative() == right.is_sign_negative()
            }
            _ => self == other,
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind_order().hash(state);
        match self {
            Scalar::Null => {}
            Scalar::Bool(value) => value.hash(state),
            Scalar::Int(value) => i128::from(*value).hash(state),
            Scalar::UInt(value) => i128::from(*value).hash(state),
            Scalar::Float(value) => float_bits(*value).hash(state),
            Scalar::Str(value) => value.hash(state),
            Scalar::Date(days) => days.hash(state),
            Scalar::Datetime(ms) => ms.hash(state),
        }
    }
}

impl From<&str> for Scalar {
    fn from(value: &str) -> Self {
        Scalar::Str(value.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_then_nan_then_ascending() {
        let mut values =
            [Scalar::Float(1.0), Scalar::Float(f64::NAN), Scalar::Float(f64::NEG_INFINITY), Scalar::Null];
        values.sort();
        assert!(values[0].is_null());
        assert!(matches!(values[1], Scalar::Float(value) if value.is_nan()));
        assert_eq!(values[3], Scalar::Float(1.0));
    }

    #[test]
    fn both_zeros_are_one_value() {
        assert_eq!(Scalar::Float(0.0), Scalar::Float(-0.0));
        assert_eq!(float_bits(0.0), float_bits(-0.0));
    }
}
