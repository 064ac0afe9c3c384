//! Work on the table that takes long, on a worker.
//!
//! Invariant: the table's actor handles nothing while the table is away, so the order of its messages is that without
//! workers. Other actors of its thread go on.

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
            }
            Err(_) => ctx.stop(),
        }));
    }

    /// Whose jobs the table's own work is.
    pub(super) fn job_owner(&self) -> JobOwner {
        JobOwner::Table(self.stream)
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
