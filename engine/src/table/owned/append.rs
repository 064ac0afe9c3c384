//! Appending rows to a table without an index, and the ring of a limited table.

use arrow::array::{Array, ArrayRef, Int64Array};

use super::{Changes, Keys, OwnedTable};
use crate::column::{ChunkedVec, Slots, Writes, typed};
use crate::data::{Batch, BatchColumn};
use crate::parallel::Threads;
use crate::storage::KeyIndex;
use crate::storage::{KeyOrder, wrap};

impl OwnedTable {
    /// Appends all rows of the batch; a limited table evicts its oldest rows.
    pub(super) fn append(&mut self, batch: &Batch, threads: Threads) -> Changes {
        let next_key = self.counter;
        self.counter += batch.num_rows as i64;
        let is_gapless = match &mut self.keys {
            Keys::Sequential { first_key } => {
                if self.order.len() == 0 {
                    *first_key = next_key;
                }
                *first_key + self.order.len() as i64 == next_key
            }
            Keys::Index(_) | Keys::Explicit { .. } => false,
        };
        if !is_gapless {
            self.make_keys_explicit();
            let keys: Vec<i64> = (next_key..self.counter).collect();
            return self.upsert_keys(batch, &keys, threads);
        }
        let KeyOrder::Ring { start, len, capacity } = &mut self.order else {
            unreachable!("rows with gapless keys are in a ring");
        };
        if self.options.limit == Some(0) {
            return Changes::default();
        }
        let first_row = batch.num_rows.saturating_sub(*capacity as usize);
        let num_new = batch.num_rows - first_row;
        let num_evicted = (*len as usize + num_new).saturating_sub(*capacity as usize);
        let removed = ring_slots(*start, num_evicted, *capacity);
        *start = wrap(*start, num_evicted, *capacity);
        *len -= num_evicted as u32;
        let inserted = ring_slots(wrap(*start, *len as usize, *capacity), num_new, *capacity);
        *len += num_new as u32;
        if let Keys::Sequential { first_key } = &mut self.keys {
            *first_key = self.counter - i64::from(*len);
        }
        self.num_slots = self.num_slots.max(inserted.iter().max().map_or(0, |&slot| slot + 1));
        self.columns.clear(&removed);
        self.write_columns(batch, &inserted, first_row, None, threads);
        Changes { inserted, removed, ..Changes::default() }
    }

    /// Upserts rows with explicit keys (`__INDEX__`) into a table without an index.
    pub(super) fn upsert_implicit(&mut self, batch: &Batch, keys: &ArrayRef, threads: Threads) -> Changes {
        let array = typed::<Int64Array>(keys);
        let next_key = self.counter;
        self.counter += batch.num_rows as i64;
        // A row without a key is appended.
        let keys: Vec<i64> = (0..batch.num_rows)
            .map(|row| if array.is_valid(row) { array.value(row) } else { next_key + row as i64 })
            .collect();
        if let Keys::Sequential { first_key } = &self.keys {
            let range = *first_key..*first_key + self.order.len() as i64;
            if !keys.iter().all(|key| range.contains(key)) {
                self.make_keys_explicit();
            }
        }
        self.upsert_keys(batch, &keys, threads)
    }

    pub(super) fn upsert_keys(&mut self, batch: &Batch, keys: &[i64], threads: Threads) -> Changes {
        if self.options.limit == Some(0) {
            return Changes::default();
        }
        let mut changes = Changes::default();
        let mut slots = Vec::with_capacity(keys.len());
        let mut is_new: hashbrown::HashSet<u32, ahash::RandomState> = hashbrown::HashSet::default();
        for &key in keys {
            let found = match &self.keys {
                Keys::Sequential { first_key } => self.order.get((key - first_key) as usize),
                Keys::Explicit { cells, index } => {
                    index.find(Some(key as u64), |slot| cells.get(slot).map(|key| key as u64))
                }
                Keys::Index(_) => unreachable!("the table has no index"),
            };
            let slot = match found {
                Some(slot) => {
                    if !is_new.contains(&slot) {
                        changes.updated.push(slot);
                    }
                    slot
                }
                None => {
                    let slot = self.allocate_slot();
                    let Keys::Explicit { cells, index } = &mut self.keys else {
                        unreachable!("a new key makes the keys explicit first");
                    };
                    cells.set(slot, Some(key));
                    index.insert(Some(key as u64), slot, |slot| cells.get(slot).map(|key| key as u64));
                    is_new.insert(slot);
                    changes.inserted.push(slot);
                    slot
                }
            };
            slots.push(slot);
        }
        self.write_columns(batch, &slots, 0, None, threads);
        self.order_new_rows(&changes.inserted);
        self.evict(&mut changes);
        changes
    }

    /// Evicts the rows with the lowest keys beyond the limit.
    fn evict(&mut self, changes: &mut Changes) {
        let Some(limit) = self.options.limit else { return };
        let num_evicted = self.order.len().saturating_sub(limit as usize);
        if num_evicted == 0 {
            return;
        }
        let evicted: Vec<u32> = self.order.iter_from(0).take(num_evicted).collect();
        self.remove_rows(&evicted);
        let evicted_slots: hashbrown::HashSet<u32, ahash::RandomState> = evicted.iter().copied().collect();
        // A row inserted and evicted within the batch is not reported.
        let inserted: hashbrown::HashSet<u32, ahash::RandomState> =
            changes.inserted.iter().copied().collect();
        changes.inserted.retain(|slot| !evicted_slots.contains(slot));
        changes.updated.retain(|slot| !evicted_slots.contains(slot));
        changes.removed.extend(evicted.into_iter().filter(|slot| !inserted.contains(slot)));
    }

    /// Stores every row's key explicitly. Cost: O(rows).
    pub(super) fn make_keys_explicit(&mut self) {
        let Keys::Sequential { first_key } = self.keys else { return };
        let mut cells = ChunkedVec::<i64>::default();
        let mut index = KeyIndex::default();
        for (position, slot) in self.order.iter_from(0).enumerate() {
            let key = first_key + position as i64;
            cells.set(slot, Some(key));
            index.insert(Some(key as u64), slot, |slot| cells.get(slot).map(|key| key as u64));
        }
        // From here on slots are allocated and freed one by one, so the order is no longer a ring.
        self.order.tree();
        self.keys = Keys::Explicit { cells, index };
    }

    /// Writes the batch's columns except `except`; row `first_row + i` is written to `slots[i]`.
    pub(super) fn write_columns(
        &mut self,
        batch: &Batch,
        slots: &[u32],
        first_row: usize,
        except: Option<usize>,
        threads: Threads,
    ) {
        let is_run = slots.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1));
        let to = match (is_run, slots.first()) {
            (true, Some(&start)) => Slots::Run { start, len: slots.len() },
            _ => Slots::List(slots),
        };
        let threads = match to {
            Slots::Run { len, .. } => threads.for_load(len),
            Slots::List(list) => threads.for_scattered(list.len()),
        };
        let mut given: Vec<Vec<&BatchColumn>> = vec![Vec::new(); self.columns.len()];
        for column in batch.columns.iter().filter(|column| Some(column.column) != except) {
            given[column.column].push(column);
        }
        let cells = self.columns.writers().zip(given);
        let mut jobs: Vec<_> = cells.filter(|(_, given)| !given.is_empty()).collect();
        // Text takes longest; dealt first, it is spread over all threads.
        jobs.sort_by_key(|((_, interner), _)| interner.is_none());
        threads.deal(jobs, |((column, interner), given)| {
            for values in given {
                let writes = Writes { slots: to, skip: values.missing.as_ref(), first_row };
                column.write(interner.as_mut(), &values.values, writes);
            }
        });
    }

    pub(super) fn allocate_slot(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.num_slots += 1;
            self.num_slots - 1
        })
    }

    /// Inserts rows that were just written into the key order.
    pub(super) fn order_new_rows(&mut self, inserted: &[u32]) {
        let keys = &self.keys;
        let columns = &self.columns;
        let index = self.index;
        let compare = |left: u32, right: u32| match (keys, index) {
            (Keys::Explicit { cells, .. }, _) => cells.get(left).cmp(&cells.get(right)),
            (_, Some(index)) => columns[index].compare(left, right),
            (_, None) => left.cmp(&right),
        };
        self.order.insert(inserted, &compare);
    }
}

/// The `num_rows` slots of a ring from `first` on; `num_rows` must be at most `capacity`.
fn ring_slots(first: u32, num_rows: usize, capacity: u32) -> Vec<u32> {
    // One of the two runs may be empty. Counted in 32 bits, since slots are.
    let num_before_end = num_rows.min((capacity - first) as usize) as u32;
    (first..first + num_before_end).chain(0..num_rows as u32 - num_before_end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_a_ring_wrap_at_its_end() {
        for capacity in [1, 2, 5, u32::MAX] {
            for first in [0, 1, 4, u32::MAX - 1].into_iter().filter(|first| *first < capacity) {
                for num_rows in (0..=5).filter(|rows| *rows <= capacity as usize) {
                    let expected: Vec<u32> = (0..num_rows).map(|row| wrap(first, row, capacity)).collect();
                    assert_eq!(ring_slots(first, num_rows, capacity), expected);
                }
            }
        }
    }
}
