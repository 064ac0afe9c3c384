//! The cells of a pivot: one per pair of row group and split value that share a row.
//!
//! Invariant: a cell exists while it has a row (the grand total always); its number is its index into every aggregate's
//! states.

use std::ops::Range;

use ahash::RandomState;
use hashbrown::HashMap;

use super::aggregate::{Aggregate, AggregateKind};
use super::aggregate_state::{AggregateState, MANY_ROWS};
use super::sums::{Moments, Sum, Weighted};
use super::tree::ROOT;
use crate::column::Column;
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
    states: Vec<StateColumn>,
    /// By cell: aggregate states, with the position of the aggregate; `None` records that the value was read once.
    row_states: HashMap<u32, Vec<(usize, Option<AggregateState>)>, RandomState>,
}

/// The states of one aggregate, by cell.
#[derive(Debug)]
enum StateColumn {
    /// Derived from the row count.
    Count,
    Sums(Vec<Sum>),
    Moments(Vec<Moments>),
    Weighted(Vec<Weighted>),
    /// The highest or lowest value ever seen.
    Watermark(Vec<Scalar>),
    /// Computed from rows on demand; `None` if a row changed since.
    Lazy(Vec<Option<Scalar>>),
}

impl StateColumn {
    fn new(kind: AggregateKind) -> StateColumn {
        match kind {
            AggregateKind::Count => StateColumn::Count,
            AggregateKind::Sum
            | AggregateKind::SumOrZero
            | AggregateKind::AbsSum
            | AggregateKind::SumAbs
            | AggregateKind::Gmv
            | AggregateKind::Mean
            | AggregateKind::PctSumParent
            | AggregateKind::PctSumTotal => StateColumn::Sums(Vec::new()),
            AggregateKind::Variance | AggregateKind::Stddev => StateColumn::Moments(Vec::new()),
            AggregateKind::WeightedMean => StateColumn::Weighted(Vec::new()),
            AggregateKind::High | AggregateKind::Low => StateColumn::Watermark(Vec::new()),
            _ => StateColumn::Lazy(Vec::new()),
        }
    }

    fn resize(&mut self, len: usize) {
        match self {
            StateColumn::Count => {}
            StateColumn::Sums(states) => states.resize(len, Sum::default()),
            StateColumn::Moments(states) => states.resize(len, Moments::default()),
            StateColumn::Weighted(states) => states.resize(len, Weighted::default()),
            StateColumn::Watermark(states) => states.resize(len, Scalar::Null),
            StateColumn::Lazy(states) => states.resize(len, None),
        }
    }

    /// Merges the state of cell `from` into that of `into`.
    fn merge(&mut self, kind: AggregateKind, into: usize, from: usize) {
        match self {
            StateColumn::Count | StateColumn::Lazy(_) => {}
            StateColumn::Sums(states) => {
                let other = states[from];
                states[into].merge(&other);
            }
            StateColumn::Moments(states) => {
                let other = states[from];
                states[into].merge(&other);
            }
            StateColumn::Weighted(states) => {
                let other = states[from];
                states[into].merge(&other);
            }
            StateColumn::Watermark(states) => {
                let other = states[from].clone();
                raise(kind, &mut states[into], other);
            }
        }
    }

    /// Merges the states of a part of the rows, whose cells start at `first`.
    fn add_part(&mut self, kind: AggregateKind, first: usize, part: StateColumn) {
        match (self, part) {
            (StateColumn::Sums(all), StateColumn::Sums(part)) => {
                all[first..].iter_mut().zip(part).for_each(|(all, part)| all.merge(&part));
            }
            (StateColumn::Moments(all), StateColumn::Moments(part)) => {
                all[first..].iter_mut().zip(part).for_each(|(all, part)| all.merge(&part));
            }
            (StateColumn::Weighted(all), StateColumn::Weighted(part)) => {
                all[first..].iter_mut().zip(part).for_each(|(all, part)| all.merge(&part));
            }
            (StateColumn::Watermark(all), StateColumn::Watermark(part)) => {
                all[first..].iter_mut().zip(part).for_each(|(all, part)| raise(kind, all, part));
            }
            // Counts derive from the row count, and lazy values have no state.
            (_, _) => {}
        }
    }

    fn reset(&mut self, cell: usize) {
        fn put<T: Default + Clone>(states: &mut Vec<T>, cell: usize) {
            if cell >= states.len() {
                states.resize(cell + 1, T::default());
            }
            states[cell] = T::default();
        }
        match self {
            StateColumn::Count => {}
            StateColumn::Sums(states) => put(states, cell),
            StateColumn::Moments(states) => put(states, cell),
            StateColumn::Weighted(states) => put(states, cell),
            StateColumn::Watermark(states) => put(states, cell),
            StateColumn::Lazy(states) => put(states, cell),
        }
    }
}

impl CellTable {
    pub(super) fn new(aggregates: &[Aggregate]) -> CellTable {
        let mut cells = CellTable {
            num_rows: Vec::new(),
            owners: Vec::new(),
            row_sets: Vec::new(),
            has_row_sets: aggregates.iter().any(|aggregate| aggregate.kind.needs_rows()),
            free: Vec::new(),
            by_owner: HashMap::default(),
            states: aggregates.iter().map(|aggregate| StateColumn::new(aggregate.kind)).collect(),
            row_states: HashMap::default(),
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
        for states in &mut self.states {
            states.reset(at);
        }
        if column_node != ROOT && row_node != ROOT {
            self.by_owner.insert((row_node, column_node), cell);
        }
        cell
    }

    /// Creates all cells of a view that has only the total; they have no rows yet.
    pub(super) fn grow(&mut self, owners: Vec<(u32, u32)>) {
        let len = owners.len();
        self.num_rows.resize(len, 0);
        if self.has_row_sets {
            self.row_sets.resize(len, OrderTree::default());
        }
        self.states.iter_mut().for_each(|states| states.resize(len));
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

    /// Inserts (`sign` 1) or removes (`sign` -1) a row of a cell.
    pub(super) fn change(
        &mut self,
        aggregates: &[Aggregate],
        cell: u32,
        snapshot: &Snapshot,
        slot: u32,
        sign: i32,
    ) {
        let at = cell as usize;
        self.num_rows[at] = self.num_rows[at].wrapping_add_signed(sign);
        for (aggregate, states) in aggregates.iter().zip(&mut self.states) {
            states.change(aggregate, at, snapshot, slot, sign);
        }
        if !self.row_states.is_empty() {
            self.change_states(aggregates, cell, snapshot, slot, sign);
        }
    }

    fn change_states(
        &mut self,
        aggregates: &[Aggregate],
        cell: u32,
        snapshot: &Snapshot,
        slot: u32,
        sign: i32,
    ) {
        let Some(states) = self.row_states.get_mut(&cell) else { return };
        // Hysteresis: well below the limit, so that a cell at the limit does not build and drop its state alternately.
        if self.num_rows[cell as usize] < MANY_ROWS / 4 {
            self.row_states.remove(&cell);
            return;
        }
        for (position, state) in states {
            if let Some(state) = state {
                state.change(&aggregates[*position], snapshot, slot, sign);
            }
        }
    }

    /// Returns the state an aggregate holds for a cell.
    pub(super) fn state(&self, cell: u32, aggregate: usize) -> Option<&AggregateState> {
        let states = self.row_states.get(&cell)?;
        states.iter().find(|(position, _)| *position == aggregate)?.1.as_ref()
    }

    /// As [`CellTable::state`], mutably.
    pub(super) fn state_mut(&mut self, cell: u32, aggregate: usize) -> Option<&mut AggregateState> {
        let states = self.row_states.get_mut(&cell)?;
        states.iter_mut().find(|(position, _)| *position == aggregate)?.1.as_mut()
    }

    pub(super) fn set_state(&mut self, cell: u32, aggregate: usize, state: AggregateState) {
        let states = self.row_states.entry(cell).or_default();
        states.retain(|(position, _)| *position != aggregate);
        states.push((aggregate, Some(state)));
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
            let states: Vec<_> = aggregates.iter().zip(&mut self.states).collect();
            let count = || cells.iter().for_each(|&cell| num_rows[cell as usize] += 1);
            let fill = |(aggregate, states): (&Aggregate, &mut StateColumn)| {
                states.fill(aggregate, snapshot, slots, cells, 0);
            };
            threads.both(count, || {
                states.into_iter().for_each(fill);
            });
            return;
        }
        let parts = threads.parts(slots.len(), 1, |part| {
            let (slots, cells) = (&slots[part.clone()], &cells[part]);
            let mut num_rows = vec![0_u32; into.len()];
            cells.iter().for_each(|&cell| num_rows[(cell - into.start) as usize] += 1);
            let fill = |aggregate: &Aggregate| {
                let mut states = StateColumn::new(aggregate.kind);
                if !matches!(states, StateColumn::Lazy(_)) {
                    states.resize(into.len());
                    states.fill(aggregate, snapshot, slots, cells, into.start);
                }
                states
            };
            (num_rows, aggregates.iter().map(fill).collect::<Vec<StateColumn>>())
        });
        for (num_rows, states) in parts {
            for (all, part) in self.num_rows[into.start as usize..].iter_mut().zip(num_rows) {
                *all += part;
            }
            for ((aggregate, all), part) in aggregates.iter().zip(&mut self.states).zip(states) {
                all.add_part(aggregate.kind, into.start as usize, part);
            }
        }
    }

    /// Merges consecutive cells, starting at `first`, into the cells listed in `into`.
    pub(super) fn add_up(&mut self, aggregates: &[Aggregate], first: u32, into: &[u32]) {
        let from = first as usize..first as usize + into.len();
        for (at, &into) in from.clone().zip(into) {
            self.num_rows[into as usize] += self.num_rows[at];
        }
        for (aggregate, states) in aggregates.iter().zip(&mut self.states) {
            for (at, &into) in from.clone().zip(into) {
                states.merge(aggregate.kind, into as usize, at);
            }
        }
    }

    pub(super) fn sum(&self, aggregate: usize, cell: u32) -> Option<&Sum> {
        match &self.states[aggregate] {
            StateColumn::Sums(states) => states.get(cell as usize),
            _ => None,
        }
    }

    /// Returns the value of an aggregate that its state determines; `Err` with the cached value, if any, where rows are
    /// needed.
    pub(super) fn state_value(
        &self,
        position: usize,
        kind: AggregateKind,
        cell: u32,
    ) -> Result<Scalar, Option<&Scalar>> {
        let at = cell as usize;
        Ok(match &self.states[position] {
            StateColumn::Count => Scalar::Int(self.num_rows[at].into()),
            StateColumn::Moments(states) => match states[at].variance() {
                None => Scalar::Null,
                Some(variance) if kind == AggregateKind::Stddev => Scalar::Float(variance.sqrt()),
                Some(variance) => Scalar::Float(variance),
            },
            StateColumn::Weighted(states) => states[at].mean().map_or(Scalar::Null, Scalar::Float),
            StateColumn::Watermark(states) => states[at].clone(),
            StateColumn::Lazy(states) => return Err(states[at].as_ref()),
            StateColumn::Sums(_) => unreachable!("sums are finished by the pivot, which knows the parents"),
        })
    }

    pub(super) fn remember(&mut self, aggregate: usize, cell: u32, value: Scalar) {
        if let StateColumn::Lazy(states) = &mut self.states[aggregate] {
            states[cell as usize] = Some(value);
        }
    }
}

impl StateColumn {
    fn change(&mut self, aggregate: &Aggregate, at: usize, snapshot: &Snapshot, slot: u32, sign: i32) {
        let column = snapshot.column(aggregate.column);
        match self {
            StateColumn::Count => {}
            StateColumn::Sums(states) => {
                if let Some(value) = column.exact(slot) {
                    states[at].change(
                        if aggregate.kind == AggregateKind::SumAbs { value.abs() } else { value },
                        sign,
                    );
                }
            }
            StateColumn::Moments(states) => {
                if let Some(value) = column.number(slot) {
                    states[at].change(value, sign);
                }
            }
            StateColumn::Weighted(states) => {
                let weight = snapshot.column(aggregate.argument.expect("checked when it was parsed"));
                if let (Some(value), Some(weight)) = (column.number(slot), weight.number(slot)) {
                    states[at].change(value, weight, sign);
                }
            }
            StateColumn::Watermark(states) => {
                if sign > 0 {
                    raise(aggregate.kind, &mut states[at], column.scalar(slot));
                }
            }
            StateColumn::Lazy(states) => {
                if let Some(known) = states[at].take() {
                    states[at] = follow(aggregate.kind, known, column, slot, sign);
                }
            }
        }
    }

    /// Inserts rows into their cells, which are numbered relative to `first`.
    fn fill(&mut self, aggregate: &Aggregate, snapshot: &Snapshot, slots: &[u32], cells: &[u32], first: u32) {
        let column = snapshot.column(aggregate.column);
        match self {
            StateColumn::Count | StateColumn::Lazy(_) => {}
            StateColumn::Sums(states) => {
                let is_abs = aggregate.kind == AggregateKind::SumAbs;
                let mut cells = cells.iter().map(|&cell| (cell - first) as usize);
                column.each_exact(slots, |value| {
                    let cell = cells.next().expect("every row has a cell");
                    if let Some(value) = value {
                        states[cell].change(if is_abs { value.abs() } else { value }, 1);
                    }
                });
            }
            StateColumn::Moments(_) | StateColumn::Weighted(_) | StateColumn::Watermark(_) => {
                for (&slot, &cell) in slots.iter().zip(cells) {
                    self.change(aggregate, (cell - first) as usize, snapshot, slot, 1);
                }
            }
        }
    }
}

/// Updates a cached value for one row inserted or removed; `None` if the row alone does not determine the result.
fn follow(kind: AggregateKind, known: Scalar, column: &Column, slot: u32, sign: i32) -> Option<Scalar> {
    if !matches!(kind, AggregateKind::Max | AggregateKind::Min) {
        return None;
    }
    let value = column.scalar(slot);
    let is_nan = |value: &Scalar| matches!(value, Scalar::Float(value) if value.is_nan());
    match (kind, value.cmp(&known)) {
        // Null may also mean that there were no rows.
        _ if is_nan(&known) || is_nan(&value) || known.is_null() => None,
        (AggregateKind::Max, std::cmp::Ordering::Less)
        | (AggregateKind::Min, std::cmp::Ordering::Greater) => Some(known),
        (_, std::cmp::Ordering::Equal) => (sign > 0).then_some(known),
        _ => (sign > 0).then_some(value),
    }
}

/// Raises (or lowers) a water mark. NaN is a mark only until there is a number.
fn raise(kind: AggregateKind, mark: &mut Scalar, value: Scalar) {
    let is_nan = |value: &Scalar| matches!(value, Scalar::Float(value) if value.is_nan());
    let is_beyond = match kind {
        _ if is_nan(&value) => false,
        _ if is_nan(mark) => true,
        AggregateKind::High => value > *mark,
        _ => value < *mark,
    };
    if !value.is_null() && (mark.is_null() || is_beyond) {
        *mark = value;
    }
}
