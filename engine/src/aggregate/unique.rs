//! The value that all rows have: `unique` is null if they have several; `distinct leaf` is so only on deepest rows, and
//! empty text instead of null in text columns.
//!
//! State of cells with many rows: [`ValueCounts`]. Cost: O(1) a row.

use super::value_counts::ValueCounts;
use super::{
    AcceptedTypes, Aggregate, AggregateFunction, AggregateInput, AggregateSignature, CellRowOrder, MenuEntry,
    Method, OutputType, RowFunction, RowSet, RowState, Shortcut, StateCost,
};
use crate::column::Column;
use crate::types::scalar::Scalar;
use crate::types::schema::Storage;

fn unique(column: &Column, rows: &[u32]) -> Scalar {
    let Some((&first, rest)) = rows.split_first() else { return Scalar::Null };
    let bits = column.bits(first);
    if rest.iter().all(|&slot| column.bits(slot) == bits) { column.scalar(first) } else { Scalar::Null }
}

#[derive(Debug)]
pub(super) struct Unique;

impl AggregateFunction for Unique {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "unique",
            names: &["unique"],
            menu: &[MenuEntry { name: "unique", number: 290, text: 130, time: 170, boolean: 110 }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&Unique)
    }
}

impl RowFunction for Unique {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        unique(input.column(), cell.rows)
    }

    fn state_cost(&self) -> StateCost {
        StateCost::OneScan
    }

    fn build_state(
        &self,
        input: AggregateInput<'_>,
        rows: &[u32],
        _order: CellRowOrder,
    ) -> Option<Box<dyn RowState>> {
        Some(Box::new(OneValue { counts: ValueCounts::new(input, rows), of_several: Scalar::Null }))
    }
}

#[derive(Debug)]
pub(super) struct DistinctLeaf;

/// Returns the result of `distinct leaf` for rows with several values.
fn not_one(aggregate: &Aggregate) -> Scalar {
    if aggregate.input == Storage::Utf8 { Scalar::from("") } else { Scalar::Null }
}

impl AggregateFunction for DistinctLeaf {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "distinct leaf",
            names: &["distinct leaf", "distinct_leaf"],
            menu: &[MenuEntry { name: "distinct leaf", number: 70, text: 40, time: 50, boolean: 50 }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&DistinctLeaf)
    }
}

impl RowFunction for DistinctLeaf {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        let column = input.column();
        let value = unique(column, cell.rows);
        let is_of_several = value.is_null() && cell.rows.iter().any(|&slot| column.is_valid(slot));
        if !cell.is_leaf || is_of_several { not_one(input.aggregate) } else { value }
    }

    fn shortcut(&self, aggregate: &Aggregate, is_leaf: bool) -> Shortcut {
        if is_leaf { Shortcut::ReadRows } else { Shortcut::Constant(not_one(aggregate)) }
    }

    fn state_cost(&self) -> StateCost {
        StateCost::OneScan
    }

    fn build_state(
        &self,
        input: AggregateInput<'_>,
        rows: &[u32],
        _order: CellRowOrder,
    ) -> Option<Box<dyn RowState>> {
        Some(Box::new(OneValue {
            counts: ValueCounts::new(input, rows),
            of_several: not_one(input.aggregate),
        }))
    }
}

#[derive(Debug)]
struct OneValue {
    counts: ValueCounts,
    /// The value of rows with several ones.
    of_several: Scalar,
}

impl RowState for OneValue {
    fn change(&mut self, input: AggregateInput<'_>, slots: &[u32], sign: i32) {
        self.counts.change(input, slots, sign);
    }

    fn value(&self, input: AggregateInput<'_>, any_row: &dyn Fn() -> u32) -> Scalar {
        if self.counts.is_one_value(input.column()) {
            input.column().scalar(any_row())
        } else {
            self.of_several.clone()
        }
    }
}
