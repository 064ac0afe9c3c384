//! Orders of rows and groups.
//!
//! Invariant: ascending is NaN, null, then values; descending is its reverse, so null and NaN come last. By absolute
//! value, null and non-numbers count as zero. Ties are resolved by key (rows) or by group value, always ascending.

use std::cmp::Ordering;

use super::normalized_key::NormalizedKey;
use crate::column::Column;
use crate::config::SortDirection;
use crate::sorted::{Compare, touch};
use crate::storage::Snapshot;
use crate::types::scalar::{Scalar, compare_floats};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    Ascending,
    Descending,
    AscendingAbs,
    DescendingAbs,
}

impl Direction {
    pub(super) fn is_descending(self) -> bool {
        matches!(self, Direction::Descending | Direction::DescendingAbs)
    }

    pub(super) fn is_absolute(self) -> bool {
        matches!(self, Direction::AscendingAbs | Direction::DescendingAbs)
    }
}

/// Whether a sort term orders rows or split columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Axis {
    Rows,
    Columns,
}

pub(crate) fn direction(direction: SortDirection) -> Option<(Axis, Direction)> {
    match direction {
        SortDirection::None => None,
        SortDirection::Asc => Some((Axis::Rows, Direction::Ascending)),
        SortDirection::Desc => Some((Axis::Rows, Direction::Descending)),
        SortDirection::AscAbs => Some((Axis::Rows, Direction::AscendingAbs)),
        SortDirection::DescAbs => Some((Axis::Rows, Direction::DescendingAbs)),
        SortDirection::ColAsc => Some((Axis::Columns, Direction::Ascending)),
        SortDirection::ColDesc => Some((Axis::Columns, Direction::Descending)),
        SortDirection::ColAscAbs => Some((Axis::Columns, Direction::AscendingAbs)),
        SortDirection::ColDescAbs => Some((Axis::Columns, Direction::DescendingAbs)),
    }
}

/// The order of the rows of a flat view: by columns, then by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowOrder {
    pub(crate) terms: Vec<(usize, Direction)>,
}

/// Compares the rows of a snapshot in an order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowComparator<'a> {
    order: &'a RowOrder,
    snapshot: &'a Snapshot,
    /// Fixed for the lifetime of a tree.
    normalized_key: &'a NormalizedKey,
}

impl<'a> RowComparator<'a> {
    pub(crate) fn new(
        order: &'a RowOrder,
        snapshot: &'a Snapshot,
        normalized_key: &'a NormalizedKey,
    ) -> RowComparator<'a> {
        RowComparator { order, snapshot, normalized_key }
    }
}

/// Returns whether rows have sort key prefixes, from a sort column or from a key that is in a column.
pub(super) fn has_prefixes(order: &RowOrder, snapshot: &Snapshot) -> bool {
    !order.terms.is_empty() || snapshot.index_column().is_some()
}

impl Compare for RowComparator<'_> {
    fn compare(&self, left: u32, right: u32) -> Ordering {
        self.order.compare(self.snapshot, left, right)
    }

    fn has_prefixes(&self) -> bool {
        has_prefixes(self.order, self.snapshot)
    }

    #[inline]
    fn sort_key_prefix(&self, slot: u32) -> u64 {
        self.normalized_key.sort_key_prefix(self.order, self.snapshot, slot)
    }

    #[inline]
    fn look(&self, slot: u32) {
        for &(column, _) in &self.order.terms {
            touch(self.snapshot.column(column).bits(slot));
        }
        if let Some(column) = self.snapshot.index_column() {
            touch(column.bits(slot));
        }
    }
}

impl RowOrder {
    pub(crate) fn compare(&self, snapshot: &Snapshot, left: u32, right: u32) -> Ordering {
        for &(column, direction) in &self.terms {
            let order = compare_cells(snapshot.column(column), left, right, direction);
            if order.is_ne() {
                return order;
            }
        }
        snapshot.compare_keys(left, right)
    }
}

/// Maps a float to an integer that ascends with it. NaN is 0; 1 is reserved for null.
pub(super) fn float_key(value: f64) -> u64 {
    if value.is_nan() {
        return 0;
    }
    // Both zeros get the same key.
    let bits = (value + 0.0).to_bits();
    let key = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    key.max(2)
}

fn compare_cells(column: &Column, left: u32, right: u32, direction: Direction) -> Ordering {
    match direction {
        Direction::Ascending => {
            nan_before_null(column, left, right).unwrap_or_else(|| column.compare(left, right))
        }
        Direction::Descending => compare_cells(column, right, left, Direction::Ascending),
        Direction::AscendingAbs => compare_abs(column.number(left), column.number(right)),
        Direction::DescendingAbs => compare_abs(column.number(right), column.number(left)),
    }
}

/// Orders NaN before null, the one difference between the order of sorts and the order of values.
fn nan_before_null(column: &Column, left: u32, right: u32) -> Option<Ordering> {
    let (left, right) = match column {
        Column::Float32(cells) => (cells.get(left).map(f64::from), cells.get(right).map(f64::from)),
        Column::Float64(cells) => (cells.get(left), cells.get(right)),
        _ => return None,
    };
    match (left, right) {
        (Some(left), None) if left.is_nan() => Some(Ordering::Less),
        (None, Some(right)) if right.is_nan() => Some(Ordering::Greater),
        _ => None,
    }
}

fn compare_abs(left: Option<f64>, right: Option<f64>) -> Ordering {
    compare_floats(left.unwrap_or(0.0).abs(), right.unwrap_or(0.0).abs())
}

/// Compares two aggregate values.
pub(crate) fn compare_scalars(left: &Scalar, right: &Scalar, direction: Direction) -> Ordering {
    match direction {
        Direction::Ascending => match (left, right) {
            (Scalar::Float(value), Scalar::Null) if value.is_nan() => Ordering::Less,
            (Scalar::Null, Scalar::Float(value)) if value.is_nan() => Ordering::Greater,
            _ => left.cmp(right),
        },
        Direction::Descending => compare_scalars(right, left, Direction::Ascending),
        Direction::AscendingAbs => compare_abs(left.as_f64(), right.as_f64()),
        Direction::DescendingAbs => compare_abs(right.as_f64(), left.as_f64()),
    }
}

/// Returns a number that never descends where aggregate values ascend by [`compare_scalars`]. Values of different types
/// are ordered by type.
pub(super) fn scalar_prefix(value: &Scalar, direction: Direction) -> u64 {
    const TYPE_BITS: u32 = 3;
    let signed = |number: i64| number as u64 ^ (1 << 63);
    let key = if direction.is_absolute() {
        float_key(value.as_f64().unwrap_or(0.0).abs())
    } else {
        let (place, key) = match value {
            Scalar::Null => (0, 0),
            Scalar::Float(value) if value.is_nan() => (0, 0),
            Scalar::Bool(value) => (1, u64::from(*value) << TYPE_BITS),
            Scalar::Int(value) => (2, signed(*value)),
            Scalar::UInt(value) => (2, signed((*value).min(i64::MAX as u64) as i64)),
            Scalar::Float(value) => (3, float_key(*value)),
            Scalar::Date(days) => (4, signed((*days).into())),
            Scalar::Datetime(ms) => (5, signed(*ms)),
            Scalar::Str(text) => (6, super::group_codes::head(text)),
        };
        place << (64 - TYPE_BITS) | key >> TYPE_BITS
    };
    if direction.is_descending() { !key } else { key }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_scalars_never_descend_where_they_ascend() {
        let mut values = vec![Scalar::Null, Scalar::Bool(false), Scalar::Bool(true)];
        values.extend([i64::MIN, -9, -1, 0, 1, 7, 8, 1 << 40, i64::MAX].map(Scalar::Int));
        values.extend([0, 7, 9, i64::MAX as u64, 1 << 63, u64::MAX].map(Scalar::UInt));
        values.extend(
            [f64::NEG_INFINITY, -2.5, -0.0, 0.0, 1e-300, 1.0, 1.0 + f64::EPSILON, 2.5, f64::INFINITY]
                .map(Scalar::Float),
        );
        values.extend([-400, -1, 0, 20_000].map(Scalar::Date));
        values.extend([i64::MIN, -1, 0, 1_700_000_000_000].map(Scalar::Datetime));
        values.extend(["", "a", "aa", "longer than eight", "longer than eighty", "é"].map(Scalar::from));
        let nan = Scalar::Float(f64::NAN);
        for direction in
            [Direction::Ascending, Direction::Descending, Direction::AscendingAbs, Direction::DescendingAbs]
        {
            for left in &values {
                for right in values.iter().filter(|right| compare_scalars(left, right, direction).is_le()) {
                    let (one, other) = (scalar_prefix(left, direction), scalar_prefix(right, direction));
                    assert!(one <= other, "{left:?} {right:?} {direction:?}");
                }
            }
            // NaN is ordered among floats, and before null.
            for other in values.iter().filter(|value| matches!(value, Scalar::Float(_) | Scalar::Null)) {
                let order = scalar_prefix(&nan, direction).cmp(&scalar_prefix(other, direction));
                assert!(
                    order.is_eq() || order == compare_scalars(&nan, other, direction),
                    "{other:?} {direction:?}"
                );
            }
        }
        let differ = |left: f64, right: f64| {
            let key = |value: f64| scalar_prefix(&Scalar::Float(value), Direction::Ascending);
            key(left) < key(right)
        };
        assert!(differ(1.0, 1.001) && differ(-1.001, -1.0));
    }
}
