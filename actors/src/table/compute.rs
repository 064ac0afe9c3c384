//! Backfills: new expressions and windows, computed on a worker thread while writes go on.
//!
//! Invariant: a view with a new column is opened at once and built once its columns are computed, from the table's
//! state at the time it was opened. Deltas and reads wait in its queue, in order, and the columns are added to them.
//! Its replies equal those of a view whose columns were computed in the message handler.
//!
//! Cost: a backfill that is many batches behind when it finishes catches up on a worker, too, in rounds of decreasing
//! length.

use std::collections::BTreeSet;

use actix::prelude::*;
use proscenium_engine::hosting::{HandleId, SharedId};
use proscenium_engine::table::{Backfill, BackfillResult};
use proscenium_engine::view::Plan;

use super::ActorContext;
use super::TableActor;
use super::view_queue::ViewQueue;
use crate::caller::Requester;
use crate::engine_context::engine_context;
use crate::error::ActorError;
use crate::tuning;
use crate::view::ViewActor;
use crate::workers::JobOwner;

/// A backfill that a worker computes or catches up.
#[derive(Debug)]
pub(super) struct RunningBackfill {
    backfill: Backfill,
    requester: Requester,
    /// The version that the columns will have when the current job ends.
    version: u64,
    /// Rounds of catching up so far.
    rounds: usize,
}

impl TableActor {
    /// Starts a backfill.
    pub(super) fn compute(&mut self, backfill: Backfill, requester: Requester, ctx: &mut Context<Self>) {
        let version = backfill.version();
        let (owner, world) = (requester.owner, engine_context(&requester.memory));
        let running_backfill = RunningBackfill { backfill: backfill.clone(), requester, version, rounds: 0 };
        self.running_backfill.push(running_backfill);
        let job = {
            let backfill = backfill.clone();
            move || backfill.run(&world)
        };
        self.work_on(backfill, owner, job, ctx);
    }

    fn work_on(
        &mut self,
        backfill: Backfill,
        owner: JobOwner,
        job: impl FnOnce() -> proscenium_engine::Result<BackfillResult> + Send + 'static,
        ctx: &mut Context<Self>,
    ) {
        let computing = self.context.workers.run(owner, job);
        ctx.spawn(computing.into_actor(self).map(move |result, actor, ctx| match result {
            Ok(Ok(result)) => actor.catch_up_or_install(backfill, result, ctx),
            // Its memory was refused, or the job panicked: the views that wait for its columns fail.
            Ok(Err(error)) => actor.fail_backfill(&backfill, &error.into(), ctx),
            Err(error) => actor.fail_backfill(&backfill, &error, ctx),
        }));
    }

    /// Installs the columns if they are few batches behind; otherwise starts another round on a worker.
    fn catch_up_or_install(
        &mut self,
        backfill: Backfill,
        mut result: BackfillResult,
        ctx: &mut Context<Self>,
    ) {
        let backlog = self.table.catch_up_log(&result);
        let running_backfill =
            self.running_backfill.iter_mut().find(|running_backfill| running_backfill.backfill.is(&backfill));
        let (Some(running_backfill), Some(version)) = (running_backfill, backlog.version()) else {
            return self.install(&backfill, result, ctx);
        };
        if backlog.len() <= tuning::DELTAS_TO_FOLLOW_AT_ONCE
            || running_backfill.rounds >= tuning::FOLLOWING_ROUNDS
        {
            return self.install(&backfill, result, ctx);
        }
        running_backfill.rounds += 1;
        running_backfill.version = version;
        let owner = running_backfill.requester.owner;
        let job = {
            let (backfill, world) = (backfill.clone(), engine_context(&self.context.memory));
            move || {
                result.follow(&backfill, &backlog, &world);
                Ok(result)
            }
        };
        self.work_on(backfill, owner, job, ctx);
    }

    /// Computes all running backfills in this message handler, for messages that cannot wait.
    pub(super) fn finish_backfills(&mut self, ctx: &mut Context<Self>) {
        while let Some(running_backfill) = self.running_backfill.first() {
            let backfill = running_backfill.backfill.clone();
            match backfill.run(&engine_context(&running_backfill.requester.memory)) {
                Ok(result) => self.install(&backfill, result, ctx),
                Err(error) => self.fail_backfill(&backfill, &error.into(), ctx),
            }
        }
    }

    /// Bounds the catch-up log of running backfills by merging batches between which no version is needed.
    pub(super) fn bound_catch_up_log(&mut self) {
        let bound = tuning::DELTAS_TO_CATCH_UP.max(2 * self.needed_to_catch_up);
        if self.table.num_to_catch_up() <= bound {
            return;
        }
        let queues = self.host.views.all_shared().flat_map(|(_, queue)| queue.versions_waiting());
        let running_backfill = self.running_backfill.iter().map(|running_backfill| running_backfill.version);
        let needed: BTreeSet<u64> = queues.chain(running_backfill).collect();
        self.table.shorten_catch_up_log(&needed);
        self.needed_to_catch_up = self.table.num_to_catch_up();
    }

    /// Computes the columns of a view that is about to be closed and has reads pending, so that it can be built and
    /// reply.
    pub(super) fn compute_for_pending_reads(&mut self, id: HandleId, ctx: &mut Context<Self>) {
        let shared = self.host.views.handle(id).map(|handle| handle.shared);
        let queue = shared.and_then(|shared| self.host.views.shared(shared));
        if queue.is_some_and(|queue| queue.plan_not_started().is_some() && queue.has_reads()) {
            self.finish_backfills(ctx);
        }
    }

    /// Computes the columns of a plan from which the caller builds at once.
    pub(super) fn finish_plan(&mut self, plan: &Plan, ctx: &mut Context<Self>) {
        if self.table.is_pending(plan) {
            self.finish_backfills(ctx);
        }
    }

    fn install(&mut self, backfill: &Backfill, result: BackfillResult, ctx: &mut Context<Self>) {
        let installed = self.table.install(backfill, result, &engine_context(&self.context.memory));
        let forgotten = self.forget_backfill(backfill);
        if installed.is_empty() {
            return;
        }
        if let Some(RunningBackfill { requester, .. }) = forgotten {
            for ready in self.table.take_ready() {
                self.compute(ready, requester.clone(), ctx);
            }
        }
        for id in self.not_started() {
            let Some(queue) = self.host.views.shared_mut(id) else { continue };
            queue.amend(&installed);
            if queue.plan_not_started().is_some_and(|plan| !self.table.is_pending(plan)) {
                start(queue, &self.context);
            }
        }
        self.send_all(ctx);
    }

    /// Removes a running backfill.
    fn forget_backfill(&mut self, backfill: &Backfill) -> Option<RunningBackfill> {
        let position = self.running_backfill.iter().position(|other| other.backfill.is(backfill))?;
        Some(self.running_backfill.remove(position))
    }

    fn not_started(&self) -> Vec<SharedId> {
        self.host
            .views
            .all_shared()
            .filter(|(_, queue)| queue.plan_not_started().is_some())
            .map(|(id, _)| id)
            .collect()
    }

    /// Gives up columns, and with them the views that have them; other views go on to wait for theirs.
    fn fail_backfill(&mut self, backfill: &Backfill, error: &ActorError, ctx: &mut Context<Self>) {
        self.forget_backfill(backfill);
        self.table.abandon(backfill);
        for id in self.not_started() {
            let Some(queue) = self.host.views.shared_mut(id) else { continue };
            if queue.plan_not_started().is_some_and(|plan| backfill.is_of(plan)) {
                queue.refuse_reads(error);
                self.view_failed(id, ctx);
            }
        }
    }
}

/// Starts the actor of a view whose columns are computed.
pub(super) fn start(queue: &mut ViewQueue, context: &ActorContext) {
    queue.start(|plan, snapshot, requester, build| {
        let (workers, export_bytes) = (context.workers.clone(), context.limits.export_bytes);
        let view =
            ViewActor::new(plan, snapshot, requester, workers, export_bytes, build, context.metrics.clone());
        ViewActor::start_in_arbiter(context.placement.next(), move |_| view)
    });
}
