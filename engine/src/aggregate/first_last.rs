//! Values by position: `first` and `last by index` are those of the first and the last row by key, `last minus first`
//! their difference; `last` is the last row of the last deepest group.
//!
//! State of cells with many rows: their rows by key, except for `last`, which is found without reading the others. Cost:
//! O(log n) a row.

use std::cmp::Ordering;

use super::ordered_rows::{ReadOrdered, ordered};
use super::values::{cell_of, difference};
use super::{
    AcceptedTypes, Aggregate, AggregateFunction, AggregateInput, AggregateSignature, CellRowOrder, MenuEntry,
    Method, NO_MENU, OutputType, RowFunction, RowSet, RowState, Shortcut, StateCost,
};
use crate::sorted::OrderTree;
use crate::types::scalar::Scalar;

/// Returns the value of the row with the least or the greatest key.
fn at_extreme_key(input: AggregateInput<'_>, rows: &[u32], wanted: Ordering) -> Scalar {
    let beyond = |slot, best| input.snapshot.compare_keys(slot, best) == wanted;
    let best = rows.iter().copied().reduce(|best, slot| if beyond(slot, best) { slot } else { best });
    cell_of(input.column(), best)
}

fn first_of(input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
    cell_of(input.column(), rows.get(0))
}

fn last_of(input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
    cell_of(input.column(), rows.get(rows.len().saturating_sub(1)))
}

#[derive(Debug)]
pub(super) struct First;

impl AggregateFunction for First {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "first",
            names: &["first", "first by index"],
            menu: &[MenuEntry { name: "first", number: 90, text: 60, time: 70, boolean: 70 }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&First)
    }
}

impl RowFunction for First {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        at_extreme_key(input, cell.rows, Ordering::Less)
    }

    fn shortcut(&self, _aggregate: &Aggregate, is_leaf: bool) -> Shortcut {
        if is_leaf { Shortcut::FirstRow } else { Shortcut::ReadRows }
    }

    fn state_cost(&self) -> StateCost {
        StateCost::Sorting
    }

    fn build_state(
        &self,
        input: AggregateInput<'_>,
        rows: &[u32],
        _order: CellRowOrder,
    ) -> Option<Box<dyn RowState>> {
        ordered(First, input, rows)
    }
}

impl ReadOrdered for First {
    fn order_column(_input: AggregateInput<'_>) -> Option<usize> {
        None
    }

    fn read(&self, input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
        first_of(input, rows)
    }
}

#[derive(Debug)]
pub(super) struct Last;

impl AggregateFunction for Last {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "last value",
            names: &["last", "last_value", "last value"],
            menu: &[MenuEntry { name: "last", number: 180, text: 80, time: 130, boolean: 80 }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&Last)
    }
}

impl RowFunction for Last {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        cell_of(input.column(), cell.rows.last().copied())
    }

    fn follows_row_order(&self) -> bool {
        true
    }

    fn shortcut(&self, _aggregate: &Aggregate, _is_leaf: bool) -> Shortcut {
        Shortcut::LastRow
    }
}

#[derive(Debug)]
pub(super) struct LastByIndex;

impl AggregateFunction for LastByIndex {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "last by index",
            names: &["last by index"],
            menu: &[MenuEntry { name: "last by index", number: 160, text: 90, time: 120, boolean: 90 }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&LastByIndex)
    }
}

impl RowFunction for LastByIndex {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        at_extreme_key(input, cell.rows, Ordering::Greater)
    }

    fn shortcut(&self, _aggregate: &Aggregate, is_leaf: bool) -> Shortcut {
        if is_leaf { Shortcut::LastRow } else { Shortcut::ReadRows }
    }

    fn state_cost(&self) -> StateCost {
        StateCost::Sorting
    }

    fn build_state(
        &self,
        input: AggregateInput<'_>,
        rows: &[u32],
        _order: CellRowOrder,
    ) -> Option<Box<dyn RowState>> {
        ordered(LastByIndex, input, rows)
    }
}

impl ReadOrdered for LastByIndex {
    fn order_column(_input: AggregateInput<'_>) -> Option<usize> {
        None
    }

    fn read(&self, input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
        last_of(input, rows)
    }
}

#[derive(Debug)]
pub(super) struct LastMinusFirst;

impl AggregateFunction for LastMinusFirst {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "last minus first",
            names: &["last minus first"],
            menu: &[MenuEntry { name: "last minus first", number: 170, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&LastMinusFirst)
    }
}

impl RowFunction for LastMinusFirst {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        let at = |wanted| at_extreme_key(input, cell.rows, wanted);
        difference(&at(Ordering::Greater), &at(Ordering::Less))
    }

    fn state_cost(&self) -> StateCost {
        StateCost::Sorting
    }

    fn build_state(
        &self,
        input: AggregateInput<'_>,
        rows: &[u32],
        _order: CellRowOrder,
    ) -> Option<Box<dyn RowState>> {
        ordered(LastMinusFirst, input, rows)
    }
}

impl ReadOrdered for LastMinusFirst {
    fn order_column(_input: AggregateInput<'_>) -> Option<usize> {
        None
    }

    fn read(&self, input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
        difference(&last_of(input, rows), &first_of(input, rows))
    }
}
