//! Gross market value: on a deepest row the plain sum; above it, the sum of the absolute sums of its child groups.
//!
//! State: that of `sum`; cells with many rows also keep the sum over their child groups, computed on the first read. A
//! child group whose sum changes retracts its old part from it and inserts the new one. Cost: O(1) a row; a read of a
//! cell with few rows costs O(child groups).

use std::any::Any;

use hashbrown::HashMap;

use super::sum::OverTotals;
use super::sums::{Number, Total};
use super::{
    AcceptedTypes, Aggregate, AggregateFunction, AggregateInput, AggregateSignature, CellContext, CellRows,
    MANY_ROWS, MenuEntry, Method, NO_MENU, OutputType, StateColumn, StatesOf,
};
use crate::types::scalar::Scalar;

#[derive(Debug)]
pub(super) struct Gmv;

impl AggregateFunction for Gmv {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "gmv",
            names: &["gmv"],
            menu: &[MenuEntry { name: "gmv", number: 100, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Numbers,
            output: OutputType::Total,
        }
    }

    fn method(&self) -> Method {
        Method::States(|| {
            Box::new(GrossValues { totals: StatesOf(Vec::new()), over_children: HashMap::default() })
        })
    }
}

impl OverTotals for Gmv {
    /// The value of a deepest row.
    fn finish(aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar {
        shown(aggregate, totals[cell.cell() as usize].finite())
    }
}

fn shown(aggregate: &Aggregate, total: f64) -> Scalar {
    if aggregate.is_float() { Scalar::Float(total) } else { Scalar::Int(total as i64) }
}

#[derive(Debug)]
struct GrossValues {
    totals: StatesOf<Gmv>,
    /// By cell with many rows that was read: the sum of the parts of its child groups.
    over_children: HashMap<u32, Total, ahash::RandomState>,
}

impl GrossValues {
    /// Returns what a child group contributes.
    fn part(&self, child: u32) -> Number {
        Number::Float(self.totals.0[child as usize].finite().abs())
    }
}

impl StateColumn for GrossValues {
    fn cell_bytes(&self) -> usize {
        self.totals.cell_bytes()
    }

    fn resize(&mut self, len: usize) {
        self.totals.resize(len);
    }

    fn reset(&mut self, cell: u32) {
        self.totals.reset(cell);
        self.over_children.remove(&cell);
    }

    fn change(&mut self, input: AggregateInput<'_>, rows: CellRows<'_>, sign: i32) {
        self.totals.change(input, rows, sign);
    }

    fn merge_up(&mut self, first: u32, into: &[u32]) {
        self.totals.merge_up(first, into);
    }

    fn merge_part(&mut self, first: u32, part: Box<dyn StateColumn>) {
        let part = part.into_any().downcast::<Self>().expect("all parts are of one aggregate");
        self.totals.merge_part(first, Box::new(part.totals));
    }

    fn value(&mut self, aggregate: &Aggregate, cell: &dyn CellContext) -> Scalar {
        if cell.is_leaf() {
            return self.totals.value(aggregate, cell);
        }
        if let Some(total) = self.over_children.get(&cell.cell()) {
            return shown(aggregate, total.float());
        }
        let mut total = Total::default();
        cell.each_child(&mut |child| total.change(self.part(child), 1));
        if cell.num_rows(cell.cell()) >= MANY_ROWS {
            self.over_children.insert(cell.cell(), total);
        }
        shown(aggregate, total.float())
    }

    fn sort_value(&mut self, aggregate: &Aggregate, cell: &dyn CellContext) -> Scalar {
        self.value(aggregate, cell)
    }

    fn follows_children(&self) -> bool {
        true
    }

    fn change_parents(&mut self, children: &[(u32, u32)], num_rows: &[u32], sign: i32) {
        for &(child, parent) in children {
            let part = self.part(child);
            if let Some(total) = self.over_children.get_mut(&parent) {
                total.change(part, sign);
            }
        }
        // Hysteresis: well below the limit, so that a cell at the limit does not compute and drop it alternately.
        if sign > 0 {
            self.over_children.retain(|&cell, _| num_rows[cell as usize] >= MANY_ROWS / 4);
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
