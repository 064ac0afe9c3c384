//! Aggregates computed from a cell's rows, and the states that cells with many rows hold for them.
//!
//! Invariant: a value is a pure function of the rows in row order (ascending key within a deepest group, groups in value
//! order), so an incrementally maintained view and a rebuilt one agree by construction.
//!
//! Cost: state is built when a value is read, as a rule for the second time, and never for cells with few rows, which are
//! as quick to scan. Inserting or removing a row and reading the value then take O(log n) at most.

use std::fmt::Debug;

use super::{Aggregate, AggregateInput, CellRowOrder, CellRows};
use crate::column::Column;
use crate::types::scalar::Scalar;

/// Number of rows from which a cell may hold state. Low in tests, so that they cover cells of both kinds.
pub(crate) const MANY_ROWS: u32 = if cfg!(test) { 8 } else { 1024 };

/// The rows of one cell.
pub(crate) struct RowSet<'a> {
    /// Slots, in row order.
    pub(crate) rows: &'a [u32],
    /// Whether the cell is on a deepest row.
    pub(crate) is_leaf: bool,
}

/// An aggregate that is computed from the rows of a cell.
pub(crate) trait RowFunction: Debug + Sync {
    /// Computes the value of a cell.
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar;

    /// Returns whether the value depends on the row order; otherwise rows may come in key order.
    fn follows_row_order(&self) -> bool {
        false
    }

    /// Returns how the value is found without reading all rows, if it is.
    fn shortcut(&self, _aggregate: &Aggregate, _is_leaf: bool) -> Shortcut {
        Shortcut::ReadRows
    }

    /// For [`Shortcut::UntilDecided`]: reads the next rows, notes in `candidate` the row whose cell is the value, and
    /// returns whether no later row can change that.
    fn decide(&self, _column: &Column, _rows: &[u32], _candidate: &mut Option<u32>) -> bool {
        true
    }

    /// Updates the cached values of cells for rows inserted (`sign` 1) or removed (`sign` -1), or forgets them where
    /// these rows alone do not determine the result.
    fn update_cached(
        &self,
        values: &mut [Option<Scalar>],
        _input: AggregateInput<'_>,
        rows: CellRows<'_>,
        _sign: i32,
    ) {
        rows.indices().for_each(|cell| values[cell] = None);
    }

    /// Returns when a cell with many rows holds state.
    fn state_cost(&self) -> StateCost {
        StateCost::NoState
    }

    /// Builds the state of a cell from its rows, in row order or in key order ([`RowFunction::follows_row_order`]);
    /// `None` if there is no such state.
    fn build_state(
        &self,
        _input: AggregateInput<'_>,
        _rows: &[u32],
        _order: CellRowOrder,
    ) -> Option<Box<dyn RowState>> {
        None
    }
}

/// How a value is found without reading all rows of the cell.
#[derive(Debug)]
pub(crate) enum Shortcut {
    /// It is not.
    ReadRows,
    /// The cell of the first row, in row order.
    FirstRow,
    /// The cell of the last row, in row order.
    LastRow,
    Constant(Scalar),
    /// A row decides, usually one of the first ([`RowFunction::decide`]).
    UntilDecided,
}

/// When a cell with many rows holds state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateCost {
    /// As cheap to build as one scan of the rows, so it is built on the first read.
    OneScan,
    /// Pays off only when the value is read again.
    Sorting,
    NoState,
}

/// What a cell with many rows holds in order not to read them again.
pub(crate) trait RowState: Debug + Send + Sync {
    /// Inserts (`sign` 1) or removes (`sign` -1) rows, with their cells in the snapshot of `input`.
    fn change(&mut self, input: AggregateInput<'_>, slots: &[u32], sign: i32);

    /// Performs deferred work. Must be called before [`RowState::value`].
    fn flush(&mut self, _input: AggregateInput<'_>) {}

    /// Returns the aggregate's value. `any_row` returns some row of the cell.
    fn value(&self, input: AggregateInput<'_>, any_row: &dyn Fn() -> u32) -> Scalar;
}
