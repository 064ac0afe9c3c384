//! The rows of a cell by a column's values, then by key, for aggregates that read a position of that order.
//!
//! Invariant: values are in sort order ([`crate::types::total_order`]): NaN, null, ascending.
//!
//! Cost: O(n log n) to build, O(log n) a row.

use std::fmt::Debug;

use super::values::is_nan_cell;
use super::{AggregateInput, RowState};
use crate::column::Column;
use crate::parallel::Threads;
use crate::query::radix_sort;
use crate::query::sort::{Direction, RowOrder};
use crate::sorted::OrderTree;
use crate::types::scalar::Scalar;

/// Reads a value from the ordered rows.
pub(super) trait ReadOrdered: Debug + Send + Sync + 'static {
    /// Returns the column that orders the rows; `None` for key order.
    fn order_column(input: AggregateInput<'_>) -> Option<usize> {
        Some(input.aggregate.column)
    }

    fn read(&self, input: AggregateInput<'_>, rows: &OrderTree) -> Scalar;
}

#[derive(Debug)]
struct OrderedRows<R> {
    reader: R,
    order: RowOrder,
    rows: OrderTree,
}

/// Builds the state that `reader` reads from rows in key order.
pub(super) fn ordered<R: ReadOrdered>(
    reader: R,
    input: AggregateInput<'_>,
    rows: &[u32],
) -> Option<Box<dyn RowState>> {
    let terms = R::order_column(input).map(|column| (column, Direction::Ascending)).into_iter().collect();
    let order = RowOrder { terms };
    let rows = radix_sort::sort(rows, &order, input.snapshot, Threads::ONE);
    Some(Box::new(OrderedRows { reader, order, rows: OrderTree::from_sorted(rows) }))
}

impl<R: ReadOrdered> RowState for OrderedRows<R> {
    fn change(&mut self, input: AggregateInput<'_>, slots: &[u32], sign: i32) {
        let order = &self.order;
        change_tree(&mut self.rows, slots, sign, |left, right| order.compare(input.snapshot, left, right));
    }

    fn value(&self, input: AggregateInput<'_>, _any_row: &dyn Fn() -> u32) -> Scalar {
        self.reader.read(input, &self.rows)
    }
}

/// Inserts (`sign` 1) or removes (`sign` -1) rows.
pub(super) fn change_tree(
    rows: &mut OrderTree,
    slots: &[u32],
    sign: i32,
    compare: impl Fn(u32, u32) -> std::cmp::Ordering,
) {
    for &slot in slots {
        if sign > 0 {
            rows.insert(slot, &compare);
        } else {
            let was_there = rows.remove(slot, &compare);
            assert!(was_there, "a removed row was in its cell");
        }
    }
}

/// Returns the number of NaNs, which precede all other rows.
pub(super) fn num_nan(column: &Column, rows: &OrderTree) -> usize {
    rows.partition_point(|slot| is_nan_cell(column, slot))
}

/// Returns whether a row is one of the NaNs and nulls that precede the values.
pub(super) fn is_low(column: &Column, slot: u32) -> bool {
    !column.is_valid(slot) || is_nan_cell(column, slot)
}

/// Returns the number of NaNs and nulls, which precede the values.
pub(super) fn num_low(column: &Column, rows: &OrderTree) -> usize {
    rows.partition_point(|slot| is_low(column, slot))
}
