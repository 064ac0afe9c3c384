//! Creates a table from data.

use actix::prelude::*;
use proscenium_engine::table::Table;
use proscenium_engine::{TableData, TableOptions};

use super::CatalogActor;
use crate::engine_context::engine_context;
use crate::error::ActorError;
use crate::lineage::Lineage;
use crate::mailbox::{Posted, Reply};

/// Creates a table from data.
#[derive(Debug)]
pub struct Host {
    /// The new table's name.
    pub name: String,
    /// The first rows, or a schema.
    pub data: TableData,
    /// Index, limit and treatment of lists.
    pub options: TableOptions,
    /// Sent once the table is listed.
    pub reply: Reply<()>,
}

impl Handler<Posted<Host>> for CatalogActor {
    type Result = ();

    fn handle(&mut self, posted: Posted<Host>, ctx: &mut Self::Context) {
        let Host { name, data, options, reply } = posted.open();
        let workers = self.context.workers.clone();
        let making = async move {
            // Freeing megabytes takes milliseconds, so a worker does it after the table is created.
            let kept = data.clone();
            let made = workers.run(move || Table::create_in(&data, options, &engine_context())).await;
            workers.start_job(move || drop(kept));
            let made = made?;
            Ok((made.map_err(ActorError::from)?, Vec::new(), Lineage::default()))
        };
        self.make(&name, making, reply, ctx);
    }
}
