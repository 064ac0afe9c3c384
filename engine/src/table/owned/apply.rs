//! Applying staged batches.
//!
//! Invariant: deterministic and infallible. The rows, their order, their implicit keys and the version afterwards are a
//! function of the table before and the batch; neither the number of threads nor the order of a hash table decides
//! anything. Slots and text codes, which no client sees, may differ between two tables with equal rows.

use super::{Changes, OwnedTable};
use crate::data::Batch;
use crate::parallel::Threads;
use crate::storage::{Operation, Snapshot, StagedBatch, TableDelta, WriteKind};

impl OwnedTable {
    /// Applies a batch as the next version.
    pub fn apply(&mut self, staged: &StagedBatch, threads: Threads) -> TableDelta {
        let kind = self.kind_of(staged);
        let old = self.snapshot();
        let (port_id, changes) = match kind {
            WriteKind::Update { port_id } => (port_id, self.write_rows(&staged.batch, false, threads)),
            WriteKind::Remove => (0, self.remove_keys(staged.keys())),
            WriteKind::Replace | WriteKind::Clear => (0, self.replace(&old, &staged.batch, threads)),
        };
        let delta = self.finish(old, port_id, changes);
        self.note_load(staged);
        delta
    }

    /// Applies a batch like [`OwnedTable::apply`], without taking snapshots, so that cells which no reader shares are
    /// written in place.
    pub fn apply_unobserved(&mut self, staged: &StagedBatch, threads: Threads) {
        match self.kind_of(staged) {
            WriteKind::Update { .. } => drop(self.write_rows(&staged.batch, false, threads)),
            WriteKind::Remove => drop(self.remove_keys(staged.keys())),
            WriteKind::Replace | WriteKind::Clear => {
                self.clear();
                self.write_rows(&staged.batch, false, threads);
            }
        }
        self.end_batch();
        self.note_load(staged);
    }

    fn kind_of(&self, staged: &StagedBatch) -> WriteKind {
        assert!(staged.schema == self.schema, "the batch is staged for a table of another schema");
        match &staged.operation {
            Operation::Write(kind) => *kind,
            Operation::Create(_) => panic!("a staged creation makes a table and is not applied to one"),
        }
    }

    /// Writes the rows of a batch. While `creating`, null cells of repeated keys count as not given.
    pub(super) fn write_rows(&mut self, batch: &Batch, creating: bool, threads: Threads) -> Changes {
        if batch.num_rows == 0 {
            return Changes::default();
        }
        match (self.index, &batch.keys) {
            (Some(_), _) => self.upsert(batch, creating, threads),
            (None, Some(keys)) => self.upsert_implicit(batch, keys, threads),
            (None, None) => self.append(batch, threads),
        }
    }

    fn replace(&mut self, old: &Snapshot, batch: &Batch, threads: Threads) -> Changes {
        let mut removed: Vec<u32> = old.order().iter_from(0).collect();
        self.clear();
        let mut changes = self.write_rows(batch, false, threads);
        changes.removed_keys = self.keys_not_reinserted(old, &removed);
        removed.append(&mut changes.removed);
        changes.removed = removed;
        changes
    }

    /// Ends the batch and describes its effect.
    pub(super) fn finish(&mut self, old: Snapshot, port_id: u32, changes: Changes) -> TableDelta {
        self.end_batch();
        let Changes { mut inserted, mut updated, mut removed, removed_keys } = changes;
        for slots in [&mut inserted, &mut updated, &mut removed] {
            slots.sort_unstable();
            slots.dedup();
        }
        TableDelta {
            old,
            new: self.snapshot(),
            port_id,
            inserted,
            updated,
            removed,
            recomputed: Vec::new(),
            removed_keys,
        }
    }
}
