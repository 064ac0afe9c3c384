//! Returns a plan and a snapshot, for readers that build a view on their own threads.
//!
//! Invariant: the snapshot is the table's state when the message is handled, even if the reply waits for a backfill. No
//! view is registered; the computed columns are kept for as long as the plan is held.

use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::config::ViewConfig;
use proscenium_engine::table::{InstalledColumns, Snapshot};
use proscenium_engine::view::Plan;

use super::{Receive, TableActor};
use crate::error::ActorError;
use crate::mailbox::Reply;

/// Checks a view configuration and returns the data that the view is built from.
#[derive(Debug)]
pub struct PlanView {
    /// The configuration, not yet checked against the table.
    pub config: ViewConfig,
    /// Sent once the plan's columns are computed. Fails if the configuration is invalid.
    pub reply: Reply<Planned>,
}

/// The data that a view is built from.
#[derive(Debug)]
pub struct Planned {
    /// The checked configuration; holding it keeps its computed columns.
    pub plan: Arc<Plan>,
    /// The table's state when the request was handled, with the plan's computed columns.
    pub snapshot: Snapshot,
}

/// A request that waits for a backfill.
#[derive(Debug)]
pub(super) struct PendingPlan {
    planned: Planned,
    reply: Reply<Planned>,
}

impl PendingPlan {
    /// The version of the snapshot to reply with.
    pub(super) fn version(&self) -> u64 {
        self.planned.snapshot.version()
    }
}

impl Receive<PlanView> for TableActor {
    fn receive(&mut self, PlanView { config, reply }: PlanView, ctx: &mut Context<Self>) {
        let (plan, backfill) = match self.table.plan(&config) {
            Ok(found) => found,
            Err(error) => return reply.send(Err(error.into())),
        };
        if let Some(backfill) = backfill {
            self.compute(backfill, ctx);
        }
        let planned = Planned { plan: Arc::new(plan), snapshot: self.table.snapshot() };
        self.pending_plans.push(PendingPlan { planned, reply });
        self.send_ready_plans();
    }
}

impl TableActor {
    /// Adds computed columns to the snapshots of pending requests.
    pub(super) fn amend_pending_plans(&mut self, installed: &InstalledColumns) {
        for PendingPlan { planned, .. } in &mut self.pending_plans {
            planned.snapshot = installed.amend(&planned.snapshot);
        }
    }

    /// Replies to the requests whose columns are computed.
    pub(super) fn send_ready_plans(&mut self) {
        let table = &self.table;
        for PendingPlan { planned, reply } in
            self.pending_plans.extract_if(.., |pending_plans| !table.is_pending(&pending_plans.planned.plan))
        {
            reply.send(Ok(planned));
        }
    }

    /// Fails all pending requests: a backfill panicked.
    pub(super) fn fail_pending_plans(&mut self) {
        for PendingPlan { reply, .. } in self.pending_plans.drain(..) {
            reply.send(Err(ActorError::refused("the view's expressions could not be computed")));
        }
    }
}
