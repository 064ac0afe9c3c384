//! A plan and the columns to build a view of, for readers who build on threads of their own.
//!
//! Law: the view is that of the table in the asker's turn, though the answer waits for columns that are computed
//! elsewhere. Nothing is registered: the columns stay computed for as long as somebody holds the plan.

use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::config::ViewConfig;
use proscenium_engine::table::{InstalledColumns, Snapshot};
use proscenium_engine::view::Plan;

use super::{Receive, TableActor};
use crate::clock;
use crate::error::ActorError;
use crate::mailbox::Reply;

/// Checks a config, and gives all that a view of it is built from.
#[derive(Debug)]
pub struct PlanView {
    pub config: ViewConfig,
    pub reply: Reply<Planned>,
}

/// What a view is built from.
#[derive(Debug)]
pub struct Planned {
    pub plan: Arc<Plan>,
    /// Of the moment at which the plan was asked for, with the plan's columns.
    pub snapshot: Snapshot,
}

/// An asker whose columns are being computed.
#[derive(Debug)]
pub(super) struct PendingPlan {
    planned: Planned,
    reply: Reply<Planned>,
}

impl PendingPlan {
    /// Of the snapshot that is kept for the asker.
    pub(super) fn version(&self) -> u64 {
        self.planned.snapshot.version()
    }
}

impl Receive<PlanView> for TableActor {
    fn receive(&mut self, PlanView { config, reply }: PlanView, ctx: &mut Context<Self>) {
        clock::set_engine_clock();
        let (plan, backfill) = match self.table.plan(&config) {
            Ok(found) => found,
            Err(error) => return reply.send(Err(error.into())),
        };
        if let Some(backfill) = backfill {
            self.compute(backfill, ctx);
        }
        let planned = Planned { plan: Arc::new(plan), snapshot: self.table.snapshot() };
        self.pending_plans.push(PendingPlan { planned, reply });
        self.answer_planned();
    }
}

impl TableActor {
    /// Adds computed columns to what is kept for askers.
    pub(super) fn amend_planned(&mut self, installed: &InstalledColumns) {
        for PendingPlan { planned, .. } in &mut self.pending_plans {
            planned.snapshot = installed.amend(&planned.snapshot);
        }
    }

    /// Answers everybody whose columns are there.
    pub(super) fn answer_planned(&mut self) {
        let table = &self.table;
        for PendingPlan { planned, reply } in
            self.pending_plans.extract_if(.., |pending_plans| !table.is_pending(&pending_plans.planned.plan))
        {
            reply.send(Ok(planned));
        }
    }

    /// Columns cannot be computed: whoever waits for some hears it.
    pub(super) fn refuse_planned(&mut self) {
        for PendingPlan { reply, .. } in self.pending_plans.drain(..) {
            reply.send(Err(ActorError::refused("the view's expressions could not be computed")));
        }
    }
}
