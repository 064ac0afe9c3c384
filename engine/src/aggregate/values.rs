//! What several aggregates say about single values.

use crate::column::Column;
use crate::types::scalar::Scalar;

/// Maps -0.0 to 0.0. Both zeros compare equal, so which one is found depends on the search path; the result must not.
pub(crate) fn canonical(value: Scalar) -> Scalar {
    match value {
        // Adding 0.0 clears the sign of zero and leaves every other value unchanged.
        Scalar::Float(value) => Scalar::Float(value + 0.0),
        value @ (Scalar::Null
        | Scalar::Bool(_)
        | Scalar::Int(_)
        | Scalar::UInt(_)
        | Scalar::Str(_)
        | Scalar::Date(_)
        | Scalar::Datetime(_)) => value,
    }
}

/// Subtracts numbers of one type; integers saturate. Null for all other types.
pub(super) fn difference(left: &Scalar, right: &Scalar) -> Scalar {
    if let (Scalar::Int(left), Scalar::Int(right)) = (left, right) {
        Scalar::Int(left.saturating_sub(*right))
    } else if let (Scalar::UInt(left), Scalar::UInt(right)) = (left, right) {
        Scalar::UInt(left.saturating_sub(*right))
    } else if let (Scalar::Float(left), Scalar::Float(right)) = (left, right) {
        Scalar::Float(left - right)
    } else {
        Scalar::Null
    }
}

/// Returns whether a value is NaN.
pub(super) fn is_nan(value: &Scalar) -> bool {
    matches!(value, Scalar::Float(value) if value.is_nan())
}

/// Returns whether a cell is NaN.
pub(super) fn is_nan_cell(column: &Column, slot: u32) -> bool {
    column.number(slot).is_some_and(f64::is_nan)
}

/// Returns the value of a row; null if there is none.
pub(super) fn cell_of(column: &Column, slot: Option<u32>) -> Scalar {
    slot.map_or(Scalar::Null, |slot| column.scalar(slot))
}
