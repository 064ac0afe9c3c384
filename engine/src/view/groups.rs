//! A grouped view as rows with fixed columns, for a table derived from it.
//!
//! Invariant: the fields never change after creation. A split value that disappears reads as null; one that appears
//! later is not shown.

use std::sync::Arc;

use super::grouped::Grouped;
use super::plan::Plan;
use super::slice::prefix;
use super::tree::ROOT;
use crate::config::GroupRollupMode;
use crate::memory::{MemoryRefused, MemoryReservation};
use crate::parallel::Threads;
use crate::storage::Snapshot;
use crate::storage::TableDelta;
use crate::types::scalar::Scalar;
use crate::types::schema::Field;

#[derive(Debug)]
pub(crate) struct Groups {
    view: Grouped,
    fields: Vec<Field>,
    /// The split values of each block at creation.
    blocks: Vec<Vec<Scalar>>,
}

/// The effect of a step on the groups that are rows.
#[derive(Debug, Default)]
pub(crate) struct GroupsChange {
    /// New groups and those with a changed value.
    pub(crate) changed: Vec<u32>,
    pub(crate) gone: Vec<u32>,
}

impl Groups {
    /// Builds the view and reserves what it takes.
    ///
    /// # Errors
    ///
    /// The account refuses.
    pub(crate) fn new(
        plan: Arc<Plan>,
        source: &Snapshot,
        memory: &mut MemoryReservation,
    ) -> Result<Groups, MemoryRefused> {
        let mut view = Grouped::build(plan.clone(), source, Threads::ONE, memory)?;
        view.tracks_changes = true;
        let mut fields: Vec<Field> =
            plan.group_by.iter().map(|&column| plan.schema.field(column).clone()).collect();
        let nodes = view.blocks();
        for &block in nodes.iter() {
            let prefix = prefix(&view, block);
            for (shown, aggregate) in plan.aggregates[..plan.columns.len()].iter().enumerate() {
                fields.push(Field::new(plan.readable_name(shown, &prefix), aggregate.output()));
            }
        }
        let blocks = nodes.iter().map(|&block| view.splits.path(block)).collect();
        Ok(Groups { view, fields, blocks })
    }

    /// Bytes of the view, about.
    pub(crate) fn kept_bytes(&mut self) -> usize {
        self.view.kept_bytes()
    }

    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Returns all groups that are rows, in display order.
    pub(crate) fn rows(&mut self) -> Vec<u32> {
        self.view.rows.row_range(0, self.view.rows.num_rows())
    }

    /// Returns the group values of a row, outermost first.
    pub(crate) fn path(&self, node: u32) -> Vec<Scalar> {
        self.view.rows.path(node)
    }

    /// Returns the cells of a row, one per field.
    pub(crate) fn row(&mut self, node: u32) -> Vec<Scalar> {
        let path = self.view.rows.path(node);
        let mut row: Vec<Scalar> = path;
        row.resize(self.view.plan.group_by.len(), Scalar::Null);
        for block in 0..self.blocks.len() {
            match self.view.splits.find_path(&self.blocks[block]) {
                Some(split_node) => row.append(&mut self.view.shown_values(node, split_node)),
                None => row.resize(row.len() + self.view.plan.columns.len(), Scalar::Null),
            }
        }
        row
    }

    pub(crate) fn step(&mut self, delta: &TableDelta) -> GroupsChange {
        let mut changed = self.view.step(delta);
        // Between an empty table and one without rows that pass the filter, only the total's nulls change.
        if delta.old.num_rows() == 0 || delta.new.num_rows() == 0 {
            changed.push(ROOT);
        }
        if self.view.plan.has_shares() {
            changed = self.rows();
        }
        changed.extend(self.view.lost_cells());
        changed.sort_unstable();
        changed.dedup();
        let depth = self.view.plan.levels.len() as u32;
        let is_row = |node: u32| match self.view.plan.group_mode {
            GroupRollupMode::Flat => self.view.rows.node(node).depth == depth && depth > 0,
            GroupRollupMode::Rollup | GroupRollupMode::Total => true,
        };
        changed.retain(|&node| is_row(node));
        GroupsChange { changed, gone: self.view.removed_groups() }
    }
}
