//! The catalog: creates tables under unique names.
//!
//! Invariant: a name is reserved before its table is created, and the table is listed before the reply is sent. Tables
//! are created on worker threads, so that a large load delays no other. One message, [`CreateTable`], and one file for
//! each origin of a table: [`from_data`], [`from_view`], [`join`].

mod create;
mod durable;
mod from_data;
mod from_view;
mod join;
mod rebuild;

use std::future::Future;
use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::hosting::{Answer, HostedTable, Principal, TableOrigin, WritePosition};
use proscenium_engine::table::Table;
use proscenium_engine::{MemoryAccount, TableData, TableOptions};

use crate::caller::Caller;
use crate::data_directory::{DataDirectory, Recovered, RecoveryPhase};
use crate::directory::Directory;
use crate::error::{ActorError, Result};
use crate::limits::Limits;
use crate::lineage::Lineage;
use crate::mailbox::{Mailbox, MailboxBound, Reply, unbound};
use crate::metrics::ActorMetrics;
use crate::monitor::TableMonitor;
use crate::outbox::{Outbox, SessionId, StreamId};
use crate::placement::Placement;
use crate::subscriber::{SeesTable, Subscriber};
use crate::table::TableRef;
use crate::table::{
    ActorContext, DataSlot, DeleteSubscribers, LivenessGuard, Source, TableActor, TableEnded, TableLog,
    TableNames as _,
};
use crate::tuning;
use crate::workers::Workers;

pub use create::CreateTable;
use durable::{HostDerived, HostRecovered};

/// The interface of the actors to all network listeners. Cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct Catalog {
    directory: Arc<Directory>,
    mailbox: Mailbox<CatalogActor>,
    placement: Placement,
    limits: Limits,
    metrics: ActorMetrics,
    memory: MemoryAccount,
    workers: Workers,
    data: DataSlot,
}

impl Catalog {
    /// Starts the actors on `threads` threads, with workers for as many cores and the account of the server's memory.
    /// Must be called inside an actix system.
    ///
    /// # Errors
    ///
    /// The operating system cannot start a thread.
    pub fn start(
        threads: usize,
        limits: Limits,
        metrics: ActorMetrics,
        memory: MemoryAccount,
    ) -> std::io::Result<Catalog> {
        Catalog::start_on(Workers::start(threads)?, threads, limits, metrics, memory)
    }

    /// As [`Catalog::start`], with these workers.
    pub(crate) fn start_on(
        workers: Workers,
        threads: usize,
        limits: Limits,
        metrics: ActorMetrics,
        memory: MemoryAccount,
    ) -> std::io::Result<Catalog> {
        let (directory, data) = (Arc::new(Directory::new(limits)), DataSlot::default());
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
            memory: memory.clone(),
            data: data.clone(),
        };
        let workers = context.workers.clone();
        let names = directory.clone();
        let addr = CatalogActor::start_in_arbiter(placement.next(), move |_| CatalogActor {
            directory: names,
            context,
            monitor,
        });
        let mailbox = Mailbox::new(addr, tuning::CATALOG_MAILBOX);
        Ok(Catalog { directory, mailbox, placement, limits, metrics, memory, workers, data })
    }

    /// Stops every actor; pending requests fail with [`ActorError::Gone`](crate::ActorError::Gone).
    pub fn stop(&self) {
        self.data.stop();
        self.placement.stop();
    }

    /// Creates the outbox of a new connection, with a new account of its memory.
    pub fn outbox(&self, session: SessionId) -> Arc<Outbox> {
        Outbox::new(session, self.limits, self.metrics.clone(), self.memory.session())
    }

    /// Where durable tables are kept, if any are.
    pub fn data(&self) -> Option<&Arc<DataDirectory>> {
        self.data.get()
    }

    /// The threads for long jobs.
    pub(crate) fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Keeps tables in a directory from now on, and hosts those that a start has recovered from it, those that follow others
    /// last. One that cannot be made from its sources any more is logged, and not hosted.
    ///
    /// # Errors
    ///
    /// Two tables have one name, or there are more than the limit allows.
    pub async fn host_recovered(&self, data: Arc<DataDirectory>, recovered: Recovered) -> Result<()> {
        let progress = data.progress().clone();
        progress.begin(RecoveryPhase::HostingTables, recovered.tables.len() + recovered.derived.len(), 0);
        self.data.set(data);
        for table in recovered.tables {
            self.mailbox.ask(tuning::ASK_DEADLINE, |reply| HostRecovered { table, reply }).await?;
            progress.table_done(0);
        }
        for follower in recovered.derived {
            let name = follower.definition.name.clone();
            let hosted = self.mailbox.ask(tuning::RECOVERY_DEADLINE, |reply| HostDerived { follower, reply });
            if let Err(error) = hosted.await {
                tracing::error!(table = name, %error, "a table that follows others could not be recovered");
            }
            progress.table_done(0);
        }
        Ok(())
    }

    /// The metrics.
    pub(crate) fn metrics(&self) -> &ActorMetrics {
        &self.metrics
    }

    /// The server's limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The account of the server's memory.
    pub fn memory(&self) -> &MemoryAccount {
        &self.memory
    }

    /// The mailbox of the catalog's actor.
    pub fn mailbox(&self) -> &Mailbox<CatalogActor> {
        &self.mailbox
    }

    /// Finds a table by name.
    ///
    /// # Errors
    ///
    /// There is no such table, or it failed.
    pub fn table(&self, name: &str) -> Result<TableRef> {
        self.directory.table(name)
    }

    /// Finds the table that a view belongs to.
    pub fn table_of_view(&self, view_id: &str) -> Option<TableRef> {
        self.directory.table_of_view(view_id)
    }

    /// Why there is no view of this id: it could not go on, or was never opened.
    pub fn no_view(&self, view_id: &str) -> ActorError {
        self.directory.no_view(view_id)
    }

    /// All listed tables, by name.
    pub fn list(&self) -> Vec<HostedTable> {
        self.directory.list()
    }

    /// All tables, also those that are deleted with their last view.
    pub fn tables(&self) -> Vec<TableRef> {
        self.directory.tables()
    }

    /// Notifies the subscribers to the list of tables, of which they may see another part by now.
    pub fn announce(&self) {
        self.directory.announce(StreamId::SERVER, None);
    }

    /// Number of open views of all tables and connections.
    pub fn num_views(&self) -> usize {
        self.directory.num_views()
    }

    /// Subscribes to changes of the list of tables: those of tables that `sees` accepts, or of all.
    pub fn watch(&self, mut subscriber: Subscriber, sees: Option<SeesTable>) {
        subscriber.sees = sees;
        self.directory.watch(subscriber);
    }

    /// Ends a subscription to the list of tables.
    pub fn unwatch(&self, session: SessionId, msg_id: u32) {
        self.directory.unwatch(session, msg_id);
    }

    /// Ends a closed connection's subscriptions to the list of tables. The session notifies each table it used itself.
    pub fn forget_session(&self, session: SessionId) {
        self.directory.forget_session(session);
    }

    /// Creates a table, for callers inside the server, whose memory is not limited.
    ///
    /// # Errors
    ///
    /// The name is taken, the data is malformed, or creating the table takes longer than [`tuning::ASK_DEADLINE`].
    pub async fn host(&self, name: &str, data: TableData, options: TableOptions) -> Result<()> {
        let caller = Caller::without_connection(Principal::server(), MemoryAccount::unlimited());
        let (name, origin) = (name.to_string(), TableOrigin::Data { data, options });
        let created =
            self.mailbox.ask(tuning::ASK_DEADLINE, |reply| CreateTable { caller, name, origin, reply });
        created.await.map(drop)
    }
}

/// The actor that creates tables.
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

/// A table that was created, before it is hosted.
pub(crate) struct NewTable {
    table: Table,
    sources: Vec<Source>,
    lineage: Lineage,
    /// Its place in the log, if it is durable.
    log: Option<TableLog>,
}

impl CatalogActor {
    /// Reserves a name, runs `new_table`, hosts the table, sends the answer, then notifies subscribers to the list.
    fn make(
        &mut self,
        name: &str,
        new_table: impl Future<Output = Result<NewTable>> + 'static,
        answer: Answer,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        let name = match self.directory.reserve(name) {
            Ok(name) => name,
            Err(error) => return reply.send(Err(error)),
        };
        let hosting = new_table.into_actor(self).map(move |made, catalog, ctx| match made {
            Ok(table) => {
                let answer = match &table.log {
                    Some(log) => answer.at(WritePosition { epoch: log.data.epoch(), version: 0 }),
                    None => answer,
                };
                catalog.start_table(name.clone(), table, ctx);
                catalog.directory.announce_after(StreamId::SERVER, Some(&name), vec![(reply, answer)]);
            }
            Err(error) => {
                catalog.directory.release(&name);
                reply.send(Err(error));
            }
        });
        ctx.spawn(hosting);
    }

    /// Starts the actor of a table that is made, under its reserved name.
    fn start_table(&mut self, name: Arc<str>, table: NewTable, ctx: &Context<Self>) {
        let NewTable { table, sources, lineage, log } = table;
        let durable_id = log.as_ref().map(|log| log.id);
        let context = self.context.clone();
        let (index, limit) = (table.index().map(str::to_string), table.limit());
        let stream = StreamId::fresh();
        let source_tables: Arc<[TableRef]> = sources.iter().map(|source| source.table.clone()).collect();
        let (delete_subscribers, bound) =
            (DeleteSubscribers::default(), MailboxBound::new(tuning::TABLE_MAILBOX));
        // A durable table that fails is rebuilt.
        let monitor: Recipient<TableEnded> = match durable_id {
            Some(_) => ctx.address().recipient(),
            None => self.monitor.clone().recipient(),
        };
        let reference = {
            let bound = bound.clone();
            move |addr| TableRef {
                name,
                stream,
                mailbox: bound.mailbox(addr),
                durable_id,
                sources: source_tables,
                lineage,
            }
        };
        let of_itself = reference.clone();
        let addr = TableActor::start_in_arbiter(self.context.placement.next(), move |ctx| {
            let self_ref = of_itself(ctx.address());
            let ended =
                TableEnded { table: self_ref.clone(), delete_subscribers: delete_subscribers.clone() };
            let liveness_guard = LivenessGuard::new(monitor, ended);
            TableActor::new(self_ref, table, sources, log, context, delete_subscribers, liveness_guard)
        });
        let table = reference(addr);
        self.directory.host(table, index, limit);
        if let (Some(data), Some(id)) = (self.context.data.get(), durable_id) {
            data.created(id);
        }
    }
}
