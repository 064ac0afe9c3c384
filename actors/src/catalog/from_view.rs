//! Creates a read-only table that follows a view.
//!
//! Invariant: the source's deltas are queued from one snapshot on, the table is created from that snapshot on a worker
//! thread, and the queued deltas are applied before its first message is handled.

use std::future::Future;

use proscenium_engine::error::RequestError;
use proscenium_engine::table::Table;
use proscenium_engine::view::Plan;
use proscenium_engine::{ColumnType, MemoryAccount};

use super::{CatalogActor, NewTable};
use crate::engine_context::engine_context;
use crate::error::{ActorError, Result};
use crate::lineage::Lineage;
use crate::table::{Follow, Follower, Source, no_view};
use crate::tuning;
use crate::workers::JobOwner;

impl CatalogActor {
    pub(super) fn derive(
        &self,
        view_id: String,
        columns: Option<Vec<(String, ColumnType)>>,
        owner: JobOwner,
        memory: MemoryAccount,
    ) -> impl Future<Output = Result<NewTable>> + 'static {
        let workers = self.context.workers.clone();
        let source = self.directory.table_of_view(&view_id);
        async move {
            let source = source.ok_or_else(|| no_view(&view_id))?;
            let lineage = Lineage::of_view(&source.lineage);
            let follower = Follower::DerivedTable { view_id, lineage: lineage.clone() };
            let request = source.mailbox.ask(tuning::ASK_DEADLINE, |reply| Follow { follower, reply });
            let followed = request.await?;
            let derive = move || {
                let table = match followed.plan {
                    Some(plan) => Table::derive(
                        Plan::clone(&plan),
                        &followed.snapshot,
                        followed.limit,
                        columns.as_deref(),
                        &engine_context(&memory),
                    ),
                    None => {
                        Err(RequestError::Malformed { reason: "a Table is made of a View".to_owned() }.into())
                    }
                };
                (table, followed.deltas)
            };
            let (table, deltas) = workers.run(owner, derive).await?;
            Ok((
                table.map_err(ActorError::from)?,
                vec![Source { table: source, deltas, side: None }],
                lineage,
            ))
        }
    }
}
