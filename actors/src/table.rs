//! A table's actor: one order for everything about the table and its views.
//!
//! Law: a batch is applied, its sender answered, its subscribers told and its views handed the delta, before the next
//! message is looked at. Notices that need no view's work (plain updates, removed keys) leave at once; the rows of an
//! update hold their place in each subscriber's order and are filled in by the view's actor.
//!
//! The orders, a file each: [`introduce`], [`batch`] (update, replace, remove), [`compute`], [`describe`], [`open_view`],
//! [`plan_view`], [`read_view`], [`subscribe`], [`delete`], [`session_over`], [`settle`], [`snapshot`], [`follow`], [`gauges`], [`crash`]. What a derived table
//! follows is in [`source`]. What the actor knows about its
//! views is a plain state machine: [`registry`]; how it feeds them: [`feed`].

mod batch;
mod compute;
#[cfg(test)]
mod compute_tests;
mod crash;
mod delete;
mod describe;
mod feed;
mod follow;
mod gauges;
mod introduce;
mod news;
mod open_view;
mod plan_view;
mod read_view;
mod registry;
mod session_over;
mod settle;
mod snapshot;
mod source;
mod subscribe;

use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::table::Table;

pub use batch::{RemoveRows, ReplaceRows, UpdateRows};
pub use crash::Crash;
pub use delete::{DeleteTable, UnwatchTable, WatchTable};
pub use describe::{Describe, GetSchema, GetSize, MakePort};
pub use feed::Receipt;
pub(crate) use follow::no_view;
pub use follow::{Follow, Followed, Follower};
pub use gauges::{Gauges, GetGauges, ViewGauges};
pub use introduce::Introduce;
pub use open_view::{CloseView, OpenView};
pub use plan_view::{PlanView, Planned};
pub use read_view::{GetPlan, ReadView};
pub use registry::HandleId;
pub use session_over::SessionOver;
pub use settle::Settle;
pub use snapshot::TakeSnapshot;
pub use source::Source;
pub use subscribe::{Subscribe, Topic, Unsubscribe};

use crate::catalog::Stage;
use crate::directory::TableRef;
use crate::error::Fault;
use crate::fanout::LaneId;
use crate::keeper::{LifeLine, Mourners};
use crate::knobs;
use crate::mailbox::{Posted, Reply, unbound};
use crate::meters::TableMeter;
use compute::Underway;
use follow::Following;
use plan_view::Awaited;
use registry::Registry;

#[derive(Debug)]
pub struct TableActor {
    name: Arc<str>,
    lane: LaneId,
    table: Table,
    stage: Stage,
    meter: TableMeter,
    /// How others reach this actor; set once by [`Introduce`], its first message.
    myself: Option<TableRef>,
    views: Registry,
    /// Who wants to hear when the table is deleted.
    mourners: Mourners,
    /// Deletions that wait for the last view; the table is unlisted while there are any.
    deletions: Vec<Reply<()>>,
    /// Who follows this table; those who gave up are forgotten with the next delta.
    followings: Vec<Following>,
    /// What this table is derived from; empty for tables that clients write.
    sources: Vec<Source>,
    /// Columns under way; from [`compute`] until they are adopted.
    underway: Vec<Underway>,
    /// Batches that had to be kept for them when their number was last bounded, see [`compute`].
    needed_to_catch_up: usize,
    /// Who waits for those columns to build a view elsewhere.
    awaited: Vec<Awaited>,
    /// Orders handled since others on this thread had a turn.
    orders_in_a_row: usize,
    _life_line: LifeLine,
}

impl TableActor {
    pub(crate) fn new(
        name: Arc<str>,
        lane: LaneId,
        table: Table,
        sources: Vec<Source>,
        stage: Stage,
        mourners: Mourners,
        life_line: LifeLine,
    ) -> Self {
        TableActor {
            meter: stage.meters.table(&name),
            name,
            lane,
            table,
            stage,
            myself: None,
            views: Registry::default(),
            mourners,
            deletions: Vec::new(),
            followings: Vec::new(),
            sources,
            underway: Vec::new(),
            needed_to_catch_up: 0,
            awaited: Vec::new(),
            orders_in_a_row: 0,
            _life_line: life_line,
        }
    }

    /// Errors for a table that was not introduced, which the catalog does before anything else.
    fn myself(&self) -> Result<TableRef, Fault> {
        self.myself.clone().ok_or(Fault::Gone)
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
        if self.orders_in_a_row >= knobs::ORDERS_IN_A_ROW {
            // An actor empties its mailbox before its thread does anything else, and this one may never be empty.
            self.orders_in_a_row = 0;
            ctx.wait(tokio::task::yield_now().into_actor(self));
        }
    }
}
