//! The columns that one writer owns, with all that travels with them.
//!
//! Invariant: a text column has an interner, and no other column has one; every snapshot of the columns holds the epoch in
//! which it was taken, so that text codes are reclaimed only when no snapshot refers to them. Cost: that of the columns.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

use arrow::array::ArrayRef;

use super::{CodeReclaim, Column, Interner, Writes};
use crate::types::schema::{Schema, Storage};

/// Columns, the writer's side of their texts, and the reclamation of text codes.
#[derive(Debug, Default)]
pub(crate) struct ColumnSet {
    columns: Vec<Column>,
    /// The writer's side of the text columns, by column.
    interners: Vec<Option<Interner>>,
    code_reclaim: CodeReclaim,
    /// Held by every snapshot of this version.
    epoch: Arc<()>,
}

impl ColumnSet {
    /// Empty columns of a schema.
    pub(crate) fn new(schema: &Schema) -> ColumnSet {
        let mut set = ColumnSet::default();
        for (position, field) in schema.fields().iter().enumerate() {
            set.put(position, field.storage);
        }
        set
    }

    /// Puts an empty column at a position, at most one behind the last. The codes of a column that was there are
    /// forgotten.
    pub(crate) fn put(&mut self, position: usize, storage: Storage) {
        let column = Column::new(storage);
        let interner = matches!(column, Column::Str(..)).then(Interner::default);
        if position == self.columns.len() {
            self.columns.push(column);
            self.interners.push(interner);
        } else {
            self.code_reclaim.drop_column(position);
            self.install(position, column, interner);
        }
    }

    /// Replaces an empty column by one that was computed elsewhere.
    pub(crate) fn install(&mut self, position: usize, column: Column, interner: Option<Interner>) {
        self.columns[position] = column;
        self.interners[position] = interner;
    }

    pub(crate) fn as_slice(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Held by snapshots of the columns as they are now.
    pub(crate) fn epoch(&self) -> &Arc<()> {
        &self.epoch
    }

    pub(crate) fn interner(&self, column: usize) -> Option<&Interner> {
        self.interners[column].as_ref()
    }

    pub(crate) fn writer(&mut self, column: usize) -> (&mut Column, &mut Option<Interner>) {
        (&mut self.columns[column], &mut self.interners[column])
    }

    /// All columns, to be written in parallel.
    pub(crate) fn writers(&mut self) -> impl Iterator<Item = (&mut Column, &mut Option<Interner>)> {
        self.columns.iter_mut().zip(&mut self.interners)
    }

    /// Writes values of the column's storage type.
    pub(crate) fn write(&mut self, column: usize, values: &ArrayRef, writes: Writes<'_>) {
        self.columns[column].write(self.interners[column].as_mut(), values, writes);
    }

    /// Sets `slots` to null in all columns and releases their text.
    pub(crate) fn clear(&mut self, slots: &[u32]) {
        if slots.is_empty() {
            return;
        }
        for (column, interner) in self.writers() {
            column.clear(interner.as_mut(), slots);
        }
    }

    /// Removes all cells and releases all text.
    pub(crate) fn reset(&mut self) {
        for (column, interner) in self.writers() {
            column.reset(interner.as_mut());
        }
    }

    /// Ends a batch: retires texts without uses, starts the next epoch, and reclaims the codes that are due.
    pub(crate) fn end_batch(&mut self) {
        self.code_reclaim.end_batch(&mut self.columns, &mut self.interners, &mut self.epoch);
    }

    /// Bytes held by cells and texts.
    pub(crate) fn memory(&self) -> usize {
        let columns: usize = self.columns.iter().map(Column::memory).sum();
        columns + self.interners.iter().flatten().map(Interner::memory).sum::<usize>()
    }
}

impl Index<usize> for ColumnSet {
    type Output = Column;

    fn index(&self, column: usize) -> &Column {
        &self.columns[column]
    }
}

impl IndexMut<usize> for ColumnSet {
    fn index_mut(&mut self, column: usize) -> &mut Column {
        &mut self.columns[column]
    }
}
