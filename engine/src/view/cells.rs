//! The cells of a pivot: one per pair of row group and split value that share a row.
//!
//! Invariant: a cell exists while it has a row (the grand total always); its number is its index into every aggregate's
//! states.

use std::ops::Range;

use ahash::RandomState;
use hashbrown::HashMap;

use super::held_by_cells::HeldByCells;
use super::tree::ROOT;
use crate::aggregate::{
    Aggregate, AggregateInput, CellRows, MANY_ROWS, Method, RowFunction, RowState, StateColumn,
};
use crate::parallel::Threads;
use crate::sorted::OrderTree;
use crate::storage::Snapshot;
use crate::types::scalar::Scalar;

/// The cell of the grand total.
pub(super) const TOTAL_CELL: u32 = 0;

#[derive(Debug)]
pub(super) struct CellTable {
    num_rows: Vec<u32>,
    owners: Vec<(u32, u32)>,
    /// The row sets of cells on deepest rows, in key order; empty unless an aggregate needs rows.
    row_sets: Vec<OrderTree>,
    has_row_sets: bool,
    free: Vec<u32>,
    /// Only cells of a split column; a row group's own cell is stored in its node.
    by_owner: HashMap<(u32, u32), u32, RandomState>,
    columns: Vec<AggregateColumn>,
    /// By cell: what aggregates hold where there are many rows.
    row_states: HashMap<u32, Vec<RowStateSlot>, RandomState>,
    held: HeldByCells,
}

/// The position of an aggregate and its state; `None` records that the value was read once.
type RowStateSlot = (usize, Option<Box<dyn RowState>>);

/// What the view keeps of one aggregate, by cell.
#[derive(Debug)]
enum AggregateColumn {
    States(Box<dyn StateColumn>),
    /// Computed from rows on demand; `None` if a row changed since.
    Cached(&'static dyn RowFunction, Vec<Option<Scalar>>),
}

impl AggregateColumn {
    fn new(aggregate: &Aggregate) -> AggregateColumn {
        match aggregate.function.method() {
            Method::States(new) => AggregateColumn::States(new()),
            Method::Rows(function) => AggregateColumn::Cached(function, Vec::new()),
        }
    }

    fn resize(&mut self, len: usize) {
        match self {
            AggregateColumn::States(states) => states.resize(len),
            AggregateColumn::Cached(_, values) => values.resize(len, None),
        }
    }

    fn cell_bytes(&self) -> usize {
        match self {
            AggregateColumn::States(states) => states.cell_bytes(),
            AggregateColumn::Cached(..) => size_of::<Option<Scalar>>(),
        }
    }

    fn reset(&mut self, cell: u32) {
        match self {
            AggregateColumn::States(states) => states.reset(cell),
            AggregateColumn::Cached(_, values) => {
                let cell = cell as usize;
                if cell >= values.len() {
                    values.resize(cell + 1, None);
                }
                values[cell] = None;
            }
        }
    }

    /// Inserts rows into cells of which no value was read yet.
    fn fill(&mut self, input: AggregateInput<'_>, rows: CellRows<'_>) {
        match self {
            AggregateColumn::States(states) => states.change(input, rows, 1),
            AggregateColumn::Cached(..) => {}
        }
    }
}

/// The cells that a value depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct CellIndex<'a> {
    num_rows: &'a [u32],
    by_owner: &'a HashMap<(u32, u32), u32, RandomState>,
}

impl CellIndex<'_> {
    pub(super) fn find(&self, row_node: u32, column_node: u32) -> Option<u32> {
        self.by_owner.get(&(row_node, column_node)).copied()
    }

    pub(super) fn num_rows(&self, cell: u32) -> u32 {
        self.num_rows[cell as usize]
    }
}

/// Rows inserted into or removed from cells, in order; a row occurs once for each of its cells.
#[derive(Debug, Default)]
pub(super) struct CellChanges {
    slots: Vec<u32>,
    cells: Vec<u32>,
}

impl CellChanges {
    pub(super) fn push(&mut self, cell: u32, slot: u32) {
        self.slots.push(slot);
        self.cells.push(cell);
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.cells.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

impl CellTable {
    pub(super) fn new(aggregates: &[Aggregate]) -> CellTable {
        let columns: Vec<AggregateColumn> = aggregates.iter().map(AggregateColumn::new).collect();
        let mut cells = CellTable {
            num_rows: Vec::new(),
            owners: Vec::new(),
            row_sets: Vec::new(),
            has_row_sets: columns.iter().any(|column| matches!(column, AggregateColumn::Cached(..))),
            free: Vec::new(),
            by_owner: HashMap::default(),
            columns,
            row_states: HashMap::default(),
            held: HeldByCells::default(),
        };
        let total = cells.make(ROOT, ROOT);
        debug_assert_eq!(total, TOTAL_CELL);
        cells
    }

    pub(super) fn find(&self, row_node: u32, column_node: u32) -> Option<u32> {
        self.by_owner.get(&(row_node, column_node)).copied()
    }

    pub(super) fn make(&mut self, row_node: u32, column_node: u32) -> u32 {
        let cell = self.free.pop().unwrap_or(self.num_rows.len() as u32);
        let at = cell as usize;
        if at == self.num_rows.len() {
            self.num_rows.push(0);
            self.owners.push((row_node, column_node));
            if self.has_row_sets {
                self.row_sets.push(OrderTree::default());
            }
        }
        self.owners[at] = (row_node, column_node);
        for column in &mut self.columns {
            column.reset(cell);
        }
        if column_node != ROOT && row_node != ROOT {
            self.by_owner.insert((row_node, column_node), cell);
        }
        cell
    }

    /// Bytes of a cell, about, without the rows of its row set.
    pub(super) fn cell_bytes(&self) -> usize {
        let row_set = if self.has_row_sets { OrderTree::TREE_BYTES } else { 0 };
        let columns: usize = self.columns.iter().map(AggregateColumn::cell_bytes).sum();
        size_of::<u32>() + 3 * size_of::<(u32, u32)>() + row_set + columns
    }

    /// Bytes of all cells, about; free ones count, too. `prefixes`: in how many row sets each row is.
    ///
    /// Cost: O(aggregates). States are counted once in many calls, and texts once in as many values as there are cells.
    pub(super) fn kept_bytes(&mut self, prefixes: usize) -> usize {
        let states = || {
            let states = self.row_states.iter().map(|(cell, states)| {
                let held = states.iter().filter(|(_, state)| state.is_some()).count();
                held * self.num_rows[*cell as usize] as usize
            });
            states.sum()
        };
        let cached = || {
            self.columns.iter().flat_map(|column| match column {
                AggregateColumn::States(_) => [].iter(),
                AggregateColumn::Cached(_, values) => values.iter(),
            })
        };
        let held = self.held.bytes(states, self.num_rows.len(), || cached().flatten());
        let row_sets = match self.has_row_sets {
            true => self.num_rows[TOTAL_CELL as usize] as usize * prefixes * OrderTree::ENTRY_BYTES,
            false => 0,
        };
        self.num_rows.len() * self.cell_bytes() + row_sets + held
    }

    /// Creates all cells of a view that has only the total; they have no rows yet.
    pub(super) fn grow(&mut self, owners: Vec<(u32, u32)>) {
        let len = owners.len();
        self.num_rows.resize(len, 0);
        if self.has_row_sets {
            self.row_sets.resize(len, OrderTree::default());
        }
        self.columns.iter_mut().for_each(|column| column.resize(len));
        let split = owners.iter().zip(0..).filter(|((row, column), _)| *row != ROOT && *column != ROOT);
        self.by_owner = split.map(|(&owner, cell)| (owner, cell)).collect();
        self.owners = owners;
    }

    /// Sets the owner of a cell that was created before its node had a number.
    pub(super) fn set_owner(&mut self, cell: u32, row_node: u32, column_node: u32) {
        self.owners[cell as usize] = (row_node, column_node);
    }

    pub(super) fn num_rows(&self, cell: u32) -> u32 {
        self.num_rows[cell as usize]
    }

    pub(super) fn has_row_sets(&self) -> bool {
        self.has_row_sets
    }

    /// Returns the row set of a deepest row's cell, in key order.
    pub(super) fn row_set(&self, cell: u32) -> &OrderTree {
        &self.row_sets[cell as usize]
    }

    pub(super) fn set_row_set(&mut self, cell: u32, row_set: OrderTree) {
        self.row_sets[cell as usize] = row_set;
    }

    /// Removes a cell without rows.
    pub(super) fn remove(&mut self, cell: u32) {
        let (row_node, column_node) = self.owners[cell as usize];
        self.by_owner.remove(&(row_node, column_node));
        self.row_states.remove(&cell);
        if self.has_row_sets {
            self.row_sets[cell as usize] = OrderTree::default();
        }
        self.free.push(cell);
    }

    /// Inserts (`sign` 1) or removes (`sign` -1) rows of cells.
    pub(super) fn change(
        &mut self,
        aggregates: &[Aggregate],
        snapshot: &Snapshot,
        changes: &CellChanges,
        sign: i32,
    ) {
        for &cell in &changes.cells {
            let num_rows = &mut self.num_rows[cell as usize];
            *num_rows = num_rows.wrapping_add_signed(sign);
        }
        let rows = CellRows { slots: &changes.slots, cells: &changes.cells, first: 0 };
        for (aggregate, column) in aggregates.iter().zip(&mut self.columns) {
            let input = AggregateInput { aggregate, snapshot };
            match column {
                AggregateColumn::States(states) => states.change(input, rows, sign),
                AggregateColumn::Cached(function, values) => {
                    function.update_cached(values, input, rows, sign);
                }
            }
        }
        if !self.row_states.is_empty() {
            self.change_row_states(aggregates, snapshot, changes, sign);
        }
    }

    /// Changes the states of cells with many rows, cell by cell.
    fn change_row_states(
        &mut self,
        aggregates: &[Aggregate],
        snapshot: &Snapshot,
        changes: &CellChanges,
        sign: i32,
    ) {
        let pairs = changes.cells.iter().copied().zip(changes.slots.iter().copied());
        let mut pairs: Vec<(u32, u32)> =
            pairs.filter(|(cell, _)| self.row_states.contains_key(cell)).collect();
        // Stable: the rows of a cell stay in order.
        pairs.sort_by_key(|&(cell, _)| cell);
        let mut slots = Vec::new();
        for of_cell in pairs.chunk_by(|(left, _), (right, _)| left == right) {
            let cell = of_cell[0].0;
            // Hysteresis: well below the limit, so that a cell at the limit does not build and drop its state alternately.
            if self.num_rows[cell as usize] < MANY_ROWS / 4 {
                self.row_states.remove(&cell);
                continue;
            }
            slots.clear();
            slots.extend(of_cell.iter().map(|&(_, slot)| slot));
            for (position, state) in self.row_states.get_mut(&cell).into_iter().flatten() {
                if let Some(state) = state {
                    state.change(
                        AggregateInput { aggregate: &aggregates[*position], snapshot },
                        &slots,
                        sign,
                    );
                }
            }
        }
    }

    /// Returns whether an aggregate of a cell depends on those below it ([`CellTable::change_parents`]).
    pub(super) fn follows_children(&self) -> bool {
        self.columns.iter().any(|column| match column {
            AggregateColumn::States(states) => states.follows_children(),
            AggregateColumn::Cached(..) => false,
        })
    }

    /// Must be called around a change of cells, given as pairs of a cell and the one above it: with sign -1 before the
    /// change, with sign 1 after it.
    pub(super) fn change_parents(&mut self, children: &[(u32, u32)], sign: i32) {
        let with_rows: Vec<(u32, u32)> =
            children.iter().copied().filter(|&(child, _)| self.num_rows(child) > 0).collect();
        for column in &mut self.columns {
            match column {
                AggregateColumn::States(states) => states.change_parents(&with_rows, &self.num_rows, sign),
                AggregateColumn::Cached(..) => {}
            }
        }
    }

    /// Returns the state an aggregate holds for a cell.
    pub(super) fn state(&self, cell: u32, aggregate: usize) -> Option<&dyn RowState> {
        let states = self.row_states.get(&cell)?;
        states.iter().find(|(position, _)| *position == aggregate)?.1.as_deref()
    }

    /// As [`CellTable::state`], mutably.
    pub(super) fn state_mut(&mut self, cell: u32, aggregate: usize) -> Option<&mut Box<dyn RowState>> {
        let states = self.row_states.get_mut(&cell)?;
        states.iter_mut().find(|(position, _)| *position == aggregate)?.1.as_mut()
    }

    pub(super) fn set_state(&mut self, cell: u32, aggregate: usize, state: Box<dyn RowState>) {
        let states = self.row_states.entry(cell).or_default();
        states.retain(|(position, _)| *position != aggregate);
        states.push((aggregate, Some(state)));
        self.held.note_state();
    }

    /// Records that a value is read; returns whether it was read before.
    pub(super) fn is_read_again(&mut self, cell: u32, aggregate: usize) -> bool {
        let states = self.row_states.entry(cell).or_default();
        let was = states.iter().any(|(position, _)| *position == aggregate);
        if !was {
            states.push((aggregate, None));
        }
        was
    }

    pub(super) fn insert_row(&mut self, cell: u32, snapshot: &Snapshot, slot: u32) {
        self.row_sets[cell as usize].insert(slot, &|left, right| snapshot.compare_keys(left, right));
    }

    pub(super) fn remove_row(&mut self, cell: u32, snapshot: &Snapshot, slot: u32) {
        let was_there =
            self.row_sets[cell as usize].remove(slot, &|left, right| snapshot.compare_keys(left, right));
        assert!(was_there, "a removed row was in its group");
    }

    /// Inserts rows, each into its cell in `into`, in one pass per aggregate.
    pub(super) fn fill(
        &mut self,
        aggregates: &[Aggregate],
        snapshot: &Snapshot,
        slots: &[u32],
        cells: &[u32],
        into: Range<u32>,
        threads: Threads,
    ) {
        if into.len() > slots.len() / 4 {
            // Merging parts would cost another pass, so each aggregate runs on a thread of its own instead.
            let num_rows = &mut self.num_rows;
            let columns: Vec<_> = aggregates.iter().zip(&mut self.columns).collect();
            let count = || cells.iter().for_each(|&cell| num_rows[cell as usize] += 1);
            let fill = |(aggregate, column): (&Aggregate, &mut AggregateColumn)| {
                column.fill(AggregateInput { aggregate, snapshot }, CellRows { slots, cells, first: 0 });
            };
            threads.both(count, || {
                columns.into_iter().for_each(fill);
            });
            return;
        }
        let parts = threads.parts(slots.len(), 1, |part| {
            let (slots, cells) = (&slots[part.clone()], &cells[part]);
            let mut num_rows = vec![0_u32; into.len()];
            cells.iter().for_each(|&cell| num_rows[(cell - into.start) as usize] += 1);
            let rows = CellRows { slots, cells, first: into.start };
            let fill = |aggregate: &Aggregate| {
                let Method::States(new) = aggregate.function.method() else { return None };
                let mut states = new();
                states.resize(into.len());
                states.change(AggregateInput { aggregate, snapshot }, rows, 1);
                Some(states)
            };
            (num_rows, aggregates.iter().map(fill).collect::<Vec<_>>())
        });
        for (num_rows, states) in parts {
            for (all, part) in self.num_rows[into.start as usize..].iter_mut().zip(num_rows) {
                *all += part;
            }
            for (column, part) in self.columns.iter_mut().zip(states) {
                if let (AggregateColumn::States(all), Some(part)) = (column, part) {
                    all.merge_part(into.start, part);
                }
            }
        }
    }

    /// Merges consecutive cells, starting at `first`, into the cells listed in `into`.
    pub(super) fn add_up(&mut self, first: u32, into: &[u32]) {
        for (at, &into) in (first as usize..).zip(into) {
            self.num_rows[into as usize] += self.num_rows[at];
        }
        for column in &mut self.columns {
            match column {
                AggregateColumn::States(states) => states.merge_up(first, into),
                AggregateColumn::Cached(..) => {}
            }
        }
    }

    /// Returns the states of an aggregate and what reading them takes; `Err` with the cached value of `cell`, if any,
    /// where rows are needed.
    pub(super) fn states(
        &mut self,
        aggregate: usize,
        cell: u32,
    ) -> Result<(&mut dyn StateColumn, CellIndex<'_>), Option<&Scalar>> {
        let index = CellIndex { num_rows: &self.num_rows, by_owner: &self.by_owner };
        match &mut self.columns[aggregate] {
            AggregateColumn::States(states) => Ok((&mut **states, index)),
            AggregateColumn::Cached(_, values) => Err(values[cell as usize].as_ref()),
        }
    }

    /// Returns how an aggregate is computed from rows; `None` if it has states.
    pub(super) fn row_function(&self, aggregate: usize) -> Option<&'static dyn RowFunction> {
        match &self.columns[aggregate] {
            AggregateColumn::States(_) => None,
            AggregateColumn::Cached(function, _) => Some(*function),
        }
    }

    /// Caches a value that was computed from rows.
    pub(super) fn remember(&mut self, aggregate: usize, cell: u32, value: Scalar) {
        match &mut self.columns[aggregate] {
            AggregateColumn::States(_) => {}
            AggregateColumn::Cached(_, values) => {
                self.held.note_cached(&value);
                values[cell as usize] = Some(value);
            }
        }
    }
}
