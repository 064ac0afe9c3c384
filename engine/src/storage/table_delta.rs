//! What one batch changed, and what that did to a view.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::ArrayRef;

use crate::storage::Snapshot;

/// What a batch changed in a table, between two of its versions.
///
/// Law: retracting every `removed`, `updated` and `recomputed` slot as it was in `old`, then inserting every `inserted`,
/// `updated` and `recomputed` slot as it is in `new`, leads from one version to the other. A slot that was freed and taken again within
/// the delta is in both `removed` and `inserted`. Slots ascend within each list.
#[derive(Debug, Clone)]
pub struct TableDelta {
    pub old: Snapshot,
    pub new: Snapshot,
    /// The port that the batch came through; 0 for remove, replace, clear.
    pub port_id: u32,
    pub inserted: Vec<u32>,
    /// Rows whose key occurred in the batch, whether or not a cell changed.
    pub updated: Vec<u32>,
    pub removed: Vec<u32>,
    /// Rows outside the batch of which a computed cell changed: a window column looks at other rows.
    pub recomputed: Vec<u32>,
    /// The keys that subscribers of removals hear of (an array of the index column's storage); none for tables
    /// without an index, and none when nothing was removed.
    pub removed_keys: Option<ArrayRef>,
}

impl TableDelta {
    pub fn from(&self) -> u64 {
        self.old.version()
    }

    pub fn to(&self) -> u64 {
        self.new.version()
    }

    /// Rows that are there before and after, some cell of which may have changed.
    pub(crate) fn changed(&self) -> impl Iterator<Item = u32> {
        self.updated.iter().chain(&self.recomputed).copied()
    }

    /// Fetches the cells of updated rows, before and after, all at once, before they are looked at row by row.
    pub(crate) fn touch(&self, columns: impl Iterator<Item = usize>) {
        for column in columns {
            self.old.column(column).touch_all(&self.updated);
            self.new.column(column).touch_all(&self.updated);
        }
    }

    /// Whether a cell of an updated row has another value than before.
    pub(crate) fn is_changed(&self, column: usize, slot: u32) -> bool {
        self.old.column(column).bits(slot) != self.new.column(column).bits(slot)
    }
}

/// What happened to one slot: whether a row left it, and whether a row is in it that was not there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotChange {
    Inserted,
    Updated,
    Removed,
    /// Removed, and the slot taken again.
    Exchanged,
}

impl SlotChange {
    /// This, and then `next`. `None`: as if nothing had happened.
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
    /// This delta and the one that follows it, as one. O(rows of both · log). The port is this one's.
    pub fn then(&self, next: &TableDelta) -> TableDelta {
        debug_assert_eq!(self.to(), next.from());
        let mut fates = self.fates();
        // Also those that came and went.
        let touched: BTreeSet<u32> = fates.keys().copied().chain(next.fates().into_keys()).collect();
        for (slot, fate) in next.fates() {
            match fates.remove(&slot) {
                None => drop(fates.insert(slot, fate)),
                Some(before) => {
                    if let Some(both) = before.then(fate) {
                        fates.insert(slot, both);
                    }
                }
            }
        }
        let slots = |wanted: &[SlotChange]| -> Vec<u32> {
            fates.iter().filter(|(_, fate)| wanted.contains(fate)).map(|(slot, _)| *slot).collect()
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

    fn fates(&self) -> BTreeMap<u32, SlotChange> {
        let mut fates: BTreeMap<u32, SlotChange> =
            self.removed.iter().map(|slot| (*slot, SlotChange::Removed)).collect();
        fates.extend(self.updated.iter().map(|slot| (*slot, SlotChange::Updated)));
        for slot in &self.inserted {
            let fate = if fates.contains_key(slot) { SlotChange::Exchanged } else { SlotChange::Inserted };
            fates.insert(*slot, fate);
        }
        fates
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
    fn a_row_that_came_and_went_was_never_there() {
        let mut table = table();
        let came = update(&mut table, r#"[{"k":9,"v":9}]"#);
        let went = remove(&mut table, "[9]");
        let both = came.then(&went);
        assert_eq!((both.from(), both.to()), (came.from(), went.to()));
        assert!(both.inserted.is_empty() && both.updated.is_empty() && both.removed.is_empty());
    }

    #[test]
    fn an_update_of_a_new_row_is_part_of_its_coming() {
        let mut table = table();
        let came = update(&mut table, r#"[{"k":9,"v":9}]"#);
        let changed = update(&mut table, r#"[{"k":9,"v":10},{"k":1,"v":10}]"#);
        let both = came.then(&changed);
        assert_eq!((both.inserted.len(), both.updated.len(), both.removed.len()), (1, 1, 0));
        assert_eq!(both.inserted, came.inserted);
    }

    #[test]
    fn a_slot_that_is_taken_again_is_removed_and_inserted() {
        let mut table = table();
        let went = remove(&mut table, "[2]");
        let came = update(&mut table, r#"[{"k":7,"v":7}]"#);
        let both = went.then(&came);
        assert_eq!(both.removed, went.removed);
        assert_eq!(both.inserted, came.inserted);
        assert_eq!(both.removed_keys.as_ref().map(|keys| keys.len()), Some(1));
    }

    /// What a view shows, as text.
    fn shown(view: &mut View) -> String {
        let mut handle = view.handle(None);
        let slice = view.slice(&mut handle, SliceOptions { id: true, ..SliceOptions::default() });
        json_columns(&slice.gather(), JsonOptions { id: true, ..JsonOptions::default() })
    }

    #[test]
    fn following_a_merged_delta_equals_following_each() {
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
        let mut state: u64 = 7;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
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
