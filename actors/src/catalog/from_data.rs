//! Creates a table from data. The creation of a durable one is logged before the table is hosted.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use proscenium_engine::table::{LoadMark, StagedBatch, Table};
use proscenium_engine::{MemoryAccount, MemoryKind, MemoryReservation, TableData, TableOptions};

use super::durable::{Creation, log_creation};
use super::{CatalogActor, NewTable};
use crate::caller::Caller;
use crate::data_directory::DataDirectory;
use crate::data_directory::definition::creation_payload;
use crate::engine_context::engine_context;
use crate::error::{ActorError, Result};
use crate::lineage::Lineage;
use crate::log::RecordKind;
use crate::workers::JobOwner;

impl CatalogActor {
    pub(super) fn load(
        &self,
        name: String,
        data: TableData,
        options: TableOptions,
        owner: JobOwner,
        caller: Caller,
    ) -> impl Future<Output = Result<NewTable>> + 'static {
        let workers = self.context.workers.clone();
        let data_directory = self.context.data.for_table(&name);
        let epoch = data_directory.as_ref().map(|directory| directory.epoch());
        let mark = caller.load.as_deref().map(|mark| Arc::new(LoadMark { epoch, ..mark.clone() }));
        let (memory, row_meter) = (caller.memory, caller.row_meter);
        async move {
            // Freeing megabytes takes milliseconds, so a worker does it after the table is created.
            let kept = data.clone();
            let (directory, table_name) = (data_directory.clone(), name.clone());
            let job = move || {
                let context = engine_context(&memory);
                let staged = Table::stage_create(&data, options, &context)?.with_mark(mark);
                if let Some(meter) = row_meter {
                    meter.wrote(staged.num_rows());
                }
                let creation = match directory {
                    Some(directory) => Some(creation(&directory, &table_name, &staged, &memory)?),
                    None => None,
                };
                Ok::<_, ActorError>((Table::build(&staged, &context), creation))
            };
            let made = workers.run(owner, job).await;
            workers.start_job(JobOwner::Server, move || drop(kept));
            let (table, creation) = made??;
            let log = match (data_directory, creation) {
                (Some(directory), Some((creation, _reservation))) => {
                    Some(log_creation(&directory, &name, creation).await?)
                }
                _ => None,
            };
            Ok(NewTable { table, sources: Vec::new(), lineage: Lineage::default(), log })
        }
    }
}

/// Writes the creation of a table as a record; a large one is stored ahead.
fn creation(
    directory: &DataDirectory,
    name: &str,
    staged: &StagedBatch,
    memory: &MemoryAccount,
) -> Result<(Creation, MemoryReservation)> {
    let reservation = memory.reserve(MemoryKind::Staging, staged.memory() as u64);
    let mut reservation = reservation.map_err(|refused| ActorError::Engine(refused.into()))?;
    let mut payload = creation_payload(name, &staged.to_ipc()?);
    reservation.settle_all();
    let stored = directory.log().store(&payload)?;
    if stored.is_some() {
        payload = Bytes::new();
    }
    Ok((
        Creation { kind: RecordKind::Create, payload, stored, definition: None, order: Vec::new() },
        reservation,
    ))
}
