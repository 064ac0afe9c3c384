//! New expressions and windows, computed on a worker thread.
//!
//! Law: a view with a new column is opened at once and built when its columns are there, of the table as it was when
//! it was opened; deltas and reads wait in its feed in order, and get the columns added. So it answers what it would have
//! answered had the columns been computed in the table's turn. Columns that are far behind when they are computed follow
//! the table on a worker, too, round by round, each of which has less to do.

use std::collections::BTreeSet;

use actix::prelude::*;
use proscenium_engine::table::{Backfill, BackfillResult};
use proscenium_engine::view::Plan;

use super::ActorContext;
use super::TableActor;
use super::view_queue::ViewQueue;
use crate::tuning;
use crate::view::ViewActor;
use crate::view::{HandleId, SharedId};

/// Columns that a worker computes, or leads to the present.
#[derive(Debug)]
pub(super) struct RunningBackfill {
    backfill: Backfill,
    /// The version to which the columns are computed with the work that is on the way.
    version: u64,
    /// Times that a worker was sent after the table.
    rounds: usize,
}

impl TableActor {
    /// Orders columns to be computed.
    pub(super) fn compute(&mut self, backfill: Backfill, ctx: &mut Context<Self>) {
        let version = backfill.version();
        self.running_backfill.push(RunningBackfill { backfill: backfill.clone(), version, rounds: 0 });
        let job = {
            let backfill = backfill.clone();
            move || backfill.run_on(tuning::build_threads())
        };
        self.work_on(backfill, job, ctx);
    }

    fn work_on(
        &mut self,
        backfill: Backfill,
        job: impl FnOnce() -> BackfillResult + Send + 'static,
        ctx: &mut Context<Self>,
    ) {
        let computing = self.context.workers.run(job);
        ctx.spawn(computing.into_actor(self).map(move |prepared, actor, ctx| match prepared {
            Ok(prepared) => actor.follow_or_adopt(backfill, prepared, ctx),
            // The computing panicked. Whoever waits hears that the view is gone.
            Err(_) => actor.give_up(&backfill, ctx),
        }));
    }

    /// Columns that are close behind come to the table; others follow it elsewhere first.
    fn follow_or_adopt(&mut self, backfill: Backfill, mut prepared: BackfillResult, ctx: &mut Context<Self>) {
        let backlog = self.table.catch_up_log(&prepared);
        let running_backfill =
            self.running_backfill.iter_mut().find(|running_backfill| running_backfill.backfill.is(&backfill));
        let (Some(running_backfill), Some(version)) = (running_backfill, backlog.version()) else {
            return self.adopt(&backfill, prepared, ctx);
        };
        if backlog.len() <= tuning::DELTAS_TO_FOLLOW_AT_ONCE
            || running_backfill.rounds >= tuning::FOLLOWING_ROUNDS
        {
            return self.adopt(&backfill, prepared, ctx);
        }
        running_backfill.rounds += 1;
        running_backfill.version = version;
        let job = {
            let backfill = backfill.clone();
            move || {
                prepared.follow(&backfill, &backlog);
                prepared
            }
        };
        self.work_on(backfill, job, ctx);
    }

    /// Computes here and now what is under way: for the few who cannot wait.
    pub(super) fn finish_computing(&mut self, ctx: &mut Context<Self>) {
        while let Some(running_backfill) = self.running_backfill.first() {
            let backfill = running_backfill.backfill.clone();
            let prepared = backfill.run_on(tuning::build_threads());
            self.adopt(&backfill, prepared, ctx);
        }
    }

    /// What is kept for columns under way stays within bounds: versions that nobody needs are no longer told apart.
    pub(super) fn limit_catching_up(&mut self) {
        let bound = tuning::DELTAS_TO_CATCH_UP.max(2 * self.needed_to_catch_up);
        if self.table.num_to_catch_up() <= bound {
            return;
        }
        let waiting = self.pending_plans.iter().map(|pending_plans| pending_plans.version());
        let queues = self.views.queues().flat_map(|(_, queue)| queue.versions_waiting());
        let running_backfill = self.running_backfill.iter().map(|running_backfill| running_backfill.version);
        let needed: BTreeSet<u64> = waiting.chain(queues).chain(running_backfill).collect();
        self.table.shorten_catch_up_log(&needed);
        self.needed_to_catch_up = self.table.num_to_catch_up();
    }

    /// Before a view is closed that has not answered because it was never built.
    pub(super) fn answer_before_closing(&mut self, id: HandleId, ctx: &mut Context<Self>) {
        let shared = self.views.handle(id).map(|handle| handle.shared);
        let queue = shared.and_then(|shared| self.views.queue(shared));
        if queue.is_some_and(|queue| queue.plan_not_started().is_some() && queue.has_reads()) {
            self.finish_computing(ctx);
        }
    }

    /// Before somebody builds from a plan by himself.
    pub(super) fn finish_plan(&mut self, plan: &Plan, ctx: &mut Context<Self>) {
        if self.table.is_pending(plan) {
            self.finish_computing(ctx);
        }
    }

    fn adopt(&mut self, backfill: &Backfill, prepared: BackfillResult, ctx: &mut Context<Self>) {
        let installed = self.table.install(backfill, prepared);
        self.running_backfill.retain(|other| !other.backfill.is(backfill));
        if installed.is_empty() {
            return;
        }
        for ready in self.table.take_ready() {
            self.compute(ready, ctx);
        }
        for id in self.not_started() {
            let Some(queue) = self.views.queue_mut(id) else { continue };
            queue.amend(&installed);
            if queue.plan_not_started().is_some_and(|plan| !self.table.is_pending(plan)) {
                start(queue, &self.context);
            }
        }
        self.amend_planned(&installed);
        self.answer_planned();
        self.send_all(ctx);
    }

    fn not_started(&self) -> Vec<SharedId> {
        self.views
            .queues()
            .filter(|(_, queue)| queue.plan_not_started().is_some())
            .map(|(id, _)| id)
            .collect()
    }

    fn give_up(&mut self, backfill: &Backfill, ctx: &mut Context<Self>) {
        self.running_backfill.retain(|other| !other.backfill.is(backfill));
        self.table.drop_waiting();
        self.refuse_planned();
        for id in self.not_started() {
            self.view_failed(id, ctx);
        }
    }
}

/// Starts the actor of a view that has all it needs.
pub(super) fn start(queue: &mut ViewQueue, context: &ActorContext) {
    queue.start(|plan, snapshot, built| {
        let (workers, export_bytes) = (context.workers.clone(), context.limits.export_bytes);
        let view = ViewActor::new(plan, snapshot, workers, export_bytes, built);
        ViewActor::start_in_arbiter(context.placement.next(), move |_| view)
    });
}
