//! The cells of a pivot: one per pair of row group and split value that share a row.
//!
//! Law: a cell exists while a row is in it (the grand total always); its number is its place in every aggregate's
//! state.

use ahash::RandomState;
use hashbrown::HashMap;

use super::aggregate::{Aggregate, Kind};
use super::sums::{Moments, Number, Sum, Weighted};
use super::tree::ROOT;
use crate::order::OrderTree;
use crate::scalar::Scalar;
use crate::table::Snapshot;

/// The cell of the grand total.
pub(super) const TOTAL_CELL: u32 = 0;

#[derive(Debug)]
pub(super) struct Cells {
    num_rows: Vec<u32>,
    owners: Vec<(u32, u32)>,
    /// Rows of the cells on deepest rows, in key order; empty unless an aggregate needs rows.
    members: Vec<OrderTree>,
    keeps_members: bool,
    free: Vec<u32>,
    /// Only cells that are in a split column; a row group's own cell is in its node.
    by_owner: HashMap<(u32, u32), u32, RandomState>,
    states: Vec<States>,
}

/// One aggregate's states, by cell.
#[derive(Debug)]
enum States {
    /// The row count says it all.
    Count,
    Sums(Vec<Sum>),
    Moments(Vec<Moments>),
    Weighted(Vec<Weighted>),
    /// Highest or lowest value ever seen.
    Water(Vec<Scalar>),
    /// Computed from rows when looked at; `None` when a row changed since.
    Lazy(Vec<Option<Scalar>>),
}

impl States {
    fn new(kind: Kind) -> States {
        match kind {
            Kind::Count => States::Count,
            Kind::Sum
            | Kind::SumOrZero
            | Kind::AbsSum
            | Kind::SumAbs
            | Kind::Gmv
            | Kind::Mean
            | Kind::PctSumParent
            | Kind::PctSumTotal => States::Sums(Vec::new()),
            Kind::Variance | Kind::Stddev => States::Moments(Vec::new()),
            Kind::WeightedMean => States::Weighted(Vec::new()),
            Kind::High | Kind::Low => States::Water(Vec::new()),
            _ => States::Lazy(Vec::new()),
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
            States::Count => {}
            States::Sums(states) => put(states, cell),
            States::Moments(states) => put(states, cell),
            States::Weighted(states) => put(states, cell),
            States::Water(states) => put(states, cell),
            States::Lazy(states) => put(states, cell),
        }
    }
}

impl Cells {
    pub(super) fn new(aggregates: &[Aggregate]) -> Cells {
        let mut cells = Cells {
            num_rows: Vec::new(),
            owners: Vec::new(),
            members: Vec::new(),
            keeps_members: aggregates.iter().any(|aggregate| aggregate.kind.needs_rows()),
            free: Vec::new(),
            by_owner: HashMap::default(),
            states: aggregates.iter().map(|aggregate| States::new(aggregate.kind)).collect(),
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
            if self.keeps_members {
                self.members.push(OrderTree::default());
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

    /// Tells who owns a cell that was made before its node had a number.
    pub(super) fn set_owner(&mut self, cell: u32, row_node: u32, column_node: u32) {
        self.owners[cell as usize] = (row_node, column_node);
    }

    pub(super) fn owner(&self, cell: u32) -> (u32, u32) {
        self.owners[cell as usize]
    }

    pub(super) fn num_rows(&self, cell: u32) -> u32 {
        self.num_rows[cell as usize]
    }

    /// Row node, split node and number of every cell that has rows.
    pub(super) fn with_rows(&self) -> Vec<(u32, u32, u32)> {
        let cells = self.owners.iter().zip(&self.num_rows).enumerate();
        cells
            .filter(|(_, (_, num_rows))| **num_rows > 0)
            .map(|(cell, (&(row_node, split_node), _))| (row_node, split_node, cell as u32))
            .collect()
    }

    pub(super) fn keeps_members(&self) -> bool {
        self.keeps_members
    }

    /// The rows of a deepest row's cell, in key order.
    pub(super) fn members(&self, cell: u32) -> &OrderTree {
        &self.members[cell as usize]
    }

    pub(super) fn set_members(&mut self, cell: u32, members: OrderTree) {
        self.members[cell as usize] = members;
    }

    /// Forgets a cell without rows.
    pub(super) fn remove(&mut self, cell: u32) {
        let (row_node, column_node) = self.owners[cell as usize];
        self.by_owner.remove(&(row_node, column_node));
        if self.keeps_members {
            self.members[cell as usize] = OrderTree::default();
        }
        self.free.push(cell);
    }

    /// One row comes into (`sign` 1) or leaves (`sign` -1) a cell.
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
    }

    pub(super) fn add_member(&mut self, cell: u32, snapshot: &Snapshot, slot: u32) {
        self.members[cell as usize].insert(slot, &|left, right| snapshot.compare_keys(left, right));
    }

    pub(super) fn remove_member(&mut self, cell: u32, snapshot: &Snapshot, slot: u32) {
        let was_there =
            self.members[cell as usize].remove(slot, &|left, right| snapshot.compare_keys(left, right));
        assert!(was_there, "a row that leaves a group was in it");
    }

    /// Adds rows, each to its cell: one pass an aggregate.
    pub(super) fn fill(
        &mut self,
        aggregates: &[Aggregate],
        snapshot: &Snapshot,
        slots: &[u32],
        cells: &[u32],
    ) {
        for &cell in cells {
            self.num_rows[cell as usize] += 1;
        }
        for (aggregate, states) in aggregates.iter().zip(&mut self.states) {
            states.fill(aggregate, snapshot, slots, cells);
        }
    }

    /// Adds the rows of one cell to another.
    pub(super) fn merge(&mut self, aggregates: &[Aggregate], into: u32, from: u32) {
        let (into, from) = (into as usize, from as usize);
        self.num_rows[into] += self.num_rows[from];
        for (aggregate, states) in aggregates.iter().zip(&mut self.states) {
            match states {
                States::Count | States::Lazy(_) => {}
                States::Sums(states) => {
                    let other = states[from];
                    states[into].merge(&other);
                }
                States::Moments(states) => {
                    let other = states[from];
                    states[into].merge(&other);
                }
                States::Weighted(states) => {
                    let other = states[from];
                    states[into].merge(&other);
                }
                States::Water(states) => {
                    let other = states[from].clone();
                    raise(aggregate.kind, &mut states[into], other);
                }
            }
        }
    }

    pub(super) fn sum(&self, aggregate: usize, cell: u32) -> Option<&Sum> {
        match &self.states[aggregate] {
            States::Sums(states) => states.get(cell as usize),
            _ => None,
        }
    }

    /// The value of an aggregate whose state says it all; `Err` where rows are needed, with what was computed before.
    pub(super) fn state_value(
        &self,
        position: usize,
        kind: Kind,
        cell: u32,
    ) -> Result<Scalar, Option<&Scalar>> {
        let at = cell as usize;
        Ok(match &self.states[position] {
            States::Count => Scalar::Int(self.num_rows[at].into()),
            States::Moments(states) => match states[at].variance() {
                None => Scalar::Null,
                Some(variance) if kind == Kind::Stddev => Scalar::Float(variance.sqrt()),
                Some(variance) => Scalar::Float(variance),
            },
            States::Weighted(states) => states[at].mean().map_or(Scalar::Null, Scalar::Float),
            States::Water(states) => states[at].clone(),
            States::Lazy(states) => return Err(states[at].as_ref()),
            States::Sums(_) => unreachable!("sums are finished by the pivot, which knows the parents"),
        })
    }

    pub(super) fn remember(&mut self, aggregate: usize, cell: u32, value: Scalar) {
        if let States::Lazy(states) = &mut self.states[aggregate] {
            states[cell as usize] = Some(value);
        }
    }
}

impl States {
    fn change(&mut self, aggregate: &Aggregate, at: usize, snapshot: &Snapshot, slot: u32, sign: i32) {
        let column = snapshot.column(aggregate.column);
        match self {
            States::Count => {}
            States::Sums(states) => {
                if let Some(value) = column.exact(slot) {
                    states[at].change(if aggregate.kind == Kind::SumAbs { value.abs() } else { value }, sign);
                }
            }
            States::Moments(states) => {
                if let Some(value) = column.number(slot) {
                    states[at].change(value, sign);
                }
            }
            States::Weighted(states) => {
                let weight = snapshot.column(aggregate.argument.expect("checked when it was parsed"));
                if let (Some(value), Some(weight)) = (column.number(slot), weight.number(slot)) {
                    states[at].change(value, weight, sign);
                }
            }
            States::Water(states) => {
                if sign > 0 {
                    raise(aggregate.kind, &mut states[at], column.scalar(slot));
                }
            }
            States::Lazy(states) => {
                let Some(known) = &states[at] else { return };
                if !stays(aggregate.kind, known, &column.scalar(slot), sign) {
                    states[at] = None;
                }
            }
        }
    }

    fn fill(&mut self, aggregate: &Aggregate, snapshot: &Snapshot, slots: &[u32], cells: &[u32]) {
        let column = snapshot.column(aggregate.column);
        match self {
            States::Count | States::Lazy(_) => {}
            States::Sums(states) => {
                let is_abs = aggregate.kind == Kind::SumAbs;
                if let crate::column::Column::Float64(values) = column {
                    for (&slot, &cell) in slots.iter().zip(cells) {
                        if let Some(value) = values.get(slot) {
                            let value = if is_abs { value.abs() } else { value };
                            states[cell as usize].change(Number::Float(value), 1);
                        }
                    }
                    return;
                }
                for (&slot, &cell) in slots.iter().zip(cells) {
                    if let Some(value) = column.exact(slot) {
                        states[cell as usize].change(if is_abs { value.abs() } else { value }, 1);
                    }
                }
            }
            States::Moments(_) | States::Weighted(_) | States::Water(_) => {
                for (&slot, &cell) in slots.iter().zip(cells) {
                    self.change(aggregate, cell as usize, snapshot, slot, 1);
                }
            }
        }
    }
}

/// Whether a known value survives a row's coming or going.
fn stays(kind: Kind, known: &Scalar, value: &Scalar, sign: i32) -> bool {
    let is_nan = |value: &Scalar| matches!(value, Scalar::Float(value) if value.is_nan());
    match kind {
        _ if is_nan(known) || is_nan(value) => false,
        // Null may also say that there were no rows.
        _ if known.is_null() => false,
        Kind::Max => value < known,
        Kind::Min if sign > 0 => value >= known,
        Kind::Min => value > known,
        _ => false,
    }
}

/// NaN is a mark only until there is a number.
fn raise(kind: Kind, mark: &mut Scalar, value: Scalar) {
    let is_nan = |value: &Scalar| matches!(value, Scalar::Float(value) if value.is_nan());
    let is_beyond = match kind {
        _ if is_nan(&value) => false,
        _ if is_nan(mark) => true,
        Kind::High => value > *mark,
        _ => value < *mark,
    };
    if !value.is_null() && (mark.is_null() || is_beyond) {
        *mark = value;
    }
}
