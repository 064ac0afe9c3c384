//! Gross market value: on a deepest row the plain sum, above it the absolute sums of the groups right below.
//!
//! Law: above, a cell with many rows keeps the sum, and a group below whose sum changes takes the old one back and gives
//! the new one: O(1) a row of the delta. The sum is made when somebody looks for the first time.

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
        } else if let Some(AggregateState::Gross(gmv)) = self.cells.kept(cell, aggregate) {
            gmv.float()
        } else {
            let mut gmv = Sum::default();
            for child in self.rows.node(row_node).children.iter() {
                if let Some(child) = self.cell_at(child, split_node) {
                    gmv.change(self.gross_part(aggregate, child), 1);
                }
            }
            if self.cells.num_rows(cell) >= MANY_ROWS {
                self.cells.keep(cell, aggregate, AggregateState::Gross(gmv));
            }
            gmv.float()
        };
        if self.is_float(aggregate) { Scalar::Float(total) } else { Scalar::Int(total as i64) }
    }

    /// What a group right below gives.
    fn gross_part(&self, aggregate: usize, cell: u32) -> Number {
        Number::Float(self.sum(aggregate, cell).finite().abs())
    }

    /// `cell` gives (`sign` 1) what it has to `parent`, or takes it back (`sign` -1) before it changes. Without rows
    /// there is nothing to give.
    pub(super) fn change_gross(&mut self, parent: Option<u32>, cell: u32, sign: i32) {
        let Some(parent) = parent.filter(|_| self.cells.num_rows(cell) > 0) else { return };
        for aggregate in 0..self.plan.aggregates.len() {
            if self.plan.aggregates[aggregate].kind != AggregateKind::Gmv {
                continue;
            }
            let part = self.gross_part(aggregate, cell);
            if let Some(AggregateState::Gross(gmv)) = self.cells.kept_mut(parent, aggregate) {
                gmv.change(part, sign);
            }
        }
    }
}
