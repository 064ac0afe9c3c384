//! Creates a table from data.

use std::future::Future;

use proscenium_engine::table::Table;
use proscenium_engine::{MemoryAccount, TableData, TableOptions};

use super::{CatalogActor, NewTable};
use crate::engine_context::engine_context;
use crate::error::{ActorError, Result};
use crate::lineage::Lineage;

impl CatalogActor {
    pub(super) fn load(
        &self,
        data: TableData,
        options: TableOptions,
        memory: MemoryAccount,
    ) -> impl Future<Output = Result<NewTable>> + 'static {
        let workers = self.context.workers.clone();
        async move {
            // Freeing megabytes takes milliseconds, so a worker does it after the table is created.
            let kept = data.clone();
            let made = workers.run(move || Table::create_in(&data, options, &engine_context(&memory))).await;
            workers.start_job(move || drop(kept));
            let made = made?;
            Ok((made.map_err(ActorError::from)?, Vec::new(), Lineage::default()))
        }
    }
}
