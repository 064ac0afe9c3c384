//! Opens and closes a client's view.
//!
//! Invariant: equal configurations share one view. The answer does not wait for the view to be built; reads do, in the
//! view's queue.
//!
//! Cost: a further handle on a shared view is one entry in a map.

use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::config::ViewConfig;
use proscenium_engine::hosting::{Answer, ClosedView, HandleId, SharedId};
use proscenium_engine::view::{Plan, SharingKey};

use super::TableActor;
use super::compute::start;
use super::view_queue::ViewQueue;
use crate::caller::{Caller, Requester};
use crate::error::{ActorError, Result};
use crate::mailbox::Reply;
use crate::outbox::{Notification, Outgoing};
use crate::view::{Opening, QueuedCommand};

impl TableActor {
    /// Opens a view under the id that its client chose.
    ///
    /// # Errors
    ///
    /// The configuration is invalid, the id is in use, or the limit of views is reached.
    pub(super) fn open(
        &mut self,
        view_id: &str,
        config: &ViewConfig,
        caller: &Caller,
        ctx: &mut Context<Self>,
    ) -> Result<Answer> {
        let (plan, backfill) = self.table.plan(config)?;
        let plan = Arc::new(plan);
        if let Some(backfill) = backfill {
            self.compute(backfill, caller.requester(), ctx);
        }
        let view_id = self.context.names.add_view(view_id, &self.self_ref, caller.session)?;
        let key = plan.sharing_key(self.table.version());
        let present = self.host.views.shared_by_key(&key);
        self.context.metrics.view_opened(present.is_some());
        let shared = match present {
            Some(shared) => shared,
            None => self.build(plan.clone(), key, caller.requester()),
        };
        let handle = self.host.views.open(view_id.clone(), caller.session, shared, plan, ());
        if let Some(queue) = self.host.views.shared_mut(shared) {
            queue.push(QueuedCommand::Open(Opening { handle, group_by_depth: config.group_by_depth }));
        }
        self.send_one(shared, ctx);
        Ok(Answer::ViewOpened { view_id })
    }

    /// Closes a view. Its subscribers are notified before the answer is sent.
    pub(super) fn close(&mut self, view_id: &str, reply: Reply<Answer>, ctx: &mut Context<Self>) {
        self.retain_live_followers();
        match self.host.find_closable(view_id) {
            Ok(Some(id)) => {
                self.compute_for_pending_reads(id, ctx);
                self.drop_handle(id, true);
                reply.send(Ok(Answer::ViewClosed));
                self.delete_if_due(ctx);
            }
            Ok(None) => reply.send(Err(ActorError::ViewNotFound)),
            Err(error) => reply.send(Err(error.into())),
        }
    }

    /// Creates a shared view of the table's current state. Its actor starts once the plan's columns are computed.
    fn build(&mut self, plan: Arc<Plan>, key: SharingKey, requester: Requester) -> SharedId {
        let is_pending = self.table.is_pending(&plan);
        let mut queue = ViewQueue::waiting(plan, self.table.snapshot(), requester);
        if !is_pending {
            start(&mut queue, &self.context);
        }
        self.host.views.share(key, queue)
    }

    /// Removes a handle; `notify`: whether the subscribers to its deletion are notified.
    pub(super) fn drop_handle(&mut self, id: HandleId, notify: bool) {
        let Some(ClosedView { handle, unused }) = self.host.close(id) else { return };
        self.context.names.remove_view(&handle.view_id);
        match unused {
            Some(queue) => queue.finish(),
            // Other handles share the view, which removes this one with the next batch.
            None => {
                if let Some(queue) = self.host.views.shared_mut(handle.shared) {
                    queue.push(QueuedCommand::Close(id));
                }
            }
        }
        if notify {
            for subscriber in handle.subscriptions.on_delete {
                let notification =
                    Notification::ViewDeleted { msg_id: subscriber.msg_id, view_id: handle.view_id.clone() };
                subscriber.outbox.push(self.stream, Outgoing::Notification(notification));
            }
        }
    }
}
