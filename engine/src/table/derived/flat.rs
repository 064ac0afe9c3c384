//! A flat view as a table: the source's own cells and slots, with fewer rows and columns.
//!
//! Invariant: linear; the only state is the order of the rows that pass the filter. The view's sort is ignored:
//! rows are in the source's key order. A part of a table that has no index, or hides it, counts its rows itself, in the
//! order in which they came to belong to it: their keys reveal nothing about other rows.

use super::{Wanted, choose};
use crate::column::{ChunkedVec, Column};
use crate::error::{Result, TableError};
use crate::parallel::Threads;
use crate::sorted::OrderTree;
use crate::storage::TableDelta;
use crate::storage::{KeyOrder, Snapshot};
use crate::types::schema::{ColumnType, Field, Schema};
use crate::view::{Filter, Plan};

#[derive(Debug)]
pub(in crate::table) struct FlatTable {
    plan: Plan,
    columns: Wanted,
    schema: Schema,
    /// Position of the source's index column among `columns`.
    index: Option<usize>,
    /// The rows that pass the filter; `None` if there is no filter.
    rows: Option<OrderTree>,
    /// What decides beside the plan's filter which rows there are: each must pass.
    row_filters: Vec<Filter>,
    /// The keys of the rows, if they are not the source's.
    own_keys: Option<OwnKeys>,
    /// Whether it is a part of the source that readers take for the table.
    is_part: bool,
    snapshot: Snapshot,
}

/// Keys that a table counts itself.
#[derive(Debug, Default)]
struct OwnKeys {
    cells: ChunkedVec<i64>,
    next: i64,
}

impl OwnKeys {
    fn count(&mut self, slots: &[u32]) {
        for &slot in slots {
            self.cells.set(slot, Some(self.next));
            self.next += 1;
        }
    }

    fn forget(&mut self, slots: &[u32]) {
        slots.iter().for_each(|&slot| self.cells.set(slot, None));
    }

    fn compare(&self, left: u32, right: u32) -> std::cmp::Ordering {
        self.cells.get(left).cmp(&self.cells.get(right))
    }
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
        let mut table = FlatTable {
            plan,
            columns,
            schema,
            index,
            rows,
            row_filters: Vec::new(),
            own_keys: None,
            is_part: false,
            snapshot: source.clone(),
        };
        table.snapshot = table.project(source, 0);
        Ok(table)
    }

    /// The part of a table that has the columns of `plan`, under these names, and the rows that pass each filter.
    pub(in crate::table) fn part(
        plan: Plan,
        names: &[&str],
        row_filters: Vec<Filter>,
        source: &Snapshot,
        first_version: u64,
        threads: Threads,
    ) -> FlatTable {
        let named = plan.columns.iter().zip(names);
        let fields: Vec<Field> =
            named.map(|(&column, name)| Field::new(*name, plan.schema.field(column).storage)).collect();
        let index = plan.columns.iter().position(|column| source.index() == Some(*column));
        let mut slots = match row_filters.first() {
            Some(first) => first.select(source, threads),
            None => source.order().iter_from(0).collect(),
        };
        slots.retain(|&slot| row_filters.iter().skip(1).all(|filter| filter.keeps(source, slot)));
        let has_source_keys = match source.index() {
            Some(_) => index.is_some(),
            None => row_filters.is_empty(),
        };
        let own_keys = (!has_source_keys).then(|| {
            // By age, which slots approximate: the order of keys would reveal them.
            if source.index().is_some() {
                slots.sort_unstable();
            }
            let mut keys = OwnKeys::default();
            keys.count(&slots);
            keys
        });
        let rows = (own_keys.is_some() || !row_filters.is_empty()).then(|| OrderTree::from_sorted(slots));
        let mut table = FlatTable {
            plan,
            schema: Schema::new(fields.clone()),
            columns: fields.into_iter().zip((0..).map(Some)).collect(),
            index,
            rows,
            row_filters,
            own_keys,
            is_part: true,
            snapshot: source.clone(),
        };
        table.snapshot = table.project(source, first_version);
        table
    }

    fn keeps(&self, source: &Snapshot, slot: u32) -> bool {
        self.plan.filter.keeps(source, slot)
            && self.row_filters.iter().all(|filter| filter.keeps(source, slot))
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
        let (schema, columns) = (self.schema.clone(), self.columns.iter().map(column).collect());
        match &self.own_keys {
            Some(keys) => source.project_with_keys(version, schema, columns, keys.cells.clone(), order),
            None => source.project(version, schema, columns, self.index, order),
        }
    }

    pub(super) fn follow(&mut self, delta: &TableDelta) -> Option<TableDelta> {
        let was = |slot: u32| self.keeps(&delta.old, slot);
        let is = |slot: u32| self.keeps(&delta.new, slot);
        let is_shown_changed =
            |slot: u32| self.plan.columns.iter().any(|&column| delta.is_changed(column, slot));
        let mut removed: Vec<u32> = delta.removed.iter().copied().filter(|&slot| was(slot)).collect();
        let mut inserted: Vec<u32> = delta.inserted.iter().copied().filter(|&slot| is(slot)).collect();
        let mut updated = Vec::new();
        for &slot in &delta.updated {
            match (was(slot), is(slot)) {
                // An update without a visible change would reveal that something hidden has changed.
                (true, true) if self.is_part && !is_shown_changed(slot) => {}
                (true, true) => updated.push(slot),
                (true, false) => removed.push(slot),
                (false, true) => inserted.push(slot),
                (false, false) => {}
            }
        }
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
        match (&mut self.rows, &mut self.own_keys) {
            (Some(rows), Some(keys)) => {
                rows.remove_many(&removed, &|left, right| keys.compare(left, right));
                keys.forget(&removed);
                let mut arrived = inserted.clone();
                if delta.new.index().is_none() {
                    arrived.sort_unstable_by(|&left, &right| delta.new.compare_keys(left, right));
                }
                keys.count(&arrived);
                rows.insert_many(arrived, &|left, right| keys.compare(left, right));
            }
            (Some(rows), None) => {
                rows.remove_many(&removed, &|left, right| delta.old.compare_keys(left, right));
                rows.insert_many(inserted.clone(), &|left, right| delta.new.compare_keys(left, right));
            }
            (None, _) => {}
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
            port_id: if self.is_part { delta.port_id } else { 0 },
            inserted,
            updated,
            removed,
            recomputed,
            removed_keys,
        })
    }
}
