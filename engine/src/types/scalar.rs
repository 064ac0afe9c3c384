//! The value of one cell.
//!
//! Invariant: values are ordered as [`super::total_order`] says; `0.0` and `-0.0` are equal, and so are all NaNs: group
//! values and keys use this equality.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::total_order::{compare_values, float_bits, type_rank};

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
}

/// Milliseconds in a day.
pub const MS_PER_DAY: i64 = 86_400_000;

/// Value order ([`super::total_order`]).
impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_values(self, other)
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
        type_rank(self).hash(state);
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
