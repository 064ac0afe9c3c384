//! Creates a read-only table that follows a view.
//!
//! Invariant: the source's deltas are queued from one snapshot on, the table is created from that snapshot on a worker
//! thread, and the queued deltas are applied before its first message is handled.

use std::future::Future;

use proscenium_engine::config::ViewConfig;
use proscenium_engine::error::RequestError;
use proscenium_engine::table::Table;
use proscenium_engine::view::Plan;
use proscenium_engine::{ColumnType, EngineError, MemoryAccount};

use super::durable::log_definition;
use super::{CatalogActor, NewTable};
use crate::caller::Caller;
use crate::data_directory::DerivedDefinition;
use crate::data_directory::definition::DerivedOrigin;
use crate::engine_context::engine_context;
use crate::error::{ActorError, Result};
use crate::lineage::Lineage;
use crate::table::{Follow, Follower, Source, TableRef, no_view};
use crate::tuning;
use crate::workers::{JobOwner, Workers};

impl CatalogActor {
    pub(super) fn derive(
        &self,
        name: String,
        view_id: String,
        columns: Option<Vec<(String, ColumnType)>>,
        owner: JobOwner,
        caller: Caller,
    ) -> impl Future<Output = Result<NewTable>> + 'static {
        let workers = self.context.workers.clone();
        let source = self.directory.table_of_view(&view_id);
        // A definition does not state what its sender may see, so a part of a table is followed as long as the server runs.
        let data = self.context.data.for_table(&name).filter(|_| caller.access.is_none());
        async move {
            let source = source.ok_or_else(|| no_view(&view_id))?;
            let durable_id = source.durable_id;
            let lineage = Lineage::of_view(&source.lineage);
            let memory = caller.memory.clone();
            let follower = Follower::DerivedTable { view_id, caller, lineage: lineage.clone() };
            // Otherwise a checkpoint that began before could lack its groups, and the log below it be gone.
            let _no_checkpoint = match &data {
                Some(data) => Some(data.checkpointing().lock().await),
                None => None,
            };
            let (mut made, config) =
                follow(workers, source, follower, (columns, Vec::new()), lineage, owner, memory).await?;
            if let (Some(data), Some(source)) = (&data, durable_id) {
                // The columns of a split are those at its creation, also after a start.
                let fields = made.table.schema().fields().iter();
                let columns = fields.map(|field| (field.name.to_string(), field.column_type())).collect();
                let config = Box::new(config);
                let origin = DerivedOrigin::View { source: source.0, config, columns: Some(columns) };
                let order = made.table.group_order();
                made.log = Some(log_definition(data, DerivedDefinition { name, origin }, order).await?);
            }
            Ok(made)
        }
    }

    /// Makes the table again from the configuration of its view, which nobody has open.
    pub(super) fn derive_again(
        &self,
        source: TableRef,
        config: Box<ViewConfig>,
        columns: Option<Vec<(String, ColumnType)>>,
        order: Vec<String>,
    ) -> impl Future<Output = Result<NewTable>> + 'static {
        let workers = self.context.workers.clone();
        async move {
            let lineage = Lineage::of_view(&source.lineage);
            let follower = Follower::DerivedAgain { config, lineage: lineage.clone() };
            let (owner, memory) = (JobOwner::Server, MemoryAccount::unlimited());
            let made = follow(workers, source, follower, (columns, order), lineage, owner, memory).await?;
            Ok(made.0)
        }
    }
}

/// Follows a table with a new one, and returns the configuration of the view that it shows.
async fn follow(
    workers: Workers,
    source: TableRef,
    follower: Follower,
    (columns, order): (Option<Vec<(String, ColumnType)>>, Vec<String>),
    lineage: Lineage,
    owner: JobOwner,
    memory: MemoryAccount,
) -> Result<(NewTable, ViewConfig)> {
    let request = source.mailbox.ask(tuning::ASK_DEADLINE, |reply| Follow { follower, reply });
    let followed = request.await?;
    let derive = move || {
        let Some(plan) = followed.plan else {
            return Err(RequestError::Malformed { reason: "a Table is made of a View".to_owned() }.into());
        };
        let context = engine_context(&memory);
        let (plan, columns) = (Plan::clone(&plan), columns.as_deref());
        let config = plan.config();
        let table =
            Table::derive_in_order(plan, &followed.snapshot, followed.limit, columns, &order, &context)?;
        Ok((table, followed.deltas, config))
    };
    let derived: Result<_, EngineError> = workers.run(owner, derive).await?;
    let (table, deltas, config) = derived.map_err(ActorError::from)?;
    let sources = vec![Source { table: source, deltas, side: None }];
    Ok((NewTable { table, sources, lineage, log: None }, config))
}
