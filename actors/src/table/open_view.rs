//! Opens and closes a client's view.
//!
//! Invariant: equal configurations share one view. The reply does not wait for the view to be built; reads do, in the
//! view's queue.
//!
//! Cost: a further handle on a shared view is one entry in a map.

use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::config::ViewConfig;
use proscenium_engine::view::{Plan, SharingKey};

use super::compute::start;
use super::view_queue::ViewQueue;
use super::{Receive, TableActor};
use crate::error::{ActorError, Result};
use crate::mailbox::Reply;
use crate::outbox::{Notification, Outgoing, SessionId};
use crate::view::{HandleId, SharedId};
use crate::view::{Opening, ViewCommand};

/// Opens a view under the id that its client chose.
#[derive(Debug)]
pub struct OpenView {
    /// The id, unique among the views of all tables.
    pub view_id: String,
    /// The configuration, not yet checked against the table.
    pub config: ViewConfig,
    /// The connection that owns the view; the view is closed with it.
    pub owner: SessionId,
    /// Fails if the configuration is invalid, the id is in use, or the limit of views is reached.
    pub reply: Reply<()>,
}

impl Receive<OpenView> for TableActor {
    fn receive(&mut self, message: OpenView, ctx: &mut Context<Self>) {
        let opened = self.open(&message.view_id, &message.config, message.owner, ctx);
        message.reply.send(opened);
    }
}

/// Closes a view. Its subscribers are notified before the reply is sent.
#[derive(Debug)]
pub struct CloseView {
    /// The id under which the view was opened.
    pub view_id: String,
    /// Fails if the view does not exist, or is the source of a table.
    pub reply: Reply<()>,
}

impl Receive<CloseView> for TableActor {
    fn receive(&mut self, CloseView { view_id, reply }: CloseView, ctx: &mut Context<Self>) {
        match self.views.find(&view_id) {
            Some(id) if self.live_followings().iter().any(|following| following.view == Some(id)) => {
                reply.send(Err(ActorError::refused(
                    "Cannot delete view: it is the source for a derived table",
                )));
            }
            Some(id) => {
                self.compute_for_pending_reads(id, ctx);
                self.drop_handle(id, true);
                reply.send(Ok(()));
                self.delete_if_due(ctx);
            }
            None => reply.send(Err(ActorError::ViewNotFound)),
        }
    }
}

impl TableActor {
    fn open(
        &mut self,
        view_id: &str,
        config: &ViewConfig,
        owner: SessionId,
        ctx: &mut Context<Self>,
    ) -> Result<()> {
        let (plan, backfill) = self.table.plan(config)?;
        let plan = Arc::new(plan);
        if let Some(backfill) = backfill {
            self.compute(backfill, ctx);
        }
        let view_id = self.context.names.add_view(view_id, self.self_ref.clone(), owner)?;
        let key = plan.sharing_key(self.table.version());
        let present = self.views.shared_by_key(&key);
        self.context.metrics.view_opened(present.is_some());
        let shared = match present {
            Some(shared) => shared,
            None => self.build(plan.clone(), key),
        };
        let handle = self.views.open(view_id, owner, shared, plan);
        if let Some(queue) = self.views.queue_mut(shared) {
            queue.push(ViewCommand::Open(Opening { handle, group_by_depth: config.group_by_depth }));
        }
        self.send_one(shared, ctx);
        Ok(())
    }

    /// Creates a shared view of the table's current state. Its actor starts once the plan's columns are computed.
    fn build(&mut self, plan: Arc<Plan>, key: SharingKey) -> SharedId {
        let is_pending = self.table.is_pending(&plan);
        let mut queue = ViewQueue::waiting(plan, self.table.snapshot());
        if !is_pending {
            start(&mut queue, &self.context);
        }
        self.views.share(key, queue)
    }

    /// Removes a handle; `notify`: whether the subscribers to its deletion are notified.
    pub(super) fn drop_handle(&mut self, id: HandleId, notify: bool) {
        let Some(handle) = self.views.close(id) else { return };
        self.context.names.remove_view(&handle.view_id);
        if let Some(queue) = self.views.queue_mut(handle.shared) {
            // Other handles share the view, which removes this one with the next batch.
            queue.push(ViewCommand::Close(id));
        }
        if notify {
            for subscriber in handle.on_delete {
                let notification =
                    Notification::ViewDeleted { msg_id: subscriber.msg_id, view_id: handle.view_id.clone() };
                subscriber.outbox.push(self.stream, Outgoing::Notification(notification));
            }
        }
    }
}
