//! New expressions, computed on a worker thread.
//!
//! Law: a view with a new expression is opened at once and built when its columns are there, of the table as it was when
//! it was opened; deltas and reads wait in its feed in order, and get the columns added. So it answers what it would have
//! answered had the columns been computed in the table's turn.

use actix::prelude::*;
use proscenium_engine::table::{Preparation, Prepared};
use proscenium_engine::view::Plan;

use super::TableActor;
use super::feed::Feed;
use super::registry::{HandleId, SharedId};
use crate::catalog::Stage;
use crate::knobs;
use crate::view::ViewActor;

impl TableActor {
    /// Orders columns to be computed.
    pub(super) fn compute(&mut self, preparation: Preparation, ctx: &mut Context<Self>) {
        self.preparations.push(preparation.clone());
        let computing = self.stage.workers.run({
            let preparation = preparation.clone();
            move || preparation.run()
        });
        ctx.spawn(computing.into_actor(self).map(move |prepared, actor, ctx| match prepared {
            Ok(prepared) => actor.adopt(&preparation, prepared, ctx),
            // The computing panicked. Whoever waits hears that the view is gone.
            Err(_) => actor.give_up(&preparation, ctx),
        }));
    }

    /// Computes here and now what is under way: for the few who cannot wait.
    pub(super) fn finish_computing(&mut self, ctx: &mut Context<Self>) {
        for preparation in self.preparations.clone() {
            let prepared = preparation.run();
            self.adopt(&preparation, prepared, ctx);
        }
    }

    /// A writer that is faster than the computing waits for it.
    pub(super) fn limit_catching_up(&mut self, ctx: &mut Context<Self>) {
        if self.table.num_to_catch_up() > knobs::DELTAS_TO_CATCH_UP {
            self.finish_computing(ctx);
        }
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
        self.preparations.retain(|other| !other.is(preparation));
        if adopted.is_empty() {
            return;
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
        self.preparations.retain(|other| !other.is(preparation));
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
