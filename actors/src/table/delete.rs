//! Deleting the table, at once or with its last view.
//!
//! Law: those who asked hear of the deletion first, then those who ordered it, then those who watch the list; by then
//! the name is free.

use actix::prelude::*;

use super::{Receive, TableActor};
use crate::error::ActorError;
use crate::mailbox::Reply;
use crate::outbox::SessionId;
use crate::subscriber::Subscriber;

/// Deletes the table.
pub struct DeleteTable {
    /// With views: whether to wait for the last one to close instead of refusing.
    pub lazy: bool,
    /// Answered when the table is gone.
    pub reply: Reply<()>,
    /// Dropped once the order is understood, which for a lazy one is long before the answer.
    pub understood: Box<dyn Send>,
}

impl std::fmt::Debug for DeleteTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeleteTable(lazy: {})", self.lazy)
    }
}

impl Receive<DeleteTable> for TableActor {
    fn receive(&mut self, order: DeleteTable, ctx: &mut Context<Self>) {
        let DeleteTable { lazy, reply, understood } = order;
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

/// Asks to hear when the table is deleted.
#[derive(Debug)]
pub struct WatchTable {
    pub subscriber: Subscriber,
}

impl Receive<WatchTable> for TableActor {
    fn receive(&mut self, WatchTable { subscriber }: WatchTable, _ctx: &mut Context<Self>) {
        self.delete_subscribers.add(subscriber);
    }
}

#[derive(Debug)]
pub struct UnwatchTable {
    pub session: SessionId,
    pub msg_id: u32,
    pub reply: Reply<()>,
}

impl Receive<UnwatchTable> for TableActor {
    fn receive(&mut self, UnwatchTable { session, msg_id, reply }: UnwatchTable, _ctx: &mut Context<Self>) {
        self.delete_subscribers.retain(|subscriber| !subscriber.is(session, msg_id));
        reply.send(Ok(()));
    }
}

impl TableActor {
    /// Deletes the table if that was ordered and no view is left.
    pub(super) fn delete_if_due(&mut self, ctx: &mut Context<Self>) {
        if self.deletions.is_empty() || !self.views.is_empty() {
            return;
        }
        // Before the name is free for another table.
        self.meter.forget(&self.name);
        self.context.names.remove(&self.self_ref);
        self.delete_subscribers.notify(&self.self_ref);
        // Nothing is followed any more, even while the actor goes on to its end.
        self.sources.clear();
        self.context.names.announce_after(self.stream, std::mem::take(&mut self.deletions));
        ctx.stop();
    }
}
