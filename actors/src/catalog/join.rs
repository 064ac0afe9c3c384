//! Making a table from two others.
//!
//! Law: as for tables from views; each source is followed from its own snapshot on.

use actix::prelude::*;
use proscenium_engine::table::{JoinSide, JoinSpec, Table};

use super::CatalogActor;
use crate::audience::Part;
use crate::error::Fault;
use crate::knobs;
use crate::mailbox::{Posted, Reply};
use crate::table::{Follow, Follower, Source};

/// Makes a read-only table that joins two and stays live.
#[derive(Debug)]
pub struct HostJoin {
    pub name: String,
    pub left: String,
    pub right: String,
    pub spec: JoinSpec,
    pub reply: Reply<()>,
}

impl Handler<Posted<HostJoin>> for CatalogActor {
    type Result = ();

    fn handle(&mut self, posted: Posted<HostJoin>, ctx: &mut Self::Context) {
        let HostJoin { name, left, right, spec, reply } = posted.open();
        let workers = self.stage.workers.clone();
        let directory = self.stage.directory.clone();
        let join_name = name.clone();
        let making = async move {
            let find = |source: &str| {
                directory.table(source).map_err(|fault| match fault {
                    Fault::TableNotFound => Fault::refused(format!("Table \"{source}\" not found")),
                    fault => fault,
                })
            };
            let tables = [find(&left)?, find(&right)?];
            let part = Part::of_join(tables.iter().map(|table| &table.part));
            let mut followed = Vec::new();
            for table in &tables {
                let follower = Follower::JoinTable { name: join_name.clone(), part: part.clone() };
                let asked = table.mailbox.ask(knobs::ASK_DEADLINE, |reply| Follow { follower, reply });
                followed.push(asked.await?);
            }
            let join = move || {
                let table = Table::join(&followed[0].snapshot, &followed[1].snapshot, &spec)?;
                let sides = tables.into_iter().zip(followed).zip([JoinSide::Left, JoinSide::Right]);
                let sources = sides.map(|((table, followed), side)| Source {
                    table,
                    tail: followed.tail,
                    side: Some(side),
                });
                Ok::<_, Fault>((table, sources.collect(), part))
            };
            workers.run(join).await?
        };
        self.make(&name, making, reply, ctx);
    }
}
