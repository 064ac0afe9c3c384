//! Releases a closed connection's views and subscriptions.

use std::collections::VecDeque;

use actix::prelude::*;
use proscenium_engine::hosting::HandleId;

use super::{MessageOrder, Receive, TableActor};
use crate::outbox::SessionId;
use crate::tuning;

/// Closes the connection's views without notifying their subscribers, and ends its subscriptions. A deletion that
/// waited for the last of those views is completed.
#[derive(Debug)]
pub struct SessionClosed {
    /// The connection that closed.
    pub session: SessionId,
}

impl Receive<SessionClosed> for TableActor {
    fn order(message: &SessionClosed) -> MessageOrder {
        MessageOrder::OfSession(message.session)
    }

    fn step(_message: &SessionClosed) -> &'static str {
        "session_closed"
    }

    fn receive(&mut self, SessionClosed { session }: SessionClosed, ctx: &mut Context<Self>) {
        let handles = self.host.views.handles_of(session).into();
        self.close_handles(session, handles, ctx);
    }
}

impl TableActor {
    /// Closes some handles, lets other actors run, and goes on. No message is handled meanwhile.
    fn close_handles(
        &mut self,
        session: SessionId,
        mut handles: VecDeque<HandleId>,
        ctx: &mut Context<Self>,
    ) {
        for id in handles.drain(..handles.len().min(tuning::CLOSED_AT_ONCE)) {
            if let Some(shared) = self.host.views.handle(id).map(|handle| handle.shared) {
                let is_last = self.host.views.num_handles_on(shared) == 1;
                if let Some(queue) = self.host.views.shared_mut(shared) {
                    queue.leave(id, is_last);
                }
            }
            self.drop_handle(id, false);
        }
        if !handles.is_empty() {
            let others_first = tokio::task::yield_now().into_actor(self);
            return ctx
                .wait(others_first.map(move |(), table, ctx| table.close_handles(session, handles, ctx)));
        }
        self.host.views.forget_subscriber(session);
        self.delete_subscribers.retain(|subscriber| subscriber.outbox.session() != session);
        self.delete_if_due(ctx);
    }
}
