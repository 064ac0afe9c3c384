//! The values of a grouped view's cells.

use super::Grouped;
use crate::aggregate::CellContext;
use crate::types::scalar::Scalar;
use crate::view::cells::{CellIndex, TOTAL_CELL};
use crate::view::tree::{ROOT, Tree};

impl Grouped {
    /// Returns the values that a row shows in one block.
    pub(in crate::view) fn shown_values(&mut self, row_node: u32, split_node: u32) -> Vec<Scalar> {
        (0..self.plan.columns.len()).map(|shown| self.value(shown, row_node, split_node)).collect()
    }

    /// Returns the value of an aggregate in the cell of a row group and a split value.
    pub(in crate::view) fn value(&mut self, aggregate: usize, row_node: u32, split_node: u32) -> Scalar {
        self.value_or_sort_value(aggregate, row_node, split_node, false)
    }

    /// Returns the value that groups are sorted by.
    pub(super) fn sort_value(&mut self, aggregate: usize, row_node: u32, split_node: u32) -> Scalar {
        self.value_or_sort_value(aggregate, row_node, split_node, true)
    }

    fn value_or_sort_value(
        &mut self,
        aggregate: usize,
        row_node: u32,
        split_node: u32,
        is_for_sort: bool,
    ) -> Scalar {
        let Some(cell) = self.cell_at(row_node, split_node) else { return Scalar::Null };
        let of = &self.plan.aggregates[aggregate];
        if self.snapshot.num_rows() == 0 {
            return of.function.value_of_empty_table(of, (row_node, split_node) == (ROOT, ROOT));
        }
        match self.cells.states(aggregate, cell) {
            Ok((states, index)) => {
                let is_leaf = self.rows.node(row_node).depth as usize == self.plan.levels.len();
                let (rows, splits) = (&self.rows, &self.splits);
                let context = GroupCell { rows, splits, index, row_node, split_node, cell, is_leaf };
                if is_for_sort { states.sort_value(of, &context) } else { states.value(of, &context) }
            }
            Err(Some(cached)) => cached.clone(),
            Err(None) => {
                let value = self.compute(aggregate, row_node, split_node, cell);
                self.cells.remember(aggregate, cell, value.clone());
                value
            }
        }
    }
}

/// A cell among those of its row group and split value.
struct GroupCell<'a> {
    rows: &'a Tree,
    splits: &'a Tree,
    index: CellIndex<'a>,
    row_node: u32,
    split_node: u32,
    cell: u32,
    is_leaf: bool,
}

impl GroupCell<'_> {
    fn at(&self, row_node: u32, split_node: u32) -> Option<u32> {
        match (row_node, split_node) {
            (_, ROOT) => Some(self.rows.node(row_node).cell),
            (ROOT, _) => Some(self.splits.node(split_node).cell),
            (_, _) => self.index.find(row_node, split_node),
        }
    }
}

impl CellContext for GroupCell<'_> {
    fn cell(&self) -> u32 {
        self.cell
    }

    fn num_rows(&self, cell: u32) -> u32 {
        self.index.num_rows(cell)
    }

    fn is_total(&self) -> bool {
        (self.row_node, self.split_node) == (ROOT, ROOT)
    }

    fn total(&self) -> u32 {
        TOTAL_CELL
    }

    fn is_leaf(&self) -> bool {
        self.is_leaf
    }

    fn parent(&self) -> Option<u32> {
        match (self.row_node, self.split_node) {
            (ROOT, ROOT) => None,
            (row_node, ROOT) => self.at(self.rows.node(row_node).parent, ROOT),
            (row_node, split_node) => self.at(row_node, self.splits.node(split_node).parent),
        }
    }

    fn each_child(&self, visit: &mut dyn FnMut(u32)) {
        let children = self.rows.node(self.row_node).children.iter();
        children.filter_map(|child| self.at(child, self.split_node)).for_each(visit);
    }
}
