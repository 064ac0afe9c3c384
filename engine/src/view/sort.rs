//! Orders of rows and groups.
//!
//! Law: ascending is NaN, null, then up; descending is its mirror, so null and NaN come last. By absolute value, null
//! and what is no number count as zero. Ties fall to the key (rows) or to the group value, always ascending.

use std::cmp::Ordering;

use crate::column::Column;
use crate::config::SortDirection;
use crate::order::Compare;
use crate::scalar::{Scalar, compare_floats};
use crate::table::Snapshot;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
    AscendingAbs,
    DescendingAbs,
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

/// Orders the rows of a flat view: by columns, then by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowOrder {
    pub(crate) terms: Vec<(usize, Direction)>,
}

/// The order of a snapshot's rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    order: &'a RowOrder,
    snapshot: &'a Snapshot,
    /// What most of the first sort column's texts begin with ([`RowOrder::prefix`]); one for the life of a tree, since
    /// ranks depend on it.
    prefix: &'a str,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(order: &'a RowOrder, snapshot: &'a Snapshot, prefix: &'a str) -> Rows<'a> {
        Rows { order, snapshot, prefix }
    }
}

impl Compare for Rows<'_> {
    fn compare(&self, left: u32, right: u32) -> Ordering {
        self.order.compare(self.snapshot, left, right)
    }

    #[inline]
    fn rank(&self, slot: u32) -> u64 {
        let Some(&(column, direction)) = self.order.terms.first() else { return 0 };
        let column = self.snapshot.column(column);
        match direction {
            Direction::Ascending => cell_rank(column, slot, self.prefix),
            Direction::Descending => !cell_rank(column, slot, self.prefix),
            Direction::AscendingAbs => abs_rank(column, slot),
            Direction::DescendingAbs => !abs_rank(column, slot),
        }
    }
}

/// Rows whose texts say what most texts begin with.
const SAMPLE: usize = 64;

impl RowOrder {
    /// What the first sort column's texts begin with, all that a few of `slots` have: behind it texts tell themselves
    /// apart. Empty where that column has no texts.
    pub(crate) fn prefix(&self, snapshot: &Snapshot, slots: &[u32]) -> Box<str> {
        let Some(&(column, _)) = self.terms.first() else { return Box::default() };
        let column = snapshot.column(column);
        let every = slots.len().div_ceil(SAMPLE).max(1);
        let mut texts = slots.iter().step_by(every).filter_map(|&slot| column.text(slot));
        let Some(first) = texts.next() else { return Box::default() };
        let common = |len: usize, text: &str| {
            first.bytes().zip(text.bytes()).take(len).take_while(|(one, other)| one == other).count()
        };
        let len = texts.fold(first.len(), common);
        // Not within a character.
        first[..first.floor_char_boundary(len)].into()
    }

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

/// A number that never descends where cells ascend ([`compare_cells`]). Texts that do not begin with `prefix` are all
/// less or all greater than those that do.
#[inline]
fn cell_rank(column: &Column, slot: u32, prefix: &str) -> u64 {
    match column {
        Column::Float32(cells) => cells.get(slot).map_or(1, |value| float_rank(value.into())),
        Column::Float64(cells) => cells.get(slot).map_or(1, float_rank),
        Column::Str(codes, strings) => codes.get(slot).map_or(0, |code| {
            let text = strings.get(code);
            match text.strip_prefix(prefix) {
                Some(rest) => super::dense::head(rest),
                None if text.as_bytes() < prefix.as_bytes() => 0,
                None => u64::MAX,
            }
        }),
        Column::UInt64(cells) => cells.get(slot).map_or(1, |value| value.saturating_add(2)),
        _ => column.bits(slot).map_or(1, |bits| (bits ^ (1 << 63)).saturating_add(2)),
    }
}

fn abs_rank(column: &Column, slot: u32) -> u64 {
    float_rank(column.number(slot).unwrap_or(0.0).abs())
}

/// A float as a number that ascends with it; NaN is 0, and nothing is 1.
pub(super) fn float_rank(value: f64) -> u64 {
    if value.is_nan() {
        return 0;
    }
    // Both zeros are one value.
    let bits = (value + 0.0).to_bits();
    let rank = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    rank.max(2)
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

/// The one place where the order of sorts differs from the order of values: NaN comes before null.
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

/// Orders two aggregate values.
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
