//! Incremental state of non-invertible aggregates, held for large groups only.
//!
//! Cost: inserting or removing a row and reading the value take O(log n) at most. Counts of values yield the number of
//! distinct ones; the rows in the order of their values yield the least, the middle and the first; the most frequent
//! value ([`leaders`]) and the product ([`products`]) have structures of their own. State is built when a value is
//! read, as a rule for the second time, and never for cells with few rows, which are as quick to scan.

mod leaders;
mod products;

use std::cmp::Ordering;

use hashbrown::HashMap;

use super::aggregate::{Aggregate, AggregateKind};
use super::from_rows::{difference, distinct_bits, finished_product, is_truthy, joined, not_one, whole};
use super::sort::{Direction, RowOrder};
use super::sums::Sum;
use crate::column::Column;
use crate::sorted::OrderTree;
use crate::storage::Snapshot;
use crate::types::scalar::Scalar;
use leaders::Leaders;
use products::Products;

/// Number of rows from which a cell may hold state. Low in tests, so that they cover cells of both kinds.
pub(super) const MANY_ROWS: u32 = if cfg!(test) { 8 } else { 1024 };

/// Maximum number of strings in the table per row of a cell for which occurrences are counted in an array.
const STRINGS_A_ROW: usize = 8;

#[derive(Debug)]
pub(super) enum AggregateState {
    /// Number of occurrences of each code of a text column, at index `code + 1`; nulls are counted at index 0.
    Codes {
        counts: Vec<u32>,
        num_distinct: usize,
    },
    /// Number of occurrences of each value.
    Values(HashMap<Option<u64>, u32, ahash::RandomState>),
    /// Number of rows that are null, zero, false or the epoch.
    Falsy(u32),
    Ordered {
        order: RowOrder,
        rows: OrderTree,
    },
    /// The rows with a value: truthy ones first, then in row order.
    Truthy {
        row_order: RowOrderOf,
        rows: OrderTree,
    },
    Leaders(Leaders),
    Products(Products),
    /// Sum of the absolute sums of the groups below; updated by the pivot.
    Gmv(Sum),
}

/// The row order of a cell: by the values of the groups below it, then by key.
#[derive(Debug, Clone)]
pub(super) struct RowOrderOf {
    levels: Box<[usize]>,
}

impl RowOrderOf {
    /// `levels` are the columns of the group levels below the cell.
    pub(super) fn new(levels: &[usize]) -> RowOrderOf {
        RowOrderOf { levels: levels.into() }
    }

    fn compare(&self, snapshot: &Snapshot, left: u32, right: u32) -> Ordering {
        for &level in &self.levels {
            let order = snapshot.column(level).compare(left, right);
            if order.is_ne() {
                return order;
            }
        }
        snapshot.compare_keys(left, right)
    }

    fn truthy_first(&self, column: &Column, snapshot: &Snapshot, left: u32, right: u32) -> Ordering {
        let is_falsy = |slot| !is_truthy(column, slot);
        is_falsy(left).cmp(&is_falsy(right)).then_with(|| self.compare(snapshot, left, right))
    }
}

/// The kind of state an aggregate uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StateKind {
    /// Counts, as cheap to build as one scan of the rows.
    Counts,
    /// A sorted order, which pays off only when the value is read again.
    Order,
    Nothing,
}

pub(super) fn state_kind(kind: AggregateKind) -> StateKind {
    match kind {
        AggregateKind::DistinctCount
        | AggregateKind::DistinctLeaf
        | AggregateKind::Unique
        | AggregateKind::And
        | AggregateKind::Gmv => StateKind::Counts,
        AggregateKind::First
        | AggregateKind::LastByIndex
        | AggregateKind::LastMinusFirst
        | AggregateKind::Max
        | AggregateKind::Min
        | AggregateKind::HighMinusLow
        | AggregateKind::Median
        | AggregateKind::Q1
        | AggregateKind::Q3
        | AggregateKind::MaxBy
        | AggregateKind::MinBy
        | AggregateKind::Join
        | AggregateKind::Any
        | AggregateKind::Or
        | AggregateKind::Dominant
        | AggregateKind::Mul => StateKind::Order,
        _ => StateKind::Nothing,
    }
}

/// Returns whether the state is built from rows in row order rather than in key order.
pub(super) fn follows_row_order(kind: AggregateKind) -> bool {
    matches!(kind, AggregateKind::Any | AggregateKind::Or | AggregateKind::Dominant | AggregateKind::Mul)
}

impl AggregateState {
    /// Builds the state from the rows of a cell, in key order or in row order ([`follows_row_order`]).
    pub(super) fn new(
        aggregate: &Aggregate,
        snapshot: &Snapshot,
        rows: &[u32],
        row_order: RowOrderOf,
    ) -> AggregateState {
        let column = snapshot.column(aggregate.column);
        match aggregate.kind {
            AggregateKind::Mul => return AggregateState::Products(Products::new(rows)),
            AggregateKind::Dominant => {
                return AggregateState::Leaders(Leaders::new(aggregate.column, row_order, snapshot, rows));
            }
            AggregateKind::Any | AggregateKind::Or => {
                let valid = rows.iter().copied().filter(|&slot| column.is_valid(slot));
                let (mut rows, falsy): (Vec<u32>, Vec<u32>) =
                    valid.partition(|&slot| is_truthy(column, slot));
                rows.extend(falsy);
                return AggregateState::Truthy { rows: OrderTree::from_sorted(rows), row_order };
            }
            _ => {}
        }
        match (state_kind(aggregate.kind), column) {
            (StateKind::Counts, _) if aggregate.kind == AggregateKind::And => {
                AggregateState::Falsy(rows.iter().filter(|&&slot| !is_truthy(column, slot)).count() as u32)
            }
            // An array with one count per string of the table, unless most strings do not occur in the cell.
            (StateKind::Counts, Column::Str(_, strings)) if strings.len() <= rows.len() * STRINGS_A_ROW => {
                let mut counts = vec![0; strings.len() + 1];
                column.each_bits(rows, |bits| counts[bits.map_or(0, |code| code as usize + 1)] += 1);
                let num_distinct = counts.iter().filter(|&&count| count > 0).count();
                AggregateState::Codes { counts, num_distinct }
            }
            (StateKind::Counts, _) => {
                let mut counts = HashMap::default();
                rows.iter().for_each(|&slot| *counts.entry(distinct_bits(column, slot)).or_insert(0) += 1);
                AggregateState::Values(counts)
            }
            (StateKind::Order | StateKind::Nothing, _) => {
                let order = order(aggregate);
                let rows = super::radix_sort::sort(rows, &order, snapshot, crate::parallel::Threads::ONE);
                AggregateState::Ordered { rows: OrderTree::from_sorted(rows), order }
            }
        }
    }

    /// Inserts (`sign` 1) or removes (`sign` -1) a row with its cells in `snapshot`.
    pub(super) fn change(&mut self, aggregate: &Aggregate, snapshot: &Snapshot, slot: u32, sign: i32) {
        let column = snapshot.column(aggregate.column);
        match self {
            AggregateState::Codes { counts, num_distinct } => {
                let place = column.bits(slot).map_or(0, |code| code as usize + 1);
                if place >= counts.len() {
                    counts.resize(place + 1, 0);
                }
                let before = counts[place];
                counts[place] = before.wrapping_add_signed(sign);
                *num_distinct += usize::from(before == 0);
                *num_distinct -= usize::from(counts[place] == 0);
            }
            AggregateState::Values(counts) => {
                let bits = distinct_bits(column, slot);
                let count = counts.entry(bits).or_insert(0);
                *count = count.wrapping_add_signed(sign);
                if *count == 0 {
                    counts.remove(&bits);
                    // Reading iterates over empty buckets too.
                    if counts.len() < counts.capacity() / 8 {
                        counts.shrink_to(counts.len() * 2);
                    }
                }
            }
            AggregateState::Falsy(count) => {
                if !is_truthy(column, slot) {
                    *count = count.wrapping_add_signed(sign);
                }
            }
            AggregateState::Ordered { order, rows } => {
                let compare = |left: u32, right: u32| order.compare(snapshot, left, right);
                if sign > 0 {
                    rows.insert(slot, &compare);
                } else {
                    let was_there = rows.remove(slot, &compare);
                    assert!(was_there, "a removed row was in its cell");
                }
            }
            AggregateState::Truthy { row_order, rows } => {
                let compare = |left: u32, right: u32| row_order.truthy_first(column, snapshot, left, right);
                if !column.is_valid(slot) {
                } else if sign > 0 {
                    rows.insert(slot, &compare);
                } else {
                    let was_there = rows.remove(slot, &compare);
                    assert!(was_there, "a removed row was in its cell");
                }
            }
            AggregateState::Leaders(leaders) if sign > 0 => leaders.insert(snapshot, slot),
            AggregateState::Leaders(leaders) => leaders.remove(snapshot, slot),
            AggregateState::Products(products) if sign > 0 => products.insert(slot),
            AggregateState::Products(products) => products.remove(slot),
            AggregateState::Gmv(_) => {}
        }
    }

    /// Performs deferred work. Must be called before [`AggregateState::value`].
    pub(super) fn flush(&mut self, aggregate: &Aggregate, snapshot: &Snapshot) {
        if let AggregateState::Products(products) = self {
            products.flush(snapshot.column(aggregate.column));
        }
    }

    /// Returns the aggregate's value. `any_row` returns some row of the cell.
    pub(super) fn value(
        &self,
        aggregate: &Aggregate,
        snapshot: &Snapshot,
        any_row: impl Fn() -> u32,
    ) -> Scalar {
        let column = snapshot.column(aggregate.column);
        match self {
            AggregateState::Falsy(count) => Scalar::Bool(*count == 0),
            AggregateState::Codes { num_distinct, .. } => counted(aggregate, column, *num_distinct, any_row),
            AggregateState::Values(counts)
                if matches!(aggregate.kind, AggregateKind::Unique | AggregateKind::DistinctLeaf) =>
            {
                // Zeros of both signs count as one value here.
                let mut values = counts.keys().map(|bits| bits.map(|bits| whole(column, bits)));
                let first = values.next().flatten();
                let is_unique = values.all(|value| value == first);
                counted(aggregate, column, if is_unique { 1 } else { 2 }, any_row)
            }
            AggregateState::Values(counts) => counted(aggregate, column, counts.len(), any_row),
            AggregateState::Ordered { rows, .. } => ordered(aggregate, snapshot, rows),
            AggregateState::Truthy { rows, .. } => {
                rows.get(0).map_or(Scalar::Null, |slot| column.scalar(slot))
            }
            AggregateState::Leaders(leaders) => {
                leaders.first().map_or(Scalar::Null, |slot| column.scalar(slot))
            }
            AggregateState::Products(products) => {
                finished_product(column, products.len(), any_row, || products.value())
            }
            AggregateState::Gmv(_) => unreachable!("the pivot reads it, which knows the groups below"),
        }
    }
}

fn counted(aggregate: &Aggregate, column: &Column, num_distinct: usize, any_row: impl Fn() -> u32) -> Scalar {
    match aggregate.kind {
        AggregateKind::Unique | AggregateKind::DistinctLeaf if num_distinct == 1 => column.scalar(any_row()),
        AggregateKind::Unique => Scalar::Null,
        AggregateKind::DistinctLeaf => not_one(aggregate),
        _ => Scalar::Int(num_distinct as i64),
    }
}

/// Sorts by the deciding values, or by key alone where the position among the rows decides.
fn order(aggregate: &Aggregate) -> RowOrder {
    let column = match aggregate.kind {
        AggregateKind::First | AggregateKind::LastByIndex | AggregateKind::LastMinusFirst => None,
        AggregateKind::MaxBy | AggregateKind::MinBy => aggregate.argument,
        _ => Some(aggregate.column),
    };
    RowOrder { terms: column.map(|column| (column, Direction::Ascending)).into_iter().collect() }
}

/// Reads an order statistic from `rows`, which ascend as NaN, null, values, then by key.
fn ordered(aggregate: &Aggregate, snapshot: &Snapshot, rows: &OrderTree) -> Scalar {
    let column = snapshot.column(aggregate.column);
    let at = |position: usize| rows.get(position).map_or(Scalar::Null, |slot| column.scalar(slot));
    let last = rows.len().saturating_sub(1);
    let num_nan = || rows.partition_point(|slot| column.number(slot).is_some_and(f64::is_nan));
    // Null is the least value; NaN is returned only if there is nothing else.
    let least = || match num_nan() {
        all if all == rows.len() => at(0),
        first => canonical(at(first)),
    };
    // NaN if there are only nulls and NaNs.
    let greatest = || match at(last) {
        Scalar::Null => at(0),
        value => canonical(value),
    };
    match aggregate.kind {
        AggregateKind::First => at(0),
        AggregateKind::LastByIndex => at(last),
        AggregateKind::LastMinusFirst => difference(&at(last), &at(0)),
        AggregateKind::Min => least(),
        AggregateKind::Max => greatest(),
        AggregateKind::HighMinusLow => difference(&greatest(), &least()),
        AggregateKind::MinBy | AggregateKind::MaxBy => by(aggregate, snapshot, rows),
        AggregateKind::Q1 => quantile(column, rows, 1, num_nan()),
        AggregateKind::Median => quantile(column, rows, 2, num_nan()),
        AggregateKind::Q3 => quantile(column, rows, 3, num_nan()),
        AggregateKind::Join => join(column, rows, num_nan()),
        _ => Scalar::Null,
    }
}

/// Joins one row per distinct value, found by binary search from each value to the next; stops when the text is full.
fn join(column: &Column, rows: &OrderTree, num_nan: usize) -> Scalar {
    let num_low =
        rows.partition_point(|slot| !column.is_valid(slot) || column.number(slot).is_some_and(f64::is_nan));
    // In the result, null precedes NaN.
    let null = (num_low > num_nan).then(|| rows.get(num_nan)).flatten();
    let nan = (num_nan > 0).then(|| rows.get(0)).flatten();
    let mut next = num_low;
    let values = std::iter::from_fn(|| {
        let slot = rows.get(next)?;
        next = rows.partition_point(|other| {
            !column.is_valid(other)
                || column.number(other).is_some_and(f64::is_nan)
                || column.compare(other, slot).is_le()
        });
        Some(slot)
    });
    joined(column, null.into_iter().chain(nan).chain(values))
}

/// Returns the first row by key among those with the extreme argument. A null argument is the smallest, before NaN.
fn by(aggregate: &Aggregate, snapshot: &Snapshot, rows: &OrderTree) -> Scalar {
    let argument = snapshot.column(aggregate.argument.expect("checked when the aggregate was parsed"));
    let num_nan = rows.partition_point(|slot| argument.number(slot).is_some_and(f64::is_nan));
    let num_low = rows
        .partition_point(|slot| !argument.is_valid(slot) || argument.number(slot).is_some_and(f64::is_nan));
    let position = if aggregate.kind == AggregateKind::MinBy {
        if num_low > num_nan { num_nan } else { 0 }
    } else if num_low == rows.len() {
        // There are only nulls and NaNs.
        0
    } else {
        let last = rows.get(rows.len() - 1).unwrap_or(0);
        rows.partition_point(|slot| {
            // Nulls and NaNs, which precede the values, do not take part in the comparison.
            !argument.is_valid(slot)
                || argument.number(slot).is_some_and(f64::is_nan)
                || argument.compare(slot, last).is_lt()
        })
    };
    rows.get(position).map_or(Scalar::Null, |slot| snapshot.column(aggregate.column).scalar(slot))
}

/// Returns the quantile as defined in [`super::from_rows`], where nulls precede NaN.
fn quantile(column: &Column, rows: &OrderTree, quarter: usize, num_nan: usize) -> Scalar {
    if rows.is_empty() {
        return Scalar::Null;
    }
    let num_low = match num_nan {
        0 => 0,
        _ => rows
            .partition_point(|slot| !column.is_valid(slot) || column.number(slot).is_some_and(f64::is_nan)),
    };
    let at = |position: usize| {
        let swapped = match position {
            low if low < num_low - num_nan.min(num_low) => low + num_nan,
            low if low < num_low => low - (num_low - num_nan),
            other => other,
        };
        rows.get(swapped).map_or(Scalar::Null, |slot| column.scalar(slot))
    };
    let position = rows.len() * quarter / 4;
    let is_whole = (rows.len() * quarter).is_multiple_of(4);
    let is_float = matches!(column, Column::Float32(_) | Column::Float64(_));
    if !is_float || !is_whole || position == 0 {
        return canonical(at(position));
    }
    match (at(position - 1).as_f64(), at(position).as_f64()) {
        (Some(previous), Some(middle)) => canonical(Scalar::Float((previous + middle) / 2.0)),
        _ => Scalar::Null,
    }
}

/// Maps -0.0 to 0.0. Both zeros compare equal, so which one is found depends on the search path; the result must not.
pub(super) fn canonical(value: Scalar) -> Scalar {
    match value {
        // Adding 0.0 clears the sign of zero and leaves every other value unchanged.
        Scalar::Float(value) => Scalar::Float(value + 0.0),
        value => value,
    }
}
