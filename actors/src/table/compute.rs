//! Backfills: new expressions and windows, computed on a worker thread while writes go on.
//!
//! Invariant: a view with a new column is opened at once and built once its columns are computed, from the table's
//! state at the time it was opened. Deltas and reads wait in its queue, in order, and the columns are added to them.
//! Its replies equal those of a view whose columns were computed in the message handler.
//!
//! Cost: a backfill that is many batches behind when it finishes catches up on a worker, too, in rounds of decreasing
//! length.

use std::collections::{BTreeSet, VecDeque};

use actix::prelude::*;
use proscenium_engine::MemoryAccount;
use proscenium_engine::access::Restricted;
use proscenium_engine::hosting::{HandleId, SharedId};
use proscenium_engine::interrupt::Interrupted;
use proscenium_engine::table::{Backfill, BackfillResult, InstalledColumns, Table};
use proscenium_engine::view::Plan;

use super::ActorContext;
use super::TableActor;
use super::view_queue::ViewQueue;
use crate::caller::Requester;
use crate::engine_context::engine_context;
use crate::error::{ActorError, Result};
use crate::pace::Pace;
use crate::tuning;
use crate::view::{ReadContext, ViewActor};
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

/// A backfill and its columns, or why they could not be computed.
type Computed = (Backfill, proscenium_engine::Result<InstalledColumns>);

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
        let interrupt = backfill.interrupt();
        let computing = self.context.workers.run(owner, move || interrupt.run(job));
        let then = move |table: &mut Self, result: Result<_>, ctx: &mut Context<Self>| match result {
            Ok(Ok(Ok(result))) => table.catch_up_or_install(backfill, result, ctx),
            // Its memory was refused, or the job panicked: the views that wait for its columns fail.
            Ok(Ok(Err(error))) => table.fail_backfill(&backfill, &ActorError::from(error), ctx),
            Ok(Err(Interrupted)) => table.abandon_backfill(backfill, ctx),
            Err(error) => table.fail_backfill(&backfill, &error, ctx),
        };
        self.after(computing, then, ctx);
    }

    /// Forgets a backfill that ended early because nothing read its columns. If something does by now, it starts anew.
    fn abandon_backfill(&mut self, backfill: Backfill, ctx: &mut Context<Self>) {
        let forgotten = self.forget_backfill(&backfill);
        match forgotten.filter(|_| backfill.is_awaited()) {
            Some(RunningBackfill { requester, .. }) => self.compute(backfill, requester, ctx),
            None => self.context.metrics.build_abandoned(),
        }
    }

    /// Installs the columns if they are few batches behind; otherwise starts another round on a worker.
    fn catch_up_or_install(
        &mut self,
        backfill: Backfill,
        mut result: BackfillResult,
        ctx: &mut Context<Self>,
    ) {
        let backlog = self.table.catch_up_log(&backfill, &result);
        let running_backfill =
            self.running_backfill.iter_mut().find(|running_backfill| running_backfill.backfill.is(&backfill));
        let (Some(running_backfill), Some(version)) = (running_backfill, backlog.version()) else {
            return self.install(backfill, result, ctx);
        };
        if backlog.len() <= tuning::DELTAS_TO_FOLLOW_AT_ONCE
            || running_backfill.rounds >= tuning::FOLLOWING_ROUNDS
        {
            return self.install(backfill, result, ctx);
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

    /// Computes all running backfills now, then goes on with `then`: for messages that cannot wait for them. No message
    /// is handled meanwhile.
    fn finish_backfills(
        &mut self,
        then: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
        ctx: &mut Context<Self>,
    ) {
        let running = self.running_backfill.iter();
        let running: VecDeque<(Backfill, MemoryAccount)> =
            running.map(|running| (running.backfill.clone(), running.requester.memory.clone())).collect();
        let job = move |table: &mut Table| {
            let (mut open, mut done) = (running, Vec::new());
            while let Some((backfill, memory)) = open.pop_front() {
                let world = engine_context(&memory);
                let result = backfill.run(&world);
                let installed = result.map(|result| table.install(&backfill, result, &world));
                open.extend(table.take_ready().into_iter().map(|ready| (ready, memory.clone())));
                done.push((backfill, installed));
            }
            done
        };
        let install = move |table: &mut Self, done: Vec<Computed>, ctx: &mut Context<Self>| {
            table.installed(done, ctx);
            then(table, ctx);
        };
        self.lend(self.job_owner(), job, install, ctx);
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
    /// reply; then goes on with `then`.
    pub(super) fn compute_for_pending_reads(
        &mut self,
        id: HandleId,
        then: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
        ctx: &mut Context<Self>,
    ) {
        let shared = self.host.views.handle(id).map(|handle| handle.shared);
        let queue = shared.and_then(|shared| self.host.views.shared(shared));
        match queue.is_some_and(|queue| queue.plan_not_started().is_some() && queue.has_reads()) {
            true => self.finish_backfills(then, ctx),
            false => then(self, ctx),
        }
    }

    /// Computes the columns of a plan from which the caller builds at once; then goes on with `then`.
    pub(super) fn finish_plan(
        &mut self,
        plan: &Plan,
        then: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
        ctx: &mut Context<Self>,
    ) {
        match self.table.is_pending(plan) {
            true => self.finish_backfills(then, ctx),
            false => then(self, ctx),
        }
    }

    /// Installs the result of a backfill, led to the present. A window may read all its rows for each batch.
    fn install(&mut self, backfill: Backfill, result: BackfillResult, ctx: &mut Context<Self>) {
        let installing = {
            let (backfill, world) = (backfill.clone(), engine_context(&self.context.memory));
            move |table: &mut Table| table.install(&backfill, result, &world)
        };
        let then = move |table: &mut Self, installed: InstalledColumns, ctx: &mut Context<Self>| {
            table.installed(vec![(backfill, Ok(installed))], ctx);
        };
        if self.table.num_rows() <= tuning::INLINE_CELLS {
            let installed = installing(&mut self.table);
            return then(self, installed, ctx);
        }
        self.lend(self.job_owner(), installing, then, ctx);
    }

    /// Adds installed columns to what waits for them, then starts what has all of its columns.
    fn installed(&mut self, done: Vec<Computed>, ctx: &mut Context<Self>) {
        let (mut has_installed, mut refused) = (false, Vec::new());
        for (backfill, installed) in done {
            let installed = match installed {
                Ok(installed) => installed,
                Err(error) => {
                    refused.push((backfill, error));
                    continue;
                }
            };
            let forgotten = self.forget_backfill(&backfill);
            if installed.is_empty() {
                continue;
            }
            has_installed = true;
            if let Some(RunningBackfill { requester, .. }) = forgotten {
                for ready in self.table.take_ready() {
                    self.compute(ready, requester.clone(), ctx);
                }
            }
            let restriction = backfill.restriction().map(Restricted::id);
            for id in self.not_started() {
                if let Some(queue) = self.host.views.shared_mut(id)
                    && queue.restriction() == restriction
                {
                    queue.amend(&installed);
                }
            }
        }
        for (backfill, error) in refused {
            self.fail_backfill(&backfill, &error.into(), ctx);
        }
        if !has_installed {
            return;
        }
        // A batch is more work from now on.
        self.applying = Pace::unmeasured();
        for id in self.not_started() {
            let Some(queue) = self.host.views.shared_mut(id) else { continue };
            if queue.plan_not_started().is_some_and(|plan| !self.table.is_pending(plan)) {
                start(queue, JobOwner::Table(self.stream), &self.context);
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

    /// Abandons columns, and with them the views that have them; other views go on to wait for theirs.
    fn fail_backfill(&mut self, backfill: &Backfill, error: &ActorError, ctx: &mut Context<Self>) {
        self.forget_backfill(backfill);
        self.table.abandon(backfill);
        for id in self.not_started() {
            let Some(queue) = self.host.views.shared_mut(id) else { continue };
            if queue.plan_not_started().is_some_and(|plan| backfill.is_of(plan)) {
                queue.refuse_reads(error);
                tracing::warn!(table = %self.name, %error, "a view could not be built");
                self.view_failed(id, Some(error.clone()), ctx);
            }
        }
    }
}

/// Starts the actor of a view whose columns are computed. `table`: whose jobs its steps are.
pub(super) fn start(queue: &mut ViewQueue, table: JobOwner, context: &ActorContext) {
    queue.start(|plan, snapshot, requester, build| {
        let reads =
            ReadContext { workers: context.workers.clone(), export_bytes: context.limits.export_bytes };
        let view = ViewActor::new(plan, snapshot, requester, table, reads, build, context.metrics.clone());
        ViewActor::start_in_arbiter(context.placement.next(), move |_| view)
    });
}
