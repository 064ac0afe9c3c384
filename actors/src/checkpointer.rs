//! Makes checkpoints while the server runs.
//!
//! Invariant: one checkpoint at a time; tables go on meanwhile. A checkpoint that fails leaves the last one, and is tried again
//! once more was logged.

use std::sync::Arc;
use std::time::Instant;

use crate::catalog::Catalog;
use crate::data_directory::{CheckpointedTable, DataDirectory};
use crate::error::{ActorError, Result};
use crate::log::LogError;
use crate::table::{TakeCheckpoint, TakeOrder};
use crate::tuning;
use crate::workers::JobOwner;

/// Makes a checkpoint whenever one is due, until the future is dropped or the log has failed.
pub async fn run(catalog: Catalog, data: Arc<DataDirectory>) {
    while data.log().failure().is_none() {
        tokio::time::sleep(tuning::CHECKPOINT_INTERVAL).await;
        catalog.metrics().durability().log_size(data.log().num_bytes());
        if !data.is_checkpoint_due() {
            continue;
        }
        if let Err(error) = make(&catalog, &data).await {
            tracing::error!(%error, "a checkpoint could not be made; the log is kept");
            tokio::time::sleep(tuning::CHECKPOINT_RETRY).await;
        }
    }
}

/// Makes a checkpoint now, and returns its number and the bytes of its tables.
///
/// # Errors
///
/// The disk is full, or failed: the last checkpoint stays.
pub async fn make(catalog: &Catalog, data: &Arc<DataDirectory>) -> Result<Option<(u64, u64)>> {
    let began = Instant::now();
    let _one_at_a_time = data.checkpointing().lock().await;
    let mut run = data.begin_checkpoint();
    let mut written: Vec<CheckpointedTable> = Vec::new();
    for table in run.tables() {
        let found = match catalog.table(&table.name) {
            Ok(found) if found.durable_id == Some(table.id) => found,
            // It is deleted, or has failed: then no checkpoint is made without it.
            Ok(_) | Err(_) => continue,
        };
        let taken = found.mailbox.ask(tuning::ASK_DEADLINE, |reply| TakeCheckpoint { reply }).await;
        let checkpoint = match taken {
            Ok(checkpoint) => checkpoint,
            Err(ActorError::Gone) => continue,
            Err(error) => return Err(error),
        };
        let (data, id, name) = (data.clone(), table.id, table.name.clone());
        let job = move || data.write_table(id, &name, &checkpoint);
        let entry: Result<_, LogError> = catalog.workers().run(JobOwner::Server, job).await?;
        written.push(entry?);
    }
    let made_from_views: Vec<_> = run.made_from_views().map(|table| (table.id, table.name.clone())).collect();
    for (id, name) in made_from_views {
        // One that could not be made again has no groups.
        let Ok(found) = catalog.table(&name) else { continue };
        let order = found.mailbox.ask(tuning::ASK_DEADLINE, |reply| TakeOrder { reply }).await;
        match order {
            Ok(order) => run.note_order(id, order),
            // The next checkpoint has it again.
            Err(ActorError::Gone) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let finished = {
        let data = data.clone();
        catalog.workers().run(JobOwner::Server, move || data.finish_checkpoint(run, written)).await??
    };
    if let Some((number, bytes)) = finished {
        let milliseconds = began.elapsed().as_millis() as u64;
        catalog.metrics().durability().checkpointed(began.elapsed(), bytes);
        tracing::info!(number, bytes, milliseconds, "checkpoint");
    }
    Ok(finished)
}
