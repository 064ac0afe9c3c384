//! Orders of rows and groups.
//!
//! Invariant: values are compared in the sort order or the magnitude order of [`crate::types::total_order`], or their
//! reverse. Ties are resolved by key (rows) or by group value, always ascending.

use std::cmp::Ordering;

use super::normalized_key::NormalizedKey;
use crate::column::Column;
use crate::config::SortDirection;
use crate::sorted::{Compare, prefetch};
use crate::storage::Snapshot;
use crate::types::scalar::Scalar;
use crate::types::total_order::{self, compare_magnitudes, compare_sorted, nan_before_null};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    Ascending,
    Descending,
    AscendingAbs,
    DescendingAbs,
}

impl Direction {
    pub(crate) fn is_descending(self) -> bool {
        matches!(self, Direction::Descending | Direction::DescendingAbs)
    }

    pub(crate) fn is_absolute(self) -> bool {
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
pub(crate) fn has_prefixes(order: &RowOrder, snapshot: &Snapshot) -> bool {
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
    fn prefetch(&self, slot: u32) {
        for &(column, _) in &self.order.terms {
            prefetch(self.snapshot.column(column).bits(slot));
        }
        if let Some(column) = self.snapshot.index_column() {
            prefetch(column.bits(slot));
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

fn compare_cells(column: &Column, left: u32, right: u32, direction: Direction) -> Ordering {
    match direction {
        Direction::Ascending => {
            nan_before_null_in(column, left, right).unwrap_or_else(|| column.compare(left, right))
        }
        Direction::Descending => compare_cells(column, right, left, Direction::Ascending),
        Direction::AscendingAbs => compare_magnitudes(column.number(left), column.number(right)),
        Direction::DescendingAbs => compare_magnitudes(column.number(right), column.number(left)),
    }
}

fn nan_before_null_in(column: &Column, left: u32, right: u32) -> Option<Ordering> {
    match column {
        Column::Float32(cells) => {
            nan_before_null(cells.get(left).map(f64::from), cells.get(right).map(f64::from))
        }
        Column::Float64(cells) => nan_before_null(cells.get(left), cells.get(right)),
        Column::Integer(..)
        | Column::Int8(_)
        | Column::Int16(_)
        | Column::Int32(_)
        | Column::Int64(_)
        | Column::UInt8(_)
        | Column::UInt16(_)
        | Column::UInt32(_)
        | Column::UInt64(_)
        | Column::Bool(_)
        | Column::Str(..)
        | Column::Date(_)
        | Column::Datetime(_) => None,
    }
}

/// Compares two aggregate values.
pub(crate) fn compare_scalars(left: &Scalar, right: &Scalar, direction: Direction) -> Ordering {
    match direction {
        Direction::Ascending => compare_sorted(left, right),
        Direction::Descending => compare_scalars(right, left, Direction::Ascending),
        Direction::AscendingAbs => compare_magnitudes(left.as_f64(), right.as_f64()),
        Direction::DescendingAbs => compare_magnitudes(right.as_f64(), left.as_f64()),
    }
}

/// Returns a number that never descends where aggregate values ascend by [`compare_scalars`].
pub(crate) fn scalar_prefix(value: &Scalar, direction: Direction) -> u64 {
    let key = total_order::scalar_prefix(value, direction.is_absolute());
    if direction.is_descending() { !key } else { key }
}
