//! Aggregates of truth: `any` and `or` are the first truthy value, failing that the first one that is not null; `and` is
//! whether all rows are truthy.
//!
//! Cost: `any` reads rows until one is truthy, usually one of the first. State of cells with many rows: their rows with a
//! value, truthy ones first, O(log n) a row; for `and` the number of falsy rows, O(1) a row.

use std::cmp::Ordering;

use super::ordered_rows::change_tree;
use super::values::cell_of;
use super::{
    AcceptedTypes, Aggregate, AggregateFunction, AggregateInput, AggregateSignature, CellRowOrder, MenuEntry,
    Method, NO_MENU, OutputType, RowFunction, RowSet, RowState, Shortcut, StateCost,
};
use crate::column::Column;
use crate::sorted::OrderTree;
use crate::types::scalar::Scalar;
use crate::types::schema::Storage;

/// Returns whether a cell is not null, zero, false or the epoch. Text is truthy even when empty, and so is NaN.
fn is_truthy(column: &Column, slot: u32) -> bool {
    if let Column::Str(..) = column {
        column.is_valid(slot)
    } else {
        column.number(slot).is_some_and(|value| value != 0.0)
    }
}

#[derive(Debug)]
pub(super) struct Any;

impl AggregateFunction for Any {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "any",
            names: &["any"],
            menu: &[MenuEntry { name: "any", number: 30, text: 20, time: 20, boolean: 30 }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&FirstTruthy)
    }
}

#[derive(Debug)]
pub(super) struct Or;

impl AggregateFunction for Or {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "or",
            names: &["or"],
            menu: &[MenuEntry { name: "or", boolean: 100, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&FirstTruthy)
    }
}

#[derive(Debug)]
struct FirstTruthy;

impl RowFunction for FirstTruthy {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        let mut candidate = None;
        self.decide(input.column(), cell.rows, &mut candidate);
        cell_of(input.column(), candidate)
    }

    fn follows_row_order(&self) -> bool {
        true
    }

    fn shortcut(&self, _aggregate: &Aggregate, _is_leaf: bool) -> Shortcut {
        Shortcut::UntilDecided
    }

    fn decide(&self, column: &Column, rows: &[u32], candidate: &mut Option<u32>) -> bool {
        let truthy = rows.iter().copied().find(|&slot| {
            if candidate.is_none() && column.is_valid(slot) {
                *candidate = Some(slot);
            }
            is_truthy(column, slot)
        });
        if truthy.is_some() {
            *candidate = truthy;
        }
        truthy.is_some()
    }

    fn state_cost(&self) -> StateCost {
        StateCost::Sorting
    }

    fn build_state(
        &self,
        input: AggregateInput<'_>,
        rows: &[u32],
        order: CellRowOrder,
    ) -> Option<Box<dyn RowState>> {
        let column = input.column();
        let valid = rows.iter().copied().filter(|&slot| column.is_valid(slot));
        let (mut rows, falsy): (Vec<u32>, Vec<u32>) = valid.partition(|&slot| is_truthy(column, slot));
        rows.extend(falsy);
        Some(Box::new(TruthyFirst { order, rows: OrderTree::from_sorted(rows) }))
    }
}

/// The rows with a value: truthy ones first, then in row order.
#[derive(Debug)]
struct TruthyFirst {
    order: CellRowOrder,
    rows: OrderTree,
}

impl RowState for TruthyFirst {
    fn change(&mut self, input: AggregateInput<'_>, slots: &[u32], sign: i32) {
        let column = input.column();
        let compare = |left: u32, right: u32| -> Ordering {
            let is_falsy = |slot| !is_truthy(column, slot);
            is_falsy(left).cmp(&is_falsy(right)).then_with(|| self.order.compare(input.snapshot, left, right))
        };
        let valid: Vec<u32> = slots.iter().copied().filter(|&slot| column.is_valid(slot)).collect();
        change_tree(&mut self.rows, &valid, sign, compare);
    }

    fn value(&self, input: AggregateInput<'_>, _any_row: &dyn Fn() -> u32) -> Scalar {
        cell_of(input.column(), self.rows.get(0))
    }
}

#[derive(Debug)]
pub(super) struct And;

impl AggregateFunction for And {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "and",
            names: &["and"],
            menu: &[MenuEntry { name: "and", boolean: 20, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Always(Storage::Bool),
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&And)
    }
}

impl RowFunction for And {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        Scalar::Bool(cell.rows.iter().all(|&slot| is_truthy(input.column(), slot)))
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
        Some(Box::new(FalsyRows { num_falsy: num_falsy(input.column(), rows) }))
    }
}

fn num_falsy(column: &Column, rows: &[u32]) -> u32 {
    rows.iter().filter(|&&slot| !is_truthy(column, slot)).count() as u32
}

#[derive(Debug)]
struct FalsyRows {
    /// Number of rows that are null, zero, false or the epoch.
    num_falsy: u32,
}

impl RowState for FalsyRows {
    fn change(&mut self, input: AggregateInput<'_>, slots: &[u32], sign: i32) {
        let change = sign * num_falsy(input.column(), slots) as i32;
        self.num_falsy = self.num_falsy.wrapping_add_signed(change);
    }

    fn value(&self, _input: AggregateInput<'_>, _any_row: &dyn Fn() -> u32) -> Scalar {
        Scalar::Bool(self.num_falsy == 0)
    }
}
