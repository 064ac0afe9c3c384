//! Flushes deferred updates to a connection that has room again.

use actix::prelude::*;

use super::notify::reserve_rows;
use super::{Receive, TableActor};
use crate::outbox::{DerivedSlots, SessionId};
use crate::view::QueuedCommand;

/// Sends the updates that the views deferred for a connection, merged into one per subscription.
#[derive(Debug)]
pub struct FlushDeferred {
    /// The connection that has room.
    pub session: SessionId,
}

impl Receive<FlushDeferred> for TableActor {
    fn step(_message: &FlushDeferred) -> &'static str {
        "flush"
    }

    fn receive(&mut self, FlushDeferred { session }: FlushDeferred, ctx: &mut Context<Self>) {
        let subscribed = self.host.views.handles().filter(|(_, handle)| {
            handle.subscriptions.wants_rows()
                && handle
                    .subscriptions
                    .on_update
                    .iter()
                    .any(|subscriber| subscriber.outbox.session() == session)
        });
        let subscribed: Vec<_> = subscribed.map(|(id, handle)| (id, handle.shared)).collect();
        for (id, shared) in subscribed {
            let rows =
                reserve_rows(&self.host.views, id, self.stream, &DerivedSlots::default(), |subscriber| {
                    subscriber.outbox.session() == session
                });
            if let (Some(rows), Some(queue)) = (rows, self.host.views.shared_mut(shared)) {
                queue.push(QueuedCommand::FlushDeferred(rows));
            }
            self.send_one(shared, ctx);
        }
    }
}
