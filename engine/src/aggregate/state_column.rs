//! States of an aggregate, one for each cell of a view, into which rows are inserted and from which they are retracted.

use std::any::Any;
use std::fmt::Debug;

use super::{Aggregate, AggregateInput};
use crate::types::scalar::Scalar;

/// An aggregate whose value follows from a state that rows are inserted into and retracted from.
///
/// Invariant: `change` with sign -1 undoes `change` with sign 1, unless the aggregate remembers removed rows; `merge`
/// equals inserting the rows of both.
pub(crate) trait StateFunction: Debug + Send + Sync + 'static {
    type State: Debug + Default + Clone + Send + Sync;

    /// Inserts (`sign` 1) or retracts (`sign` -1) a row.
    fn change(state: &mut Self::State, input: AggregateInput<'_>, slot: u32, sign: i32);

    /// Inserts or retracts many rows, each in its own cell.
    fn change_all(states: &mut [Self::State], input: AggregateInput<'_>, rows: CellRows<'_>, sign: i32) {
        for (slot, cell) in rows.iter() {
            Self::change(&mut states[cell], input, slot, sign);
        }
    }

    /// Adds the rows of another state.
    fn merge(state: &mut Self::State, other: &Self::State);

    /// Returns the value of a cell.
    fn finish(aggregate: &Aggregate, states: &[Self::State], cell: &dyn CellContext) -> Scalar;

    /// Returns the value that groups are sorted by.
    fn sort_value(aggregate: &Aggregate, states: &[Self::State], cell: &dyn CellContext) -> Scalar {
        Self::finish(aggregate, states, cell)
    }
}

/// Rows and the cell of each, numbered relative to `first`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CellRows<'a> {
    pub(crate) slots: &'a [u32],
    pub(crate) cells: &'a [u32],
    pub(crate) first: u32,
}

impl CellRows<'_> {
    /// The rows, each with the index of its state.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, usize)> + '_ {
        self.slots.iter().copied().zip(self.indices())
    }

    /// The index of each row's state.
    pub(crate) fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        self.cells.iter().map(|&cell| (cell - self.first) as usize)
    }
}

/// The cell that is read, and those it is related to.
pub(crate) trait CellContext {
    fn cell(&self) -> u32;
    fn num_rows(&self, cell: u32) -> u32;
    /// Returns whether this is the grand total.
    fn is_total(&self) -> bool;
    /// Returns the cell of the grand total.
    fn total(&self) -> u32;
    /// Returns whether the cell is on a deepest row.
    fn is_leaf(&self) -> bool;
    /// Returns the cell of the group above: above the split value, if there is one.
    fn parent(&self) -> Option<u32>;
    /// Calls `visit` for the cells of the row groups directly below, under the same split value.
    fn each_child(&self, visit: &mut dyn FnMut(u32));
}

/// The states of one aggregate of a view, by cell.
pub(crate) trait StateColumn: Debug + Send + Sync {
    /// Bytes of the state of one cell.
    fn cell_bytes(&self) -> usize;

    fn resize(&mut self, len: usize);

    /// Empties the state of a cell, which may be new.
    fn reset(&mut self, cell: u32);

    /// Inserts (`sign` 1) or retracts (`sign` -1) rows.
    fn change(&mut self, input: AggregateInput<'_>, rows: CellRows<'_>, sign: i32);

    /// Merges consecutive cells, starting at `first`, into the cells listed in `into`.
    fn merge_up(&mut self, first: u32, into: &[u32]);

    /// Merges the states of a part of the rows, whose cells start at `first`.
    fn merge_part(&mut self, first: u32, part: Box<dyn StateColumn>);

    fn value(&mut self, aggregate: &Aggregate, cell: &dyn CellContext) -> Scalar;

    fn sort_value(&mut self, aggregate: &Aggregate, cell: &dyn CellContext) -> Scalar;

    /// Returns whether [`StateColumn::change_parents`] must be called.
    fn follows_children(&self) -> bool {
        false
    }

    /// Called for each cell that changes, with the cell above it: before the change with sign -1, and after it with sign
    /// 1. Only for cells that have rows at the time.
    fn change_parents(&mut self, _children: &[(u32, u32)], _num_rows: &[u32], _sign: i32) {}

    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// The states of one function, as a plain vector.
#[derive(Debug)]
pub(crate) struct StatesOf<F: StateFunction>(pub(super) Vec<F::State>);

impl<F: StateFunction> StatesOf<F> {
    /// Creates states for no cells.
    pub(super) fn boxed() -> Box<dyn StateColumn> {
        Box::new(StatesOf::<F>(Vec::new()))
    }
}

impl<F: StateFunction> StateColumn for StatesOf<F> {
    fn cell_bytes(&self) -> usize {
        size_of::<F::State>()
    }

    fn resize(&mut self, len: usize) {
        self.0.resize(len, F::State::default());
    }

    fn reset(&mut self, cell: u32) {
        let cell = cell as usize;
        if cell >= self.0.len() {
            self.0.resize(cell + 1, F::State::default());
        }
        self.0[cell] = F::State::default();
    }

    fn change(&mut self, input: AggregateInput<'_>, rows: CellRows<'_>, sign: i32) {
        F::change_all(&mut self.0, input, rows, sign);
    }

    fn merge_up(&mut self, first: u32, into: &[u32]) {
        for (from, &into) in (first as usize..).zip(into) {
            let other = self.0[from].clone();
            F::merge(&mut self.0[into as usize], &other);
        }
    }

    fn merge_part(&mut self, first: u32, part: Box<dyn StateColumn>) {
        let part = part.into_any().downcast::<Self>().expect("all parts are of one aggregate");
        for (state, part) in self.0[first as usize..].iter_mut().zip(part.0) {
            F::merge(state, &part);
        }
    }

    fn value(&mut self, aggregate: &Aggregate, cell: &dyn CellContext) -> Scalar {
        F::finish(aggregate, &self.0, cell)
    }

    fn sort_value(&mut self, aggregate: &Aggregate, cell: &dyn CellContext) -> Scalar {
        F::sort_value(aggregate, &self.0, cell)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
