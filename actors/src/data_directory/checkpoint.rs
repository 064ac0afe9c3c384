//! Making a checkpoint, and removing what it replaces.
//!
//! Invariant: the log keeps every record that one of the kept checkpoints needs. A file is removed only after no kept manifest
//! names it, durably. A table that did not change keeps its file.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proscenium_engine::table::Checkpoint;

use super::definition::{DerivedDefinition, DerivedOrigin};
use super::manifest::{DerivedEntry, Manifest, TableEntry};
use super::registry::DurableTable;
use super::{CheckpointedTable, DataDirectory, table_file};
use crate::log::{LogError, TableId};

/// Checkpoints that are kept: a damaged file of the newest one can be repaired from the one before and the log.
const KEPT: usize = 2;

/// Bytes of the log below which no checkpoint is made, however small the tables are.
const LEAST_LOG_BYTES: u64 = 16 << 20;

/// A checkpoint that is being made.
#[derive(Debug)]
pub struct CheckpointRun {
    /// Records below this one were durable when it began.
    from: u64,
    /// Bytes written to the log until then.
    log_bytes: u64,
    /// The tables that it must contain.
    tables: Vec<DurableTable>,
    /// Bytes of their records that were logged until then.
    logged_bytes: Vec<u64>,
    /// The groups of tables from pivots, in order.
    orders: HashMap<TableId, Vec<String>>,
}

impl CheckpointRun {
    /// The tables whose rows are to be written: those that do not follow others.
    pub fn tables(&self) -> impl Iterator<Item = &DurableTable> {
        self.tables.iter().filter(|table| table.is_created && !table.is_failed && table.definition.is_none())
    }
}

impl CheckpointRun {
    /// The tables that are made from views: their groups are to be noted in order.
    pub fn made_from_views(&self) -> impl Iterator<Item = &DurableTable> {
        let is_view =
            |definition: &DerivedDefinition| matches!(definition.origin, DerivedOrigin::View { .. });
        self.tables.iter().filter(move |table| table.definition.as_ref().is_some_and(is_view))
    }

    /// Notes the groups of a table from a pivot, as they are after the checkpoint has begun.
    pub fn note_order(&mut self, id: TableId, order: Vec<String>) {
        self.orders.insert(id, order);
    }
}

impl DataDirectory {
    /// Whether so much was logged since the last checkpoint that another is due: the configured bytes, or half of what the
    /// tables take if that is less.
    pub fn is_checkpoint_due(&self) -> bool {
        let logged = self.log.num_written() - self.checkpointed_bytes.load(Ordering::Relaxed);
        let newest = self.manifests().last().cloned();
        let table_bytes: u64 =
            newest.iter().flat_map(|manifest| &manifest.tables).map(|entry| entry.bytes).sum();
        let half = (table_bytes / 2).max(LEAST_LOG_BYTES.min(self.options.checkpoint_bytes));
        logged >= self.options.checkpoint_bytes.min(half)
    }

    /// Begins a checkpoint. There must be one at a time.
    pub fn begin_checkpoint(&self) -> CheckpointRun {
        // In this order: a table that is registered later has its creation at `from` or later.
        let (from, log_bytes) = (self.log.end(), self.log.num_written());
        let tables = self.tables();
        let logged_bytes = tables.iter().map(|table| table.logged_bytes.load(Ordering::Relaxed)).collect();
        CheckpointRun { from, log_bytes, tables, logged_bytes, orders: HashMap::new() }
    }

    /// Writes the rows of a table, unless the last checkpoint has them at this version.
    ///
    /// # Errors
    ///
    /// The disk is full, or failed.
    pub fn write_table(
        &self,
        id: TableId,
        name: &str,
        checkpoint: &Checkpoint,
    ) -> Result<CheckpointedTable, LogError> {
        let _open = self.keep_open()?;
        let is_same = |entry: &&TableEntry| entry.id == id.0 && entry.version == checkpoint.state().version;
        let newest = self.manifests().last().cloned();
        let kept = newest.as_ref().and_then(|manifest| manifest.tables.iter().find(is_same));
        match kept {
            Some(entry) => Ok(CheckpointedTable(entry.clone())),
            None => {
                let is_detached = self.registry().tables.get(&id).is_some_and(|table| table.is_detached);
                let entry = table_file::write(&*self.disk, id, name, checkpoint)?;
                Ok(CheckpointedTable(TableEntry { is_detached, ..entry }))
            }
        }
    }

    /// Completes a checkpoint with its tables, and removes what is not needed any more. Returns its number and the bytes of its
    /// tables; `None` if a table is missing that was not deleted meanwhile: the last checkpoint stays.
    ///
    /// # Errors
    ///
    /// The disk is full, or failed: the last checkpoint stays.
    pub fn finish_checkpoint(
        &self,
        mut run: CheckpointRun,
        written: Vec<CheckpointedTable>,
    ) -> Result<Option<(u64, u64)>, LogError> {
        let _open = self.keep_open()?;
        let (present, next_table) = {
            let registry = self.registry();
            (registry.tables.clone(), registry.next)
        };
        let mut entries: Vec<TableEntry> =
            written.into_iter().map(|CheckpointedTable(entry)| entry).collect();
        entries.retain(|entry| present.contains_key(&TableId(entry.id)));
        let has = |id: TableId| entries.iter().any(|entry| entry.id == id.0);
        if run
            .tables()
            .any(|table| present.get(&table.id).is_some_and(|table| !table.is_failed) && !has(table.id))
        {
            return Ok(None);
        }
        let mut orders = std::mem::take(&mut run.orders);
        let derived = run.tables.iter().filter(|table| present.contains_key(&table.id));
        let derived = derived.filter_map(|table| {
            let definition = table.definition.clone()?;
            let order = orders.remove(&table.id).unwrap_or_default();
            Some(DerivedEntry { id: table.id.0, definition, order })
        });
        let being_created = run.tables.iter().filter(|table| !table.is_created).map(|table| table.since);
        let newest = self.manifests().last().cloned().unwrap_or_default();
        // A table with a record that cannot be applied stays as it was, with all its records.
        let failed = present.values().filter(|table| table.is_failed);
        let failed: Vec<u64> = failed.map(|table| table.id.0).collect();
        entries.retain(|entry| !failed.contains(&entry.id));
        entries.extend(newest.tables.iter().filter(|entry| failed.contains(&entry.id)).cloned());
        let needed_by_failed = (!failed.is_empty()).then_some(newest.log_from);
        let log_from = being_created.chain(needed_by_failed).chain([run.from]);
        let log_from = log_from.min().expect("there is at least one");
        let manifest = Manifest {
            number: newest.number + 1,
            log_from,
            next_table,
            tables: entries,
            derived: derived.collect(),
            ..Manifest::default()
        };
        manifest.write(&*self.disk)?;
        let bytes = manifest.tables.iter().map(|entry| entry.bytes).sum();
        let number = manifest.number;
        self.manifests().push(Arc::new(manifest));
        self.checkpointed_bytes.store(run.log_bytes, Ordering::Relaxed);
        for (table, bytes) in run.tables.iter().zip(&run.logged_bytes) {
            table.logged_bytes.fetch_sub(*bytes, Ordering::Relaxed);
        }
        self.remove_unneeded()?;
        Ok(Some((number, bytes)))
    }

    /// Removes old manifests, then the files that only they name, and the log below.
    pub(super) fn remove_unneeded(&self) -> Result<(), LogError> {
        let kept: Vec<Arc<Manifest>> = {
            let manifests = self.manifests();
            manifests[manifests.len().saturating_sub(KEPT)..].to_vec()
        };
        let removed: Vec<Arc<Manifest>> = {
            let manifests = self.manifests();
            manifests[..manifests.len().saturating_sub(KEPT)].to_vec()
        };
        for manifest in &removed {
            self.remove(&Manifest::name(manifest.number))?;
        }
        // A manifest that came back after a loss of power would need what is removed now.
        self.disk.sync_folder("").map_err(|error| LogError::io(".", &error))?;
        *self.manifests() = kept.clone();
        let needed: HashSet<&str> =
            kept.iter().flat_map(|manifest| &manifest.tables).map(|entry| entry.file.as_str()).collect();
        let folder = table_file::FOLDER;
        for name in self.disk.list(folder).map_err(|error| LogError::io(folder, &error))? {
            let name = format!("{folder}/{name}");
            if !needed.contains(name.as_str()) {
                self.remove(&name)?;
            }
        }
        match kept.first() {
            Some(oldest) if kept.len() == KEPT => self.log.truncate(oldest.log_from),
            // The first checkpoint alone: a start without it needs the whole log.
            Some(_) | None => Ok(()),
        }
    }

    fn remove(&self, name: &str) -> Result<(), LogError> {
        match self.disk.remove(name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LogError::io(name, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
