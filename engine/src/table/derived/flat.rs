//! A flat view as a table: the source's own cells and slots, with fewer rows and columns.
//!
//! Invariant: linear; the only state is the order of the rows that pass the filter. The view's sort is ignored:
//! rows are in the source's key order.

use super::{Wanted, choose};
use crate::column::Column;
use crate::error::{Result, TableError};
use crate::sorted::OrderTree;
use crate::storage::TableDelta;
use crate::storage::{KeyOrder, Snapshot};
use crate::types::schema::{ColumnType, Field, Schema};
use crate::view::Plan;

#[derive(Debug)]
pub(super) struct FlatTable {
    plan: Plan,
    columns: Wanted,
    schema: Schema,
    /// Position of the source's index column among `columns`.
    index: Option<usize>,
    /// The rows that pass the filter; `None` if there is no filter.
    rows: Option<OrderTree>,
    snapshot: Snapshot,
}

impl FlatTable {
    pub(super) fn new(
        plan: Plan,
        source: &Snapshot,
        wanted: Option<&[(String, ColumnType)]>,
    ) -> Result<FlatTable> {
        let shown: Vec<Field> =
            plan.columns.iter().map(|&column| plan.schema.field(column).clone()).collect();
        let columns = choose(&shown, wanted)?;
        let index = columns.iter().position(|(_, shown)| {
            source.index().is_some() && shown.map(|shown| plan.columns[shown]) == source.index()
        });
        if let (None, Some(source_index), Some(_)) = (index, source.index(), wanted)
            && plan.columns.contains(&source_index)
        {
            let name = &source.schema().field(source_index).name;
            return Err(TableError::DerivedIndex { column: name.to_string() }.into());
        }
        let rows = (!plan.filter.is_empty()).then(|| {
            let passing = source.order().iter_from(0).filter(|&slot| plan.filter.keeps(source, slot));
            OrderTree::from_sorted(passing)
        });
        let schema = Schema::new(columns.iter().map(|(field, _)| field.clone()).collect());
        let mut table = FlatTable { plan, columns, schema, index, rows, snapshot: source.clone() };
        table.snapshot = table.project(source, 0);
        Ok(table)
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn project(&self, source: &Snapshot, version: u64) -> Snapshot {
        let column = |(field, shown): &(Field, Option<usize>)| match shown {
            Some(shown) => source.column(self.plan.columns[*shown]).clone(),
            None => Column::new(field.storage),
        };
        let order = match &self.rows {
            Some(rows) => KeyOrder::Tree(rows.clone()),
            None => source.order().clone(),
        };
        source.project(
            version,
            self.schema.clone(),
            self.columns.iter().map(column).collect(),
            self.index,
            order,
        )
    }

    pub(super) fn follow(&mut self, delta: &TableDelta) -> Option<TableDelta> {
        let filter = &self.plan.filter;
        let was = |slot: u32| filter.keeps(&delta.old, slot);
        let is = |slot: u32| filter.keeps(&delta.new, slot);
        let mut removed: Vec<u32> = delta.removed.iter().copied().filter(|&slot| was(slot)).collect();
        let mut inserted: Vec<u32> = delta.inserted.iter().copied().filter(|&slot| is(slot)).collect();
        let mut updated = Vec::new();
        for &slot in &delta.updated {
            match (was(slot), is(slot)) {
                (true, true) => updated.push(slot),
                (true, false) => removed.push(slot),
                (false, true) => inserted.push(slot),
                (false, false) => {}
            }
        }
        let is_shown_changed =
            |slot: u32| self.plan.columns.iter().any(|&column| delta.is_changed(column, slot));
        let mut recomputed = Vec::new();
        for &slot in &delta.recomputed {
            match (was(slot), is(slot)) {
                (true, true) if is_shown_changed(slot) => recomputed.push(slot),
                (true, true) | (false, false) => {}
                (true, false) => removed.push(slot),
                (false, true) => inserted.push(slot),
            }
        }
        removed.sort_unstable();
        inserted.sort_unstable();
        if let Some(rows) = &mut self.rows {
            rows.remove_many(&removed, &|left, right| delta.old.compare_keys(left, right));
            rows.insert_many(inserted.clone(), &|left, right| delta.new.compare_keys(left, right));
        }
        let old = self.snapshot.clone();
        let is_idle =
            removed.is_empty() && inserted.is_empty() && updated.is_empty() && recomputed.is_empty();
        // The snapshot is replaced in any case: it shares the source's cells, and an old one would keep them alive.
        self.snapshot = self.project(&delta.new, old.version() + u64::from(!is_idle));
        if is_idle {
            return None;
        }
        let removed_keys = self.index.and_then(|index| {
            let inserted_keys: hashbrown::HashSet<Option<u64>, ahash::RandomState> =
                inserted.iter().map(|&slot| self.snapshot.column(index).bits(slot)).collect();
            let lost: Vec<u32> = removed
                .iter()
                .copied()
                .filter(|&slot| !inserted_keys.contains(&old.column(index).bits(slot)))
                .collect();
            (!lost.is_empty()).then(|| old.column(index).gather(&lost))
        });
        Some(TableDelta {
            old,
            new: self.snapshot.clone(),
            port_id: 0,
            inserted,
            updated,
            removed,
            recomputed,
            removed_keys,
        })
    }
}
