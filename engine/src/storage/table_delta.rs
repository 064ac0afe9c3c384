//! The changes between two versions of a table.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::ArrayRef;

use crate::storage::Snapshot;

/// The changes of a table between two of its versions.
///
/// Invariant: retracting every `removed`, `updated` and `recomputed` slot as it was in `old`, then inserting every
/// `inserted`, `updated` and `recomputed` slot as it is in `new`, leads from one version to the other. A slot that
/// was freed and reused within the delta is in both `removed` and `inserted`. Slots ascend within each list.
#[derive(Debug, Clone)]
pub struct TableDelta {
    /// The table before the changes.
    pub old: Snapshot,
    /// The table after the changes.
    pub new: Snapshot,
    /// The port through which the batch was written; 0 for remove, replace and clear.
    pub port_id: u32,
    /// Slots of new rows.
    pub inserted: Vec<u32>,
    /// Rows whose key occurred in the batch, whether or not a cell changed.
    pub updated: Vec<u32>,
    /// Slots of removed rows.
    pub removed: Vec<u32>,
    /// Slots of rows outside the batch in which a computed cell changed: a window column depends on other rows.
    pub recomputed: Vec<u32>,
    /// The removed keys that subscribers are notified of, as an array of the index column's storage. `None` for
    /// tables without an index, and when nothing was removed.
    pub removed_keys: Option<ArrayRef>,
}

impl TableDelta {
    /// The number of rows that changed.
    pub fn num_rows(&self) -> usize {
        self.inserted.len() + self.updated.len() + self.removed.len() + self.recomputed.len()
    }

    /// The version before the changes.
    pub fn from(&self) -> u64 {
        self.old.version()
    }

    /// The version after the changes.
    pub fn to(&self) -> u64 {
        self.new.version()
    }

    /// Slots that hold the same row before and after, some cell of which may have changed.
    pub(crate) fn changed(&self) -> impl Iterator<Item = u32> {
        self.updated.iter().chain(&self.recomputed).copied()
    }

    /// Prefetches the cells of updated rows, before and after, so that the reads row by row that follow hit the
    /// cache.
    pub(crate) fn prefetch(&self, columns: impl Iterator<Item = usize>) {
        for column in columns {
            self.old.column(column).touch_all(&self.updated);
            self.new.column(column).touch_all(&self.updated);
        }
    }

    /// Whether the cell of an updated row has changed.
    pub(crate) fn is_changed(&self, column: usize, slot: u32) -> bool {
        self.old.column(column).bits(slot) != self.new.column(column).bits(slot)
    }
}

/// The net effect of a delta on one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotChange {
    Inserted,
    Updated,
    Removed,
    /// The row was removed and the slot reused.
    Exchanged,
}

impl SlotChange {
    /// Composes this change with the next one of the same slot. `None` if they cancel out.
    fn then(self, next: SlotChange) -> Option<SlotChange> {
        match (self, next) {
            (SlotChange::Inserted, SlotChange::Removed) => None,
            (SlotChange::Inserted, _) => Some(SlotChange::Inserted),
            (SlotChange::Updated, next) => Some(next),
            (SlotChange::Removed, _) => Some(SlotChange::Exchanged),
            (SlotChange::Exchanged, SlotChange::Removed) => Some(SlotChange::Removed),
            (SlotChange::Exchanged, _) => Some(SlotChange::Exchanged),
        }
    }
}

impl TableDelta {
    /// Merges two consecutive deltas. The result keeps this delta's port. Cost: O(rows of both · log).
    pub fn then(&self, next: &TableDelta) -> TableDelta {
        debug_assert_eq!(self.to(), next.from());
        let mut changes = self.changes();
        // Includes the slots whose changes cancel out.
        let touched: BTreeSet<u32> = changes.keys().copied().chain(next.changes().into_keys()).collect();
        for (slot, change) in next.changes() {
            match changes.remove(&slot) {
                None => drop(changes.insert(slot, change)),
                Some(before) => {
                    if let Some(both) = before.then(change) {
                        changes.insert(slot, both);
                    }
                }
            }
        }
        let slots = |wanted: &[SlotChange]| -> Vec<u32> {
            changes.iter().filter(|(_, change)| wanted.contains(change)).map(|(slot, _)| *slot).collect()
        };
        let recomputed: BTreeSet<u32> = self
            .recomputed
            .iter()
            .chain(&next.recomputed)
            .copied()
            .filter(|slot| !touched.contains(slot))
            .collect();
        TableDelta {
            old: self.old.clone(),
            new: next.new.clone(),
            port_id: self.port_id,
            inserted: slots(&[SlotChange::Inserted, SlotChange::Exchanged]),
            updated: slots(&[SlotChange::Updated]),
            removed: slots(&[SlotChange::Removed, SlotChange::Exchanged]),
            recomputed: recomputed.into_iter().collect(),
            removed_keys: self.removed_keys_then(next),
        }
    }

    fn changes(&self) -> BTreeMap<u32, SlotChange> {
        let mut changes: BTreeMap<u32, SlotChange> =
            self.removed.iter().map(|slot| (*slot, SlotChange::Removed)).collect();
        changes.extend(self.updated.iter().map(|slot| (*slot, SlotChange::Updated)));
        for slot in &self.inserted {
            let change =
                if changes.contains_key(slot) { SlotChange::Exchanged } else { SlotChange::Inserted };
            changes.insert(*slot, change);
        }
        changes
    }

    fn removed_keys_then(&self, next: &TableDelta) -> Option<ArrayRef> {
        let (Some(first), Some(second)) = (&self.removed_keys, &next.removed_keys) else {
            return self.removed_keys.clone().or_else(|| next.removed_keys.clone());
        };
        let both = arrow::compute::concat(&[first.as_ref(), second.as_ref()]);
        Some(both.expect("keys of one table have one type"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{FilterTerm, SortDirection, SortTerm, ViewConfig};
    use crate::data::{TableData, TableOptions};
    use crate::export::{JsonOptions, json_columns};
    use crate::table::Table;
    use crate::testing::Random;
    use crate::types::scalar::Scalar;
    use crate::view::{Plan, SliceOptions, View};

    fn table() -> Table {
        let rows = TableData::Rows(r#"[{"k":1,"v":1},{"k":2,"v":2},{"k":3,"v":3}]"#.into());
        let options = TableOptions { index: Some("k".into()), ..TableOptions::default() };
        Table::create(&rows, options).unwrap()
    }

    fn update(table: &mut Table, rows: &str) -> TableDelta {
        table.update(&TableData::Rows(rows.into()), 0).unwrap().unwrap()
    }

    fn remove(table: &mut Table, keys: &str) -> TableDelta {
        table.remove(&TableData::Rows(keys.into())).unwrap().unwrap()
    }

    #[test]
    fn an_insert_and_its_removal_cancel_out() {
        let mut table = table();
        let inserted = update(&mut table, r#"[{"k":9,"v":9}]"#);
        let removed = remove(&mut table, "[9]");
        let both = inserted.then(&removed);
        assert_eq!((both.from(), both.to()), (inserted.from(), removed.to()));
        assert!(both.inserted.is_empty() && both.updated.is_empty() && both.removed.is_empty());
    }

    #[test]
    fn an_update_of_an_inserted_row_stays_an_insert() {
        let mut table = table();
        let inserted = update(&mut table, r#"[{"k":9,"v":9}]"#);
        let changed = update(&mut table, r#"[{"k":9,"v":10},{"k":1,"v":10}]"#);
        let both = inserted.then(&changed);
        assert_eq!((both.inserted.len(), both.updated.len(), both.removed.len()), (1, 1, 0));
        assert_eq!(both.inserted, inserted.inserted);
    }

    #[test]
    fn a_reused_slot_is_removed_and_inserted() {
        let mut table = table();
        let removed = remove(&mut table, "[2]");
        let inserted = update(&mut table, r#"[{"k":7,"v":7}]"#);
        let both = removed.then(&inserted);
        assert_eq!(both.removed, removed.removed);
        assert_eq!(both.inserted, inserted.inserted);
        assert_eq!(both.removed_keys.as_ref().map(|keys| keys.len()), Some(1));
    }

    /// The view's output, as text.
    fn shown(view: &mut View) -> String {
        let mut handle = view.handle(None);
        let slice = view.slice(&mut handle, SliceOptions { id: true, ..SliceOptions::default() });
        json_columns(&slice.gather(), JsonOptions { id: true, ..JsonOptions::default() })
    }

    #[test]
    fn stepping_by_a_merged_delta_equals_stepping_by_each() {
        let configs = [
            ViewConfig::default(),
            ViewConfig {
                sort: vec![SortTerm { column: "v".into(), direction: SortDirection::Desc }],
                filter: vec![FilterTerm {
                    column: "v".into(),
                    op: ">".into(),
                    operands: vec![Scalar::Float(3.0)],
                }],
                ..ViewConfig::default()
            },
            ViewConfig { group_by: vec!["v".into()], ..ViewConfig::default() },
        ];
        let mut generator = Random::new(7);
        let mut random = |below: usize| generator.below(below) as u64;
        for _ in 0..100 {
            let mut table = table();
            let mut views = configs.clone().map(|config| {
                let plan = Arc::new(Plan::new(&config, table.schema()).unwrap());
                View::build(plan, &table.snapshot())
            });
            let mut merged: Option<TableDelta> = None;
            for _ in 0..1 + random(6) {
                let (one, other, value) = (random(6), random(6), random(9));
                let rows = format!(r#"[{{"k":{one},"v":{value}}},{{"k":{other}}}]"#);
                let delta = match random(5) {
                    0 => remove(&mut table, &format!("[{one},{other}]")),
                    1 => table.replace(&TableData::Rows(rows.into())).unwrap(),
                    _ => update(&mut table, &rows),
                };
                merged = Some(match merged {
                    None => delta,
                    Some(before) => before.then(&delta),
                });
            }
            let merged = merged.expect("at least one batch");
            for view in &mut views {
                view.step(&merged);
                let mut again = View::build(view.plan().clone(), &table.snapshot());
                assert_eq!(shown(view), shown(&mut again));
            }
        }
    }
}
