//! Forwards reads to a view's actor, after every delta that was applied before.

use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::view::Plan;

use super::{Receive, TableActor};
use crate::error::ActorError;
use crate::mailbox::Reply;
use crate::view::{Read, ViewCommand};

/// Returns a view's plan: its configuration and columns, without reading a row.
#[derive(Debug)]
pub struct GetPlan {
    /// The id under which the view was opened.
    pub view_id: String,
    /// Fails if the view does not exist.
    pub reply: Reply<Arc<Plan>>,
}

impl Receive<GetPlan> for TableActor {
    fn receive(&mut self, GetPlan { view_id, reply }: GetPlan, _ctx: &mut Context<Self>) {
        let handle = self.views.find(&view_id).and_then(|id| self.views.handle(id));
        reply.send(handle.map(|handle| handle.plan.clone()).ok_or(ActorError::ViewNotFound));
    }
}

/// Reads a view.
#[derive(Debug)]
pub struct ReadView {
    /// The id under which the view was opened; the read is refused if it does not exist.
    pub view_id: String,
    /// The request, with its reply.
    pub read: Read,
}

impl Receive<ReadView> for TableActor {
    fn receive(&mut self, ReadView { view_id, read }: ReadView, ctx: &mut Context<Self>) {
        let found = self.views.find(&view_id);
        let Some((id, shared)) = found.and_then(|id| Some((id, self.views.handle(id)?.shared))) else {
            return read.refuse(ActorError::ViewNotFound);
        };
        if let Some(queue) = self.views.queue_mut(shared) {
            queue.push(ViewCommand::Read(id, read));
        }
        self.send_one(shared, ctx);
    }
}
