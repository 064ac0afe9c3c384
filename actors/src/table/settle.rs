//! A connection that was behind has room again.

use actix::prelude::*;

use super::news::want_rows;
use super::{Receive, TableActor};
use crate::fanout::{SessionId, Turns};
use crate::view::Work;

/// Hands over, as one update each, what the views merged for this connection while it was behind.
#[derive(Debug)]
pub struct Settle {
    pub session: SessionId,
}

impl Receive<Settle> for TableActor {
    fn receive(&mut self, Settle { session }: Settle, ctx: &mut Context<Self>) {
        let subscribed = self.views.handles().filter(|(_, handle)| {
            handle.wants_rows
                && handle.on_update.iter().any(|subscriber| subscriber.outlet.session() == session)
        });
        let subscribed: Vec<_> = subscribed.map(|(id, handle)| (id, handle.shared)).collect();
        for (id, shared) in subscribed {
            let rows = want_rows(&self.views, id, self.lane, &Turns::default(), |subscriber| {
                subscriber.outlet.session() == session
            });
            if let (Some(rows), Some(feed)) = (rows, self.views.feed_mut(shared)) {
                feed.push(Work::Settle(rows));
            }
            self.feed_one(shared, ctx);
        }
    }
}
