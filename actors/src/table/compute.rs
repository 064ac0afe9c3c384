//! New expressions and windows, computed on a worker thread.
//!
//! Law: a view with a new column is opened at once and built when its columns are there, of the table as it was when
//! it was opened; deltas and reads wait in its feed in order, and get the columns added. So it answers what it would have
//! answered had the columns been computed in the table's turn. Columns that are far behind when they are computed follow
//! the table on a worker, too, round by round, each of which has less to do.

use std::collections::BTreeSet;

use actix::prelude::*;
use proscenium_engine::table::{Preparation, Prepared};
use proscenium_engine::view::Plan;

use super::TableActor;
use super::feed::Feed;
use super::registry::{HandleId, SharedId};
use crate::catalog::Stage;
use crate::knobs;
use crate::view::ViewActor;

/// Columns that a worker computes, or leads to the present.
#[derive(Debug)]
pub(super) struct Underway {
    preparation: Preparation,
    /// The version to which the columns are computed with the work that is on the way.
    version: u64,
    /// Times that a worker was sent after the table.
    rounds: usize,
}

impl TableActor {
    /// Orders columns to be computed.
    pub(super) fn compute(&mut self, preparation: Preparation, ctx: &mut Context<Self>) {
        let version = preparation.version();
        self.underway.push(Underway { preparation: preparation.clone(), version, rounds: 0 });
        let job = {
            let preparation = preparation.clone();
            move || preparation.run_on(knobs::build_threads())
        };
        self.work_on(preparation, job, ctx);
    }

    fn work_on(
        &mut self,
        preparation: Preparation,
        job: impl FnOnce() -> Prepared + Send + 'static,
        ctx: &mut Context<Self>,
    ) {
        let computing = self.stage.workers.run(job);
        ctx.spawn(computing.into_actor(self).map(move |prepared, actor, ctx| match prepared {
            Ok(prepared) => actor.follow_or_adopt(preparation, prepared, ctx),
            // The computing panicked. Whoever waits hears that the view is gone.
            Err(_) => actor.give_up(&preparation, ctx),
        }));
    }

    /// Columns that are close behind come to the table; others follow it elsewhere first.
    fn follow_or_adopt(&mut self, preparation: Preparation, mut prepared: Prepared, ctx: &mut Context<Self>) {
        let backlog = self.table.backlog(&prepared);
        let underway = self.underway.iter_mut().find(|underway| underway.preparation.is(&preparation));
        let (Some(underway), Some(version)) = (underway, backlog.version()) else {
            return self.adopt(&preparation, prepared, ctx);
        };
        if backlog.len() <= knobs::DELTAS_TO_FOLLOW_AT_ONCE || underway.rounds >= knobs::FOLLOWING_ROUNDS {
            return self.adopt(&preparation, prepared, ctx);
        }
        underway.rounds += 1;
        underway.version = version;
        let job = {
            let preparation = preparation.clone();
            move || {
                prepared.follow(&preparation, &backlog);
                prepared
            }
        };
        self.work_on(preparation, job, ctx);
    }

    /// Computes here and now what is under way: for the few who cannot wait.
    pub(super) fn finish_computing(&mut self, ctx: &mut Context<Self>) {
        while let Some(underway) = self.underway.first() {
            let preparation = underway.preparation.clone();
            let prepared = preparation.run_on(knobs::build_threads());
            self.adopt(&preparation, prepared, ctx);
        }
    }

    /// What is kept for columns under way stays within bounds: versions that nobody needs are no longer told apart.
    pub(super) fn limit_catching_up(&mut self) {
        let bound = knobs::DELTAS_TO_CATCH_UP.max(2 * self.needed_to_catch_up);
        if self.table.num_to_catch_up() <= bound {
            return;
        }
        let waiting = self.awaited.iter().map(|awaited| awaited.version());
        let feeds = self.views.feeds().flat_map(|(_, feed)| feed.versions_waiting());
        let underway = self.underway.iter().map(|underway| underway.version);
        let needed: BTreeSet<u64> = waiting.chain(feeds).chain(underway).collect();
        self.table.shorten_catching_up(&needed);
        self.needed_to_catch_up = self.table.num_to_catch_up();
    }

    /// Before a view is closed that has not answered because it was never built.
    pub(super) fn answer_before_closing(&mut self, id: HandleId, ctx: &mut Context<Self>) {
        let shared = self.views.handle(id).map(|handle| handle.shared);
        let feed = shared.and_then(|shared| self.views.feed(shared));
        if feed.is_some_and(|feed| feed.plan_not_started().is_some() && feed.has_reads()) {
            self.finish_computing(ctx);
        }
    }

    /// Before somebody builds from a plan by himself.
    pub(super) fn finish_plan(&mut self, plan: &Plan, ctx: &mut Context<Self>) {
        if self.table.is_pending(plan) {
            self.finish_computing(ctx);
        }
    }

    fn adopt(&mut self, preparation: &Preparation, prepared: Prepared, ctx: &mut Context<Self>) {
        let adopted = self.table.adopt(preparation, prepared);
        self.underway.retain(|other| !other.preparation.is(preparation));
        if adopted.is_empty() {
            return;
        }
        for ready in self.table.take_ready() {
            self.compute(ready, ctx);
        }
        for id in self.not_started() {
            let Some(feed) = self.views.feed_mut(id) else { continue };
            feed.amend(&adopted);
            if feed.plan_not_started().is_some_and(|plan| !self.table.is_pending(plan)) {
                start(feed, &self.stage);
            }
        }
        self.amend_planned(&adopted);
        self.answer_planned();
        self.feed_all(ctx);
    }

    fn not_started(&self) -> Vec<SharedId> {
        self.views.feeds().filter(|(_, feed)| feed.plan_not_started().is_some()).map(|(id, _)| id).collect()
    }

    fn give_up(&mut self, preparation: &Preparation, ctx: &mut Context<Self>) {
        self.underway.retain(|other| !other.preparation.is(preparation));
        self.table.forget_waiting();
        self.refuse_planned();
        for id in self.not_started() {
            self.view_failed(id, ctx);
        }
    }
}

/// Starts the actor of a view that has all it needs.
pub(super) fn start(feed: &mut Feed, stage: &Stage) {
    feed.start(|plan, snapshot, built| {
        let (workers, export_bytes) = (stage.workers.clone(), stage.limits.export_bytes);
        let view = ViewActor::new(plan, snapshot, workers, export_bytes, built);
        ViewActor::start_in_arbiter(stage.placement.next(), move |_| view)
    });
}
