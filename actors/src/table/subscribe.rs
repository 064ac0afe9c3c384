//! Subscriptions to the notifications of a view.

use proscenium_engine::hosting::{Answer, HandleId, Topic};

use super::TableActor;
use crate::caller::Caller;
use crate::error::{ActorError, Result};

impl TableActor {
    /// Starts a subscription of the caller's connection.
    pub(super) fn subscribe(&mut self, id: HandleId, topic: Topic, caller: &Caller) -> Result<Answer> {
        let mut subscriber = caller.subscriber()?;
        match topic {
            Topic::Update { .. } | Topic::Remove => {
                subscriber.listening = self.self_ref.listen(&subscriber.outbox);
            }
            Topic::Delete => {}
        }
        let handle = self.host.views.handle_mut(id).ok_or(ActorError::ViewNotFound)?;
        handle.subscriptions.subscribe(topic, subscriber);
        Ok(Answer::Subscribed)
    }

    /// Ends a subscription; an unknown one is ignored.
    pub(super) fn unsubscribe(
        &mut self,
        id: HandleId,
        topic: Topic,
        caller: &Caller,
        subscription: u32,
    ) -> Result<Answer> {
        let handle = self.host.views.handle_mut(id).ok_or(ActorError::ViewNotFound)?;
        handle.subscriptions.unsubscribe(topic, caller.session, subscription);
        Ok(Answer::Unsubscribed(topic))
    }
}
