//! `max by` and `min by`: the value in the row with the greatest or the least value of a second column, the first by key
//! among several. In that column null is the smallest, before NaN.
//!
//! State of cells with many rows: their rows by the second column. Cost: O(log n) a row.

use std::cmp::Ordering;

use super::ordered_rows::{ReadOrdered, is_low, num_low, num_nan, ordered};
use super::values::cell_of;
use super::{
    AcceptedTypes, AggregateFunction, AggregateInput, AggregateSignature, CellRowOrder, MenuEntry, Method,
    NO_MENU, OutputType, RowFunction, RowSet, RowState, StateCost,
};
use crate::sorted::OrderTree;
use crate::types::scalar::Scalar;

fn from_rows(input: AggregateInput<'_>, rows: &[u32], wanted: Ordering) -> Scalar {
    let argument = input.argument();
    let best = rows.iter().copied().reduce(|best, slot| match argument.compare(slot, best) {
        Ordering::Equal if input.snapshot.compare_keys(slot, best).is_lt() => slot,
        order if order == wanted => slot,
        Ordering::Less | Ordering::Equal | Ordering::Greater => best,
    });
    cell_of(input.column(), best)
}

#[derive(Debug)]
pub(super) struct MaxBy;

impl AggregateFunction for MaxBy {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "max by",
            names: &["max by", "max_by"],
            menu: &[MenuEntry { name: "max by", number: 330, text: 150, ..NO_MENU }],
            has_argument: true,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&MaxBy)
    }
}

impl RowFunction for MaxBy {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        from_rows(input, cell.rows, Ordering::Greater)
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
        ordered(MaxBy, input, rows)
    }
}

impl ReadOrdered for MaxBy {
    fn order_column(input: AggregateInput<'_>) -> Option<usize> {
        input.aggregate.argument
    }

    fn read(&self, input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
        let argument = input.argument();
        let position = if num_low(argument, rows) == rows.len() {
            // There are only nulls and NaNs.
            0
        } else {
            let last = rows.get(rows.len() - 1).unwrap_or(0);
            // Nulls and NaNs, which precede the values, do not take part in the comparison.
            rows.partition_point(|slot| is_low(argument, slot) || argument.compare(slot, last).is_lt())
        };
        cell_of(input.column(), rows.get(position))
    }
}

#[derive(Debug)]
pub(super) struct MinBy;

impl AggregateFunction for MinBy {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "min by",
            names: &["min by", "min_by"],
            menu: &[MenuEntry { name: "min by", number: 320, text: 140, ..NO_MENU }],
            has_argument: true,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&MinBy)
    }
}

impl RowFunction for MinBy {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        from_rows(input, cell.rows, Ordering::Less)
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
        ordered(MinBy, input, rows)
    }
}

impl ReadOrdered for MinBy {
    fn order_column(input: AggregateInput<'_>) -> Option<usize> {
        input.aggregate.argument
    }

    fn read(&self, input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
        let argument = input.argument();
        let (num_nan, num_low) = (num_nan(argument, rows), num_low(argument, rows));
        cell_of(input.column(), rows.get(if num_low > num_nan { num_nan } else { 0 }))
    }
}
