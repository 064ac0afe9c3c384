//! Writes: update, replace, remove.
//!
//! Invariant: a batch that fails changes nothing and is reported to its sender only. The reply is sent before the
//! notifications that the batch causes. A write is staged, then applied: a large one is staged by a worker while the
//! table goes on (what must not overtake it waits, see [`deferred`](super::deferred)), and a large batch is applied by a
//! worker while the table waits.

use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::access::Access;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::hosting::{Answer, Write};
use proscenium_engine::table::{LoadMark, Operation, StagedBatch, Table, WriteKind};
use proscenium_engine::{MemoryAccount, TableData, WriteOptions};

use super::TableActor;
use super::notify::Deltas;
use crate::caller::{Caller, RowMeter};
use crate::data_directory::fault;
use crate::engine_context::engine_context;
use crate::error::{ActorError, Result};
use crate::log::Position;
use crate::mailbox::{Done, Reply};
use crate::outbox::{DerivedSlots, SessionId};
use crate::pace::{Stopwatch, Took};
use crate::workers::JobOwner;

/// A batch that was applied: its delta, unless nobody observes the table, and the time that it took.
type Applied = (Option<TableDelta>, Took);

/// The sender of a write and what is due to it.
pub(super) struct Writing {
    pub session: SessionId,
    pub memory: MemoryAccount,
    /// What of the table the sender may change; `None`: all of it.
    pub access: Option<Arc<Access>>,
    /// Which part of a load it is.
    pub mark: Option<Arc<LoadMark>>,
    /// Counts its rows.
    pub row_meter: Option<Arc<dyn RowMeter>>,
    pub answer: Answer,
    pub reply: Reply<Answer>,
    /// Dropped once the write has its place in the table's order, and no fault of its own can refuse it any more.
    pub accepted: Option<Done>,
}

impl std::fmt::Debug for Writing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writing(of {:?})", self.session)
    }
}

/// A write that was staged, unless it has no effect, and the work that this was.
type Staged = (proscenium_engine::Result<Option<StagedBatch>>, (usize, Took));

impl TableActor {
    /// Applies a write. The answer is sent once the batch is applied; it is an error if the data is malformed or the
    /// table is read-only. A durable table's batch is applied once it is durable.
    pub(super) fn write(
        &mut self,
        write: Write,
        caller: &Caller,
        reply: Reply<Answer>,
        accepted: Done,
        ctx: &mut Context<Self>,
    ) {
        if let Some((log, version)) = self.log.as_ref().and_then(|log| Some((log, log.failed_at?))) {
            let position = Position { epoch: log.data.epoch(), version };
            return reply.send(Err(ActorError::RecordFailed { table: self.name.to_string(), position }));
        }
        let (data, kind, options, answer) = parts(write);
        let (session, memory, access) = (caller.session, caller.memory.clone(), caller.access.clone());
        let epoch = self.log.as_ref().map(|log| log.data.epoch());
        let mark = caller.load.as_deref().map(|mark| Arc::new(LoadMark { epoch, ..mark.clone() }));
        let row_meter = caller.row_meter.clone();
        let writing =
            Writing { session, memory, access, mark, row_meter, answer, reply, accepted: Some(accepted) };
        let stager = match self.stager_for(caller) {
            Ok(stager) => stager,
            Err(error) => return writing.reply.send(Err(error)),
        };
        let work = data.read_work();
        if self.reading.is_short(work) {
            let watch = Stopwatch::start();
            let staged = stager.stage(&data, kind, &options, &engine_context(&caller.memory));
            self.reading.observe(work, watch.stop());
            return match staged {
                Ok(Some(staged)) => self.submit(staged, writing, ctx),
                Ok(None) => writing.reply.send(Ok(writing.answer)),
                Err(error) => writing.reply.send(Err(error.into())),
            };
        }
        let memory = caller.memory.clone();
        let stage = move || {
            let watch = Stopwatch::start();
            let staged = stager.stage(&data, kind, &options, &engine_context(&memory));
            (staged, (work, watch.stop()))
        };
        self.stage_elsewhere(stage, writing, caller.job_owner(), ctx);
    }

    /// Takes a staged batch on, after it was checked that the sender may touch its rows.
    fn submit(&mut self, staged: StagedBatch, writing: Writing, ctx: &mut Context<Self>) {
        let Some(writing) = self.next_of_load(writing) else { return };
        let staged = staged.with_mark(writing.mark.clone());
        if let Some(meter) = &writing.row_meter {
            meter.wrote(staged.num_rows());
        }
        match self.row_check(&staged, &writing) {
            None => self.submit_checked(staged, writing, ctx),
            Some(check) => {
                let then = |table: &mut Self, checked: Result<()>, ctx: &mut Context<Self>| match checked {
                    Ok(()) => table.submit_checked(staged, writing, ctx),
                    Err(error) => writing.reply.send(Err(error)),
                };
                if check.is_short() {
                    let checked = check.run(&mut self.table);
                    return then(self, checked, ctx);
                }
                self.lend(self.job_owner(), move |table| check.run(table), then, ctx);
            }
        }
    }

    /// Applies a staged batch, after it was logged if the table is durable.
    fn submit_checked(&mut self, staged: StagedBatch, mut writing: Writing, ctx: &mut Context<Self>) {
        if self.log.is_some() {
            return self.log_write(staged, writing, ctx);
        }
        writing.accepted.take();
        self.apply(staged, writing, ctx, |_, _| {});
    }

    /// Stages a write on a worker, while the table goes on; what must not overtake it waits.
    fn stage_elsewhere(
        &mut self,
        stage: impl FnOnce() -> Staged + Send + 'static,
        writing: Writing,
        owner: JobOwner,
        ctx: &mut Context<Self>,
    ) {
        self.deferred.begin(writing.session);
        let staging = self.context.workers.run(owner, stage);
        let then = move |table: &mut Self, staged: Result<Staged>, ctx: &mut Context<Self>| {
            table.deferred.end();
            let staged = staged.and_then(|(staged, (work, took))| {
                table.reading.observe(work, took);
                staged.map_err(ActorError::from)
            });
            match staged {
                Ok(Some(staged)) => table.submit(staged, writing, ctx),
                Ok(None) => writing.reply.send(Ok(writing.answer)),
                Err(error) => writing.reply.send(Err(error)),
            }
            table.resume_deferred(ctx);
        };
        self.after(staging, then, ctx);
    }

    /// Applies a staged batch, answers, and goes on with `then`. Returns false if a worker applies it: then the table's further
    /// messages, and the writes that are durable already, follow afterwards.
    pub(super) fn apply(
        &mut self,
        staged: StagedBatch,
        writing: Writing,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) -> bool {
        let work = staged.work(self.table.num_rows());
        if self.applying.is_short(work) {
            self.apply_here(staged, writing, ctx);
            then(self, ctx);
            return true;
        }
        let Writing { memory, answer, reply, .. } = writing;
        let apply = self.application(staged, &memory);
        let then = move |table: &mut Self, applied: Applied, ctx: &mut Context<Self>| {
            table.applied(applied, work, answer, reply, ctx);
            then(table, ctx);
            table.append_ready(ctx);
            table.apply_durable(ctx);
        };
        self.lend(self.job_owner(), apply, then, ctx);
        false
    }

    /// Applies a staged batch on this thread, and answers.
    pub(super) fn apply_here(&mut self, staged: StagedBatch, writing: Writing, ctx: &mut Context<Self>) {
        let work = staged.work(self.table.num_rows());
        let applied = self.application(staged, &writing.memory)(&mut self.table);
        self.applied(applied, work, writing.answer, writing.reply, ctx);
    }

    fn application(
        &mut self,
        staged: StagedBatch,
        memory: &MemoryAccount,
    ) -> impl FnOnce(&mut Table) -> Applied + Send + 'static {
        let is_unobserved = self.is_unobserved();
        let server_memory = self.context.memory.clone();
        let world = engine_context(memory);
        let is_faulty = fault::is_faulty(&self.name, self.table.version() + 1);
        move |table: &mut Table| -> Applied {
            assert!(!is_faulty, "a faulty record");
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
        }
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
                let deltas = Deltas::new(delta, self.table.take_part_deltas());
                let scopes = self.push_to_followers(&deltas, &DerivedSlots::default());
                reply.send(Ok(answer));
                self.notify(&deltas, &DerivedSlots::default(), ctx);
                drop(scopes);
                self.wake_followers();
                self.end_views_without_memory(ctx);
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
            (data, WriteKind::Update { port_id }, options, Answer::Updated(None))
        }
        Write::Replace { data, options } => (data, WriteKind::Replace, options, Answer::Replaced(None)),
        Write::Remove { data } => (data, WriteKind::Remove, WriteOptions::default(), Answer::Removed(None)),
    }
}
