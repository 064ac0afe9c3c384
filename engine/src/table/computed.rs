//! Computed columns: the expressions and windows of the views of a table.
//!
//! Invariant: a computed column is stored after the table's own columns as long as a plan holds its token, and is
//! shared by all views that use it; its text is reclaimed like any other. Cost: an expression is computed for the
//! rows of a batch only, a window for the rows whose frame contains a row of the batch ([`window`]).

mod backfill;
#[cfg(test)]
mod backfill_tests;
mod frame;
#[cfg(test)]
mod tests;
mod window;
#[cfg(test)]
mod window_tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use crate::column::{CHUNK, Column, ColumnSet, Interner, Slots, Writes};
use crate::context::EngineContext;
use crate::expr::{Expression, VolatileInputs};
use crate::memory::{MemoryRefused, MemoryReservation};
use crate::storage::TableDelta;
use crate::storage::{ComputedRef, Snapshot};
use crate::types::schema::Storage;
use crate::view::Plan;
use crate::window::{Window, WindowSource};
pub use backfill::{Backfill, BackfillResult, CatchUpLog, InstalledColumns};
use window::{WindowCells, WindowColumn};

#[derive(Debug, Default)]
pub(super) struct ComputedColumns {
    entries: Vec<Option<Entry>>,
    columns: ColumnSet,
    /// The number of computations so far; each starts `random()` elsewhere.
    num_computations: u64,
    /// The deltas since the start of the oldest running backfill, including the installed columns.
    log: Vec<Arc<TableDelta>>,
    /// Windows over columns that are being backfilled.
    waiting: Vec<Backfill>,
    /// Columns that have grown beyond their memory.
    refused: Vec<RefusedColumn>,
}

/// A computed column that has grown beyond the memory of the account that it was made in. It goes on until no plan has it.
#[derive(Debug)]
pub struct RefusedColumn {
    token: Weak<()>,
    /// The refusal.
    pub refused: MemoryRefused,
}

impl RefusedColumn {
    /// Whether `plan` has the column.
    pub fn is_of(&self, plan: &Plan) -> bool {
        plan.computed_columns()
            .iter()
            .any(|column| std::ptr::eq(Arc::as_ptr(&column.token), self.token.as_ptr()))
    }
}

#[derive(Debug)]
struct Entry {
    alias: String,
    body: Body,
    /// The definition of a window column, and the position of its source among the table's and computed columns.
    window: Option<(Window, usize)>,
    /// Being backfilled: the column has no values yet.
    is_pending: bool,
    /// The length of the chain of computed columns that this one reads.
    level: usize,
    token: Weak<()>,
    /// What was reserved to compute it, if that was done elsewhere.
    memory: Option<MemoryReservation>,
    /// The token of a computed source, to keep it alive.
    _source: Option<Arc<()>>,
}

#[derive(Debug)]
enum Body {
    Expression(Arc<Expression>),
    Window(Box<WindowColumn>),
    /// A window that is being computed elsewhere.
    PendingWindow,
}

impl ComputedColumns {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.iter().all(Option::is_none)
    }

    /// An existing column with an equal expression that no column of the plan (`taken`) is yet. Volatile expressions
    /// (`now()`, `random()`) have none: they would show the moment of an older plan.
    fn find_expression(&self, expression: &Expression, taken: &[ComputedRef]) -> Option<(usize, Arc<()>)> {
        self.entries.iter().enumerate().find_map(|(position, entry)| {
            let entry = entry.as_ref()?;
            let Body::Expression(known) = &entry.body else { return None };
            let is_same = !expression.is_volatile() && known.is_same(expression);
            let is_taken = taken.iter().any(|column| column.position == position);
            if is_same && !is_taken { Some((position, entry.token.upgrade()?)) } else { None }
        })
    }

    /// An existing column of the same window under the same name.
    fn find_window(&self, alias: &str, window: &Window, source: usize) -> Option<(usize, Arc<()>)> {
        self.entries.iter().enumerate().find_map(|(position, entry)| {
            let entry = entry.as_ref().filter(|entry| entry.alias == alias)?;
            let (known, read) = entry.window.as_ref()?;
            if known == window && *read == source { Some((position, entry.token.upgrade()?)) } else { None }
        })
    }

    /// Adds a column without values.
    fn add(
        &mut self,
        alias: &str,
        body: Body,
        storage: Storage,
        read: Option<&ComputedRef>,
        window: Option<(Window, usize)>,
    ) -> (usize, Arc<()>) {
        let position = self.entries.iter().position(Option::is_none).unwrap_or(self.entries.len());
        if position == self.entries.len() {
            self.entries.push(None);
        }
        self.columns.put(position, storage);
        let token = Arc::new(());
        let level =
            read.and_then(|read| self.entries[read.position].as_ref()).map_or(0, |entry| entry.level + 1);
        self.entries[position] = Some(Entry {
            alias: alias.to_owned(),
            body,
            window,
            is_pending: false,
            level,
            token: Arc::downgrade(&token),
            memory: None,
            _source: read.map(|read| read.token.clone()),
        });
        (position, token)
    }

    /// Drops columns that no plan holds, windows before their sources.
    pub(super) fn drop_unused(&mut self) {
        let unused =
            |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| entry.token.strong_count() == 0);
        while let Some(position) = self.entries.iter().position(unused) {
            self.entries[position] = None;
            self.columns.put(position, Storage::Bool);
        }
        if !self.has_pending() {
            self.log.clear();
        }
    }

    /// Returns the snapshot with the computed columns appended.
    pub(super) fn extend(&self, snapshot: &Snapshot) -> Snapshot {
        if self.is_empty() {
            snapshot.clone()
        } else {
            snapshot.extended(self.columns.as_slice(), self.columns.epoch())
        }
    }

    /// Updates the computed columns after a batch and returns the delta between the extended snapshots.
    pub(super) fn step(&mut self, delta: TableDelta, context: &EngineContext) -> TableDelta {
        self.drop_unused();
        if self.is_empty() {
            return delta;
        }
        let old = self.extend(&delta.old);
        let mut recomputed: BTreeSet<u32> = delta.recomputed.iter().copied().collect();
        for position in self.in_dependency_order() {
            let (column, interner) = self.columns.writer(position);
            column.clear(interner.as_mut(), &delta.removed);
            let new = self.extend(&delta.new);
            match self.entries[position].as_mut().map(|entry| &mut entry.body) {
                None | Some(Body::PendingWindow) => {}
                Some(Body::Expression(expression)) => {
                    let slots = touched(expression, &delta);
                    drop(new);
                    self.compute(position, &delta.new, &slots, context);
                }
                Some(Body::Window(window)) => {
                    let cells = window.step(&delta, &old, &new, &recomputed);
                    let source = new.column(window.source()).clone();
                    drop(new);
                    let is_outside = |slot: &u32| {
                        delta.updated.binary_search(slot).is_err()
                            && delta.inserted.binary_search(slot).is_err()
                    };
                    let (column, interner) = self.columns.writer(position);
                    let written = write_window(column, interner.as_mut(), &cells, &source);
                    recomputed.extend(written.into_iter().filter(is_outside));
                }
            }
        }
        self.columns.end_batch();
        self.reserve_growth();
        let new = self.extend(&delta.new);
        let delta = TableDelta { old, new, recomputed: recomputed.into_iter().collect(), ..delta };
        if self.has_pending() {
            self.log.push(Arc::new(delta.clone()));
        }
        delta
    }

    /// Reserves what a batch has added to the columns. Cost: O(columns).
    fn reserve_growth(&mut self) {
        for (position, entry) in self.entries.iter_mut().enumerate() {
            let Some(entry) = entry.as_mut().filter(|entry| !entry.is_pending) else { continue };
            let Some(memory) = &mut entry.memory else { continue };
            let (column, interner) = self.columns.writer(position);
            let texts = match (&*column, interner) {
                (Column::Str(_, strings), Some(interner)) => strings.memory() + interner.memory(),
                _ => 0,
            };
            let window = if entry.window.is_some() { WindowColumn::ROW_BYTES } else { 0 };
            let cell_bytes = Column::bytes_of(column.storage()) + window;
            let kept = column.num_chunks() * CHUNK * cell_bytes + texts;
            if let Err(refused) = memory.follow(kept as u64) {
                self.refused.push(RefusedColumn { token: entry.token.clone(), refused });
                entry.memory = None;
            }
        }
    }

    /// The columns that have grown beyond their memory since the last call.
    pub(super) fn take_refused(&mut self) -> Vec<RefusedColumn> {
        std::mem::take(&mut self.refused)
    }

    /// The positions of the installed columns, each after those it reads.
    fn in_dependency_order(&self) -> Vec<usize> {
        let mut levels: Vec<(usize, usize)> = (self.entries.iter().enumerate())
            .filter_map(|(position, entry)| {
                let entry = entry.as_ref().filter(|entry| !entry.is_pending)?;
                Some((entry.level, position))
            })
            .collect();
        levels.sort_unstable();
        levels.into_iter().map(|(_, position)| position).collect()
    }

    /// Bytes held by the columns.
    #[cfg(test)]
    fn memory(&self) -> usize {
        self.columns.memory()
    }

    fn compute(&mut self, position: usize, snapshot: &Snapshot, slots: &[u32], context: &EngineContext) {
        let Some(Body::Expression(expression)) = self.entries[position].as_ref().map(|entry| &entry.body)
        else {
            return;
        };
        self.num_computations += 1;
        let mut inputs = VolatileInputs::new(context, self.num_computations);
        let (column, interner) = self.columns.writer(position);
        expression.write_rows(snapshot, slots, column, interner, &mut inputs);
    }
}

/// Writes the cells that changed and returns their slots.
fn write_window(
    column: &mut Column,
    interner: Option<&mut Interner>,
    cells: &WindowCells,
    source: &Column,
) -> Vec<u32> {
    let (slots, values) = cells.changed(column, source);
    column.write(interner, &values, Writes { slots: Slots::List(&slots), skip: None, first_row: 0 });
    slots
}

/// The position of a window's source among the table's and computed columns, and the source if it is computed.
/// `computed` are the columns that the window may read.
fn source_of<'a>(
    window: &Window,
    num_columns: usize,
    computed: &'a [ComputedRef],
) -> (usize, Option<&'a ComputedRef>) {
    match &window.source {
        WindowSource::Table(column) => (*column, None),
        WindowSource::Computed(name) => {
            let read = computed.iter().find(|column| column.alias == *name);
            let read = read.expect("a checked window reads an existing column");
            (num_columns + read.position, Some(read))
        }
    }
}

/// The rows in which the value of an expression may have changed.
fn touched(expression: &Expression, delta: &TableDelta) -> Vec<u32> {
    let is_touched = |slot: u32| {
        expression.looks_up || expression.columns.iter().any(|&column| delta.is_changed(column, slot))
    };
    let mut slots = delta.inserted.clone();
    slots.extend(delta.changed().filter(|&slot| is_touched(slot)));
    slots
}
