//! Removing rows: by key, by replacement, by limit.

use arrow::array::ArrayRef;

use super::{Changes, Keys, OwnedTable};
use crate::storage::Snapshot;

impl OwnedTable {
    /// Removes the rows with these keys (an array of the index column's storage). Unknown keys are ignored.
    pub(super) fn remove_keys(&mut self, keys: &ArrayRef) -> Changes {
        let index_column = self.index.expect("only indexed tables remove by key");
        let Keys::Index(index) = &self.keys else { return Changes::default() };
        let column = &self.columns[index_column];
        let known = column.known_bits(self.columns.interner(index_column), keys);
        let mut removed: Vec<u32> =
            known.into_iter().flatten().filter_map(|key| index.find(key, |slot| column.bits(slot))).collect();
        // A repeated key is removed and reported once.
        let mut seen: hashbrown::HashSet<u32, ahash::RandomState> = hashbrown::HashSet::default();
        removed.retain(|&slot| seen.insert(slot));
        let removed_keys = (!removed.is_empty()).then(|| self.columns[index_column].gather(&removed));
        self.remove_rows(&removed);
        Changes { removed, removed_keys, ..Changes::default() }
    }

    /// Removes rows from the order, the index and the columns, and frees their slots.
    pub(super) fn remove_rows(&mut self, slots: &[u32]) {
        if slots.is_empty() {
            return;
        }
        let (columns, keys, index) = (&self.columns, &mut self.keys, self.index);
        match keys {
            Keys::Index(key_index) => {
                let column = &columns[index.expect("an indexed table has an index column")];
                self.order.tree().remove_many(slots, &|left, right| column.compare(left, right));
                for &slot in slots {
                    key_index.remove(column.bits(slot), slot);
                }
            }
            Keys::Explicit { cells, index } => {
                self.order.tree().remove_many(slots, &|left, right| cells.get(left).cmp(&cells.get(right)));
                for &slot in slots {
                    index.remove(cells.get(slot).map(|key| key as u64), slot);
                    cells.set(slot, None);
                }
            }
            Keys::Sequential { .. } => unreachable!("rows with gapless keys are evicted from the ring only"),
        }
        self.columns.clear(slots);
        self.free.extend_from_slice(slots);
    }

    /// After a replacement, the keys of `removed` rows that were not inserted again.
    pub(super) fn keys_not_reinserted(&self, old: &Snapshot, removed: &[u32]) -> Option<ArrayRef> {
        let index_column = self.index?;
        let Keys::Index(index) = &self.keys else { return None };
        let (before, now) = (old.column(index_column), &self.columns[index_column]);
        // Text codes keep their meaning across the replacement, so bits are comparable.
        let lost: Vec<u32> = removed
            .iter()
            .copied()
            .filter(|&slot| index.find(before.bits(slot), |slot| now.bits(slot)).is_none())
            .collect();
        (!lost.is_empty()).then(|| before.gather(&lost))
    }
}
