//! Every total order of values, and the integers that encode them.
//!
//! Null and NaN have no place of their own among numbers, so each order gives them one. There are three orders:
//!
//! | order | ascending | used by | why |
//! |---|---|---|---|
//! | *value order* | null, NaN, values | group values, row keys, filters, `Scalar: Ord`, `Column::compare`, quantiles, `join`, `max by` and `min by` | null is "before everything", as in the table's key order; NaN is a value and so follows it |
//! | *sort order* | NaN, null, values | the sort terms of a view | the reference engine sorts so; descending is the exact reverse, hence null and NaN come last |
//! | *magnitude order* | NaN, then by absolute value; null and text count as 0 | sorts by absolute value | null shows as an empty bar of length 0 in the client |
//!
//! In all of them `-0.0` equals `0.0`, all NaNs are equal, false precedes true, text is ordered by its UTF-8 bytes, and
//! values of different types are ordered by type: booleans, integers (signed and unsigned compare by value), floats,
//! dates, datetimes, text.
//!
//! The extremes of a column (`max`, `min`, the range of a colour scale) use the value order, but a NaN is never
//! preferred to a number: `aggregate::min_max` states it.
//!
//! Keys are unsigned integers that stand for values in comparisons. Invariant: a key never descends where its order
//! ascends. An *exact* key is equal only for equal values:
//!
//! | key | order | exact | null | NaN |
//! |---|---|---|---|---|
//! | [`value_order_key`] | value order of floats, `-0.0` before `0.0` | yes | 0 | 1 |
//! | [`sort_order_key`] | sort order of floats | yes | 1 | 0 |
//! | [`magnitude_key`] | magnitude order | yes | that of 0.0 | 0 |
//! | [`signed_key`] | value order of integers without null | yes | | |
//! | [`text_prefix`] | value order of text | no | | |
//! | [`float_bits`] | equality only | yes | | |

use std::cmp::Ordering;

use super::scalar::Scalar;

/// Compares floats in value order: NaN first, `-0.0` equal to `0.0`.
pub fn compare_floats(left: f64, right: f64) -> Ordering {
    match (left.is_nan(), right.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => left.partial_cmp(&right).unwrap_or(Ordering::Equal),
    }
}

/// Compares optional values in value order, null first.
pub(crate) fn null_first<T>(
    left: Option<T>,
    right: Option<T>,
    compare: impl Fn(T, T) -> Ordering,
) -> Ordering {
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(left), Some(right)) => compare(left, right),
    }
}

/// Compares scalars in value order; the order of `Scalar: Ord`.
pub(super) fn compare_values(left: &Scalar, right: &Scalar) -> Ordering {
    match (left, right) {
        (Scalar::Bool(left), Scalar::Bool(right)) => left.cmp(right),
        (Scalar::Int(left), Scalar::Int(right)) => left.cmp(right),
        (Scalar::UInt(left), Scalar::UInt(right)) => left.cmp(right),
        (Scalar::Int(left), Scalar::UInt(right)) => i128::from(*left).cmp(&i128::from(*right)),
        (Scalar::UInt(left), Scalar::Int(right)) => i128::from(*left).cmp(&i128::from(*right)),
        (Scalar::Float(left), Scalar::Float(right)) => compare_floats(*left, *right),
        (Scalar::Str(left), Scalar::Str(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Scalar::Date(left), Scalar::Date(right)) => left.cmp(right),
        (Scalar::Datetime(left), Scalar::Datetime(right)) => left.cmp(right),
        (
            Scalar::Null
            | Scalar::Bool(_)
            | Scalar::Int(_)
            | Scalar::UInt(_)
            | Scalar::Float(_)
            | Scalar::Str(_)
            | Scalar::Date(_)
            | Scalar::Datetime(_),
            _,
        ) => type_rank(left).cmp(&type_rank(right)),
    }
}

/// Returns the position of a value's type among all types; null precedes them.
pub(super) fn type_rank(value: &Scalar) -> u8 {
    match value {
        Scalar::Null => 0,
        Scalar::Bool(_) => 1,
        Scalar::Int(_) | Scalar::UInt(_) => 2,
        Scalar::Float(_) => 3,
        Scalar::Date(_) => 4,
        Scalar::Datetime(_) => 5,
        Scalar::Str(_) => 6,
    }
}

/// Returns how sort order places a NaN and a null relative to each other; `None` where it agrees with value order. NaN
/// before null is the only difference between the two.
pub(crate) fn nan_before_null(left: Option<f64>, right: Option<f64>) -> Option<Ordering> {
    match (left, right) {
        (Some(left), None) if left.is_nan() => Some(Ordering::Less),
        (None, Some(right)) if right.is_nan() => Some(Ordering::Greater),
        (Some(_) | None, Some(_) | None) => None,
    }
}

/// Compares scalars in ascending sort order.
pub(crate) fn compare_sorted(left: &Scalar, right: &Scalar) -> Ordering {
    match (left, right) {
        (Scalar::Float(value), Scalar::Null) if value.is_nan() => Ordering::Less,
        (Scalar::Null, Scalar::Float(value)) if value.is_nan() => Ordering::Greater,
        (left, right) => compare_values(left, right),
    }
}

/// Compares numbers in magnitude order; `None` is null or not a number.
pub(crate) fn compare_magnitudes(left: Option<f64>, right: Option<f64>) -> Ordering {
    compare_floats(left.unwrap_or(0.0).abs(), right.unwrap_or(0.0).abs())
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

/// Flips the bits of a float that is not NaN, so that they ascend with it.
#[inline]
fn ascending_bits(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// Maps a float to its key in value order: null 0, NaN 1. Distinguishes `-0.0` from `0.0`, so that
/// [`of_value_order_key`] restores the float.
#[inline]
pub(crate) fn value_order_key(value: Option<f64>) -> u64 {
    match value {
        None => 0,
        Some(value) if value.is_nan() => 1,
        // No value but NaN has a key below 2.
        Some(value) => ascending_bits(value),
    }
}

/// The inverse of [`value_order_key`].
pub(crate) fn of_value_order_key(key: u64) -> Option<f64> {
    match key {
        0 => None,
        1 => Some(f64::NAN),
        key if key >> 63 == 1 => Some(f64::from_bits(key & !(1 << 63))),
        key => Some(f64::from_bits(!key)),
    }
}

/// Maps a float to its key in sort order: NaN 0, null 1. Both zeros have one key.
#[inline]
pub(crate) fn sort_order_key(value: Option<f64>) -> u64 {
    match value {
        None => 1,
        Some(value) if value.is_nan() => 0,
        Some(value) => ascending_bits(value + 0.0).max(2),
    }
}

/// Maps a number to its key in magnitude order; `None` is null or not a number.
#[inline]
pub(crate) fn magnitude_key(value: Option<f64>) -> u64 {
    sort_order_key(Some(value.unwrap_or(0.0).abs()))
}

/// Maps a signed integer to an unsigned one that ascends with it.
#[inline]
pub(crate) fn signed_key(value: i64) -> u64 {
    value as u64 ^ (1 << 63)
}

/// Returns the first eight bytes of a text as an integer that ascends with it; equal prefixes decide nothing.
pub(crate) fn text_prefix(text: &str) -> u64 {
    let mut prefix = [0; 8];
    let len = text.len().min(8);
    prefix[..len].copy_from_slice(&text.as_bytes()[..len]);
    u64::from_be_bytes(prefix)
}

/// Returns a key that never descends where scalars ascend in sort order (in magnitude order if `by_magnitude`), of
/// values of any type. Not exact: values with long common prefixes share a key.
pub(crate) fn scalar_prefix(value: &Scalar, by_magnitude: bool) -> u64 {
    const TYPE_BITS: u32 = 3;
    if by_magnitude {
        return magnitude_key(value.as_f64());
    }
    let (rank, key) = match value {
        Scalar::Null => (0, 0),
        Scalar::Float(value) if value.is_nan() => (0, 0),
        Scalar::Bool(truth) => (type_rank(value), u64::from(*truth) << TYPE_BITS),
        Scalar::Int(number) => (type_rank(value), signed_key(*number)),
        Scalar::UInt(number) => (type_rank(value), signed_key((*number).min(i64::MAX as u64) as i64)),
        Scalar::Float(number) => (type_rank(value), sort_order_key(Some(*number))),
        Scalar::Date(days) => (type_rank(value), signed_key((*days).into())),
        Scalar::Datetime(ms) => (type_rank(value), signed_key(*ms)),
        Scalar::Str(text) => (type_rank(value), text_prefix(text)),
    };
    u64::from(rank) << (64 - TYPE_BITS) | key >> TYPE_BITS
}

#[cfg(test)]
mod tests;
