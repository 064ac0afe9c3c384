//! The catalog: makes tables and gives them names.
//!
//! Law: a name is reserved before its table is made and hosted before its maker hears of it; tables are made on worker
//! threads, so that one big load holds up no other. The orders, a file each: [`host`], [`derive`], [`join`].

mod derive;
mod host;
mod join;

use std::future::Future;
use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::table::Table;
use proscenium_engine::{TableData, TableOptions};

use crate::audience::Part;
use crate::directory::{Directory, Hosted, Subscriber, TableRef};
use crate::error::Result;
use crate::fanout::{LaneId, Outlet, SessionId};
use crate::keeper::{Keeper, Mourners, Watch, life_line};
use crate::knobs;
use crate::limits::Limits;
use crate::mailbox::{Mailbox, Offered, Reply, unbound};
use crate::meters::Meters;
use crate::placement::Placement;
use crate::table::{Source, TableActor};
use crate::workers::Workers;

pub use derive::HostDerived;
pub use host::Host;
pub use join::HostJoin;

/// The way in for every door. Cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct Catalog {
    directory: Arc<Directory>,
    mailbox: Mailbox<CatalogActor>,
    placement: Placement,
    limits: Limits,
    meters: Meters,
}

impl Catalog {
    /// Starts the actors on `threads` threads, beside as many workers. Must be called inside an actix system.
    ///
    /// Errors when the system gives no threads.
    pub fn start(threads: usize, limits: Limits, meters: Meters) -> std::io::Result<Catalog> {
        Catalog::start_on(Workers::start(threads)?, threads, limits, meters)
    }

    /// As [`Catalog::start`], beside these workers.
    pub(crate) fn start_on(
        workers: Workers,
        threads: usize,
        limits: Limits,
        meters: Meters,
    ) -> std::io::Result<Catalog> {
        let directory = Arc::new(Directory::new(limits));
        let placement = Placement::start(threads);
        let keeper = {
            let directory = directory.clone();
            Keeper::start_in_arbiter(placement.next(), move |_| Keeper::new(directory))
        };
        let stage = Stage {
            directory: directory.clone(),
            workers,
            placement: placement.clone(),
            limits,
            meters: meters.clone(),
        };
        let addr = CatalogActor::start_in_arbiter(placement.next(), move |_| CatalogActor { stage, keeper });
        let mailbox = Mailbox::new(addr, knobs::CATALOG_MAILBOX);
        Ok(Catalog { directory, mailbox, placement, limits, meters })
    }

    /// Ends every actor; whatever still waits for an answer hears that it is gone.
    pub fn stop(&self) {
        self.placement.stop();
    }

    /// The way out of a new connection.
    pub fn outlet(&self, session: SessionId) -> Arc<Outlet> {
        Outlet::new(session, self.limits, self.meters.clone())
    }

    pub fn mailbox(&self) -> &Mailbox<CatalogActor> {
        &self.mailbox
    }

    /// Errors when there is no such table.
    pub fn table(&self, name: &str) -> Result<TableRef> {
        self.directory.table(name)
    }

    pub fn table_of_view(&self, view_id: &str) -> Option<TableRef> {
        self.directory.table_of_view(view_id)
    }

    pub fn list(&self) -> Vec<Hosted> {
        self.directory.list()
    }

    /// Views of all tables and connections.
    pub fn num_views(&self) -> usize {
        self.directory.num_views()
    }

    pub fn watch(&self, subscriber: Subscriber) {
        self.directory.watch(subscriber);
    }

    pub fn unwatch(&self, session: SessionId, msg_id: u32) {
        self.directory.unwatch(session, msg_id);
    }

    /// A connection is over: it hears nothing more of hosted tables. (Each table it used is told by the session.)
    pub fn forget_session(&self, session: SessionId) {
        self.directory.forget_session(session);
    }

    /// Makes a table, for callers inside the server. `Full` is an error that says to try again.
    pub async fn host(&self, name: &str, data: TableData, options: TableOptions) -> Result<()> {
        let name = name.to_string();
        self.mailbox.ask(knobs::ASK_DEADLINE, |reply| Host { name, data, options, reply }).await
    }
}

/// What tables and views need of their surroundings.
#[derive(Debug, Clone)]
pub struct Stage {
    pub directory: Arc<Directory>,
    pub workers: Workers,
    pub placement: Placement,
    pub limits: Limits,
    pub meters: Meters,
}

#[derive(Debug)]
pub struct CatalogActor {
    stage: Stage,
    keeper: Addr<Keeper>,
}

impl Actor for CatalogActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        unbound(ctx);
    }
}

/// A table that is made, what it follows, and its place among those who speak of a batch.
pub(crate) type Made = (Table, Vec<Source>, Part);

impl CatalogActor {
    /// Makes a table under a name: reserves the name, lets `making` make the table, hosts it, answers, announces.
    fn make(
        &mut self,
        name: &str,
        making: impl Future<Output = Result<Made>> + 'static,
        reply: Reply<()>,
        ctx: &mut Context<Self>,
    ) {
        let name = match self.stage.directory.reserve(name) {
            Ok(name) => name,
            Err(fault) => return reply.send(Err(fault)),
        };
        let hosting = making.into_actor(self).map(move |made, catalog, _| match made {
            Ok((table, sources, part)) => {
                catalog.raise(name, table, sources, part);
                catalog.stage.directory.announce_after(LaneId::SERVER, vec![reply]);
            }
            Err(fault) => {
                catalog.stage.directory.release(&name);
                reply.send(Err(fault));
            }
        });
        ctx.spawn(hosting);
    }

    /// Starts the actor of a table that is made, under its reserved name.
    fn raise(&mut self, name: Arc<str>, table: Table, sources: Vec<Source>, part: Part) {
        let stage = self.stage.clone();
        let (index, limit) = (table.index().map(str::to_string), table.limit());
        let lane = LaneId::fresh();
        let lineage = sources.iter().map(|source| source.table.clone()).collect();
        let (life_line, ended) = life_line();
        let (table_name, mourners) = (name.clone(), Mourners::default());
        let told = mourners.clone();
        let addr = TableActor::start_in_arbiter(self.stage.placement.next(), move |_| {
            TableActor::new(table_name, lane, table, sources, stage, mourners, life_line)
        });
        let table = TableRef {
            name,
            lane,
            mailbox: Mailbox::new(addr, knobs::TABLE_MAILBOX),
            sources: lineage,
            part,
        };
        // The table learns its own address before anybody else does.
        if let Offered::Full(_) | Offered::Gone(_) =
            table.mailbox.offer(crate::table::Introduce { table: table.clone() })
        {
            tracing::error!(table = %table.name, "a table ended before it began");
        }
        self.stage.directory.host(table.clone(), index, limit);
        if self.keeper.try_send(Watch { table, mourners: told, ended }).is_err() {
            tracing::error!("the keeper has ended: a table that fails will not be noticed");
        }
    }
}
