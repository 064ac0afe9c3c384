//! A row of a snapshot, as input of an expression.

use super::eval::Row;
use super::value::Value;
use crate::storage::Snapshot;
use crate::types::scalar::Scalar;
use crate::types::schema::{Schema, Storage};

/// One row of a table, as input of an expression.
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
