//! Writes to a durable table: staged, appended to the log, and applied when the log has them.
//!
//! Invariant: batches are applied in the order of their records, each after its record is durable and before its sender's answer.
//! Writes do not wait for each other on their way to the log, so that one sync serves all; the other messages of a connection
//! wait for its own writes. After a refusal all writes behind it are refused, and the next one takes the refused version.
//!
//! The records of large batches are encoded, and stored ahead, by workers: several at a time, while the next batch is staged
//! and the last one synced. They are appended in the order of their writes.

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use proscenium_engine::MemoryKind;
use proscenium_engine::hosting::{Answer, WritePosition};
use proscenium_engine::table::{Checkpoint, StagedBatch};

use super::batch::Writing;
use super::detach::Detach;
use super::pending_writes::{PendingWrite, ReadyRecord, RecordState};
use super::{Receive, TableActor};
use crate::data_directory::DataDirectory;
use crate::error::{ActorError, Result};
use crate::log::{LogError, LogRecord, Position, RecordKind, StoredPayload, TableId};
use crate::mailbox::Reply;
use crate::outbox::SessionId;
use crate::tuning;
use crate::workers::JobOwner;

/// A table's place in the log.
#[derive(Debug, Clone)]
pub struct TableLog {
    /// The data directory.
    pub data: Arc<DataDirectory>,
    /// The table's number.
    pub id: TableId,
    /// The version whose record cannot be applied: the table is read-only at the one before.
    pub failed_at: Option<u64>,
    /// Whether batches are applied and published before they are durable; their answers wait for the log all the same.
    pub is_visible_at_once: bool,
}

/// A staged batch as it is logged.
#[derive(Debug)]
pub(super) struct StagedRecord {
    staged: StagedBatch,
    payload: Bytes,
    stored: Option<StoredPayload>,
}

impl TableLog {
    /// Encodes a staged batch as the payload of a record, and stores it ahead if it is large (which blocks).
    fn record(&self, staged: StagedBatch, may_block: bool) -> Result<StagedRecord> {
        let mut payload = Bytes::from(staged.to_ipc()?);
        let stored = if may_block { self.data.log().store(&payload)? } else { None };
        if stored.is_some() {
            payload = Bytes::new();
        }
        Ok(StagedRecord { staged, payload, stored })
    }

    fn append(
        &self,
        version: u64,
        kind: RecordKind,
        payload: Bytes,
        stored: Option<StoredPayload>,
        acknowledge: impl FnOnce(Result<Position, LogError>) + Send + 'static,
    ) {
        let record = LogRecord { table: self.id, version, kind, payload };
        match stored {
            Some(stored) => self.data.log().append_stored(record, stored, Box::new(acknowledge)),
            None => self.data.log().append(record, Box::new(acknowledge)),
        }
    }

    /// Appends the names of the first groups of a table from a pivot, and waits for it.
    pub(crate) async fn append_order(&self, order: Vec<String>) -> Result<()> {
        if let Some(payload) = order_payload(&order) {
            self.append_and_wait(0, RecordKind::Order, payload, None).await?;
        }
        Ok(())
    }

    /// Appends the names of groups that a table from a pivot has added. Nobody waits for it: if it is lost in a crash right
    /// after, these groups come in the view's order at the end.
    pub(super) fn note_groups(&self, version: u64, added: &[String]) {
        if let Some(payload) = order_payload(added) {
            self.data.note_logged(self.id, payload.len() as u64);
            self.append(version, RecordKind::Order, payload, None, |_| {});
        }
    }

    /// Appends a record that is no batch, and waits for it.
    pub(crate) async fn append_and_wait(
        &self,
        version: u64,
        kind: RecordKind,
        payload: Bytes,
        stored: Option<StoredPayload>,
    ) -> Result<Position> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.append(version, kind, payload, stored, move |result| {
            // Nobody may wait any more.
            let _ = sender.send(result);
        });
        Ok(receiver.await.unwrap_or(Err(LogError::Closed))?)
    }
}

/// The payload of a record of groups; `None` if there are none.
fn order_payload(names: &[String]) -> Option<Bytes> {
    let json = (!names.is_empty()).then(|| serde_json::to_vec(names));
    Some(json?.expect("texts are JSON").into())
}

/// Records of writes are durable, or were refused: see [`PendingWrites::results`](super::pending_writes::PendingWrites).
struct Logged;

impl Message for Logged {
    type Result = ();
}

impl Handler<Logged> for TableActor {
    type Result = ();

    fn handle(&mut self, Logged: Logged, ctx: &mut Self::Context) {
        let _timer = self.context.metrics.step("table", "logged");
        for (ticket, result) in self.pending.results.take() {
            // Those behind a refused write were answered with it.
            let Some(found) = self.pending.find(ticket) else { continue };
            match result {
                Ok(position) => self.pending.get_mut(found).position = Some(position),
                Err(error) => self.refuse_from(found, &error.into(), ctx),
            }
        }
        self.apply_durable(ctx);
    }
}

impl TableActor {
    /// Takes a staged batch to the log. It is applied, and its sender answered, once it is durable. From now on only the disk
    /// can refuse it.
    pub(super) fn log_write(&mut self, staged: StagedBatch, mut writing: Writing, ctx: &mut Context<Self>) {
        let log = self.log.clone().expect("only writes to a durable table are logged");
        // The record has the bytes of the batch, and a head.
        let reserved = writing.memory.reserve(MemoryKind::Staging, staged.memory() as u64);
        let mut reservation = match reserved {
            Ok(reservation) => reservation,
            Err(refused) => return writing.reply.send(Err(ActorError::Engine(refused.into()))),
        };
        reservation.settle_all();
        writing.accepted.take();
        let ticket = self.pending.push_write(staged.clone(), writing, reservation);
        if staged.memory() <= tuning::INLINE_RECORD_BYTES {
            return self.prepared(ticket, log.record(staged, false), ctx);
        }
        let preparing = self.context.workers.run(JobOwner::Log, move || log.record(staged, true));
        let then =
            move |table: &mut Self, prepared: Result<Result<StagedRecord>>, ctx: &mut Context<Self>| {
                table.prepared(ticket, prepared.and_then(|record| record), ctx);
            };
        self.after(preparing, then, ctx);
    }

    /// A record is encoded, and stored ahead if it is large.
    fn prepared(&mut self, ticket: u64, record: Result<StagedRecord>, ctx: &mut Context<Self>) {
        match (self.pending.find(ticket), record) {
            (Some(found), Ok(StagedRecord { staged, payload, stored })) => {
                let write = self.pending.get_mut(found);
                (write.staged, write.record) = (Some(staged), RecordState::Ready { payload, stored });
                self.append_ready(ctx);
            }
            (Some(found), Err(error)) => self.refuse_from(found, &error, ctx),
            // It was refused with one before it.
            (None, Ok(StagedRecord { stored: Some(stored), .. })) => {
                if let Some(log) = self.log.clone() {
                    self.context.workers.start_job(JobOwner::Log, move || log.data.log().discard(stored));
                }
            }
            (None, _) => {}
        }
    }

    /// Appends the records that are prepared, in the order of their writes.
    pub(super) fn append_ready(&mut self, ctx: &mut Context<Self>) {
        let Some(log) = self.log.clone() else { return };
        while let Some((index, write)) = self.pending.take_ready_record() {
            let ReadyRecord { ticket, payload, stored } = write;
            log.data.note_logged(log.id, stored.map_or(payload.len() as u64, |stored| stored.num_bytes()));
            let num_not_applied = if log.is_visible_at_once { 0 } else { index as u64 };
            let version = self.table.version() + num_not_applied + 1;
            let (table, results) = (ctx.address(), self.pending.results.clone());
            log.append(version, RecordKind::Write, payload, stored, move |result| {
                if results.push((ticket, result)) {
                    // A table that has ended needs no result. The mailbox is bounded by what is sent to a `Mailbox` only.
                    let _ = table.try_send(Logged);
                }
            });
            if !log.is_visible_at_once {
                continue;
            }
            let write = self.pending.get_mut(index);
            let Some(staged) = write.staged.take() else { continue };
            let session = write.writing.session;
            let publish = Writing {
                session,
                memory: write.writing.memory.clone(),
                access: None,
                mark: None,
                row_meter: None,
                answer: Answer::Updated(None),
                reply: Reply::ignored(),
                accepted: None,
            };
            let is_done = self.apply(staged, publish, ctx, move |table, _| table.pending.end(session));
            if !is_done {
                // The table is lent; what follows is appended after it.
                return;
            }
        }
        if log.is_visible_at_once {
            self.resume_sessions(ctx);
        }
    }

    /// Applies the writes that are durable, in order.
    pub(super) fn apply_durable(&mut self, ctx: &mut Context<Self>) {
        while let Some(write) = self.pending.pop_durable() {
            let PendingWrite { staged, mut writing, ticket, position, .. } = write;
            // Versions count what others write, too.
            if let Some(Position { epoch, version }) = position
                && writing.access.is_none()
            {
                writing.answer = writing.answer.at(WritePosition { epoch, version });
            }
            let session = writing.session;
            let Some(staged) = staged else {
                writing.reply.send(Ok(writing.answer));
                self.send_checkpoints(ticket);
                continue;
            };
            let is_done =
                self.apply(staged, writing, ctx, move |table, _| table.write_ended(session, ticket));
            if !is_done {
                // The table is lent; what follows comes after it.
                return;
            }
        }
        self.resume_sessions(ctx);
    }

    /// A write of a connection was applied or refused.
    fn write_ended(&mut self, session: SessionId, ticket: u64) {
        self.pending.end(session);
        self.send_checkpoints(ticket);
    }

    fn send_checkpoints(&mut self, ticket: u64) {
        if self.pending.checkpoints.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.pending.checkpoints);
        for (last, taken, reply) in waiting {
            match last <= ticket {
                true => self.send_checkpoint(taken, reply),
                false => self.pending.checkpoints.push((last, taken, reply)),
            }
        }
    }

    /// Refuses a write and all behind it: the log refuses those, too, until it gets this version again.
    fn refuse_from(&mut self, first: usize, error: &ActorError, ctx: &mut Context<Self>) {
        let is_visible_at_once = self.log.as_ref().is_some_and(|log| log.is_visible_at_once);
        let mut is_taken_back = false;
        for write in self.pending.split_off(first) {
            let is_appended = matches!(write.record, RecordState::Appended);
            is_taken_back |= is_visible_at_once && is_appended;
            let PendingWrite { writing, ticket, .. } = write;
            writing.reply.send(Err(error.clone()));
            match is_visible_at_once && is_appended {
                true => self.send_checkpoints(ticket),
                false => self.write_ended(writing.session, ticket),
            }
        }
        if is_taken_back {
            // What was refused is visible already: the table is rebuilt without it.
            tracing::error!(table = %self.name, "writes that were visible at once are refused, and taken back");
            return ctx.stop();
        }
        self.resume_sessions(ctx);
    }

    /// Handles the messages that waited for writes of their connections, one after the other.
    pub(super) fn resume_sessions(&mut self, ctx: &mut Context<Self>) {
        // What has lent the table resumes when it is back.
        if self.table.is_away() {
            return;
        }
        let Some(next) = self.pending.take_ready() else { return };
        next(self, ctx);
        if self.pending.has_ready() && !self.table.is_away() {
            let others_first = tokio::task::yield_now().into_actor(self);
            ctx.wait(others_first.map(|(), table, ctx| table.resume_sessions(ctx)));
        }
    }

    /// Logs the deletion of the table, then goes on with `then`, or with the error. No message is handled meanwhile. The tables
    /// that are made from its views keep their rows.
    pub(super) fn log_deletion(
        &mut self,
        log: &TableLog,
        then: impl FnOnce(&mut Self, Result<()>, &mut Context<Self>) + 'static,
        ctx: &mut Context<Self>,
    ) {
        let (log, followers) = (log.clone(), log.data.made_from_views_of(log.id));
        let version = self.table.version();
        let applied = {
            let (log, must_apply) = (log.clone(), !followers.is_empty());
            async move {
                if must_apply {
                    // Once it is durable, all that was appended is.
                    log.append_and_wait(version, RecordKind::Barrier, Bytes::new(), None).await?;
                }
                Ok(must_apply)
            }
        };
        let detached = applied.into_actor(self).then(move |applied: Result<bool>, table, ctx| {
            if let Ok(true) = applied {
                table.apply_appended(ctx);
            }
            let version = table.table.version();
            let found = followers.iter().filter_map(|name| table.context.names.find(name));
            let followers: Vec<_> = found.map(|follower| follower.mailbox).collect();
            let logged = async move {
                applied?;
                for follower in followers {
                    follower.ask(tuning::RECOVERY_DEADLINE, |reply| Detach { reply }).await?;
                }
                log.append_and_wait(version, RecordKind::Drop, Bytes::new(), None).await?;
                log.data.forget(log.id);
                Ok(())
            };
            logged.into_actor(table)
        });
        ctx.wait(detached.map(|result: Result<()>, table, ctx| {
            if result.is_ok() {
                // They are durable, since a later record is.
                table.apply_appended(ctx);
                // The others come after the deletion.
                for write in table.pending.split_off(0) {
                    write.writing.reply.send(Err(ActorError::TableNotFound));
                }
            }
            then(table, result, ctx);
            table.resume_sessions(ctx);
        }));
    }

    /// Applies all writes that were appended, which are durable.
    fn apply_appended(&mut self, ctx: &mut Context<Self>) {
        while let Some(write) = self.pending.pop_appended() {
            let PendingWrite { staged, writing, ticket, .. } = write;
            let session = writing.session;
            match staged {
                Some(staged) => {
                    self.apply_here(staged, writing, ctx);
                    self.write_ended(session, ticket);
                }
                None => {
                    writing.reply.send(Ok(writing.answer));
                    self.send_checkpoints(ticket);
                }
            }
        }
    }
}

/// Takes the table's state for a checkpoint, after the writes that were sent to the log before.
#[derive(Debug)]
pub struct TakeCheckpoint {
    /// Receives it.
    pub reply: Reply<Checkpoint>,
}

/// Takes the names of the groups of a table from a pivot, in order.
#[derive(Debug)]
pub struct TakeOrder {
    /// Receives them.
    pub reply: Reply<Vec<String>>,
}

impl Receive<TakeOrder> for TableActor {
    fn step(_message: &TakeOrder) -> &'static str {
        "checkpoint"
    }

    fn receive(&mut self, TakeOrder { reply }: TakeOrder, _ctx: &mut Context<Self>) {
        reply.send(Ok(self.table.group_order()));
    }
}

impl Receive<TakeCheckpoint> for TableActor {
    fn step(_message: &TakeCheckpoint) -> &'static str {
        "checkpoint"
    }

    fn receive(&mut self, TakeCheckpoint { reply }: TakeCheckpoint, _ctx: &mut Context<Self>) {
        match self.pending.last_ticket() {
            Some(last) => {
                // Later batches that are visible at once have no place in it.
                let is_visible_at_once = self.log.as_ref().is_some_and(|log| log.is_visible_at_once);
                let taken = if is_visible_at_once { self.table.checkpoint() } else { None };
                self.pending.checkpoints.push((last, taken, reply));
            }
            None => self.send_checkpoint(None, reply),
        }
    }
}

impl TableActor {
    fn send_checkpoint(&self, taken: Option<Checkpoint>, reply: Reply<Checkpoint>) {
        // A table that follows others is asked only if they are deleted.
        let taken = taken.or_else(|| self.table.checkpoint());
        reply.send(Ok(taken.unwrap_or_else(|| self.table.detached())));
    }
}
