//! Creates a table from a view.
//!
//! Invariant: the source's deltas are queued from one snapshot on, the table is created from that snapshot on a worker
//! thread, and the queued deltas are applied before its first message is handled.

use actix::prelude::*;
use proscenium_engine::ColumnType;
use proscenium_engine::EngineError;
use proscenium_engine::table::Table;
use proscenium_engine::view::Plan;

use super::CatalogActor;
use crate::error::ActorError;
use crate::lineage::Lineage;
use crate::mailbox::{Posted, Reply};
use crate::table::{Follow, Follower, Source, no_view};
use crate::tuning;

/// Creates a read-only table that follows a view.
#[derive(Debug)]
pub struct HostDerived {
    /// The new table's name.
    pub name: String,
    /// The view to follow.
    pub view_id: String,
    /// Names and types of the columns; those that the view does not have are null. `None`: the view's columns.
    pub columns: Option<Vec<(String, ColumnType)>>,
    /// Sent once the table is listed.
    pub reply: Reply<()>,
}

impl Handler<Posted<HostDerived>> for CatalogActor {
    type Result = ();

    fn handle(&mut self, posted: Posted<HostDerived>, ctx: &mut Self::Context) {
        let HostDerived { name, view_id, columns, reply } = posted.open();
        let workers = self.context.workers.clone();
        let source = self.directory.table_of_view(&view_id);
        let making = async move {
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
                    ),
                    None => Err(EngineError::table("a Table is made of a View")),
                };
                (table, followed.deltas)
            };
            let (table, deltas) = workers.run(derive).await?;
            Ok((
                table.map_err(ActorError::from)?,
                vec![Source { table: source, deltas, side: None }],
                lineage,
            ))
        };
        self.make(&name, making, reply, ctx);
    }
}
