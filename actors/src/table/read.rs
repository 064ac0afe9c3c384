//! Forwards reads to a view's actor, after every delta that was applied before.

use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::hosting::{Answer, HandleId, SliceRequest, ViewRead};
use proscenium_engine::view::Plan;

use super::TableActor;
use crate::caller::Caller;
use crate::error::{ActorError, Result};
use crate::mailbox::Reply;
use crate::view::QueuedCommand;

impl TableActor {
    /// A view's plan: its configuration and columns, without reading a row.
    pub(super) fn plan_of(&self, id: HandleId) -> Result<Arc<Plan>> {
        let handle = self.host.views.handle(id);
        handle.map(|handle| handle.plan.clone()).ok_or(ActorError::ViewNotFound)
    }

    pub(super) fn read(
        &mut self,
        id: HandleId,
        read: ViewRead,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        self.forward(id, QueuedCommand::Read(id, read, reply), ctx);
    }

    pub(super) fn slice(
        &mut self,
        id: HandleId,
        slice: SliceRequest,
        caller: &Caller,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        self.forward(id, QueuedCommand::Slice(id, slice, caller.memory.clone(), reply), ctx);
    }

    fn forward(&mut self, id: HandleId, command: QueuedCommand, ctx: &mut Context<Self>) {
        let Some(shared) = self.host.views.handle(id).map(|handle| handle.shared) else {
            return command.refuse(ActorError::ViewNotFound);
        };
        if let Some(queue) = self.host.views.shared_mut(shared) {
            queue.push(command);
        }
        self.send_one(shared, ctx);
    }
}
