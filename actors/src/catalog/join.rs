//! Creates a table that joins two others.
//!
//! Invariant: as for tables created from views; each source's deltas are queued from its own snapshot on.

use actix::prelude::*;
use proscenium_engine::table::{JoinSide, JoinSpec, Table};

use super::CatalogActor;
use crate::error::ActorError;
use crate::lineage::Lineage;
use crate::mailbox::{Posted, Reply};
use crate::table::{Follow, Follower, Source};
use crate::tuning;

/// Creates a read-only table that joins two tables and follows both.
#[derive(Debug)]
pub struct HostJoin {
    /// The new table's name.
    pub name: String,
    /// The left table's name.
    pub left: String,
    /// The right table's name.
    pub right: String,
    /// Kind and columns of the join.
    pub spec: JoinSpec,
    /// Sent once the table is listed.
    pub reply: Reply<()>,
}

impl Handler<Posted<HostJoin>> for CatalogActor {
    type Result = ();

    fn handle(&mut self, posted: Posted<HostJoin>, ctx: &mut Self::Context) {
        let HostJoin { name, left, right, spec, reply } = posted.open();
        let workers = self.context.workers.clone();
        let directory = self.directory.clone();
        let join_name = name.clone();
        let making = async move {
            let find = |source: &str| {
                directory.table(source).map_err(|error| match error {
                    ActorError::TableNotFound => ActorError::refused(format!("Table \"{source}\" not found")),
                    error => error,
                })
            };
            let tables = [find(&left)?, find(&right)?];
            let lineage = Lineage::of_join(tables.iter().map(|table| &table.lineage));
            let mut followed = Vec::new();
            for table in &tables {
                let follower = Follower::JoinTable { name: join_name.clone(), lineage: lineage.clone() };
                let request = table.mailbox.ask(tuning::ASK_DEADLINE, |reply| Follow { follower, reply });
                followed.push(request.await?);
            }
            let join = move || {
                let table = Table::join(&followed[0].snapshot, &followed[1].snapshot, &spec)?;
                let sides = tables.into_iter().zip(followed).zip([JoinSide::Left, JoinSide::Right]);
                let sources = sides.map(|((table, followed), side)| Source {
                    table,
                    deltas: followed.deltas,
                    side: Some(side),
                });
                Ok::<_, ActorError>((table, sources.collect(), lineage))
            };
            workers.run(join).await?
        };
        self.make(&name, making, reply, ctx);
    }
}
