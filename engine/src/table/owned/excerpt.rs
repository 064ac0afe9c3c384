//! A few rows of a table as a table of their own, on which a batch can be tried.

use arrow::array::{Array, Int64Array};

use super::{Keys, OwnedTable};
use crate::column::typed;
use crate::data::{Batch, BatchColumn, TableOptions};
use crate::parallel::Threads;
use crate::storage::StagedBatch;

impl OwnedTable {
    /// The rows that a batch names by key, each once. Cost: O(rows of the batch).
    pub(in crate::table) fn slots_named(&self, staged: &StagedBatch) -> Vec<u32> {
        let batch = &staged.batch;
        let found: Vec<Option<u32>> = match (&self.keys, self.index) {
            (Keys::Index(index), Some(column)) => {
                let given = batch.columns.iter().find(|given| given.column == column);
                let cells = &self.columns[column];
                let find = |key| index.find(key, |slot| cells.bits(slot));
                match batch.keys.as_ref().or(given.map(|given| &given.values)) {
                    Some(keys) => {
                        let known = cells.known_bits(self.columns.interner(column), keys);
                        known.into_iter().map(|key| key.and_then(find)).collect()
                    }
                    // A row without a key has the null key.
                    None => vec![find(None)],
                }
            }
            (keys, _) => {
                let Some(given) = &batch.keys else { return Vec::new() };
                let given = typed::<Int64Array>(given);
                let find = |row: usize| {
                    let key = given.is_valid(row).then(|| given.value(row))?;
                    match keys {
                        Keys::Sequential { first_key } => {
                            self.order.get(usize::try_from(key.checked_sub(*first_key)?).ok()?)
                        }
                        Keys::Explicit { cells, index } => {
                            index.find(Some(key as u64), |slot| cells.get(slot).map(|key| key as u64))
                        }
                        Keys::Index(_) => None,
                    }
                };
                (0..given.len()).map(find).collect()
            }
        };
        let mut slots: Vec<u32> = found.into_iter().flatten().collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// A table of the rows that a batch names by key, under their keys. Rows without a key get the keys that they would get
    /// here. Cost: O(rows of the batch · columns).
    pub(in crate::table) fn excerpt(&self, staged: &StagedBatch) -> OwnedTable {
        let slots = self.slots_named(staged);
        let options = TableOptions { limit: None, ..self.options.clone() };
        let mut excerpt = OwnedTable::empty(self.schema.clone(), options);
        let snapshot = self.snapshot();
        let columns = (0..self.schema.len()).map(|column| {
            let values = snapshot.column(column).gather(&slots);
            BatchColumn { column, values, missing: None }
        });
        let keys = self.index.is_none().then(|| snapshot.keys(&slots));
        let rows = Batch { num_rows: slots.len(), columns: columns.collect(), keys };
        excerpt.write_rows(&rows, false, Threads::ONE);
        excerpt.end_batch();
        excerpt.counter = self.counter;
        excerpt
    }
}
