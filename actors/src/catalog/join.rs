//! Creates a read-only table that joins two tables and follows both.
//!
//! Invariant: as for tables created from views; each source's deltas are queued from its own snapshot on.

use std::future::Future;
use std::sync::Arc;

use proscenium_engine::MemoryAccount;
use proscenium_engine::access::Access;
use proscenium_engine::error::HostingError;
use proscenium_engine::table::{JoinSide, JoinSpec, Table};

use super::durable::log_definition;
use super::{CatalogActor, NewTable};
use crate::caller::Caller;
use crate::data_directory::DerivedDefinition;
use crate::data_directory::definition::DerivedOrigin;
use crate::engine_context::engine_context;
use crate::error::{ActorError, Result};
use crate::lineage::Lineage;
use crate::table::{Follow, Follower, Source, TableRef};
use crate::tuning;
use crate::workers::{JobOwner, Workers};

impl CatalogActor {
    pub(super) fn join(
        &self,
        name: String,
        [left, right]: [String; 2],
        spec: JoinSpec,
        owner: JobOwner,
        caller: Caller,
    ) -> impl Future<Output = Result<NewTable>> + 'static {
        let workers = self.context.workers.clone();
        let directory = self.directory.clone();
        let Caller { access, right_access, memory, .. } = caller;
        let parts = [access, right_access];
        // A definition does not state what its sender may see, so parts of tables are joined as long as the server runs.
        let is_whole = parts.iter().all(Option::is_none);
        let data = self.context.data.for_table(&name).filter(|_| is_whole);
        async move {
            let find = |source: &str| {
                directory.table(source).map_err(|error| match error {
                    ActorError::TableNotFound => {
                        HostingError::NoSourceTable { name: source.to_owned() }.into()
                    }
                    error => error,
                })
            };
            let tables = [find(&left)?, find(&right)?];
            let ids = tables.each_ref().map(|table| table.durable_id);
            let mut made = follow(workers, name.clone(), tables, parts, spec.clone(), owner, memory).await?;
            if let (Some(data), [Some(left), Some(right)]) = (data, ids) {
                let origin = DerivedOrigin::Join { left: left.0, right: right.0, spec };
                made.log = Some(log_definition(&data, DerivedDefinition { name, origin }, Vec::new()).await?);
            }
            Ok(made)
        }
    }

    /// Makes a join again, whose definition was recovered.
    pub(super) fn join_again(
        &self,
        name: String,
        tables: [TableRef; 2],
        spec: JoinSpec,
    ) -> impl Future<Output = Result<NewTable>> + 'static {
        let (owner, memory) = (JobOwner::Server, MemoryAccount::unlimited());
        follow(self.context.workers.clone(), name, tables, [None, None], spec, owner, memory)
    }
}

/// Follows two tables with their join.
async fn follow(
    workers: Workers,
    name: String,
    tables: [TableRef; 2],
    parts: [Option<Arc<Access>>; 2],
    spec: JoinSpec,
    owner: JobOwner,
    memory: MemoryAccount,
) -> Result<NewTable> {
    let lineage = Lineage::of_join(tables.iter().map(|table| &table.lineage));
    let mut followed = Vec::new();
    for (table, access) in tables.iter().zip(parts) {
        let (name, lineage, memory) = (name.clone(), lineage.clone(), memory.clone());
        let follower = Follower::JoinTable { name, access, memory, lineage };
        let request = table.mailbox.ask(tuning::ASK_DEADLINE, |reply| Follow { follower, reply });
        followed.push(request.await?);
    }
    let join = move || {
        let world = engine_context(&memory);
        let table = Table::join(&followed[0].snapshot, &followed[1].snapshot, &spec, &world)?;
        let sides = tables.into_iter().zip(followed).zip([JoinSide::Left, JoinSide::Right]);
        let sources = sides
            .map(|((table, followed), side)| Source { table, deltas: followed.deltas, side: Some(side) })
            .collect();
        Ok::<_, ActorError>(NewTable { table, sources, lineage, log: None })
    };
    workers.run(owner, join).await?
}
