//! Putting one table together again while the server runs.

use std::sync::Arc;

use super::manifest::Manifest;
use super::recovery::{RecoveredTable, Recovering, apply, context, detached, loaded_table};
use super::table_file;
use crate::log::{Disk, Log, LogError, TableId};

/// The groups of a table from a pivot, in order.
///
/// # Errors
///
/// As those of [`rebuild`].
pub(super) fn group_order(
    disk: &Arc<dyn Disk>,
    log: &dyn Log,
    manifest: &Manifest,
    id: TableId,
) -> Result<Vec<String>, LogError> {
    match replay_one(disk, log, manifest, id, u64::MAX, 1)? {
        Recovering::Derived(_, order) | Recovering::Announced(order) => Ok(order),
        Recovering::Written { .. }
        | Recovering::Detached { .. }
        | Recovering::Failed { .. }
        | Recovering::Unknown { .. }
        | Recovering::Dropped => Ok(Vec::new()),
    }
}

/// Puts one table together again from a checkpoint and the log, up to the first record that cannot be applied.
///
/// # Errors
///
/// A file is damaged or cannot be read, or the table does not exist any more.
pub(super) fn rebuild(
    disk: &Arc<dyn Disk>,
    log: &dyn Log,
    manifest: &Manifest,
    id: TableId,
    threads: usize,
) -> Result<RecoveredTable, LogError> {
    match replay_one(disk, log, manifest, id, u64::MAX, threads)? {
        Recovering::Written { name, table } => {
            Ok(RecoveredTable { id, name, table: *table, failed_at: None })
        }
        Recovering::Detached { name, table } => detached(id, name, *table, &context(threads)),
        Recovering::Failed { version, .. } => rebuild_until(disk, log, manifest, id, version, threads),
        Recovering::Derived(..)
        | Recovering::Announced(_)
        | Recovering::Unknown { .. }
        | Recovering::Dropped => Err(LogError::Closed),
    }
}

/// As [`rebuild`], with the versions below `version`, whose record cannot be applied.
pub(super) fn rebuild_until(
    disk: &Arc<dyn Disk>,
    log: &dyn Log,
    manifest: &Manifest,
    id: TableId,
    version: u64,
    threads: usize,
) -> Result<RecoveredTable, LogError> {
    match replay_one(disk, log, manifest, id, version, threads)? {
        Recovering::Written { name, table } => {
            Ok(RecoveredTable { id, name, table: *table, failed_at: Some(version) })
        }
        Recovering::Failed { .. }
        | Recovering::Derived(..)
        | Recovering::Announced(_)
        | Recovering::Detached { .. }
        | Recovering::Unknown { .. }
        | Recovering::Dropped => Err(LogError::Closed),
    }
}

/// The state of one table after its records below `version`.
fn replay_one(
    disk: &Arc<dyn Disk>,
    log: &dyn Log,
    manifest: &Manifest,
    id: TableId,
    version: u64,
    threads: usize,
) -> Result<Recovering, LogError> {
    let context = context(threads);
    let mut state = match manifest.tables.iter().find(|entry| entry.id == id.0) {
        Some(entry) => {
            let table = table_file::load(&**disk, entry, &context)?;
            Some(loaded_table(entry, table))
        }
        None => manifest
            .derived
            .iter()
            .find(|entry| entry.id == id.0)
            .map(|entry| Recovering::Derived(entry.definition.clone(), entry.order.clone())),
    };
    log.replay(manifest.log_from, &mut |placed| {
        if placed.record.table == id && placed.record.version < version {
            state = Some(apply(state.take(), placed, &context)?);
        }
        Ok(())
    })?;
    state.ok_or(LogError::Closed)
}
