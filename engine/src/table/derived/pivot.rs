//! A pivot as a table: one row per group, in order of creation; groups created by one batch are ordered by value.
//!
//! Invariant: the columns are fixed at creation: the group columns, then one per aggregate and split value that
//! existed then. Cost: a step writes only the rows of groups that changed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::{Wanted, choose};
use crate::column::{ChunkedVec, Column, ColumnSet, Slots, Writes};
use crate::context::EngineContext;
use crate::error::{EngineError, Result};
use crate::memory::MemoryKind;
use crate::sorted::OrderTree;
use crate::storage::TableDelta;
use crate::storage::{KeyOrder, RowKeys, Snapshot, SnapshotData};
use crate::types::scalar::Scalar;
use crate::types::schema::{ColumnType, Schema, Storage};
use crate::view::{Groups, Plan, ViewKind};

#[derive(Debug)]
pub(super) struct PivotTable {
    groups: Groups,
    columns: Wanted,
    schema: Schema,
    cells: ColumnSet,
    /// The row number of each group, in order of creation, by slot; a slot is the group's number in the view.
    keys: ChunkedVec<i64>,
    next_key: i64,
    order: OrderTree,
    snapshot: Snapshot,
}

impl PivotTable {
    pub(super) fn new(
        plan: Plan,
        source: &Snapshot,
        wanted: Option<&[(String, ColumnType)]>,
        order: &[String],
        context: &EngineContext,
    ) -> Result<PivotTable> {
        if plan.kind == ViewKind::ColumnOnly {
            return Err(EngineError::Unsupported("a Table from a View that is split but not grouped".into()));
        }
        let mut memory = context.memory.nothing(MemoryKind::ViewBuilds);
        let mut groups = Groups::new(Arc::new(plan), source, &mut memory)?;
        let columns = choose(groups.fields(), wanted)?;
        let schema = Schema::new(columns.iter().map(|(field, _)| field.clone()).collect());
        let cells = ColumnSet::new(&schema);
        let nodes = ordered(&groups.rows(), order, &groups);
        let row: usize = schema.fields().iter().map(|field| Column::bytes_of(field.storage)).sum();
        memory
            .grow((nodes.len() * (row + Column::bytes_of(Storage::Int64) + OrderTree::ENTRY_BYTES)) as u64)?;
        let mut table = PivotTable {
            groups,
            columns,
            schema,
            cells,
            keys: ChunkedVec::default(),
            next_key: 0,
            order: OrderTree::default(),
            snapshot: source.clone(),
        };
        table.add(&nodes);
        table.write(&nodes);
        table.end_step(0);
        Ok(table)
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// All groups in order of creation, each as a text that names it.
    pub(super) fn group_order(&self) -> Vec<String> {
        self.order.iter_from(0).map(|node| path_text(&self.groups.path(node))).collect()
    }

    /// The groups that a delta of this table has added, in order of creation.
    pub(super) fn new_groups(&self, delta: &TableDelta) -> Vec<String> {
        let mut nodes = delta.inserted.clone();
        nodes.sort_by_key(|&node| self.keys.get(node));
        nodes.into_iter().map(|node| path_text(&self.groups.path(node))).collect()
    }

    /// As [`Table::follow`](crate::table::Table::follow).
    pub(super) fn follow(
        &mut self,
        delta: &TableDelta,
        context: &EngineContext,
    ) -> Result<Option<TableDelta>> {
        let before = self.groups.kept_bytes();
        let change = self.groups.step(delta);
        let grown = self.groups.kept_bytes().saturating_sub(before);
        let row: usize = self.schema.fields().iter().map(|field| Column::bytes_of(field.storage)).sum();
        let _memory =
            context.memory.reserve(MemoryKind::ViewBuilds, (grown + change.changed.len() * row) as u64)?;
        let removed: Vec<u32> =
            change.gone.into_iter().filter(|&node| self.keys.get(node).is_some()).collect();
        self.order.remove_many(&removed, &|left, right| self.keys.get(left).cmp(&self.keys.get(right)));
        self.cells.clear(&removed);
        for &node in &removed {
            self.keys.set(node, None);
        }
        let (updated, mut inserted): (Vec<u32>, Vec<u32>) =
            change.changed.into_iter().partition(|&node| self.keys.get(node).is_some());
        if removed.is_empty() && updated.is_empty() && inserted.is_empty() {
            return Ok(None);
        }
        inserted.sort_by_cached_key(|&node| self.groups.path(node));
        self.add(&inserted);
        self.write(&updated);
        self.write(&inserted);
        let old = self.snapshot.clone();
        self.end_step(old.version() + 1);
        let mut delta = TableDelta {
            old,
            new: self.snapshot.clone(),
            port_id: 0,
            inserted,
            updated,
            removed,
            recomputed: Vec::new(),
            removed_keys: None,
        };
        for slots in [&mut delta.inserted, &mut delta.updated, &mut delta.removed] {
            slots.sort_unstable();
        }
        Ok(Some(delta))
    }

    fn add(&mut self, nodes: &[u32]) {
        for &node in nodes {
            self.keys.set(node, Some(self.next_key));
            self.next_key += 1;
        }
        self.order.insert_many(nodes.to_vec(), &|left, right| self.keys.get(left).cmp(&self.keys.get(right)));
    }

    fn write(&mut self, nodes: &[u32]) {
        if nodes.is_empty() {
            return;
        }
        let rows: Vec<Vec<Scalar>> = nodes.iter().map(|&node| self.groups.row(node)).collect();
        for (position, (field, shown)) in self.columns.iter().enumerate() {
            let Some(shown) = shown else { continue };
            let values: Vec<Scalar> = rows.iter().map(|row| row[*shown].clone()).collect();
            let array = crate::column::array(field.storage, &values);
            let writes = Writes { slots: Slots::List(nodes), skip: None, first_row: 0 };
            self.cells.write(position, &array, writes);
        }
    }

    fn end_step(&mut self, version: u64) {
        self.cells.end_batch();
        self.snapshot = Snapshot::new(SnapshotData {
            version,
            schema: self.schema.clone(),
            columns: self.cells.as_slice().to_vec(),
            keys: RowKeys::Explicit(self.keys.clone()),
            order: KeyOrder::Tree(self.order.clone()),
            base: None,
            _cells_of: None,
            _epoch: self.cells.epoch().clone(),
            _computed_epoch: None,
        });
    }
}

/// Sorts groups as `order` names them, where the last of equal names counts; the others follow as they are.
fn ordered(nodes: &[u32], order: &[String], groups: &Groups) -> Vec<u32> {
    if order.is_empty() {
        return nodes.to_vec();
    }
    let positions: HashMap<&str, usize> =
        order.iter().enumerate().map(|(position, name)| (name.as_str(), position)).collect();
    let position = |node: u32| positions.get(path_text(&groups.path(node)).as_str()).copied();
    let mut sorted: Vec<(usize, u32)> =
        nodes.iter().map(|&node| (position(node).unwrap_or(usize::MAX), node)).collect();
    sorted.sort_by_key(|(position, _)| *position);
    sorted.into_iter().map(|(_, node)| node).collect()
}

/// A text that no other path has. It is compared, not read.
fn path_text(path: &[Scalar]) -> String {
    let mut text = String::new();
    for scalar in path {
        // Writing to a text does not fail.
        let _ = match scalar {
            Scalar::Null => write!(text, "n"),
            Scalar::Bool(value) => write!(text, "b{value}"),
            Scalar::Int(value) => write!(text, "i{value}"),
            Scalar::UInt(value) => write!(text, "u{value}"),
            Scalar::Float(value) => write!(text, "f{:x}", value.to_bits()),
            Scalar::Str(value) => write!(text, "s{}:{value}", value.len()),
            Scalar::Date(value) => write!(text, "d{value}"),
            Scalar::Datetime(value) => write!(text, "t{value}"),
        };
        text.push(';');
    }
    text
}
