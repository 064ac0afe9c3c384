//! Applying logical deltas to a copy of a table.
//!
//! Invariant: see [`LogicalDelta`]. Rows of gapless keys stay a ring as long as the delta evicts its first rows and appends
//! behind its last one, as the original's does. Cost: O(rows of the delta · log).

use arrow::array::{Array, ArrayRef, Int64Array};

use super::{Changes, Keys, OwnedTable};
use crate::column::typed;
use crate::data::{Batch, BatchColumn};
use crate::error::{DataError, Result};
use crate::parallel::Threads;
use crate::storage::{KeyOrder, LogicalDelta, TableDelta, wrap};
use crate::table::record::is_of;
use crate::types::schema::Storage;

impl OwnedTable {
    /// Applies a delta of the original. Fails, without a change, if the delta does not start at this table's version or
    /// is of another table.
    pub fn replicate(&mut self, delta: &LogicalDelta, threads: Threads) -> Result<TableDelta> {
        self.check_delta(delta)?;
        let old = self.snapshot();
        let mut changes = Changes::default();
        if delta.is_replaced {
            changes.removed = old.order().iter_from(0).collect();
            self.clear();
        } else if let Some(keys) = &delta.removed_keys {
            changes = self.remove_delta_keys(keys);
        }
        let num_rows = delta.upserted.num_rows();
        let arrays = delta.upserted.columns().iter().take(self.schema.len()).cloned().enumerate();
        let columns = arrays.map(|(column, values)| BatchColumn { column, values, missing: None });
        let batch = Batch { num_rows, columns: columns.collect(), keys: None };
        if num_rows > 0 {
            let written = match (self.index, delta.upserted.columns().last()) {
                (None, Some(keys)) => self.upsert_delta(&batch, typed::<Int64Array>(keys), threads),
                (Some(_), _) | (None, None) => self.upsert(&batch, false, threads),
            };
            changes.inserted = written.inserted;
            changes.updated = written.updated;
            changes.removed.extend(written.removed);
        }
        changes.removed_keys = match delta.is_replaced {
            true => self.keys_not_reinserted(&old, &changes.removed),
            false => delta.removed_keys.clone().filter(|_| self.index.is_some()),
        };
        delta.wide_columns.iter().for_each(|&column| self.columns[column].widen());
        self.version = delta.to - 1;
        Ok(self.finish(old, delta.port_id, changes))
    }

    fn check_delta(&self, delta: &LogicalDelta) -> Result<()> {
        let refused = |reason: String| Err(DataError::Record { act: "apply the delta", reason }.into());
        if delta.from != self.version || delta.to <= delta.from {
            let (from, to, version) = (delta.from, delta.to, self.version);
            return refused(format!("it leads from version {from} to {to}, the table is at {version}"));
        }
        let key_storage = self.index.map_or(Storage::Int64, |index| self.schema.field(index).storage);
        let columns = self.schema.fields().iter().map(|field| field.storage);
        let expected: Vec<Storage> = columns.chain(self.index.is_none().then_some(key_storage)).collect();
        let fields = delta.upserted.schema_ref().fields();
        let fits = fields.len() == expected.len()
            && fields.iter().zip(expected).all(|(field, storage)| is_of(field.data_type(), storage))
            && delta.removed_keys.as_ref().is_none_or(|keys| is_of(keys.data_type(), key_storage))
            && delta.wide_columns.iter().all(|&column| column < self.schema.len());
        if !fits {
            return refused("its columns are not the table's".into());
        }
        let keys = [delta.removed_keys.as_ref(), delta.upserted.columns().last()];
        if self.index.is_none() && keys.into_iter().flatten().any(|keys| !ascends(typed::<Int64Array>(keys)))
        {
            return refused("its keys do not ascend".into());
        }
        Ok(())
    }

    fn remove_delta_keys(&mut self, keys: &ArrayRef) -> Changes {
        if self.index.is_some() {
            return self.remove_keys(keys);
        }
        let keys = typed::<Int64Array>(keys).values();
        if let (Keys::Sequential { first_key }, KeyOrder::Ring { start, len, capacity }) =
            (&mut self.keys, &mut self.order)
        {
            let num_evicted = keys.len().min(*len as usize);
            // The keys ascend.
            if keys.last() == Some(&(*first_key + num_evicted as i64 - 1)) && keys.first() == Some(first_key)
            {
                let removed: Vec<u32> = (0..num_evicted).map(|row| wrap(*start, row, *capacity)).collect();
                *start = wrap(*start, num_evicted, *capacity);
                *len -= num_evicted as u32;
                *first_key += num_evicted as i64;
                self.columns.clear(&removed);
                return Changes { removed, ..Changes::default() };
            }
        }
        self.make_keys_explicit();
        let Keys::Explicit { cells, index } = &self.keys else { return Changes::default() };
        let find = |key: &i64| index.find(Some(*key as u64), |slot| cells.get(slot).map(|key| key as u64));
        let removed: Vec<u32> = keys.iter().filter_map(find).collect();
        self.remove_rows(&removed);
        Changes { removed, ..Changes::default() }
    }

    /// Upserts rows under implicit keys, which ascend.
    fn upsert_delta(&mut self, batch: &Batch, keys: &Int64Array, threads: Threads) -> Changes {
        let keys = keys.values();
        let last = keys.last().copied().unwrap_or_default();
        let next_key = self.counter.max(last + 1);
        let changes = match &self.keys {
            Keys::Sequential { first_key } => {
                let (len, first) = (self.order.len() as i64, *first_key);
                let end = if len == 0 { keys[0] } else { first + len };
                let num_known = keys.partition_point(|key| *key < end);
                let is_gapless = keys[num_known..].iter().zip(end..).all(|(key, next)| *key == next);
                if is_gapless && (len == 0 || keys[0] >= first) {
                    let mut changes =
                        self.upsert_keys(&sliced(batch, 0, num_known), &keys[..num_known], threads);
                    let num_new = keys.len() - num_known;
                    if num_new > 0 {
                        self.counter = end;
                        let appended = self.append(&sliced(batch, num_known, num_new), threads);
                        changes.inserted.extend(appended.inserted);
                        changes.removed.extend(appended.removed);
                    }
                    changes
                } else {
                    self.make_keys_explicit();
                    self.upsert_keys(batch, keys, threads)
                }
            }
            Keys::Explicit { .. } | Keys::Index(_) => self.upsert_keys(batch, keys, threads),
        };
        self.counter = next_key;
        changes
    }
}

fn ascends(keys: &Int64Array) -> bool {
    keys.null_count() == 0 && keys.values().windows(2).all(|pair| pair[0] < pair[1])
}

fn sliced(batch: &Batch, start: usize, len: usize) -> Batch {
    let columns = batch
        .columns
        .iter()
        .map(|column| BatchColumn { values: column.values.slice(start, len), ..column.clone() });
    Batch { num_rows: len, columns: columns.collect(), keys: None }
}
