//! A table's actor: one order for everything about the table and its views.
//!
//! Law: a batch is applied, its sender answered, its subscribers told and its views handed the delta, before the next
//! message is looked at. Notices that need no view's work (plain updates, removed keys) leave at once; the rows of an
//! update hold their place in each subscriber's order and are filled in by the view's actor.
//!
//! The orders, a file each: [`batch`] (update, replace, remove), [`compute`], [`describe`], [`open_view`],
//! [`plan_view`], [`read_view`], [`subscribe`], [`delete`], [`session_closed`], [`settle`], [`snapshot`], [`follow`], [`table_stats`], [`crash`]. What a derived table
//! follows is in [`source`]. What the actor knows about its
//! views is a plain state machine: [`registry`]; how it feeds them: [`queue`].

mod batch;
mod compute;
#[cfg(test)]
mod compute_tests;
mod context;
mod crash;
mod delete;
mod describe;
mod flush_deferred;
mod follow;
mod liveness;
mod notify;
mod open_view;
mod plan_view;
mod read_view;
mod registry;
mod session_closed;
mod snapshot;
mod source;
mod subscribe;
mod table_ref;
mod table_stats;
mod view_queue;

use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::table::Table;

pub use batch::{RemoveRows, ReplaceRows, UpdateRows};
pub use context::{ActorContext, TableNames};
pub use crash::Crash;
pub use delete::{DeleteTable, UnwatchTable, WatchTable};
pub use describe::{Describe, GetSchema, GetSize, MakePort};
pub use flush_deferred::FlushDeferred;
pub(crate) use follow::no_view;
pub use follow::{Follow, Followed, Follower};
pub use liveness::{DeleteSubscribers, LivenessGuard, Terminated, liveness_guard};
pub use open_view::{CloseView, OpenView};
pub use plan_view::{PlanView, Planned};
pub use read_view::{GetPlan, ReadView};
pub use session_closed::SessionClosed;
pub use snapshot::TakeSnapshot;
pub use source::Source;
pub use subscribe::{Subscribe, Topic, Unsubscribe};
pub use table_ref::TableRef;
pub use table_stats::{GetTableStats, TableStats, ViewGauges};

use crate::mailbox::{Posted, Reply, unbound};
use crate::metrics::TableMeter;
use crate::outbox::StreamId;
use crate::tuning;
use compute::RunningBackfill;
use follow::Following;
use plan_view::PendingPlan;
use registry::Registry;

#[derive(Debug)]
pub struct TableActor {
    name: Arc<str>,
    stream: StreamId,
    table: Table,
    context: ActorContext,
    meter: TableMeter,
    /// How others reach this actor.
    self_ref: TableRef,
    views: Registry,
    /// Who wants to hear when the table is deleted.
    delete_subscribers: DeleteSubscribers,
    /// Deletions that wait for the last view; the table is unlisted while there are any.
    deletions: Vec<Reply<()>>,
    /// Who follows this table; those who gave up are forgotten with the next delta.
    followings: Vec<Following>,
    /// What this table is derived from; empty for tables that clients write.
    sources: Vec<Source>,
    /// Columns under way; from [`compute`] until they are adopted.
    running_backfill: Vec<RunningBackfill>,
    /// Batches that had to be kept for them when their number was last bounded, see [`compute`].
    needed_to_catch_up: usize,
    /// Who waits for those columns to build a view elsewhere.
    pending_plans: Vec<PendingPlan>,
    /// Orders handled since others on this thread had a turn.
    orders_in_a_row: usize,
    _liveness_guard: LivenessGuard,
}

impl TableActor {
    pub(crate) fn new(
        self_ref: TableRef,
        table: Table,
        sources: Vec<Source>,
        context: ActorContext,
        delete_subscribers: DeleteSubscribers,
        liveness_guard: LivenessGuard,
    ) -> Self {
        TableActor {
            meter: context.metrics.table(&self_ref.name),
            name: self_ref.name.clone(),
            stream: self_ref.stream,
            table,
            context,
            self_ref,
            views: Registry::default(),
            delete_subscribers,
            deletions: Vec::new(),
            followings: Vec::new(),
            sources,
            running_backfill: Vec::new(),
            needed_to_catch_up: 0,
            pending_plans: Vec::new(),
            orders_in_a_row: 0,
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

/// One order: what a message file implements.
pub trait Receive<M> {
    fn receive(&mut self, order: M, ctx: &mut Context<TableActor>);
}

impl<M> Handler<Posted<M>> for TableActor
where
    M: 'static,
    TableActor: Receive<M>,
{
    type Result = ();

    fn handle(&mut self, posted: Posted<M>, ctx: &mut Self::Context) {
        match self.settle_sources() {
            None => self.take_order(posted, ctx),
            Some(settling) => {
                let order = settling.into_actor(self).map(|(), table, ctx| table.take_order(posted, ctx));
                ctx.wait(order);
            }
        }
    }
}

impl TableActor {
    fn take_order<M>(&mut self, posted: Posted<M>, ctx: &mut Context<Self>)
    where
        TableActor: Receive<M>,
    {
        self.catch_up(ctx);
        self.receive(posted.open(), ctx);
        self.orders_in_a_row += 1;
        if self.orders_in_a_row >= tuning::ORDERS_IN_A_ROW {
            // An actor empties its mailbox before its thread does anything else, and this one may never be empty.
            self.orders_in_a_row = 0;
            ctx.wait(tokio::task::yield_now().into_actor(self));
        }
    }
}
