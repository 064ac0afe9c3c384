//! The rows of a grouped view's cells, for aggregates computed from rows and for their keys.
//!
//! Invariant: aggregate state is used where a cell has it; rows are gathered only otherwise.

use hashbrown::HashMap;

use super::{Grouped, Path};
use crate::aggregate::{AggregateInput, CellRowOrder, MANY_ROWS, RowFunction, RowSet, Shortcut, StateCost};
use crate::interrupt::checkpoint;
use crate::parallel::Threads;
use crate::types::scalar::Scalar;
use crate::view::tree::ROOT;

/// Number of rows read before asking whether they decide the value.
const ROWS_AT_ONCE: usize = if cfg!(test) { 2 } else { 16 };

impl Grouped {
    /// Computes an aggregate that needs rows, from the cell's state or by reading the rows.
    pub(super) fn compute(&mut self, aggregate: usize, row_node: u32, split_node: u32, cell: u32) -> Scalar {
        checkpoint();
        let (plan, snapshot) = (self.plan.clone(), self.snapshot.clone());
        let input = AggregateInput { aggregate: &plan.aggregates[aggregate], snapshot: &snapshot };
        if let Some(state) = self.cells.state_mut(cell, aggregate) {
            state.flush(input);
        }
        if let Some(state) = self.cells.state(cell, aggregate) {
            let any_row = || self.edge_row(row_node, split_node, false).unwrap_or(0);
            return state.value(input, &any_row);
        }
        let function = self.cells.row_function(aggregate).expect("aggregates with states are not computed");
        let is_leaf = self.rows.node(row_node).depth == plan.levels.len() as u32;
        let edge = |is_last: bool| {
            let slot = self.edge_row(row_node, split_node, is_last);
            slot.map_or(Scalar::Null, |slot| input.column().scalar(slot))
        };
        match function.shortcut(input.aggregate, is_leaf) {
            Shortcut::ReadRows => {}
            Shortcut::FirstRow => return edge(false),
            Shortcut::LastRow => return edge(true),
            Shortcut::Constant(value) => return value,
            Shortcut::UntilDecided => {
                let (value, num_read) = self.first_deciding(function, input, row_node, split_node);
                if num_read < MANY_ROWS as usize || !self.cells.is_read_again(cell, aggregate) {
                    return value;
                }
            }
        }
        let has_state = self.cells.num_rows(cell) >= MANY_ROWS
            && match function.state_cost() {
                StateCost::OneScan => true,
                StateCost::Sorting => self.cells.is_read_again(cell, aggregate),
                StateCost::NoState => false,
            };
        if has_state {
            let rows = if function.follows_row_order() {
                self.rows_by_leaf(row_node, split_node)
            } else {
                self.rows_by_key(row_node, split_node)
            };
            let order = CellRowOrder::new(&plan.levels[self.rows.node(row_node).depth as usize..]);
            if let Some(mut state) = function.build_state(input, &rows, order) {
                state.flush(input);
                let value = state.value(input, &|| rows[0]);
                self.cells.set_state(cell, aggregate, state);
                return value;
            }
        }
        // The filter yields all rows in key order, which suffices for most aggregates.
        let is_total = (row_node, split_node) == (ROOT, ROOT);
        let rows = if is_total && !function.follows_row_order() {
            plan.filter.select(&snapshot, Threads::ONE)
        } else {
            self.rows_by_leaf(row_node, split_node)
        };
        function.compute(input, &RowSet { rows: &rows, is_leaf })
    }

    /// Reads rows in row order until they decide the value; returns it with the number of rows read.
    fn first_deciding(
        &self,
        function: &dyn RowFunction,
        input: AggregateInput<'_>,
        row_node: u32,
        split_node: u32,
    ) -> (Scalar, usize) {
        let mut rows = self.each_row(row_node, split_node);
        let (mut candidate, mut num_read) = (None, 0);
        let mut part = [0; ROWS_AT_ONCE];
        loop {
            let mut len = 0;
            for (place, row) in part.iter_mut().zip(&mut rows) {
                *place = row;
                len += 1;
            }
            num_read += len;
            if len == 0 || function.decide(input.column(), &part[..len], &mut candidate) {
                let value = candidate.map_or(Scalar::Null, |slot| input.column().scalar(slot));
                return (value, num_read);
            }
        }
    }

    /// As [`Grouped::rows_by_leaf`], lazily.
    fn each_row(&self, row_node: u32, split_node: u32) -> impl Iterator<Item = u32> {
        let depth = self.plan.levels.len() as u32;
        let mut levels: Vec<Box<dyn Iterator<Item = u32> + '_>> = vec![Box::new(std::iter::once(row_node))];
        let leaves = std::iter::from_fn(move || {
            loop {
                match levels.last_mut()?.next() {
                    Some(node) if self.rows.node(node).depth == depth => return Some(node),
                    Some(node) => levels.push(self.rows.children_by_value(node)),
                    None => drop(levels.pop()),
                }
            }
        });
        let row_set = move |leaf| Some(self.cells.row_set(self.cell_at(leaf, split_node)?).iter());
        leaves.filter_map(row_set).flatten()
    }

    /// Returns the rows of a cell, leaf by leaf.
    fn rows_by_leaf(&self, row_node: u32, split_node: u32) -> Vec<u32> {
        let mut rows = Vec::new();
        self.rows.each_at_depth(row_node, self.plan.levels.len() as u32, &mut |leaf| {
            if let Some(cell) = self.cell_at(leaf, split_node) {
                rows.extend(self.cells.row_set(cell).iter());
            }
        });
        rows
    }

    /// Returns the rows of a cell in key order.
    fn rows_by_key(&self, row_node: u32, split_node: u32) -> Vec<u32> {
        if (row_node, split_node) == (ROOT, ROOT) {
            return self.plan.filter.select(&self.snapshot, Threads::ONE);
        }
        let mut rows = self.rows_by_leaf(row_node, split_node);
        if self.rows.node(row_node).depth < self.plan.levels.len() as u32 {
            rows.sort_unstable_by(|&left, &right| self.snapshot.compare_keys(left, right));
        }
        rows
    }

    /// Returns the first row of the first leaf of a cell, or the last row of the last leaf.
    fn edge_row(&self, row_node: u32, split_node: u32, is_last: bool) -> Option<u32> {
        if self.rows.node(row_node).depth as usize == self.plan.levels.len() {
            let row_set = self.cells.row_set(self.cell_at(row_node, split_node)?);
            return row_set.get(if is_last { row_set.len().checked_sub(1)? } else { 0 });
        }
        let edge_of = |child: u32| {
            self.cell_at(child, split_node)?;
            self.edge_row(child, split_node, is_last)
        };
        if !self.rows.is_sorted() {
            // Siblings are in value order: one child is read, unless it has no row under the split value.
            let children = &self.rows.node(row_node).children;
            if !is_last {
                return children.iter().find_map(edge_of);
            }
            return (0..children.len()).rev().find_map(|position| edge_of(children.get(position)?));
        }
        // Siblings sorted by aggregates are sorted by value first. Storing a second order of all groups for this case
        // alone would cost every view memory.
        let mut children: Vec<u32> = self.rows.children_by_value(row_node).collect();
        if is_last {
            children.reverse();
        }
        children.into_iter().find_map(edge_of)
    }

    /// Returns the slots of all rows under each of `nodes`, in key order: from the row sets if the view stores them,
    /// otherwise by one pass over the table.
    pub(in crate::view) fn slots_under(&self, nodes: &[u32]) -> Vec<Vec<u32>> {
        if self.cells.has_row_sets() {
            return nodes.iter().map(|&node| self.rows_by_key(node, ROOT)).collect();
        }
        let mut positions: HashMap<u32, Vec<usize>, ahash::RandomState> = HashMap::default();
        for (position, &node) in nodes.iter().enumerate() {
            positions.entry(node).or_default().push(position);
        }
        let mut slots = vec![Vec::new(); nodes.len()];
        let mut path = Path::default();
        for slot in self.snapshot.order().iter_from(0) {
            if self.plan.filter.keeps(&self.snapshot, slot) {
                self.known_path(&self.snapshot, slot, &mut path);
                for node in &path.rows {
                    for &position in positions.get(node).into_iter().flatten() {
                        slots[position].push(slot);
                    }
                }
            }
        }
        slots
    }
}
