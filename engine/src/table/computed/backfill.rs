//! Backfill: computing a new column for existing rows while writes go on.
//!
//! Invariant: a column computed from an older snapshot and then caught up has, at every version, the values it
//! would have had if it had existed all the time. Snapshots and deltas taken meanwhile are amended with the column
//! ([`InstalledColumns`]). Deltas since the start are logged; a worker applies them to the column ([`CatchUpLog`]),
//! and the table applies the last few when it installs the column.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::window::WindowColumn;
use super::{Body, ComputedColumns, touched, write_window};
use crate::access::Restricted;
use crate::column::{Column, Interner};
use crate::context::EngineContext;
use crate::error::Result;
use crate::expr::{Expression, VolatileInputs};
use crate::interrupt::{self, Interrupt};
use crate::memory::{MemoryKind, MemoryRefused, MemoryReservation};
use crate::storage::ComputedRef;
use crate::storage::Snapshot;
use crate::storage::TableDelta;
use crate::view::Plan;
use crate::window::Window;

/// New columns to be computed from a snapshot, on any thread.
#[derive(Debug, Clone)]
pub struct Backfill {
    snapshot: Snapshot,
    /// Shared by clones, so that each column's token is held once for the backfill, whatever its clones.
    columns: Arc<[PendingColumn]>,
    /// Where `random()` starts, among the computations of the table.
    counter: u64,
    /// The part of the table whose columns they are.
    restriction: Option<Restricted>,
}

/// A column that has no values yet.
#[derive(Debug, Clone)]
pub(in crate::table) struct PendingColumn {
    column: ComputedRef,
    definition: Definition,
}

#[derive(Debug, Clone)]
enum Definition {
    Expression(Arc<Expression>),
    /// The window, and the position of its source among the table's and computed columns.
    Window(Window, usize),
}

/// The columns of a [`Backfill`], computed up to some version.
#[derive(Debug)]
pub struct BackfillResult {
    columns: Vec<BackfilledColumn>,
    version: u64,
    /// State of `random()`.
    random: u64,
}

#[derive(Debug)]
struct BackfilledColumn {
    cells: Column,
    interner: Option<Interner>,
    /// The state of a window column.
    window: Option<Box<WindowColumn>>,
    past: Vec<ColumnVersion>,
    /// What was reserved to compute it.
    memory: MemoryReservation,
}

/// A column at one version.
#[derive(Debug)]
struct ColumnVersion {
    version: u64,
    column: Column,
    /// Rows outside the batch that led to this version in which the cell changed.
    recomputed: Vec<u32>,
}

/// The deltas of a table since columns were computed.
#[derive(Debug)]
pub struct CatchUpLog(Vec<Arc<TableDelta>>);

/// Columns that were installed, with their state at each version since their backfill started.
#[derive(Debug)]
pub struct InstalledColumns(Vec<ColumnVersions>);

#[derive(Debug)]
struct ColumnVersions {
    /// Position among the table's and computed columns.
    column: usize,
    position: usize,
    /// By version, ascending.
    past: Vec<ColumnVersion>,
}

impl PendingColumn {
    fn compute(
        &self,
        snapshot: &Snapshot,
        context: &EngineContext,
        inputs: &mut VolatileInputs,
    ) -> Result<BackfilledColumn, MemoryRefused> {
        let mut memory = context.memory.nothing(MemoryKind::ComputedColumns);
        let (cells, interner, window) = match &self.definition {
            Definition::Expression(expression) => {
                let (cells, interner) =
                    expression.column(snapshot, context.threads(), inputs, &mut memory)?;
                (cells, interner, None)
            }
            Definition::Window(window, source) => {
                let lasting = Column::bytes_of(self.column.storage) + WindowColumn::ROW_BYTES;
                let passing = WindowColumn::BUILD_BYTES;
                memory.grow((snapshot.num_rows() * (lasting + passing)) as u64)?;
                let (window, new) = WindowColumn::build(window.clone(), *source, snapshot);
                let mut cells = Column::new(self.column.storage);
                let mut interner = matches!(cells, Column::Str(..)).then(Interner::default);
                write_window(&mut cells, interner.as_mut(), &new, snapshot.column(*source));
                memory.shrink_to((snapshot.num_rows() * lasting) as u64);
                (cells, interner, Some(Box::new(window)))
            }
        };
        let past = vec![ColumnVersion {
            version: snapshot.version(),
            column: cells.clone(),
            recomputed: Vec::new(),
        }];
        memory.settle_all();
        Ok(BackfilledColumn { cells, interner, window, past, memory })
    }
}

impl BackfilledColumn {
    fn follow(&mut self, definition: &Definition, delta: &TableDelta, inputs: &mut VolatileInputs) {
        self.cells.clear(self.interner.as_mut(), &delta.removed);
        let mut recomputed = Vec::new();
        match (definition, &mut self.window) {
            (Definition::Expression(expression), _) => {
                let slots = touched(expression, delta);
                expression.write_rows(&delta.new, &slots, &mut self.cells, &mut self.interner, inputs);
            }
            (Definition::Window(_, source), Some(window)) => {
                let reread: BTreeSet<u32> = delta.recomputed.iter().copied().collect();
                let new = window.step(delta, &delta.old, &delta.new, &reread);
                let source = delta.new.column(*source);
                recomputed = write_window(&mut self.cells, self.interner.as_mut(), &new, source);
            }
            (Definition::Window(..), None) => {}
        }
        self.past.push(ColumnVersion { version: delta.to(), column: self.cells.clone(), recomputed });
    }
}

impl Backfill {
    /// Computes the columns from the backfill's snapshot. Cost: O(rows) per column. What they take is reserved in the
    /// context's account as long as they exist.
    ///
    /// # Errors
    ///
    /// The account refuses; no column is kept.
    pub fn run(&self, context: &EngineContext) -> Result<BackfillResult> {
        let mut inputs = VolatileInputs::new(context, self.counter);
        let columns = self
            .columns
            .iter()
            .map(|pending| {
                interrupt::checkpoint();
                pending.compute(&self.snapshot, context, &mut inputs)
            })
            .collect::<Result<_, MemoryRefused>>()?;
        Ok(BackfillResult { columns, version: self.version(), random: inputs.random })
    }

    /// Marks the columns as those of a part of the table.
    pub(in crate::table) fn within(self, restriction: Restricted) -> Backfill {
        Backfill { restriction: Some(restriction), ..self }
    }

    /// The part of the table whose columns they are; `None`: the table's own.
    pub fn restriction(&self) -> Option<&Restricted> {
        self.restriction.as_ref()
    }

    /// Whether a plan, or a window that waits for it, reads one of the columns. Cost: O(columns).
    pub fn is_awaited(&self) -> bool {
        self.columns.iter().any(|pending| Arc::strong_count(&pending.column.token) > 1)
    }

    /// Ends the work of the backfill once nothing reads its columns any more.
    pub fn interrupt(&self) -> Interrupt {
        let backfill = self.clone();
        Interrupt::new(move || !backfill.is_awaited())
    }

    /// Whether both are the same backfill.
    pub fn is(&self, other: &Backfill) -> bool {
        let token =
            |backfill: &Backfill| backfill.columns.first().map(|missing| missing.column.token.clone());
        matches!((token(self), token(other)), (Some(one), Some(other)) if Arc::ptr_eq(&one, &other))
    }

    /// Whether `plan` has one of the columns.
    pub fn is_of(&self, plan: &Plan) -> bool {
        let is_ours = |column: &ComputedRef| {
            self.columns.iter().any(|pending| Arc::ptr_eq(&pending.column.token, &column.token))
        };
        plan.computed_columns().iter().any(is_ours)
    }

    /// The version of the snapshot that the columns are computed from.
    pub fn version(&self) -> u64 {
        self.snapshot.version()
    }
}

impl BackfillResult {
    /// Applies the logged deltas that the columns have not seen. Cost: that of one step of the columns per delta.
    pub fn follow(&mut self, backfill: &Backfill, backlog: &CatchUpLog, context: &EngineContext) {
        let mut inputs = VolatileInputs { now_ms: context.now_ms, random: self.random };
        for delta in backlog.0.iter().filter(|delta| delta.from() >= self.version) {
            for (column, missing) in self.columns.iter_mut().zip(backfill.columns.iter()) {
                column.follow(&missing.definition, delta, &mut inputs);
            }
        }
        self.random = inputs.random;
        self.version = backlog.version().unwrap_or(self.version).max(self.version);
    }
}

impl CatchUpLog {
    /// The number of deltas; some may be merged ones.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no deltas.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The version to which the deltas lead; `None` if there are none.
    pub fn version(&self) -> Option<u64> {
        self.0.last().map(|delta| delta.to())
    }
}

impl InstalledColumns {
    /// Whether no column was installed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the columns to a snapshot, as of its version.
    pub fn amend(&self, snapshot: &Snapshot) -> Snapshot {
        self.0.iter().fold(snapshot.clone(), |snapshot, states| {
            let before = states.past.partition_point(|past| past.version <= snapshot.version());
            match before.checked_sub(1).and_then(|at| states.past.get(at)) {
                Some(past) => snapshot.with_computed(states.position, past.column.clone()),
                None => snapshot,
            }
        })
    }

    /// Adds the columns to both snapshots of a delta, and the rows outside the batch in which they changed to
    /// `recomputed`.
    pub fn amend_delta(&self, delta: &TableDelta) -> TableDelta {
        let mut amended =
            TableDelta { old: self.amend(&delta.old), new: self.amend(&delta.new), ..delta.clone() };
        let mut recomputed: BTreeSet<u32> = delta.recomputed.iter().copied().collect();
        for ColumnVersions { column, past, .. } in &self.0 {
            let within = past.partition_point(|past| past.version <= delta.from())
                ..past.partition_point(|past| past.version <= delta.to());
            // A view that was opened before the backfill started does not use the column.
            let (Some(old), Some(new)) = (amended.old.find_column(*column), amended.new.find_column(*column))
            else {
                continue;
            };
            // Bitwise, because zeros have signs.
            let cell = |cells: &Column, slot| (cells.bits(slot), cells.number(slot).map(f64::to_bits));
            let is_outside = |slot: &u32| {
                [&delta.inserted, &delta.updated, &delta.removed]
                    .iter()
                    .all(|slots| slots.binary_search(slot).is_err())
            };
            let slots = past[within].iter().flat_map(|past| past.recomputed.iter().copied());
            recomputed.extend(slots.filter(|slot| is_outside(slot) && cell(old, *slot) != cell(new, *slot)));
        }
        amended.recomputed = recomputed.into_iter().collect();
        amended
    }
}

impl ComputedColumns {
    pub(super) fn has_pending(&self) -> bool {
        self.entries.iter().flatten().any(|entry| entry.is_pending)
    }

    pub(in crate::table) fn is_pending(&self, column: &ComputedRef) -> bool {
        self.entries[column.position].as_ref().is_some_and(|entry| entry.is_pending)
    }

    /// The column of a checked expression; a new one is added to `pending`. `taken`: the plan's columns so far.
    pub(in crate::table) fn hold(
        &mut self,
        alias: &str,
        expression: Expression,
        taken: &[ComputedRef],
        pending: &mut Vec<PendingColumn>,
    ) -> ComputedRef {
        let storage = expression.storage;
        if let Some((position, token)) = self.find_expression(&expression, taken) {
            return ComputedRef { alias: alias.to_owned(), position, storage, token };
        }
        self.hold_new(alias, expression, pending)
    }

    fn hold_new(
        &mut self,
        alias: &str,
        expression: Expression,
        pending: &mut Vec<PendingColumn>,
    ) -> ComputedRef {
        let storage = expression.storage;
        let expression = Arc::new(expression);
        let (position, token) = self.add(alias, Body::Expression(expression.clone()), storage, None, None);
        let column = ComputedRef { alias: alias.to_owned(), position, storage, token };
        self.await_column(&column, Definition::Expression(expression), pending);
        column
    }

    /// As [`ComputedColumns::hold`], for a column that is computed at once: it shares none that is computed elsewhere.
    pub(in crate::table) fn hold_ready(
        &mut self,
        alias: &str,
        expression: Expression,
        taken: &[ComputedRef],
        pending: &mut Vec<PendingColumn>,
    ) -> ComputedRef {
        let is_pending =
            |found: &(usize, Arc<()>)| self.entries[found.0].as_ref().is_some_and(|entry| entry.is_pending);
        match self.find_expression(&expression, taken).filter(|found| !is_pending(found)) {
            Some((position, token)) => {
                ComputedRef { alias: alias.to_owned(), position, storage: expression.storage, token }
            }
            None => self.hold_new(alias, expression, pending),
        }
    }

    /// The column of a checked window; a new one is added to `pending`. `computed`: the columns that it may read.
    pub(in crate::table) fn hold_window(
        &mut self,
        alias: &str,
        window: Window,
        num_columns: usize,
        computed: &[ComputedRef],
        pending: &mut Vec<PendingColumn>,
    ) -> ComputedRef {
        let storage = window.storage;
        let (source, read) = super::source_of(&window, num_columns, computed);
        if let Some((position, token)) = self.find_window(alias, &window, source) {
            return ComputedRef { alias: alias.to_owned(), position, storage, token };
        }
        let (position, token) =
            self.add(alias, Body::PendingWindow, storage, read, Some((window.clone(), source)));
        let column = ComputedRef { alias: alias.to_owned(), position, storage, token };
        self.await_column(&column, Definition::Window(window, source), pending);
        column
    }

    fn await_column(
        &mut self,
        column: &ComputedRef,
        definition: Definition,
        pending: &mut Vec<PendingColumn>,
    ) {
        if let Some(entry) = &mut self.entries[column.position] {
            entry.is_pending = true;
        }
        pending.push(PendingColumn { column: column.clone(), definition });
    }

    /// The backfill of the pending columns that can be computed now. Windows over columns that are still pending wait for
    /// these, with the snapshot.
    pub(in crate::table) fn backfill(
        &mut self,
        stored: &Snapshot,
        pending: Vec<PendingColumn>,
    ) -> Option<Backfill> {
        if pending.is_empty() {
            return None;
        }
        self.num_computations += 1;
        let counter = self.num_computations;
        let snapshot = self.extend(stored);
        let (waiting, columns): (Vec<PendingColumn>, Vec<PendingColumn>) =
            pending.into_iter().partition(|pending| self.is_source_pending(pending, &snapshot));
        let one = |pending| Backfill {
            snapshot: snapshot.clone(),
            columns: [pending].into(),
            counter,
            restriction: None,
        };
        self.waiting.extend(waiting.into_iter().map(one));
        let columns: Arc<[PendingColumn]> = columns.into();
        (!columns.is_empty()).then_some(Backfill { snapshot, columns, counter, restriction: None })
    }

    /// Whether the source of a window is pending.
    fn is_source_pending(&self, missing: &PendingColumn, snapshot: &Snapshot) -> bool {
        let Definition::Window(_, source) = &missing.definition else { return false };
        let Some(position) = source.checked_sub(snapshot.schema().len()) else { return false };
        self.entries[position].as_ref().is_some_and(|entry| entry.is_pending)
    }

    /// Takes the waiting backfills whose sources have been installed.
    pub(in crate::table) fn take_ready(&mut self) -> Vec<Backfill> {
        let waiting = std::mem::take(&mut self.waiting);
        let (waiting, ready) = waiting.into_iter().partition(|backfill| {
            backfill.columns.iter().any(|missing| self.is_source_pending(missing, &backfill.snapshot))
        });
        self.waiting = waiting;
        ready
    }

    /// Forgets a backfill that failed, and those that wait for its columns.
    pub(in crate::table) fn abandon(&mut self, backfill: &Backfill) {
        let num_columns = backfill.snapshot.schema().len();
        let mut failed: Vec<usize> =
            backfill.columns.iter().map(|pending| num_columns + pending.column.position).collect();
        // A window may wait for a window, so each that is dropped may leave others without a source.
        loop {
            let reads_failed = |pending: &PendingColumn| match &pending.definition {
                Definition::Window(_, source) => failed.contains(source),
                Definition::Expression(_) => false,
            };
            let waiting = std::mem::take(&mut self.waiting);
            let (dropped, kept): (Vec<Backfill>, Vec<Backfill>) =
                waiting.into_iter().partition(|waiting| waiting.columns.iter().any(reads_failed));
            self.waiting = kept;
            if dropped.is_empty() {
                return;
            }
            let columns = dropped.iter().flat_map(|backfill| backfill.columns.iter());
            failed.extend(columns.map(|pending| num_columns + pending.column.position));
        }
    }

    /// What prepared columns have not followed.
    pub(in crate::table) fn catch_up_log(&self, prepared: &BackfillResult) -> CatchUpLog {
        let begin = self.log.partition_point(|delta| delta.from() < prepared.version);
        CatchUpLog(self.log[begin..].to_vec())
    }

    /// The number of logged deltas.
    pub(in crate::table) fn num_logged(&self) -> usize {
        self.log.len()
    }

    /// Merges the logged deltas; afterwards only the versions in `needed` are distinguishable.
    pub(in crate::table) fn shorten_log(&mut self, needed: &BTreeSet<u64>) {
        let is_needed = |version: u64| {
            needed.contains(&version) || self.waiting.iter().any(|backfill| backfill.version() == version)
        };
        let mut runs: Vec<Vec<Arc<TableDelta>>> = Vec::new();
        for delta in std::mem::take(&mut self.log) {
            match runs.last_mut() {
                Some(run) if !is_needed(delta.from()) => run.push(delta),
                _ => runs.push(vec![delta]),
            }
        }
        // Pairwise, so that each row is merged O(log of the run's length) times.
        self.log = runs
            .into_iter()
            .filter_map(|mut run| {
                while run.len() > 1 {
                    run = run
                        .chunks(2)
                        .map(|pair| match pair {
                            [first, second] => Arc::new(first.then(second)),
                            _ => pair[0].clone(),
                        })
                        .collect();
                }
                run.pop()
            })
            .collect();
    }

    /// Takes columns that were computed elsewhere and leads them to the present. Nothing, if they are here already.
    pub(in crate::table) fn install(
        &mut self,
        backfill: &Backfill,
        mut prepared: BackfillResult,
        context: &EngineContext,
    ) -> InstalledColumns {
        let mut installed = Vec::new();
        prepared.follow(backfill, &self.catch_up_log(&prepared), context);
        for (pending, backfilled) in backfill.columns.iter().zip(prepared.columns) {
            let position = pending.column.position;
            // The backfill holds the column's token, so its position has not been reused.
            let Some(entry) = self.entries[position].as_mut().filter(|entry| entry.is_pending) else {
                continue;
            };
            entry.is_pending = false;
            entry.memory = Some(backfilled.memory);
            if let Some(window) = backfilled.window {
                entry.body = Body::Window(window);
            }
            self.columns.install(position, backfilled.cells, backfilled.interner);
            let column = backfill.snapshot.schema().len() + position;
            installed.push(ColumnVersions { column, position, past: backfilled.past });
        }
        let installed = InstalledColumns(installed);
        if !self.has_pending() {
            self.log.clear();
        }
        // Waiting windows that read these columns start from the amended log.
        for delta in &mut self.log {
            if delta.from() >= backfill.version() {
                *delta = Arc::new(installed.amend_delta(delta));
            }
        }
        for waiting in &mut self.waiting {
            waiting.snapshot = installed.amend(&waiting.snapshot);
        }
        installed
    }
}
