//! Deletes the table, at once or with its last view.
//!
//! Invariant: the subscribers to the deletion are notified first, then the requests that caused it get their answers,
//! then the subscribers to the list of tables are notified; by then the name is free.

use actix::prelude::*;
use proscenium_engine::hosting::{Answer, Deletion, Subscriber as _};

use super::TableActor;
use crate::caller::Caller;
use crate::error::Result;
use crate::mailbox::Reply;

impl TableActor {
    /// Deletes the table; `lazy`: with its last view. The answer is sent once it is deleted.
    pub(super) fn delete(&mut self, lazy: bool, reply: Reply<Answer>, ctx: &mut Context<Self>) {
        self.retain_live_followers();
        match self.host.delete(lazy, reply) {
            Ok(Deletion::Due) => self.delete_if_due(ctx),
            Ok(Deletion::Deferred) => {
                self.context.names.unlist(&self.name);
                self.context.names.announce(self.stream, Some(&self.name));
            }
            Err((reply, error)) => reply.send(Err(error.into())),
        }
    }

    /// Subscribes the caller's connection to the deletion of the table: it is notified once, when the table is deleted
    /// or fails.
    pub(super) fn watch_deletion(&mut self, caller: &Caller) -> Result<Answer> {
        self.delete_subscribers.add(caller.subscriber()?);
        Ok(Answer::Subscribed)
    }

    /// Ends such a subscription; an unknown one is ignored.
    pub(super) fn unwatch_deletion(&mut self, caller: &Caller, subscription: u32) {
        self.delete_subscribers.retain(|subscriber| !subscriber.is(caller.session, subscription));
    }

    /// Deletes the table if a deletion is pending and no view is left.
    pub(super) fn delete_if_due(&mut self, ctx: &mut Context<Self>) {
        let Some(requests) = self.host.take_due() else { return };
        match self.log.clone() {
            None => self.end_deleted(requests, ctx),
            Some(log) => {
                let then = |table: &mut Self, logged: Result<()>, ctx: &mut Context<Self>| match logged {
                    Ok(()) => table.end_deleted(requests, ctx),
                    Err(error) => requests.into_iter().for_each(|reply| reply.send(Err(error.clone()))),
                };
                self.log_deletion(&log, then, ctx);
            }
        }
    }

    /// Ends the table, whose deletion is durable if the table is.
    fn end_deleted(&mut self, requests: Vec<Reply<Answer>>, ctx: &mut Context<Self>) {
        // Before another table may take the name, and with it the label.
        self.meter.forget(&self.name);
        self.context.names.remove(&self.self_ref);
        self.delete_subscribers.notify(&self.self_ref);
        // Ends the source queues now: the actor may handle further messages before it stops.
        self.sources.clear();
        let answered = requests.into_iter().map(|reply| (reply, Answer::TableDeleted)).collect();
        self.context.names.announce_after(self.stream, Some(&self.name), answered);
        ctx.stop();
    }
}
