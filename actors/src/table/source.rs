//! A derived table and what it follows.
//!
//! Law: a derived table catches up with its sources before it looks at an order, so it shows whatever a source had
//! answered for by then. A source that is derived itself is asked to catch up first, and so on up to the written tables.

use std::future::Future;
use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::table::JoinSide;

use super::Receive;
use super::TableActor;
use super::TableRef;
use crate::mailbox::Reply;
use crate::tail::Tail;
use crate::tuning;

/// What a derived table follows.
#[derive(Debug)]
pub struct Source {
    pub table: TableRef,
    pub tail: Arc<Tail>,
    /// Which side of a join it is.
    pub side: Option<JoinSide>,
}

impl Drop for Source {
    /// However the table ends: nobody waits for what it would have said.
    fn drop(&mut self) {
        self.tail.end();
    }
}

/// The tail of a source has something new.
#[derive(Debug)]
struct SourceChanged;

impl TableActor {
    /// Hears of every delta of every source.
    pub(super) fn watch_sources(&mut self, ctx: &mut Context<Self>) {
        for source in &self.sources {
            ctx.add_stream(futures::stream::unfold(source.tail.clone(), |tail: Arc<Tail>| async move {
                tail.changed().await;
                Some((SourceChanged, tail))
            }));
        }
    }

    /// Follows the sources as far as they have gone.
    pub(super) fn catch_up(&mut self, ctx: &mut Context<Self>) {
        for source in 0..self.sources.len() {
            let side = self.sources[source].side;
            for (delta, derived_slots) in self.sources[source].tail.drain() {
                let followed = match side {
                    None => self.table.follow(&delta),
                    Some(side) => self.table.follow_side(side, &delta),
                };
                if let Some(delta) = followed {
                    let delta = Arc::new(delta);
                    let scopes = self.hand_to_tails(&delta, &derived_slots);
                    self.notify(&delta, &derived_slots, ctx);
                    drop(scopes);
                    self.wake_tails();
                    for derived_slot in derived_slots.into_values() {
                        derived_slot.end(self.stream);
                    }
                    self.limit_catching_up();
                }
            }
        }
    }
}

/// Asks a derived table to catch up with its sources, as it does before any order.
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
    /// Waits until those sources that are derived themselves have caught up; absent: there are none. Sources never form
    /// a circle: each was there before what is derived from it.
    pub(super) fn settle_sources(&self) -> Option<impl Future<Output = ()> + 'static> {
        let derived = self.sources.iter().filter(|source| !source.table.sources.is_empty());
        let mailboxes: Vec<_> = derived.map(|source| source.table.mailbox.clone()).collect();
        (!mailboxes.is_empty()).then_some(async move {
            for mailbox in mailboxes {
                // One that has ended has nothing more to say.
                let _ = mailbox.ask(tuning::ASK_DEADLINE, |reply| CatchUp { reply }).await;
            }
        })
    }
}

impl StreamHandler<SourceChanged> for TableActor {
    fn handle(&mut self, SourceChanged: SourceChanged, ctx: &mut Self::Context) {
        self.catch_up(ctx);
    }

    /// A stream of a tail never ends; the actor does.
    fn finished(&mut self, _ctx: &mut Self::Context) {}
}
