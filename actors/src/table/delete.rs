//! Deletes the table, at once or with its last view.
//!
//! Invariant: the subscribers to the deletion are notified first, then the requests that caused it get their replies,
//! then the subscribers to the list of tables are notified; by then the name is free.

use actix::prelude::*;

use super::{Receive, TableActor};
use crate::error::ActorError;
use crate::mailbox::Reply;
use crate::outbox::SessionId;
use crate::subscriber::Subscriber;

/// Deletes the table.
pub struct DeleteTable {
    /// Whether to wait for the last view to close. Otherwise a table with views is not deleted.
    pub lazy: bool,
    /// Sent once the table is deleted.
    pub reply: Reply<()>,
    /// Dropped once the message is handled; for a lazy deletion this may be long before the reply.
    pub understood: Box<dyn Send>,
}

impl std::fmt::Debug for DeleteTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeleteTable(lazy: {})", self.lazy)
    }
}

impl Receive<DeleteTable> for TableActor {
    fn receive(&mut self, message: DeleteTable, ctx: &mut Context<Self>) {
        let DeleteTable { lazy, reply, understood } = message;
        if let Some(join) = self.live_followings().iter().find_map(|following| following.join.as_ref()) {
            let name = join.clone();
            let message = format!("Cannot delete table: it is a source for join table \"{name}\"");
            return reply.send(Err(ActorError::refused(message)));
        }
        if !self.views.is_empty() {
            if !lazy {
                return reply.send(Err(ActorError::refused("Cannot delete table with views")));
            }
            self.context.names.unlist(&self.name);
            self.deletions.push(reply);
            self.context.names.announce(self.stream);
            return;
        }
        self.deletions.push(reply);
        self.delete_if_due(ctx);
        drop(understood);
    }
}

/// Subscribes to the deletion of the table.
#[derive(Debug)]
pub struct WatchTable {
    /// Notified once, when the table is deleted or fails.
    pub subscriber: Subscriber,
}

impl Receive<WatchTable> for TableActor {
    fn receive(&mut self, WatchTable { subscriber }: WatchTable, _ctx: &mut Context<Self>) {
        self.delete_subscribers.add(subscriber);
    }
}

/// Ends a subscription to the deletion of the table.
#[derive(Debug)]
pub struct UnwatchTable {
    /// The connection that subscribed.
    pub session: SessionId,
    /// The number of the subscription; an unknown one is ignored.
    pub msg_id: u32,
    /// Sent once the subscription has ended.
    pub reply: Reply<()>,
}

impl Receive<UnwatchTable> for TableActor {
    fn receive(&mut self, UnwatchTable { session, msg_id, reply }: UnwatchTable, _ctx: &mut Context<Self>) {
        self.delete_subscribers.retain(|subscriber| !subscriber.is(session, msg_id));
        reply.send(Ok(()));
    }
}

impl TableActor {
    /// Deletes the table if a deletion is pending and no view is left.
    pub(super) fn delete_if_due(&mut self, ctx: &mut Context<Self>) {
        if self.deletions.is_empty() || !self.views.is_empty() {
            return;
        }
        // Before another table may take the name, and with it the label.
        self.meter.forget(&self.name);
        self.context.names.remove(&self.self_ref);
        self.delete_subscribers.notify(&self.self_ref);
        // Ends the source queues now: the actor may handle further messages before it stops.
        self.sources.clear();
        self.context.names.announce_after(self.stream, std::mem::take(&mut self.deletions));
        ctx.stop();
    }
}
