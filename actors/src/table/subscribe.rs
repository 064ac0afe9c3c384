//! Subscriptions to the notifications of a view.

use actix::prelude::*;

use super::{Receive, TableActor};
use crate::error::ActorError;
use crate::mailbox::Reply;
use crate::outbox::SessionId;
use crate::subscriber::Subscriber;

/// The event that a subscription is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The table changed.
    Update {
        /// Whether notifications carry the view's changed rows.
        rows: bool,
    },
    /// Rows of the table were removed.
    Remove,
    /// The view was deleted.
    Delete,
}

/// Starts a subscription.
#[derive(Debug)]
pub struct Subscribe {
    /// The id under which the view was opened.
    pub view_id: String,
    /// The event to be notified of.
    pub topic: Topic,
    /// The receiver of the notifications.
    pub subscriber: Subscriber,
    /// Fails if the view does not exist.
    pub reply: Reply<()>,
}

impl Receive<Subscribe> for TableActor {
    fn receive(&mut self, message: Subscribe, _ctx: &mut Context<Self>) {
        let Subscribe { view_id, topic, mut subscriber, reply } = message;
        if let Topic::Update { .. } | Topic::Remove = topic {
            subscriber.listening = self.self_ref.listen(&subscriber.outbox);
        }
        let Some(handle) = self.views.find(&view_id).and_then(|id| self.views.handle_mut(id)) else {
            return reply.send(Err(ActorError::ViewNotFound));
        };
        match topic {
            Topic::Update { rows } => {
                handle.wants_rows |= rows;
                handle.on_update.push(subscriber);
            }
            Topic::Remove => handle.on_remove.push(subscriber),
            Topic::Delete => handle.on_delete.push(subscriber),
        }
        reply.send(Ok(()));
    }
}

/// Ends a subscription; an unknown one is ignored.
#[derive(Debug)]
pub struct Unsubscribe {
    /// The id under which the view was opened.
    pub view_id: String,
    /// The event subscribed to; `rows` of an update is ignored.
    pub topic: Topic,
    /// The connection that subscribed.
    pub session: SessionId,
    /// The number of the subscription.
    pub msg_id: u32,
    /// Fails if the view does not exist.
    pub reply: Reply<()>,
}

impl Receive<Unsubscribe> for TableActor {
    fn receive(&mut self, message: Unsubscribe, _ctx: &mut Context<Self>) {
        let Unsubscribe { view_id, topic, session, msg_id, reply } = message;
        let Some(handle) = self.views.find(&view_id).and_then(|id| self.views.handle_mut(id)) else {
            return reply.send(Err(ActorError::ViewNotFound));
        };
        let list = match topic {
            Topic::Update { .. } => &mut handle.on_update,
            Topic::Remove => &mut handle.on_remove,
            Topic::Delete => &mut handle.on_delete,
        };
        list.retain(|subscriber| !subscriber.is(session, msg_id));
        reply.send(Ok(()));
    }
}
