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

use crate::directory::{Directory, Hosted};
use crate::error::Result;
use crate::limits::Limits;
use crate::lineage::Lineage;
use crate::mailbox::{Mailbox, MailboxBound, Reply, unbound};
use crate::metrics::ActorMetrics;
use crate::monitor::{MonitorTable, TableMonitor};
use crate::outbox::{Outbox, SessionId, StreamId};
use crate::placement::Placement;
use crate::subscriber::Subscriber;
use crate::table::TableRef;
use crate::table::{ActorContext, DeleteSubscribers, Source, TableActor, TableNames as _, liveness_guard};
use crate::tuning;
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
    metrics: ActorMetrics,
}

impl Catalog {
    /// Starts the actors on `threads` threads, beside as many workers. Must be called inside an actix system.
    ///
    /// Errors when the system gives no threads.
    pub fn start(threads: usize, limits: Limits, metrics: ActorMetrics) -> std::io::Result<Catalog> {
        Catalog::start_on(Workers::start(threads)?, threads, limits, metrics)
    }

    /// As [`Catalog::start`], beside these workers.
    pub(crate) fn start_on(
        workers: Workers,
        threads: usize,
        limits: Limits,
        metrics: ActorMetrics,
    ) -> std::io::Result<Catalog> {
        let directory = Arc::new(Directory::new(limits));
        let placement = Placement::start(threads);
        let monitor = {
            let directory = directory.clone();
            TableMonitor::start_in_arbiter(placement.next(), move |_| TableMonitor::new(directory))
        };
        let context = ActorContext {
            names: directory.clone(),
            workers,
            placement: placement.clone(),
            limits,
            metrics: metrics.clone(),
        };
        let names = directory.clone();
        let addr = CatalogActor::start_in_arbiter(placement.next(), move |_| CatalogActor {
            directory: names,
            context,
            monitor,
        });
        let mailbox = Mailbox::new(addr, tuning::CATALOG_MAILBOX);
        Ok(Catalog { directory, mailbox, placement, limits, metrics })
    }

    /// Ends every actor; whatever still waits for an answer hears that it is gone.
    pub fn stop(&self) {
        self.placement.stop();
    }

    /// The way out of a new connection.
    pub fn outbox(&self, session: SessionId) -> Arc<Outbox> {
        Outbox::new(session, self.limits, self.metrics.clone())
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
        self.mailbox.ask(tuning::ASK_DEADLINE, |reply| Host { name, data, options, reply }).await
    }
}

#[derive(Debug)]
pub struct CatalogActor {
    directory: Arc<Directory>,
    context: ActorContext,
    monitor: Addr<TableMonitor>,
}

impl Actor for CatalogActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        unbound(ctx);
    }
}

/// A table that is made, what it follows, and its place among those who speak of a batch.
pub(crate) type Made = (Table, Vec<Source>, Lineage);

impl CatalogActor {
    /// Makes a table under a name: reserves the name, lets `making` make the table, hosts it, answers, announces.
    fn make(
        &mut self,
        name: &str,
        making: impl Future<Output = Result<Made>> + 'static,
        reply: Reply<()>,
        ctx: &mut Context<Self>,
    ) {
        let name = match self.directory.reserve(name) {
            Ok(name) => name,
            Err(fault) => return reply.send(Err(fault)),
        };
        let hosting = making.into_actor(self).map(move |made, catalog, _| match made {
            Ok((table, sources, lineage)) => {
                catalog.raise(name, table, sources, lineage);
                catalog.directory.announce_after(StreamId::SERVER, vec![reply]);
            }
            Err(fault) => {
                catalog.directory.release(&name);
                reply.send(Err(fault));
            }
        });
        ctx.spawn(hosting);
    }

    /// Starts the actor of a table that is made, under its reserved name.
    fn raise(&mut self, name: Arc<str>, table: Table, sources: Vec<Source>, lineage: Lineage) {
        let context = self.context.clone();
        let (index, limit) = (table.index().map(str::to_string), table.limit());
        let stream = StreamId::fresh();
        let source_tables: Arc<[TableRef]> = sources.iter().map(|source| source.table.clone()).collect();
        let (liveness_guard, ended) = liveness_guard();
        let (delete_subscribers, bound) =
            (DeleteSubscribers::default(), MailboxBound::new(tuning::TABLE_MAILBOX));
        let notified = delete_subscribers.clone();
        let reference = {
            let bound = bound.clone();
            move |addr| TableRef {
                name,
                stream,
                mailbox: bound.mailbox(addr),
                sources: source_tables,
                lineage,
            }
        };
        let of_itself = reference.clone();
        let addr = TableActor::start_in_arbiter(self.context.placement.next(), move |ctx| {
            let self_ref = of_itself(ctx.address());
            TableActor::new(self_ref, table, sources, context, delete_subscribers, liveness_guard)
        });
        let table = reference(addr);
        self.directory.host(table.clone(), index, limit);
        if self.monitor.try_send(MonitorTable { table, delete_subscribers: notified, ended }).is_err() {
            tracing::error!("the monitor has ended: a table that fails will not be noticed");
        }
    }
}
