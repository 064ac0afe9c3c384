//! A derived table and what it follows.
//!
//! Law: a derived table catches up with its sources before it looks at an order, so it shows whatever a source had
//! answered for by then. (What a source itself derives from is one step further away: it is caught up with by its own
//! orders, and here with its next delta.)

use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::table::JoinSide;

use super::TableActor;
use crate::tail::Tail;

/// What a derived table follows.
#[derive(Debug)]
pub struct Source {
    pub tail: Arc<Tail>,
    /// Which side of a join it is.
    pub side: Option<JoinSide>,
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
            for delta in self.sources[source].tail.drain() {
                let followed = match side {
                    None => self.table.follow(&delta),
                    Some(side) => self.table.follow_side(side, &delta),
                };
                if let Some(delta) = followed {
                    let delta = Arc::new(delta);
                    self.hand_to_tails(&delta);
                    self.tell(&delta, ctx);
                    self.wake_tails();
                }
            }
        }
    }
}

impl StreamHandler<SourceChanged> for TableActor {
    fn handle(&mut self, SourceChanged: SourceChanged, ctx: &mut Self::Context) {
        self.catch_up(ctx);
    }

    /// A stream of a tail never ends; the actor does.
    fn finished(&mut self, _ctx: &mut Self::Context) {}
}
