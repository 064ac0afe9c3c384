//! Creates a table from data.

use std::future::Future;

use proscenium_engine::table::Table;
use proscenium_engine::{MemoryAccount, TableData, TableOptions};

use super::{CatalogActor, NewTable};
use crate::engine_context::engine_context;
use crate::error::{ActorError, Result};
use crate::lineage::Lineage;
use crate::workers::JobOwner;

impl CatalogActor {
    pub(super) fn load(
        &self,
        data: TableData,
        options: TableOptions,
        owner: JobOwner,
        memory: MemoryAccount,
    ) -> impl Future<Output = Result<NewTable>> + 'static {
        let workers = self.context.workers.clone();
        async move {
            // Freeing megabytes takes milliseconds, so a worker does it after the table is created.
            let kept = data.clone();
            let job = move || Table::create_in(&data, options, &engine_context(&memory));
            let made = workers.run(owner, job).await;
            workers.start_job(JobOwner::Server, move || drop(kept));
            let made = made?;
            Ok((made.map_err(ActorError::from)?, Vec::new(), Lineage::default()))
        }
    }
}
