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
use proscenium_engine::table::{Backfill, Table};
use proscenium_engine::view::{Plan, SharingKey};

use super::TableActor;
use super::compute::start;
use super::part::PartRequest;
use super::view_queue::ViewQueue;
use crate::caller::{Caller, Requester};
use crate::error::{ActorError, Result};
use crate::mailbox::Reply;
use crate::outbox::{Notification, Outgoing};
use crate::tuning;
use crate::view::{Opening, QueuedCommand};

/// A view's plan, its identity, and the columns that are to be computed for it.
struct Planned {
    plan: Arc<Plan>,
    key: SharingKey,
    backfill: Option<Backfill>,
}

impl Planned {
    fn of(table: &mut Table, config: &ViewConfig, part: &PartRequest) -> Result<Planned> {
        let restricted = part.of(table)?;
        let (plan, backfill) = table.plan_within(config, restricted)?;
        let key = plan.sharing_key(table.of_plan(&plan).version());
        Ok(Planned { plan: Arc::new(plan), key, backfill })
    }
}

impl TableActor {
    /// Opens a view under the id that its client chose. The answer is an error if the configuration is invalid, the id is
    /// in use, or the limit of views is reached.
    pub(super) fn open(
        &mut self,
        view_id: String,
        config: Box<ViewConfig>,
        caller: Caller,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        let is_short = config.num_items() + self.table.schema().len() <= tuning::INLINE_PLAN_ITEMS
            && self.has_part(caller.access.as_deref());
        let group_by_depth = config.group_by_depth;
        let part = self.part_request(&caller);
        let plan = move |table: &mut Table| Planned::of(table, &config, &part);
        let open = move |table: &mut Self, planned, ctx: &mut Context<Self>| {
            reply.send(table.open_planned(&view_id, planned, group_by_depth, &caller, ctx));
        };
        if is_short {
            let planned = plan(&mut self.table);
            return open(self, planned, ctx);
        }
        self.lend(self.job_owner(), plan, open, ctx);
    }

    fn open_planned(
        &mut self,
        view_id: &str,
        planned: Result<Planned>,
        group_by_depth: Option<u32>,
        caller: &Caller,
        ctx: &mut Context<Self>,
    ) -> Result<Answer> {
        let Planned { plan, key, backfill } = planned?;
        if let Some(backfill) = backfill {
            self.compute(backfill, caller.requester(), ctx);
        }
        let view_id = self.context.names.add_view(view_id, &self.self_ref, caller.session)?;
        let present = self.host.views.shared_by_key(&key);
        self.context.metrics.view_opened(present.is_some());
        let shared = match present {
            Some(shared) => shared,
            None => self.build(plan.clone(), key, caller.requester()),
        };
        let handle =
            self.host.views.open(view_id.clone(), caller.session, shared, plan, caller.principal.clone());
        if let Some(queue) = self.host.views.shared_mut(shared) {
            queue.push(QueuedCommand::Open(Opening { handle, group_by_depth }));
        }
        self.send_one(shared, ctx);
        Ok(Answer::ViewOpened { view_id })
    }

    /// Closes a view. Its subscribers are notified before the answer is sent.
    pub(super) fn close(&mut self, view_id: &str, reply: Reply<Answer>, ctx: &mut Context<Self>) {
        self.retain_live_followers();
        match self.host.find_closable(view_id) {
            Ok(Some(id)) => self.compute_for_pending_reads(
                id,
                move |table, ctx| {
                    table.drop_handle(id, true);
                    reply.send(Ok(Answer::ViewClosed));
                    table.delete_if_due(ctx);
                },
                ctx,
            ),
            Ok(None) => reply.send(Err(ActorError::ViewNotFound)),
            Err(error) => reply.send(Err(error.into())),
        }
    }

    /// Creates a shared view of the table's current state. Its actor starts once the plan's columns are computed.
    fn build(&mut self, plan: Arc<Plan>, key: SharingKey, requester: Requester) -> SharedId {
        let is_pending = self.table.is_pending(&plan);
        let snapshot = self.table.of_plan(&plan).snapshot();
        let mut queue = ViewQueue::waiting(plan, snapshot, requester);
        if !is_pending {
            start(&mut queue, self.job_owner(), &self.context);
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
