//! A table's actor: one order for everything about the table and its views.
//!
//! Invariant: a batch is applied, its reply sent, its subscribers notified and its delta sent to the views before the
//! next message is handled. Notifications that need no view (updates without rows, removed keys) are sent at once; for
//! the rows of an update a position is reserved in each subscriber's stream, which the view's actor fills.
//!
//! Commands of clients arrive as [`TableRequest`] and are handled one file each: [`batch`] (update, replace, remove),
//! [`open_view`], [`read`], [`subscribe`], [`delete`]. Messages within the server: [`session_closed`],
//! [`flush_deferred`], [`follow`], [`table_stats`], [`crash`]. Backfills of computed columns are in [`compute`], the
//! sources of a derived table in [`source`]. What may take long leaves the actor's thread: [`lend`]; what waits for a
//! write that is being staged meanwhile is in [`deferred`], what waits for the log in [`durable`]. The state of the views and of the deletion is a plain state machine,
//! [`hosting::TableHost`]; the queue of commands to a view is [`view_queue`].

mod batch;
mod compute;
#[cfg(test)]
mod compute_tests;
mod context;
mod crash;
mod deferred;
mod delete;
mod detach;
mod durable;
#[cfg(test)]
mod durable_tests;
#[cfg(test)]
mod fair_tests;
mod flush_deferred;
mod follow;
mod guarded;
mod lend;
mod liveness;
mod load_step;
mod notify;
mod open_view;
mod part;
mod pending_writes;
mod read;
mod request;
mod review;
mod session_closed;
mod source;
mod subscribe;
mod table_ref;
mod table_stats;
mod view_queue;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use proscenium_engine::hosting::{self, Answer, Principal};
use proscenium_engine::table::Table;

pub use context::{ActorContext, DataSlot, TableNames};
pub use crash::Crash;
pub(crate) use crash::EndTable;
pub use deferred::MessageOrder;
pub use durable::{TableLog, TakeCheckpoint, TakeOrder};
pub use flush_deferred::FlushDeferred;
pub(crate) use follow::no_view;
pub use follow::{Follow, Followed, Follower};
pub use liveness::{DeleteSubscribers, LivenessGuard, TableEnded};
pub use request::{TableRequest, TargetCommand};
use review::ReviewedPolicy;
pub use review::{DescribeForPolicy, Judge, ReviewRights, Reviewed};
pub use session_closed::SessionClosed;
pub use source::Source;
pub use table_ref::TableRef;
pub use table_stats::{GetTableStats, TableStats};

use crate::lent::Lent;
use crate::mailbox::{Posted, Reply, unbound};
use crate::metrics::TableMeter;
use crate::outbox::StreamId;
use crate::pace::Pace;
use crate::subscriber::Subscriber;
use crate::tuning;
use compute::RunningBackfill;
use deferred::DeferredMessages;
use follow::FollowerLink;
use pending_writes::PendingWrites;
use view_queue::ViewQueue;

/// The views of a table, each with the sender who opened it, the tables derived of it (those that have ended are removed with the next delta), and the
/// deletions that wait for its last view.
type TableHost = hosting::TableHost<Subscriber, ViewQueue, Principal, FollowerLink, Reply<Answer>>;

/// The actor of a table.
#[derive(Debug)]
pub struct TableActor {
    name: Arc<str>,
    stream: StreamId,
    table: Lent<Table>,
    /// The pace of reading writes, by bytes.
    reading: Pace,
    /// The pace of applying batches, by cells.
    applying: Pace,
    deferred: DeferredMessages,
    /// The writes that wait for the log.
    pending: PendingWrites,
    /// The table's place in the log, if it is durable.
    log: Option<TableLog>,
    context: ActorContext,
    meter: TableMeter,
    /// The address that other actors send to.
    self_ref: TableRef,
    host: TableHost,
    /// Subscribers to the deletion of the table.
    delete_subscribers: DeleteSubscribers,
    /// The tables that this one is derived of; empty for a table that clients write.
    sources: Vec<Source>,
    /// Backfills from their start in [`compute`] until their columns are installed.
    running_backfill: Vec<RunningBackfill>,
    /// Length of the catch-up log after it was last bounded, see [`compute`].
    needed_to_catch_up: usize,
    /// The policy by which the views were last reviewed.
    policy: Option<ReviewedPolicy>,
    /// Messages handled since this actor last yielded its thread.
    consecutive_messages: usize,
    /// Time that this took.
    held_thread: Duration,
    _liveness_guard: LivenessGuard,
}

impl TableActor {
    pub(crate) fn new(
        self_ref: TableRef,
        table: Table,
        sources: Vec<Source>,
        log: Option<TableLog>,
        context: ActorContext,
        delete_subscribers: DeleteSubscribers,
        liveness_guard: LivenessGuard,
    ) -> Self {
        TableActor {
            meter: context.metrics.table(&self_ref.name),
            name: self_ref.name.clone(),
            stream: self_ref.stream,
            table: Lent::new(table),
            reading: Pace::new(tuning::NANOS_PER_BYTE),
            applying: Pace::new(tuning::NANOS_PER_CELL),
            deferred: DeferredMessages::default(),
            pending: PendingWrites::default(),
            log,
            context,
            self_ref,
            host: TableHost::default(),
            delete_subscribers,
            sources,
            running_backfill: Vec::new(),
            needed_to_catch_up: 0,
            policy: None,
            consecutive_messages: 0,
            held_thread: Duration::ZERO,
            _liveness_guard: liveness_guard,
        }
    }
}

impl Actor for TableActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        unbound(ctx);
        self.watch_sources(ctx);
    }
}

/// Handles one type of message. Each message's file implements it.
pub trait Receive<M> {
    /// What a message must not overtake.
    fn order(_message: &M) -> MessageOrder {
        MessageOrder::Free
    }

    /// The name of the step in the metrics.
    fn step(message: &M) -> &'static str;

    /// Handles a message. The table's sources are caught up with before.
    fn receive(&mut self, message: M, ctx: &mut Context<TableActor>);
}

impl<M> Handler<Posted<M>> for TableActor
where
    M: 'static,
    TableActor: Receive<M>,
{
    type Result = ();

    fn handle(&mut self, posted: Posted<M>, ctx: &mut Self::Context) {
        let order = Self::order(posted.message());
        if self.deferred.must_wait(order) {
            let message = Box::new(move |table: &mut TableActor, ctx: &mut Context<TableActor>| {
                table.handle_staged(posted, ctx);
            });
            return self.deferred.push(order, message);
        }
        self.handle_staged(posted, ctx);
    }
}

impl TableActor {
    /// Handles a message that waits for no write that is being staged.
    fn handle_staged<M: 'static>(&mut self, posted: Posted<M>, ctx: &mut Context<Self>)
    where
        TableActor: Receive<M>,
    {
        let order = Self::order(posted.message());
        if self.pending.must_wait(order) {
            let message = Box::new(move |table: &mut TableActor, ctx: &mut Context<TableActor>| {
                table.handle_message(posted, ctx);
            });
            return self.pending.push(order, message);
        }
        match self.sources_caught_up() {
            None => self.handle_message(posted, ctx),
            Some(caught_up) => {
                let handled =
                    caught_up.into_actor(self).map(|(), table, ctx| table.handle_message(posted, ctx));
                ctx.wait(handled);
            }
        }
    }

    fn handle_message<M: 'static>(&mut self, posted: Posted<M>, ctx: &mut Context<Self>)
    where
        TableActor: Receive<M>,
    {
        if self.sources.is_empty() {
            return self.handle_caught_up(posted, ctx);
        }
        self.catch_up(Box::new(move |table, ctx| table.handle_caught_up(posted, ctx)), ctx);
    }

    fn handle_caught_up<M>(&mut self, posted: Posted<M>, ctx: &mut Context<Self>)
    where
        TableActor: Receive<M>,
    {
        let (message, began) = (posted.open(), Instant::now());
        let timer = self.context.metrics.step("table", Self::step(&message));
        self.receive(message, ctx);
        drop(timer);
        self.consecutive_messages += 1;
        self.held_thread += began.elapsed();
        if self.consecutive_messages >= tuning::MAX_CONSECUTIVE_MESSAGES
            || self.held_thread >= tuning::YIELD_AFTER
        {
            // An actor drains its mailbox before its thread runs other actors, and this one's may never be empty.
            (self.consecutive_messages, self.held_thread) = (0, Duration::ZERO);
            ctx.wait(tokio::task::yield_now().into_actor(self));
        }
    }
}
