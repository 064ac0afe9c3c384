//! Writes: update, replace, remove.
//!
//! Invariant: a batch that fails changes nothing and is reported to its sender only. The reply is sent before the
//! notifications that the batch causes. A write is staged, then applied: a large one is staged by a worker while the
//! table goes on (what must not overtake it waits, see [`deferred`](super::deferred)), and a large batch is applied by a
//! worker while the table waits.

use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::hosting::{Answer, Write};
use proscenium_engine::table::{Operation, StagedBatch, Table, WriteKind};
use proscenium_engine::{MemoryAccount, TableData, WriteOptions};

use super::TableActor;
use crate::caller::Caller;
use crate::engine_context::engine_context;
use crate::error::{ActorError, Result};
use crate::mailbox::Reply;
use crate::outbox::DerivedSlots;
use crate::pace::{Stopwatch, Took};

/// A batch that was applied: its delta, unless nobody observes the table, and the time that it took.
type Applied = (Option<TableDelta>, Took);

impl TableActor {
    /// Applies a write. The answer is sent once the batch is applied; it is an error if the data is malformed or the
    /// table is read-only.
    pub(super) fn write(
        &mut self,
        write: Write,
        caller: &Caller,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        let (data, kind, options, answer) = parts(write);
        let work = data.read_work();
        if self.reading.is_short(work) {
            let watch = Stopwatch::start();
            let staged = self.table.stage(&data, kind, &options, &engine_context(&caller.memory));
            self.reading.observe(work, watch.stop());
            return self.apply(staged.map_err(ActorError::from), &caller.memory, answer, reply, ctx);
        }
        let stager = match self.table.stager() {
            Ok(stager) => stager,
            Err(error) => return reply.send(Err(error.into())),
        };
        self.deferred.begin(caller.session);
        let (memory, reading_memory) = (caller.memory.clone(), caller.memory.clone());
        let staging = self.context.workers.run(caller.job_owner(), move || {
            let watch = Stopwatch::start();
            let staged = stager.stage(&data, kind, &options, &engine_context(&reading_memory));
            (staged, watch.stop())
        });
        let then = move |table: &mut Self, staged: Result<_>, ctx: &mut Context<Self>| {
            table.deferred.end();
            let staged = staged.and_then(|(staged, took): (proscenium_engine::Result<_>, Took)| {
                table.reading.observe(work, took);
                staged.map_err(ActorError::from)
            });
            table.apply(staged, &memory, answer, reply, ctx);
            table.resume_deferred(ctx);
        };
        self.after(staging, then, ctx);
    }

    /// Applies a staged batch, and answers.
    fn apply(
        &mut self,
        staged: Result<Option<StagedBatch>>,
        memory: &MemoryAccount,
        answer: Answer,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        let staged = match staged {
            Ok(Some(staged)) => staged,
            Ok(None) => return reply.send(Ok(answer)),
            Err(error) => return reply.send(Err(error)),
        };
        let is_unobserved = self.is_unobserved();
        let server_memory = self.context.memory.clone();
        let work = staged.work(self.table.num_rows());
        let world = engine_context(memory);
        let apply = move |table: &mut Table| -> Applied {
            let (watch, version) = (Stopwatch::start(), table.version() + 1);
            if let Operation::Write(WriteKind::Replace) = staged.operation() {
                server_memory.note_freed(table.memory() as u64);
            }
            let delta = match is_unobserved {
                true => {
                    table.apply_unobserved(&staged, version, &world);
                    None
                }
                false => Some(table.apply(&staged, version, &world)),
            };
            (delta, watch.stop())
        };
        if self.applying.is_short(work) {
            let applied = apply(&mut self.table);
            return self.applied(applied, work, answer, reply, ctx);
        }
        let then = move |table: &mut Self, applied: Applied, ctx: &mut Context<Self>| {
            table.applied(applied, work, answer, reply, ctx);
        };
        self.lend(self.job_owner(), apply, then, ctx);
    }

    /// Answers the sender of a batch that was applied, then notifies of it.
    fn applied(
        &mut self,
        (delta, took): Applied,
        work: usize,
        answer: Answer,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        self.applying.observe(work, took);
        self.meter.applied(took.elapsed);
        match delta {
            Some(delta) => {
                let delta = Arc::new(delta);
                let scopes = self.push_to_followers(&delta, &DerivedSlots::default());
                reply.send(Ok(answer));
                self.notify(&delta, &DerivedSlots::default(), ctx);
                drop(scopes);
                self.wake_followers();
            }
            None => reply.send(Ok(answer)),
        }
        self.bound_catch_up_log();
    }

    /// Whether there are no views and no followers: then no delta is needed.
    fn is_unobserved(&mut self) -> bool {
        self.retain_live_followers();
        self.host.views.is_empty()
            && self.host.views.all_shared().next().is_none()
            && self.host.followers.is_empty()
    }
}

/// The data of a write, how they are written, what the sender assumes, and the answer.
fn parts(write: Write) -> (TableData, WriteKind, WriteOptions, Answer) {
    match write {
        Write::Update { data, port_id, options } => {
            (data, WriteKind::Update { port_id }, options, Answer::Updated)
        }
        Write::Replace { data, options } => (data, WriteKind::Replace, options, Answer::Replaced),
        Write::Remove { data } => (data, WriteKind::Remove, WriteOptions::default(), Answer::Removed),
    }
}
