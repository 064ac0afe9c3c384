//! The column-only view: table rows, each with its values in the block of its own split values.
//!
//! Invariant: the rows are those of a flat view; the split values are those of a grouped view without groups, which
//! determines which blocks exist and in which order.

use std::sync::Arc;

use super::flat::Flat;
use super::grouped::Grouped;
use super::plan::Plan;
use super::tree::ROOT;
use crate::memory::{MemoryRefused, MemoryReservation};
use crate::parallel::Threads;
use crate::storage::Snapshot;
use crate::storage::TableDelta;

#[derive(Debug)]
pub(super) struct ColumnOnly {
    pub(super) rows: Flat,
    pub(super) splits: Grouped,
}

impl ColumnOnly {
    pub(super) fn build(
        plan: Arc<Plan>,
        snapshot: &Snapshot,
        threads: Threads,
        memory: &mut MemoryReservation,
    ) -> Result<ColumnOnly, MemoryRefused> {
        Ok(ColumnOnly {
            rows: Flat::build(plan.clone(), snapshot, threads, memory)?,
            splits: Grouped::build(plan, snapshot, threads, memory)?,
        })
    }

    pub(super) fn step(&mut self, delta: &TableDelta) -> Vec<u32> {
        self.splits.step(delta);
        self.rows.step(delta)
    }

    /// For every shown block and row, whether the block shows the row's values.
    pub(super) fn placement(&mut self, slots: &[u32]) -> Vec<(u32, Vec<bool>)> {
        let plan = self.rows.plan.clone();
        let snapshot = &self.rows.snapshot;
        let tree = &self.splits.splits;
        let lines: Vec<Vec<u32>> = slots
            .iter()
            .map(|&slot| {
                let mut line = vec![ROOT];
                for &column in &plan.split_by {
                    match tree.child(line[line.len() - 1], snapshot.column(column).bits(slot)) {
                        Some(child) => line.push(child),
                        None => break,
                    }
                }
                line
            })
            .collect();
        let blocks = self.splits.blocks();
        blocks
            .iter()
            .map(|&block| (block, lines.iter().map(|line| line.contains(&block)).collect()))
            .collect()
    }
}
