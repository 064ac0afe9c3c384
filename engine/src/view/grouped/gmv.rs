//! Gross market value: on a deepest row the plain sum; above it, the sum of the absolute sums of its child groups.
//!
//! Cost: a cell with many rows stores the sum, from which a child group whose sum changes retracts the old part and
//! inserts the new one, in O(1) per row of the delta. The sum is computed on the first read.

use super::Grouped;
use crate::types::scalar::Scalar;
use crate::view::aggregate::AggregateKind;
use crate::view::aggregate_state::{AggregateState, MANY_ROWS};
use crate::view::sums::{Number, Sum};

impl Grouped {
    pub(super) fn gmv(&mut self, aggregate: usize, row_node: u32, split_node: u32, cell: u32) -> Scalar {
        let is_leaf = self.rows.node(row_node).depth as usize == self.plan.levels.len();
        let total = if is_leaf {
            self.sum(aggregate, cell).finite()
        } else if let Some(AggregateState::Gmv(gmv)) = self.cells.state(cell, aggregate) {
            gmv.float()
        } else {
            let mut gmv = Sum::default();
            for child in self.rows.node(row_node).children.iter() {
                if let Some(child) = self.cell_at(child, split_node) {
                    gmv.change(self.gmv_part(aggregate, child), 1);
                }
            }
            if self.cells.num_rows(cell) >= MANY_ROWS {
                self.cells.set_state(cell, aggregate, AggregateState::Gmv(gmv));
            }
            gmv.float()
        };
        if self.is_float(aggregate) { Scalar::Float(total) } else { Scalar::Int(total as i64) }
    }

    /// Returns the part that a child group contributes.
    fn gmv_part(&self, aggregate: usize, cell: u32) -> Number {
        Number::Float(self.sum(aggregate, cell).finite().abs())
    }

    /// Inserts (`sign` 1) the part of `cell` into the state of `parent`, or retracts it (`sign` -1) before the cell
    /// changes. A cell without rows contributes nothing.
    pub(super) fn change_gmv(&mut self, parent: Option<u32>, cell: u32, sign: i32) {
        let Some(parent) = parent.filter(|_| self.cells.num_rows(cell) > 0) else { return };
        for aggregate in 0..self.plan.aggregates.len() {
            if self.plan.aggregates[aggregate].kind != AggregateKind::Gmv {
                continue;
            }
            let part = self.gmv_part(aggregate, cell);
            if let Some(AggregateState::Gmv(gmv)) = self.cells.state_mut(parent, aggregate) {
                gmv.change(part, sign);
            }
        }
    }
}
