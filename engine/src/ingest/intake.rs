//! Collects JSON rows and columns into a batch: resolves keys to columns and creates new ones.
//!
//! Invariant: when a table is created, every key makes a column, in the order in which keys get their first value; in
//! an update, columns are those of the schema, other keys are ignored or refused, and `__INDEX__` holds the row keys.

use std::borrow::Cow;
use std::sync::Arc;

use ahash::AHashMap;

use super::cell::JsonCell;
use super::flatten_json::{Allowance, Flattener, paths_with_values};
use super::staging::StagingMemory;
use super::store::{ColumnStore, Respell};
use super::{MAX_CLAIMED_ROWS, ROW_KEYS, UnknownNames, UpdateTarget};
use crate::data::{Batch, BatchColumn, ListFlatten};
use crate::error::{DataError, FlattenBound, Result};
use crate::types::schema::{Field, Schema, Storage};

/// The keys and values of one row, before it is flattened.
pub(super) type RowCells<'de> = Vec<(Cow<'de, str>, JsonCell<'de>)>;

/// Cells for which no memory is reserved: a small write stays a small one.
const UNRESERVED_CELLS: usize = 2048;

/// Findings of a first reading for a second one, which reads numbers with their spelling.
pub(super) type Respellings = AHashMap<Arc<str>, Respell>;

pub(super) struct Intake<'t> {
    mode: Mode<'t>,
    /// Set if numbers are read with their spelling, with the treatment of new columns.
    respellings: Option<Respellings>,
    columns: Vec<IntakeColumn>,
    by_name: AHashMap<Arc<str>, usize>,
    /// The key at each position of the last row and its column; objects mostly repeat their order.
    hints: Vec<(Arc<str>, Option<usize>)>,
    num_rows: usize,
    num_typed: usize,
    /// Columns that have cells, and the number of those cells; all other cells are padding.
    num_touched: usize,
    num_put: usize,
    /// While a table is created: whether some key has no type yet. Afterwards new keys count only from their first
    /// value.
    is_scanning: bool,
    allowance: Allowance<'t>,
    memory: Option<&'t StagingMemory>,
    /// Cells for which no more memory needs to be reserved.
    reserved_cells: usize,
    /// Keys of an update that are no columns.
    unknown: UnknownNames,
}

#[derive(Clone, Copy)]
enum Mode<'t> {
    Create { index: Option<&'t str>, list_flatten: ListFlatten },
    Update(UpdateTarget<'t>),
}

struct IntakeColumn {
    name: Arc<str>,
    store: ColumnStore,
    /// Rank in order of first typed value; `None` sorts last, by name.
    typed_at: Option<usize>,
    /// Position in the table's schema; `None` for the row keys. Unused when a table is created.
    target: Option<usize>,
}

impl<'t> Intake<'t> {
    pub(super) fn create(index: Option<&'t str>, list_flatten: ListFlatten) -> Self {
        Intake::new(Mode::Create { index, list_flatten })
    }

    pub(super) fn update(target: UpdateTarget<'t>) -> Self {
        let mut intake = Intake::new(Mode::Update(target));
        for (position, field) in target.schema.fields().iter().enumerate() {
            if &*field.name != ROW_KEYS {
                let store = ColumnStore::fixed(field.storage).for_keys(target.index == Some(position));
                intake.add_column(field.name.clone(), store, Some(position));
            }
        }
        intake.add_column(ROW_KEYS.into(), ColumnStore::fixed(target.key_storage()).for_keys(true), None);
        intake
    }

    fn new(mode: Mode<'t>) -> Self {
        Intake {
            mode,
            respellings: None,
            columns: Vec::new(),
            by_name: AHashMap::new(),
            hints: Vec::new(),
            num_rows: 0,
            num_typed: 0,
            num_touched: 0,
            num_put: 0,
            is_scanning: true,
            allowance: Allowance::default(),
            memory: None,
            reserved_cells: UNRESERVED_CELLS,
            unknown: UnknownNames::default(),
        }
    }

    /// Reserves the memory of the cells as they are read.
    pub(super) fn reserving(self, memory: &'t StagingMemory) -> Self {
        Intake { memory: Some(memory), allowance: Allowance::default().reserving(memory), ..self }
    }

    /// Prepares a second reading of the same text, with spellings.
    pub(super) fn spelled(self, respellings: &Respellings) -> Self {
        Intake { respellings: Some(respellings.clone()), ..self }
    }

    pub(super) fn is_spelled(&self) -> bool {
        self.respellings.is_some()
    }

    /// Returns a value if the text must be read again with spellings; `None` after a reading with spellings.
    pub(super) fn respellings(&self) -> Option<Respellings> {
        let found: Respellings = self
            .columns
            .iter()
            .filter_map(|column| Some((column.name.clone(), column.store.respell()?)))
            .collect();
        (!self.is_spelled() && !found.is_empty()).then_some(found)
    }

    /// Creates the store of a new column.
    fn growing(&self, name: &str) -> ColumnStore {
        let index = match self.mode {
            Mode::Create { index, .. } => index,
            Mode::Update(_) => None,
        };
        let respell = self.respellings.as_ref().and_then(|respellings| respellings.get(name).copied());
        let store = match respell {
            Some(respell @ (Respell::Digits | Respell::Texts)) => ColumnStore::respelled(respell),
            Some(Respell::Given) | None => ColumnStore::growing(),
        };
        store.for_keys(index == Some(name))
    }

    /// Creates an intake for the following rows, with the columns found so far.
    pub(super) fn fork(&self) -> Intake<'t> {
        let mut fork = Intake::new(self.mode);
        if let Some(memory) = self.memory {
            fork = fork.reserving(memory);
        }
        fork.is_scanning = self.is_scanning;
        fork.by_name = self.by_name.clone();
        fork.hints = self.hints.clone();
        fork.num_typed = self.num_typed;
        for IntakeColumn { name, store, typed_at, target } in &self.columns {
            let (store, typed_at, target) = (store.like(), *typed_at, *target);
            fork.columns.push(IntakeColumn { name: name.clone(), store, typed_at, target });
        }
        fork
    }

    /// Returns whether a fork of `origin` has made no change to the columns.
    pub(super) fn is_like(&self, origin: &Intake<'_>) -> bool {
        let pairs = self.columns.iter().zip(&origin.columns);
        self.columns.len() == origin.columns.len()
            && pairs.into_iter().all(|(left, right)| left.store.storage() == right.store.storage())
    }

    /// Appends the rows of a fork, for which [`Intake::is_like`] holds.
    pub(super) fn absorb(&mut self, part: Intake<'t>) -> Result<()> {
        for (column, part) in self.columns.iter_mut().zip(part.columns) {
            if part.store.len() > 0 {
                self.num_touched += usize::from(column.store.len() == 0);
                column.store.pad_to(self.num_rows);
                column.store.append(part.store);
            }
        }
        self.unknown.absorb(part.unknown);
        self.num_rows += part.num_rows;
        self.num_put += part.num_put;
        if self.num_rows > MAX_CLAIMED_ROWS {
            // Whether they are too many depends on how flattening expanded them.
            return Err(DataError::TooManyRows { limit: MAX_CLAIMED_ROWS, what: "in parts" }.into());
        }
        self.check_padding()
    }

    pub(super) fn is_update(&self) -> bool {
        matches!(self.mode, Mode::Update(_))
    }

    /// Returns whether a column of an update holds row keys.
    fn is_key(&self, column: usize) -> bool {
        let Mode::Update(target) = self.mode else { return false };
        let position = self.columns[column].target;
        position.is_none() || position == target.index
    }

    fn add_column(&mut self, name: Arc<str>, store: ColumnStore, target: Option<usize>) -> usize {
        self.by_name.insert(name.clone(), self.columns.len());
        self.columns.push(IntakeColumn { name, store, typed_at: None, target });
        self.columns.len() - 1
    }

    /// Reads one row, flattening it if needed. With `row_in_error`, errors about mismatched lists name the row, which
    /// only JSON columns do.
    pub(super) fn put_row(&mut self, cells: &mut RowCells<'_>, row_in_error: Option<usize>) -> Result<()> {
        if !cells.iter().any(|(_, cell)| cell.is_nested()) {
            return self.put_flat_row(cells);
        }
        self.allowance.grant(cells);
        let allowance = &self.allowance;
        let flattener = match self.mode {
            Mode::Create { index, list_flatten } => {
                Flattener { allowance, list_flatten, index, is_update: false, row_in_error }
            }
            Mode::Update(target) => {
                let columns = &self.columns;
                let unknown = &mut self.unknown;
                cells.retain(|(key, _)| {
                    let is_known = columns.iter().any(|column| is_at_or_under(&column.name, key));
                    if !is_known {
                        unknown.note(key);
                    }
                    is_known
                });
                let index = target.index.map(|index| &*target.schema.field(index).name);
                Flattener {
                    allowance,
                    list_flatten: target.list_flatten,
                    index,
                    is_update: true,
                    row_in_error,
                }
            }
        };
        let rows = flattener.flatten(cells)?;
        if self.num_rows + rows.len() > MAX_CLAIMED_ROWS {
            return Err(DataError::Flatten { path: None, bound: FlattenBound::Rows(MAX_CLAIMED_ROWS) }.into());
        }
        for mut row in rows {
            self.put_flat_row(&mut row)?;
        }
        Ok(())
    }

    fn put_flat_row(&mut self, cells: &mut RowCells<'_>) -> Result<()> {
        for (position, (key, cell)) in cells.drain(..).enumerate() {
            if let Some(column) = self.find(position, &key, &cell) {
                let store = &mut self.columns[column].store;
                self.num_touched += usize::from(store.len() == 0);
                self.num_put += 1;
                store.pad_to(self.num_rows);
                if store.len() > self.num_rows {
                    store.pop();
                }
                self.push(column, &cell, self.num_rows)?;
            }
        }
        self.num_rows += 1;
        self.check_padding()?;
        if self.is_scanning && self.num_typed == self.columns.len() && !self.columns.is_empty() {
            self.is_scanning = false;
        }
        Ok(())
    }

    /// Limits padding: rows that each have a key of their own (or one long column beside many short ones) would
    /// otherwise cost memory quadratic in the size of the text.
    fn check_padding(&mut self) -> Result<()> {
        const MAX_PADDED_CELLS: usize = 1 << 24;
        const MAX_CELLS_PER_CELL: usize = 64;
        let num_cells = self.num_touched.saturating_mul(self.num_rows);
        if num_cells > self.reserved_cells
            && let Some(memory) = self.memory
        {
            let more = (num_cells - self.reserved_cells).max(self.reserved_cells / 8);
            memory.grow_cells(more)?;
            self.reserved_cells += more;
        }
        if num_cells <= MAX_PADDED_CELLS || num_cells / MAX_CELLS_PER_CELL <= self.num_put {
            return Ok(());
        }
        Err(DataError::TooSparse { rows: self.num_rows, columns: self.num_touched, cells: self.num_put }
            .into())
    }

    fn push(&mut self, column: usize, cell: &JsonCell<'_>, row: usize) -> Result<()> {
        let IntakeColumn { name, store, typed_at, .. } = &mut self.columns[column];
        if let Err(misfit) = store.push(cell) {
            let storage = store.storage().unwrap_or(Storage::Utf8);
            return Err(misfit.at(name, storage, row).into());
        }
        if typed_at.is_none() && !matches!(cell, JsonCell::Null) {
            *typed_at = Some(self.num_typed);
            self.num_typed += 1;
        }
        Ok(())
    }

    /// Resolves a key to its column; `None` if it is ignored.
    fn find(&mut self, position: usize, key: &str, cell: &JsonCell<'_>) -> Option<usize> {
        if let Some((hint, column)) = self.hints.get(position)
            && **hint == *key
        {
            return *column;
        }
        let column = match self.by_name.get(key) {
            Some(column) => Some(*column),
            None if self.is_update() => None,
            None if matches!(cell, JsonCell::Null) && !self.is_scanning => return None,
            None => Some(self.add_column(key.into(), self.growing(key), None)),
        };
        let name = match column {
            Some(column) => self.columns[column].name.clone(),
            None => {
                self.unknown.note(key);
                key.into()
            }
        };
        // Longer rows look up each key, so that rows with ever new keys do not accumulate hints.
        const MAX_HINTS: usize = 4096;
        if position < self.hints.len() {
            self.hints[position] = (name, column);
        } else if position == self.hints.len() && position < MAX_HINTS {
            self.hints.push((name, column));
        }
        column
    }

    /// Ranks columns with only nulls after the others, by name.
    pub(super) fn place_untyped(&mut self) {
        let mut untyped: Vec<usize> =
            (0..self.columns.len()).filter(|column| self.columns[*column].typed_at.is_none()).collect();
        untyped.sort_by(|left, right| self.columns[*left].name.cmp(&self.columns[*right].name));
        for column in untyped {
            self.columns[column].typed_at = Some(self.num_typed);
            self.num_typed += 1;
        }
    }

    /// Starts a whole column, whose cells follow by [`Intake::put_cell`]. `None` if the column is ignored; its length
    /// still counts.
    pub(super) fn open_column(&mut self, name: &str) -> Option<usize> {
        let is_update = self.is_update();
        match self.by_name.get(name).copied() {
            Some(column) => {
                // A repeated member replaces the earlier one.
                let fresh = match self.columns[column].store.storage() {
                    Some(storage) if is_update => ColumnStore::fixed(storage).for_keys(self.is_key(column)),
                    _ => self.growing(name),
                };
                self.columns[column].store = fresh;
                Some(column)
            }
            None if is_update => {
                self.unknown.note(name);
                None
            }
            None => {
                let column = self.add_column(name.into(), self.growing(name), None);
                // The order of the members is preserved.
                self.columns[column].typed_at = Some(self.num_typed);
                self.num_typed += 1;
                Some(column)
            }
        }
    }

    /// Creates the columns of a nested member of JSON columns, from its first item that has a value, which preserves
    /// the order of the members.
    pub(super) fn reserve(&mut self, name: &str, items: &[JsonCell<'_>]) {
        let Mode::Create { list_flatten, .. } = self.mode else { return };
        self.is_scanning = false;
        let mut paths = Vec::new();
        for item in items {
            paths_with_values(name.to_owned(), item, list_flatten, &mut paths);
            if !paths.is_empty() {
                break;
            }
        }
        // As in rows, objects and arrays without a value reveal nothing about their column.
        if paths.is_empty() && !items.iter().all(JsonCell::is_nested) {
            paths.push(name.to_owned());
        }
        for path in paths {
            if !self.by_name.contains_key(&*path) {
                self.open_column(&path);
            }
        }
    }

    pub(super) fn put_cell(&mut self, column: usize, cell: &JsonCell<'_>) -> Result<()> {
        let row = self.columns[column].store.len();
        self.num_touched += usize::from(row == 0);
        self.num_put += 1;
        self.push(column, cell, row)
    }

    pub(super) fn grow_to(&mut self, num_rows: usize) -> Result<()> {
        self.num_rows = self.num_rows.max(num_rows);
        self.check_padding()
    }

    /// Returns the schema and rows of a new table.
    pub(super) fn finish_create(mut self) -> Result<(Schema, Batch)> {
        self.place_untyped();
        self.columns.sort_by_key(|column| column.typed_at);
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut columns = Vec::with_capacity(self.columns.len());
        for (position, mut column) in self.columns.into_iter().enumerate() {
            column.store.pad_to(self.num_rows);
            let finished = column.store.finish(&column.name)?;
            fields.push(Field::new(column.name, finished.storage));
            columns.push(BatchColumn { column: position, values: finished.values, missing: None });
        }
        let num_rows = if columns.is_empty() { 0 } else { self.num_rows };
        Ok((Schema::new(fields), Batch { num_rows, columns, keys: None }))
    }

    /// Returns the rows of an update. If row keys are given, the index column is not written, except that it supplies
    /// the keys of rows without one.
    pub(super) fn finish_update(self) -> Result<Batch> {
        let Mode::Update(target) = self.mode else {
            panic!("rows of a new table are finished as a new table");
        };
        if let Some(unknown) = self.unknown.first() {
            target.unknown_column(unknown)?;
        }
        let mut batch = Batch { num_rows: self.num_rows, ..Batch::default() };
        let mut explicit_keys = None;
        for mut column in self.columns.into_iter().filter(|column| column.store.len() > 0) {
            column.store.pad_to(self.num_rows);
            let finished = column.store.finish(&column.name)?;
            match column.target {
                Some(column) => batch.columns.push(BatchColumn {
                    column,
                    values: finished.values,
                    missing: finished.missing,
                }),
                None => explicit_keys = Some(finished),
            }
        }
        if let Some(keys) = explicit_keys {
            super::set_row_keys(&mut batch, target, keys.values, keys.missing)?;
        }
        target.check_columns(&batch, self.unknown)?;
        Ok(batch)
    }
}

/// Returns whether a flattened path equals a key or lies below it.
fn is_at_or_under(path: &str, key: &str) -> bool {
    path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
