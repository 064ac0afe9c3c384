//! Work on the table that takes long, on a worker.
//!
//! Invariant: the table's actor handles nothing while the table is away, so the order of its messages is that without
//! workers. Other actors of its thread go on.

use std::future::Future;

use actix::prelude::*;
use proscenium_engine::table::Table;

use super::TableActor;
use crate::workers::JobOwner;

impl TableActor {
    /// Runs `job` on a worker, then `then`, then the messages that wait for a write. If `job` panics, the table fails.
    pub(super) fn lend<T: Send + 'static>(
        &mut self,
        owner: JobOwner,
        job: impl FnOnce(&mut Table) -> T + Send + 'static,
        then: impl FnOnce(&mut Self, T, &mut Context<Self>) + 'static,
        ctx: &mut Context<Self>,
    ) {
        let mut table = self.table.lend();
        let working = self.context.workers.run(owner, move || {
            let result = job(&mut table);
            (table, result)
        });
        ctx.wait(working.into_actor(self).map(move |worked, actor, ctx| match worked {
            Ok((table, result)) => {
                actor.table.give_back(table);
                then(actor, result, ctx);
                actor.resume_deferred(ctx);
                actor.resume_sessions(ctx);
            }
            Err(_) => ctx.stop(),
        }));
    }

    /// Goes on with `then` once `work` is done, while messages are handled. The result takes its turn in the mailbox: a
    /// future of the actor's own would not be polled while messages keep it busy.
    pub(super) fn after<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + 'static,
        then: impl FnOnce(&mut Self, T, &mut Context<Self>) + Send + 'static,
        ctx: &Context<Self>,
    ) {
        let table = ctx.address();
        actix::spawn(async move {
            let result = work.await;
            // A table that has ended needs no result. The mailbox is bounded by what is sent to a `Mailbox` only.
            let _ = table.try_send(Resume(Box::new(move |table, ctx| then(table, result, ctx))));
        });
    }

    /// Whose jobs the table's own work is.
    pub(super) fn job_owner(&self) -> JobOwner {
        JobOwner::Table(self.stream)
    }
}

/// A result that a table's actor waited for.
struct Resume(SendContinuation);

type SendContinuation = Box<dyn FnOnce(&mut TableActor, &mut Context<TableActor>) + Send>;

impl Message for Resume {
    type Result = ();
}

impl Handler<Resume> for TableActor {
    type Result = ();

    fn handle(&mut self, Resume(then): Resume, ctx: &mut Self::Context) {
        let _timer = self.context.metrics.step("table", "resume");
        then(self, ctx);
    }
}

/// Freeing a large table takes long, so a worker does it.
impl Drop for TableActor {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            let server_memory = self.context.memory.clone();
            self.context.workers.start_job(JobOwner::Server, move || {
                let freed = table.memory() as u64;
                drop(table);
                server_memory.note_freed(freed);
            });
        }
    }
}
