//! Opening and closing a client's view.
//!
//! Law: equal questions share one view: a second handle costs an entry in a map. The answer to an opening does not wait
//! for the view to be built; reads do, in the view's own queue.

use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::config::ViewConfig;
use proscenium_engine::view::{Plan, SharingKey};

use super::compute::start;
use super::view_queue::ViewQueue;
use super::{Receive, TableActor};
use crate::clock;
use crate::error::{ActorError, Result};
use crate::mailbox::Reply;
use crate::outbox::{Notification, Outgoing, SessionId};
use crate::view::{HandleId, SharedId};
use crate::view::{Opening, ViewCommand};

/// Makes a view under the id that its client chose.
#[derive(Debug)]
pub struct OpenView {
    pub view_id: String,
    pub config: ViewConfig,
    /// The connection with which the view ends.
    pub owner: SessionId,
    pub reply: Reply<()>,
}

impl Receive<OpenView> for TableActor {
    fn receive(&mut self, order: OpenView, ctx: &mut Context<Self>) {
        let opened = self.open(&order.view_id, &order.config, order.owner, ctx);
        order.reply.send(opened);
    }
}

/// Forgets a view. Its subscribers are told before the answer leaves.
#[derive(Debug)]
pub struct CloseView {
    pub view_id: String,
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
                self.answer_before_closing(id, ctx);
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
        clock::set_engine_clock();
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

    /// Starts a view's actor, which builds itself from the table as it is now, once the plan's columns are computed.
    fn build(&mut self, plan: Arc<Plan>, key: SharingKey) -> SharedId {
        let is_pending = self.table.is_pending(&plan);
        let mut queue = ViewQueue::waiting(plan, self.table.snapshot());
        if !is_pending {
            start(&mut queue, &self.context);
        }
        self.views.share(key, queue)
    }

    /// Forgets a handle everywhere; `tell`: whether those who asked hear of it.
    pub(super) fn drop_handle(&mut self, id: HandleId, tell: bool) {
        let Some(handle) = self.views.close(id) else { return };
        self.context.names.remove_view(&handle.view_id);
        if let Some(queue) = self.views.queue_mut(handle.shared) {
            // Others still look at the view: it forgets this one's expansion with the next parcel.
            queue.push(ViewCommand::Close(id));
        }
        if tell {
            for subscriber in handle.on_delete {
                let notification =
                    Notification::ViewDeleted { msg_id: subscriber.msg_id, view_id: handle.view_id.clone() };
                subscriber.outbox.push(self.stream, Outgoing::Notification(notification));
            }
        }
    }
}
