//! Computed columns: the expressions that views of a table ask for.
//!
//! Law: an expression is computed once per table, whichever views show it, and for the rows of a batch only. It stands
//! behind the table's own columns for as long as a plan holds its token; its text is reclaimed like any other.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};

use super::Snapshot;
use crate::column::{Column, Interner, Resting, Slots, Writes};
use crate::delta::TableDelta;
use crate::expr::{Expression, Row, Value};
use crate::scalar::Scalar;
use crate::schema::{Schema, Storage};

/// Rows computed at a time when a column is new.
const BLOCK_ROWS: usize = 8192;

/// A computed column as a plan refers to it.
#[derive(Debug, Clone)]
pub(crate) struct ComputedRef {
    pub(crate) alias: String,
    /// Position behind the table's own columns.
    pub(crate) position: usize,
    pub(crate) storage: Storage,
    /// Keeps the column alive.
    _token: Arc<()>,
}

#[derive(Debug, Default)]
pub(super) struct ComputedColumns {
    entries: Vec<Option<Entry>>,
    columns: Vec<Column>,
    interners: Vec<Option<Interner>>,
    resting: Resting,
    epoch: Arc<()>,
    /// State of `random()`.
    random: u64,
}

#[derive(Debug)]
struct Entry {
    alias: String,
    text: String,
    expression: Expression,
    token: Weak<()>,
}

impl ComputedColumns {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.iter().all(Option::is_none)
    }

    /// The column of an expression that was checked before; computed now if no plan holds it yet.
    pub(super) fn hold(
        &mut self,
        alias: &str,
        text: &str,
        expression: Expression,
        snapshot: &Snapshot,
    ) -> ComputedRef {
        let storage = expression.storage;
        let held = self.entries.iter().enumerate().find_map(|(position, entry)| {
            let entry = entry.as_ref().filter(|entry| entry.alias == alias && entry.text == text)?;
            Some((position, entry.token.upgrade()?))
        });
        let (position, token) = match held {
            Some(held) => held,
            None => {
                let token = Arc::new(());
                let entry = Entry {
                    alias: alias.to_owned(),
                    text: text.to_owned(),
                    expression,
                    token: Arc::downgrade(&token),
                };
                (self.add(entry, snapshot), token)
            }
        };
        ComputedRef { alias: alias.to_owned(), position, storage, _token: token }
    }

    fn add(&mut self, entry: Entry, snapshot: &Snapshot) -> usize {
        let storage = entry.expression.storage;
        let position = self.entries.iter().position(Option::is_none).unwrap_or(self.entries.len());
        if position == self.entries.len() {
            self.entries.push(None);
            self.columns.push(Column::new(storage));
            self.interners.push(None);
        }
        self.columns[position] = Column::new(storage);
        self.interners[position] = (storage == Storage::Utf8).then(Interner::default);
        self.entries[position] = Some(entry);
        let slots: Vec<u32> = snapshot.order().iter_from(0).collect();
        for block in slots.chunks(BLOCK_ROWS) {
            self.compute(position, snapshot, block);
        }
        position
    }

    /// Lets go of columns that no plan holds.
    pub(super) fn drop_unused(&mut self) {
        for position in 0..self.entries.len() {
            let is_unused =
                self.entries[position].as_ref().is_some_and(|entry| entry.token.strong_count() == 0);
            if is_unused {
                self.entries[position] = None;
                self.columns[position] = Column::new(Storage::Bool);
                self.interners[position] = None;
            }
        }
    }

    /// The table with its computed columns.
    pub(super) fn extend(&self, snapshot: &Snapshot) -> Snapshot {
        if self.is_empty() { snapshot.clone() } else { snapshot.extended(&self.columns, &self.epoch) }
    }

    /// Computes what a batch touched.
    pub(super) fn step(&mut self, delta: TableDelta) -> TableDelta {
        self.drop_unused();
        if self.is_empty() {
            return delta;
        }
        let old = self.extend(&delta.old);
        for position in 0..self.entries.len() {
            let Some(entry) = &self.entries[position] else { continue };
            let (inputs, looks_up) = (entry.expression.columns.clone(), entry.expression.looks_up);
            let is_touched =
                |slot: u32| looks_up || inputs.iter().any(|&column| delta.is_changed(column, slot));
            let mut slots = delta.inserted.clone();
            slots.extend(delta.updated.iter().copied().filter(|&slot| is_touched(slot)));
            self.columns[position].clear(self.interners[position].as_mut(), &delta.removed);
            self.compute(position, &delta.new, &slots);
        }
        self.resting.end_batch(&mut self.columns, &mut self.interners, &mut self.epoch);
        let new = self.extend(&delta.new);
        TableDelta { old, new, ..delta }
    }

    fn compute(&mut self, position: usize, snapshot: &Snapshot, slots: &[u32]) {
        let Some(entry) = &self.entries[position] else { return };
        let expression = &entry.expression;
        let values = expression.evaluate_rows(snapshot, slots, &mut self.random);
        let writes = Writes { slots: Slots::List(slots), skip: None, first_row: 0 };
        self.columns[position].write(self.interners[position].as_mut(), &values, writes);
    }
}

/// One row of a table, as an expression sees it.
pub(crate) struct TableRow<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) columns: &'a [usize],
    pub(crate) slot: u32,
}

impl TableRow<'_> {
    fn at(&self, column: usize, slot: u32) -> Value {
        let cells = self.snapshot.column(column);
        Value::of(&cells.scalar(slot), cells.storage())
    }

    fn schema(&self) -> &Schema {
        self.snapshot.schema()
    }
}

impl Row for TableRow<'_> {
    fn cell(&self, position: usize) -> Value {
        self.at(self.columns[position], self.slot)
    }

    fn named(&self, name: &str) -> Option<Value> {
        self.schema().index_of(name).map(|column| self.at(column, self.slot))
    }

    fn index(&self) -> Value {
        match self.snapshot.index() {
            Some(index) => self.at(index, self.slot),
            None => Value::of(&self.snapshot.key(self.slot), Storage::Int32),
        }
    }

    fn lookup(&self, name: &str, position: f64) -> Option<Value> {
        let column = self.schema().index_of(name)?;
        let slot = (position >= 0.0).then(|| self.snapshot.order().get(position as usize)).flatten();
        Some(match slot {
            Some(slot) => self.at(column, slot),
            None => Value::of(&Scalar::Null, self.snapshot.column(column).storage()),
        })
    }
}
