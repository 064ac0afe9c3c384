//! The sources of a derived table.
//!
//! Invariant: a derived table applies the pending deltas of its sources before it handles a message, so it contains
//! every batch that a source had replied to by then. A source that is derived itself catches up first, and so on up to
//! the written tables.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::EngineError;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::table::{JoinSide, Table};

use super::Receive;
use super::TableActor;
use super::TableRef;
use super::deferred::Continuation;
use super::notify::Deltas;
use crate::delta_queue::{Arrival, DeltaQueue};
use crate::engine_context::engine_context;
use crate::mailbox::Reply;
use crate::outbox::DerivedSlots;
use crate::pace::{Stopwatch, Took};
use crate::tuning;

/// A table that another one is derived of.
#[derive(Debug)]
pub struct Source {
    /// The source.
    pub table: TableRef,
    /// Its deltas.
    pub deltas: Arc<DeltaQueue>,
    /// Which side of a join it is.
    pub side: Option<JoinSide>,
}

impl Drop for Source {
    /// Releases the slots of the deltas that are not applied, so that no connection waits for them.
    fn drop(&mut self) {
        self.deltas.end();
    }
}

/// The queue of a source has deltas.
#[derive(Debug)]
struct SourceChanged;

/// A delta of a source that was followed, and the time that it took.
type Followed = (proscenium_engine::Result<Option<TableDelta>>, Took);

impl TableActor {
    /// Subscribes to the delta queues of all sources.
    pub(super) fn watch_sources(&mut self, ctx: &mut Context<Self>) {
        for source in &self.sources {
            ctx.add_stream(futures::stream::unfold(
                source.deltas.clone(),
                |deltas: Arc<DeltaQueue>| async move {
                    deltas.changed().await;
                    Some((SourceChanged, deltas))
                },
            ));
        }
    }

    /// Applies the pending deltas of all sources, then goes on with `then`, unless the table cannot follow its sources:
    /// it is removed, with the reason. A long delta is applied by a worker.
    pub(super) fn catch_up(&mut self, then: Continuation, ctx: &mut Context<Self>) {
        let mut arrivals = VecDeque::new();
        for source in &self.sources {
            arrivals.extend(source.deltas.drain().into_iter().map(|arrival| (source.side, arrival)));
        }
        self.follow_all(arrivals, then, ctx);
    }

    fn follow_all(
        &mut self,
        mut arrivals: VecDeque<(Option<JoinSide>, Arrival)>,
        then: Continuation,
        ctx: &mut Context<Self>,
    ) {
        while let Some((side, (delta, derived_slots))) = arrivals.pop_front() {
            let work = delta.num_rows().saturating_mul(1 + self.table.schema().len());
            let world = engine_context(&self.context.memory);
            let follow = move |table: &mut Table| {
                let watch = Stopwatch::start();
                let followed = match side {
                    None => table.follow(&delta, &world),
                    Some(side) => table.follow_side(side, &delta, &world),
                };
                (followed, watch.stop())
            };
            let is_short = self.applying.is_short(work);
            let notify = move |table: &mut Self, (followed, took): Followed, ctx: &mut Context<Self>| {
                table.applying.observe(work, took);
                match followed {
                    Ok(followed) => table.notify_followed(followed, derived_slots, ctx),
                    Err(error) => table.fail(&error, ctx),
                }
            };
            if is_short {
                let followed = follow(&mut self.table);
                notify(self, followed, ctx);
                if self.is_failed() {
                    return;
                }
                continue;
            }
            let rest = move |table: &mut Self, followed, ctx: &mut Context<Self>| {
                notify(table, followed, ctx);
                if !table.is_failed() {
                    table.follow_all(arrivals, then, ctx);
                }
            };
            return self.lend(self.job_owner(), follow, rest, ctx);
        }
        then(self, ctx);
    }

    fn fail(&mut self, error: &EngineError, ctx: &mut Context<Self>) {
        tracing::error!(table = %self.name, %error, "a table could not follow its sources and was removed");
        if self.context.names.fail(&self.self_ref, error.to_string()) {
            self.meter.forget(&self.name);
            self.delete_subscribers.notify(&self.self_ref);
            self.context.names.announce(self.stream, Some(&self.name));
        }
        self.sources.clear();
        ctx.stop();
    }

    /// Whether the table could not follow its sources. It handles no further message.
    fn is_failed(&self) -> bool {
        self.sources.is_empty()
    }

    /// Notifies of a delta of this table, if a source's delta led to one.
    fn notify_followed(
        &mut self,
        followed: Option<TableDelta>,
        derived_slots: DerivedSlots,
        ctx: &mut Context<Self>,
    ) {
        let Some(delta) = followed else { return };
        if let Some(log) = &self.log
            && !delta.inserted.is_empty()
        {
            log.note_groups(delta.new.version(), &self.table.new_groups(&delta));
        }
        let deltas = Deltas::new(delta, self.table.take_part_deltas());
        let scopes = self.push_to_followers(&deltas, &derived_slots);
        self.notify(&deltas, &derived_slots, ctx);
        drop(scopes);
        self.wake_followers();
        for derived_slot in derived_slots.into_values() {
            derived_slot.end(self.stream);
        }
        self.end_views_without_memory(ctx);
        self.bound_catch_up_log();
    }
}

/// Makes a derived table catch up with its sources, as it does before handling any message.
#[derive(Debug)]
pub(super) struct CatchUp {
    reply: Reply<()>,
}

impl Receive<CatchUp> for TableActor {
    fn step(_message: &CatchUp) -> &'static str {
        "catch_up"
    }

    fn receive(&mut self, CatchUp { reply }: CatchUp, _ctx: &mut Context<Self>) {
        reply.send(Ok(()));
    }
}

impl TableActor {
    /// Resolves once the sources that are derived themselves have caught up; `None` if there are none. Sources cannot
    /// form a cycle: a source exists before the tables derived of it.
    pub(super) fn sources_caught_up(&self) -> Option<impl Future<Output = ()> + 'static> {
        let derived = self.sources.iter().filter(|source| !source.table.sources.is_empty());
        let mailboxes: Vec<_> = derived.map(|source| source.table.mailbox.clone()).collect();
        (!mailboxes.is_empty()).then_some(async move {
            for mailbox in mailboxes {
                // A source that has ended has no further deltas.
                let _ = mailbox.ask(tuning::ASK_DEADLINE, |reply| CatchUp { reply }).await;
            }
        })
    }
}

impl StreamHandler<SourceChanged> for TableActor {
    fn handle(&mut self, SourceChanged: SourceChanged, ctx: &mut Self::Context) {
        self.catch_up(Box::new(|_, _| {}), ctx);
    }

    /// Overrides the default, which stops the actor. The streams never end.
    fn finished(&mut self, _ctx: &mut Self::Context) {}
}
