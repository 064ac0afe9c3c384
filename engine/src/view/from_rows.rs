//! Aggregates computed from a cell's rows.
//!
//! Invariant: a pure function of the rows in row order (ascending key within a deepest group, groups in value order),
//! so an incrementally maintained view and a rebuilt one agree by construction.

use std::cmp::Ordering;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::aggregate::{Aggregate, AggregateKind};
use super::aggregate_state::canonical;
use super::product::Product;
use crate::column::Column;
use crate::storage::Snapshot;
use crate::types::display::path_text;
use crate::types::scalar::{Scalar, float_bits};
use crate::types::schema::{ColumnType, Storage};

/// Maximum length of the text of `join`, in bytes.
const JOIN_BYTES: usize = 280;

/// The rows of one cell.
pub(super) struct RowSet<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// Slots, in row order.
    pub(super) rows: &'a [u32],
    /// Whether the cell is on a deepest row.
    pub(super) is_leaf: bool,
}

/// Computes `aggregate` over `row_set`.
pub(super) fn compute(aggregate: &Aggregate, row_set: &RowSet<'_>) -> Scalar {
    let column = row_set.snapshot.column(aggregate.column);
    let rows = row_set.rows;
    let snapshot = row_set.snapshot;
    match aggregate.kind {
        AggregateKind::DistinctCount => {
            let distinct: HashSet<Option<u64>, ahash::RandomState> =
                rows.iter().map(|&slot| distinct_bits(column, slot)).collect();
            Scalar::Int(distinct.len() as i64)
        }
        AggregateKind::Unique => unique(column, rows),
        AggregateKind::DistinctLeaf if row_set.is_leaf => match unique(column, rows) {
            Scalar::Null if rows.iter().any(|&slot| column.is_valid(slot)) => not_one(aggregate),
            value => value,
        },
        AggregateKind::DistinctLeaf => not_one(aggregate),
        AggregateKind::Any | AggregateKind::Or => any(column, rows.iter().copied()),
        AggregateKind::And => Scalar::Bool(rows.iter().all(|&slot| is_truthy(column, slot))),
        AggregateKind::Dominant => dominant(column, rows),
        AggregateKind::First => {
            at_extreme_key(snapshot, rows, Ordering::Less).map_or(Scalar::Null, |slot| column.scalar(slot))
        }
        AggregateKind::LastByIndex => {
            at_extreme_key(snapshot, rows, Ordering::Greater).map_or(Scalar::Null, |slot| column.scalar(slot))
        }
        AggregateKind::LastMinusFirst => {
            let cell = |order| {
                at_extreme_key(snapshot, rows, order).map_or(Scalar::Null, |slot| column.scalar(slot))
            };
            difference(&cell(Ordering::Greater), &cell(Ordering::Less))
        }
        AggregateKind::Max => extreme(column, rows, Ordering::Greater),
        // Null is the least value, so one null makes the minimum null.
        AggregateKind::Min => extreme(column, rows, Ordering::Less),
        AggregateKind::HighMinusLow => {
            difference(&extreme(column, rows, Ordering::Greater), &extreme(column, rows, Ordering::Less))
        }
        AggregateKind::Median => quantile(column, rows, 2),
        AggregateKind::Q1 => quantile(column, rows, 1),
        AggregateKind::Q3 => quantile(column, rows, 3),
        AggregateKind::Join => join(snapshot, column, rows),
        AggregateKind::MaxBy => by(snapshot, aggregate, rows, Ordering::Greater),
        AggregateKind::MinBy => by(snapshot, aggregate, rows, Ordering::Less),
        AggregateKind::Mul => product(column, rows),
        // `last` is the last row of the last deepest group, which the pivot finds without reading the others.
        AggregateKind::Last
        | AggregateKind::Sum
        | AggregateKind::SumOrZero
        | AggregateKind::AbsSum
        | AggregateKind::SumAbs
        | AggregateKind::Gmv
        | AggregateKind::Mean
        | AggregateKind::WeightedMean
        | AggregateKind::Count
        | AggregateKind::High
        | AggregateKind::Low
        | AggregateKind::PctSumParent
        | AggregateKind::PctSumTotal
        | AggregateKind::Variance
        | AggregateKind::Stddev => unreachable!("{:?} is not computed from rows", aggregate.kind),
    }
}

/// As [`Column::bits`], but distinguishes `0.0` from `-0.0`.
pub(super) fn distinct_bits(column: &Column, slot: u32) -> Option<u64> {
    match column {
        Column::Float32(cells) => cells.get(slot).map(|value| u64::from(value.to_bits())),
        Column::Float64(cells) => cells.get(slot).map(f64::to_bits),
        _ => column.bits(slot),
    }
}

/// Converts [`distinct_bits`] to [`Column::bits`].
pub(super) fn whole(column: &Column, bits: u64) -> u64 {
    match column {
        Column::Float32(_) => float_bits(f64::from(f32::from_bits(bits as u32))),
        Column::Float64(_) => float_bits(f64::from_bits(bits)),
        _ => bits,
    }
}

/// Returns the result of `distinct leaf` for rows with several values.
pub(super) fn not_one(aggregate: &Aggregate) -> Scalar {
    if aggregate.input == Storage::Utf8 { Scalar::from("") } else { Scalar::Null }
}

fn unique(column: &Column, rows: &[u32]) -> Scalar {
    let Some((&first, rest)) = rows.split_first() else { return Scalar::Null };
    let bits = column.bits(first);
    if rest.iter().all(|&slot| column.bits(slot) == bits) { column.scalar(first) } else { Scalar::Null }
}

/// Returns whether a cell is not null, zero, false or the epoch. Text is truthy even when empty, and so is NaN.
pub(super) fn is_truthy(column: &Column, slot: u32) -> bool {
    match column {
        Column::Str(..) => column.is_valid(slot),
        _ => column.number(slot).is_some_and(|value| value != 0.0),
    }
}

/// Returns the first truthy value; failing that, the first one that is not null.
pub(super) fn any(column: &Column, mut rows: impl Iterator<Item = u32>) -> Scalar {
    let mut falsy = None;
    let truthy = rows.find(|&slot| {
        if falsy.is_none() && column.is_valid(slot) {
            falsy = Some(slot);
        }
        is_truthy(column, slot)
    });
    truthy.or(falsy).map_or(Scalar::Null, |slot| column.scalar(slot))
}

/// Returns the most frequent valid value; of equally frequent ones, the one that reached its count first.
fn dominant(column: &Column, rows: &[u32]) -> Scalar {
    let mut counts: HashMap<u64, u32, ahash::RandomState> = HashMap::default();
    let mut best: Option<(u32, u32)> = None;
    for &slot in rows {
        let Some(bits) = column.bits(slot) else { continue };
        let count = counts.entry(bits).or_insert(0);
        *count += 1;
        if best.is_none_or(|(top, _)| *count > top) {
            best = Some((*count, slot));
        }
    }
    best.map_or(Scalar::Null, |(_, slot)| column.scalar(slot))
}

fn at_extreme_key(snapshot: &Snapshot, rows: &[u32], wanted: Ordering) -> Option<u32> {
    rows.iter()
        .copied()
        .reduce(|best, slot| if snapshot.compare_keys(slot, best) == wanted { slot } else { best })
}

/// Returns the greatest or least cell in the engine's order (null, NaN, ascending); NaN only if there is nothing else.
fn extreme(column: &Column, rows: &[u32], wanted: Ordering) -> Scalar {
    match column {
        Column::Float64(cells) => {
            // The key of null is 0, that of NaN 1.
            let (mut least, mut least_number, mut greatest) = (u64::MAX, u64::MAX, 0);
            cells.each(rows, |cell| {
                let rank = cell.map_or(0, float_key);
                least = least.min(rank);
                least_number = least_number.min(if rank < 2 { u64::MAX } else { rank });
                greatest = greatest.max(rank);
            });
            let best = match wanted {
                Ordering::Greater => greatest,
                _ if least == 0 || least_number == u64::MAX => least,
                _ => least_number,
            };
            if rows.is_empty() || best == 0 {
                return Scalar::Null;
            }
            return canonical(Scalar::Float(of_float_key(best)));
        }
        Column::Float32(_) | Column::Str(..) | Column::UInt64(_) => {}
        _ => {
            let (mut best, mut row): (Option<(Option<i64>, usize)>, usize) = (None, 0);
            column.each_bits(rows, |bits| {
                let value = bits.map(|bits| bits as i64);
                if best.is_none_or(|(best, _)| value.cmp(&best) == wanted) {
                    best = Some((value, row));
                }
                row += 1;
            });
            return best.map_or(Scalar::Null, |(_, row)| column.scalar(rows[row]));
        }
    }
    let is_nan = |slot: u32| column.number(slot).is_some_and(f64::is_nan);
    let best = rows.iter().copied().reduce(|best, slot| match (is_nan(best), is_nan(slot)) {
        (true, false) if wanted == Ordering::Less => slot,
        (false, true) => best,
        _ if column.compare(slot, best) == wanted => slot,
        _ => best,
    });
    best.map_or(Scalar::Null, |slot| canonical(column.scalar(slot)))
}

pub(super) fn difference(left: &Scalar, right: &Scalar) -> Scalar {
    match (left, right) {
        (Scalar::Int(left), Scalar::Int(right)) => Scalar::Int(left.saturating_sub(*right)),
        (Scalar::UInt(left), Scalar::UInt(right)) => Scalar::UInt(left.saturating_sub(*right)),
        (Scalar::Float(left), Scalar::Float(right)) => Scalar::Float(left - right),
        _ => Scalar::Null,
    }
}

/// Returns the quartile `quarter`: of the rows in ascending order, including nulls, which come first, element `floor(n
/// * quarter / 4)`. In float columns, if `n * quarter` is divisible by 4, the mean of that element and the one before.
fn quantile(column: &Column, rows: &[u32], quarter: usize) -> Scalar {
    if rows.is_empty() {
        return Scalar::Null;
    }
    let at = rows.len() * quarter / 4;
    let is_whole = (rows.len() * quarter).is_multiple_of(4);
    if let Column::Float64(cells) = column {
        let mut keys = Vec::with_capacity(rows.len());
        cells.each(rows, |cell| keys.push(cell.map_or(0, float_key)));
        let (before, &mut middle, _) = keys.select_nth_unstable(at);
        let previous = if is_whole { before.iter().max() } else { None };
        return match (previous.copied(), middle) {
            (_, 0) | (Some(0), _) => Scalar::Null,
            (None, middle) => canonical(Scalar::Float(of_float_key(middle))),
            (Some(previous), middle) => {
                canonical(Scalar::Float((of_float_key(previous) + of_float_key(middle)) / 2.0))
            }
        };
    }
    let mut rows = rows.to_vec();
    let (before, &mut middle, _) =
        rows.select_nth_unstable_by(at, |&left, &right| column.compare(left, right));
    if !matches!(column, Column::Float32(_)) || !is_whole || before.is_empty() {
        return canonical(column.scalar(middle));
    }
    let previous = before.iter().copied().max_by(|&left, &right| column.compare(left, right));
    match (previous.and_then(|slot| column.number(slot)), column.number(middle)) {
        (Some(previous), Some(middle)) => canonical(Scalar::Float((previous + middle) / 2.0)),
        _ => Scalar::Null,
    }
}

/// Maps a float to an integer that ascends with it. NaN is 1; 0 is reserved for null.
fn float_key(value: f64) -> u64 {
    if value.is_nan() {
        return 1;
    }
    let bits = value.to_bits();
    // No value but NaN has a key below 2.
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn of_float_key(rank: u64) -> f64 {
    match rank {
        1 => f64::NAN,
        rank if rank >> 63 == 1 => f64::from_bits(rank & !(1 << 63)),
        rank => f64::from_bits(!rank),
    }
}

/// Joins the distinct values as text, ascending, up to [`JOIN_BYTES`].
fn join(snapshot: &Snapshot, column: &Column, rows: &[u32]) -> Scalar {
    let mut distinct: HashMap<Option<u64>, u32, ahash::RandomState> = HashMap::default();
    for &slot in rows {
        let first = distinct.entry(column.bits(slot)).or_insert(slot);
        // Zeros of both signs are one value with two texts; the first row by key decides.
        if column.number(slot) == Some(0.0) && snapshot.compare_keys(slot, *first).is_lt() {
            *first = slot;
        }
    }
    let mut slots: Vec<u32> = distinct.into_values().collect();
    slots.sort_unstable_by(|&left, &right| column.compare(left, right));
    joined(column, slots.into_iter())
}

/// Joins the texts of `slots`, up to [`JOIN_BYTES`].
pub(super) fn joined(column: &Column, slots: impl Iterator<Item = u32>) -> Scalar {
    let mut joined = String::new();
    for (position, slot) in slots.enumerate() {
        let text = path_text(&column.scalar(slot));
        let separator = if position == 0 { "" } else { ", " };
        if joined.len() + separator.len() + text.len() > JOIN_BYTES {
            break;
        }
        joined.push_str(separator);
        joined.push_str(&text);
    }
    Scalar::Str(Arc::from(joined))
}

/// Returns the value in the row with the greatest or least argument, the first by key among several; a null argument is
/// the smallest.
fn by(snapshot: &Snapshot, aggregate: &Aggregate, rows: &[u32], wanted: Ordering) -> Scalar {
    let argument = snapshot.column(aggregate.argument.expect("checked when the aggregate was parsed"));
    let best = rows.iter().copied().reduce(|best, slot| match argument.compare(slot, best) {
        Ordering::Equal if snapshot.compare_keys(slot, best).is_lt() => slot,
        order if order == wanted => slot,
        _ => best,
    });
    best.map_or(Scalar::Null, |slot| snapshot.column(aggregate.column).scalar(slot))
}

/// Returns the product, rounded once; a null counts as 0 unless it is the only row.
fn product(column: &Column, rows: &[u32]) -> Scalar {
    let any_row = || rows.first().copied().unwrap_or(0);
    finished_product(column, rows.len(), any_row, || Product::of(column, rows.iter().copied()))
}

/// Converts a product to the result of `mul`.
///
/// The published server multiplies row by row, so its intermediate products overflow to infinity, underflow to zero, or
/// wrap around in 64 bits. Here the exact product decides, and integers saturate.
pub(super) fn finished_product(
    column: &Column,
    num_rows: usize,
    any_row: impl Fn() -> u32,
    product: impl Fn() -> Product,
) -> Scalar {
    match num_rows {
        0 => Scalar::Null,
        1 => match column.scalar(any_row()) {
            Scalar::Bool(value) => Scalar::Int(value.into()),
            value => value,
        },
        _ if column.storage().column_type() == ColumnType::Float => Scalar::Float(product().float()),
        _ => Scalar::Int(product().integer()),
    }
}
