//! The sources of a derived table.
//!
//! Invariant: a derived table applies the pending deltas of its sources before it handles a message, so it contains
//! every batch that a source had replied to by then. A source that is derived itself catches up first, and so on up to
//! the written tables.

use std::future::Future;
use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::EngineError;
use proscenium_engine::table::JoinSide;

use super::Receive;
use super::TableActor;
use super::TableRef;
use crate::delta_queue::DeltaQueue;
use crate::engine_context::engine_context;
use crate::mailbox::Reply;
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

    /// Applies the pending deltas of all sources. Returns whether the table still exists: one that cannot follow its
    /// sources is removed, with the reason.
    pub(super) fn catch_up(&mut self, ctx: &mut Context<Self>) -> bool {
        for source in 0..self.sources.len() {
            let side = self.sources[source].side;
            for (delta, derived_slots) in self.sources[source].deltas.drain() {
                let world = engine_context(&self.context.memory);
                let followed = match side {
                    None => self.table.follow(&delta, &world),
                    Some(side) => match self.table.follow_side(side, &delta, &world) {
                        Ok(followed) => followed,
                        Err(error) => {
                            self.fail(&error, ctx);
                            return false;
                        }
                    },
                };
                if let Some(delta) = followed {
                    let delta = Arc::new(delta);
                    let scopes = self.push_to_followers(&delta, &derived_slots);
                    self.notify(&delta, &derived_slots, ctx);
                    drop(scopes);
                    self.wake_followers();
                    for derived_slot in derived_slots.into_values() {
                        derived_slot.end(self.stream);
                    }
                    self.bound_catch_up_log();
                }
            }
        }
        true
    }

    fn fail(&mut self, error: &EngineError, ctx: &mut Context<Self>) {
        tracing::error!(table = %self.name, %error, "a table could not follow its sources and was removed");
        if self.context.names.fail(&self.self_ref, error.to_string()) {
            self.meter.forget(&self.name);
            self.delete_subscribers.notify(&self.self_ref);
            self.context.names.announce(self.stream);
        }
        self.sources.clear();
        ctx.stop();
    }
}

/// Makes a derived table catch up with its sources, as it does before handling any message.
#[derive(Debug)]
pub(super) struct CatchUp {
    reply: Reply<()>,
}

impl Receive<CatchUp> for TableActor {
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
        self.catch_up(ctx);
    }

    /// Overrides the default, which stops the actor. The streams never end.
    fn finished(&mut self, _ctx: &mut Self::Context) {}
}
